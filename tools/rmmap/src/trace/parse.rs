// SPDX-License-Identifier: GPL-2.0

//! Reads the text of the `function_graph` tracer, with the events between its lines, into trees.
//!
//! The tracer's options make it name the thread of each line and the function that a line ends;
//! events look like comments:
//!
//! ```text
//!    true-231   |               |  handle_mm_fault() {
//!    true-231   |               |    /* enter_handle_mm_fault: (handle_mm_fault+0x4/0x2d0) ... */
//!    true-231   | + 12.077 us   |    __do_fault();
//!    true-231   | ! 164.294 us  |  } /* handle_mm_fault */
//! ```

use std::collections::BTreeMap;

use super::{
    decode::Returns,
    path,
    probes::{self, ENTER, EXIT},
    tree::{Arg, Call, Kind},
};

/// The event at the beginning of the processor's exception.
const EXCEPTION: &str = "page_fault_user";

/// The node that stands for the exception.
pub const PAGE_FAULT: &str = "page fault";

/// The meaning of a line.
#[derive(Debug, PartialEq)]
enum Line<'a> {
    /// `name() {`
    Enter(&'a str),
    /// `name();` and its time, µs.
    Leaf(&'a str, Option<f64>),
    /// `}` and its time, followed by `/* name */`.
    Exit(Option<&'a str>, Option<f64>),
    /// `/* name: text */`
    Event(&'a str, &'a str),
}

/// The state of a thread.
#[derive(Default)]
struct Thread {
    id: u32,
    roots: Vec<Call>,
    open: Vec<Call>,
    /// Arguments whose function has not begun yet in the graph.
    early: Option<(String, Vec<Arg>)>,
}

/// Builds the trees, in the order in which they ended, thread by thread.
pub fn parse(text: &str) -> Vec<Call> {
    let mut threads: BTreeMap<u32, Thread> = BTreeMap::new();
    for (id, line) in text.lines().filter_map(parse_line) {
        let thread = threads.entry(id).or_insert_with(|| Thread {
            id,
            ..Thread::default()
        });
        match line {
            Line::Enter(name) => thread.enter(name),
            Line::Leaf(name, us) => {
                thread.enter(name);
                thread.exit(Some(name), us);
            }
            Line::Exit(name, us) => thread.exit(name, us),
            Line::Event(name, text) => thread.event(name, text),
        }
    }
    let threads = threads.into_values();
    threads.flat_map(Thread::finish).collect()
}

impl Thread {
    fn new_call(&self, name: &str) -> Call {
        Call {
            thread: self.id,
            ..Call::function(name)
        }
    }

    fn enter(&mut self, name: &str) {
        if self.open.len() == 1 && self.open[0].name == PAGE_FAULT && name != path::FAULT {
            // The exception was not one of the memory management.
            self.close();
        }
        let mut call = self.new_call(name);
        if let Some((_, args)) = self.early.take_if(|(function, _)| function == name) {
            call.args = args;
        }
        self.open.push(call);
    }

    fn exit(&mut self, name: Option<&str>, us: Option<f64>) {
        // Calls that began before the recording also end here.
        let is_meant = |call: &Call| name.is_none_or(|name| call.name == name);
        let Some(at) = self.open.iter().rposition(is_meant) else {
            return;
        };
        while self.open.len() > at + 1 {
            self.close();
        }
        self.open[at].us = us;
        let is_fault = self.open[at].name == path::FAULT;
        self.close();
        if is_fault && self.open.len() == 1 && self.open[0].name == PAGE_FAULT {
            self.open[0].us = us;
            self.close();
        }
    }

    /// Ends the innermost call.
    fn close(&mut self) {
        if let Some(call) = self.open.pop() {
            self.siblings().push(call);
        }
    }

    /// Returns the calls that the innermost open one has made.
    fn siblings(&mut self) -> &mut Vec<Call> {
        match self.open.last_mut() {
            Some(call) => &mut call.calls,
            None => &mut self.roots,
        }
    }

    fn event(&mut self, name: &str, text: &str) {
        if let Some(function) = name.strip_prefix(ENTER) {
            self.arguments(function, arguments(text));
        } else if let Some(function) = name.strip_prefix(EXIT) {
            self.returned(function, text);
        } else if name == EXCEPTION {
            while !self.open.is_empty() {
                self.close();
            }
            let mut call = self.new_call(PAGE_FAULT);
            call.args = arguments(text);
            self.open.push(call);
        } else {
            self.happened(name, arguments(text));
        }
    }

    /// Handles the probe at a function's entry, which comes before or after the function's own
    /// line.
    fn arguments(&mut self, function: &str, args: Vec<Arg>) {
        match self.open.last_mut() {
            Some(call) if call.name == function && call.args.is_empty() => call.args = args,
            _ => self.early = Some((function.to_owned(), args)),
        }
    }

    /// Handles the probe at a function's return, which comes before or after the line that ends it.
    fn returned(&mut self, function: &str, text: &str) {
        let Some(kind) = probes::returns(function) else {
            return;
        };
        let args = arguments(text);
        let Some(value) = args.iter().find(|arg| arg.name == "ret") else {
            return;
        };
        let is_meant = |call: &&mut Call| call.name == function && call.ret.is_none();
        if let Some(call) = self.open.last_mut().filter(is_meant) {
            return call.returned(kind, &value.value.raw);
        }
        if let Some(call) = self.siblings().last_mut().filter(is_meant) {
            return call.returned(kind, &value.value.raw);
        }
        if let Some(call) = self.open.iter_mut().rev().find(is_meant) {
            call.returned(kind, &value.value.raw);
        }
    }

    /// Handles a tracepoint. The module's stand for its Rust functions, which the tracer cannot
    /// see: their calls become children of the tracepoint.
    fn happened(&mut self, name: &str, args: Vec<Arg>) {
        let mut call = self.new_call(name);
        call.args = args;
        if let Some((_, adopts)) = path::MODULE_EVENTS.iter().find(|(event, _)| *event == name) {
            call.name = format!("{}{name}", path::MODULE_PREFIX);
            call.kind = Kind::Module;
            if let Some(at) = call.args.iter().position(|arg| arg.name == "ret") {
                let ret = call.args.remove(at);
                call.returned(Returns::Errno, &ret.value.raw);
            }
            let siblings = self.siblings();
            let from = siblings
                .iter()
                .rposition(|sibling| !adopts(sibling))
                .map_or(0, |at| at + 1);
            call.calls = siblings.split_off(from);
        } else {
            call.kind = Kind::Event;
            // The others are the search's inner limits, whose names mean something else elsewhere.
            call.args
                .retain(|arg| ["addr", "err", "len"].contains(&arg.name.as_str()));
        }
        self.siblings().push(call);
    }

    /// Ends the trees. Calls that did not return before the end of the recording stay as they are.
    fn finish(mut self) -> Vec<Call> {
        while !self.open.is_empty() {
            self.close();
        }
        self.roots
    }
}

/// Returns the arguments that an event printed: `name=value`, with any text in between.
fn arguments(text: &str) -> Vec<Arg> {
    let words = text.split_whitespace();
    words
        .filter_map(|word| word.split_once('='))
        .map(|(name, value)| Arg::new(name, value))
        .collect()
}

/// Parses a line: the thread and the meaning.
fn parse_line(line: &str) -> Option<(u32, Line<'_>)> {
    if line.starts_with('#') {
        return None;
    }
    let mut columns = line.splitn(3, '|');
    let (_, thread) = columns.next()?.trim().rsplit_once('-')?;
    let thread = thread.trim().parse().ok()?;
    let us = duration(columns.next()?);
    let call = columns.next()?.trim();
    let line = if let Some(event) = call.strip_prefix("/*") {
        let (name, text) = event.trim_end_matches("*/").trim().split_once(':')?;
        Line::Event(name, text.trim())
    } else if let Some(rest) = call.strip_prefix('}') {
        let name = rest
            .trim()
            .strip_prefix("/*")
            .and_then(|name| name.strip_suffix("*/"));
        Line::Exit(name.map(function), us)
    } else {
        let (name, rest) = call.split_once('(')?;
        match rest.trim_end().ends_with('{') {
            true => Line::Enter(function(name)),
            false => Line::Leaf(function(name), us),
        }
    };
    Some((thread, line))
}

/// Returns `fault` of ` fault [rmmap] `.
fn function(name: &str) -> &str {
    name.split_whitespace().next().unwrap_or(name)
}

/// Reads `! 164.294 us`; the sign only classifies the duration.
fn duration(column: &str) -> Option<f64> {
    let number = column.trim().strip_suffix("us")?.trim();
    number
        .trim_start_matches(|c: char| !c.is_ascii_digit())
        .trim()
        .parse()
        .ok()
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
