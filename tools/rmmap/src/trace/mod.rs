// SPDX-License-Identifier: GPL-2.0

//! `rmmap trace`: the path of one mapping, or of a program's mappings, through the kernel.
//!
//! It uses the kernel's own tracing: the function graph for the calls and their times, dynamic
//! events for arguments and return values, and the module's tracepoints for its hook and its
//! handlers, which the function tracer cannot see because they are Rust. It records everything in a
//! tracing instance of its own, so it changes no setting of the machine's tracing. It always
//! removes instance and events at its end; if it is killed, the next run does.
//!
//! | module | what it does |
//! |---|---|
//! | [`spec`] | the mapping to trace, in words |
//! | [`subject`] | maps it, or runs the program, in a child |
//! | [`record`] | records the child |
//! | [`tracefs`], [`names`] | tracefs, instances, and their removal |
//! | [`probes`], [`path`] | the functions of interest, their arguments, their purposes |
//! | [`parse`], [`tree`] | the recording as trees |
//! | [`decode`], [`answer`] | the meanings of numbers, the answers to page faults |
//! | [`compare`] | two runs side by side |
//! | [`text`], [`html`], [`svg`] | the output for people |
//! | [`unavailable`] | why nothing can be traced |

mod answer;
mod compare;
mod decode;
mod html;
mod names;
mod parse;
mod path;
mod probes;
mod record;
mod spec;
mod subject;
mod svg;
mod text;
mod tracefs;
mod tree;
mod unavailable;

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{bail, Context};
use serde::Serialize;
use serde_json::json;

use crate::{device, output, target, Moment};
use record::Recorder;
use spec::Spec;
use subject::Outcome;
use tree::Call;
pub use unavailable::Unavailable;

/// Options of `rmmap trace`.
#[derive(Debug, clap::Args)]
#[command(after_help = spec::WORDS)]
pub struct Args {
    /// Words that describe the mapping, such as `anon private populate`; the default is a lazy
    /// shared mapping of /dev/rmmap, 64 KiB, written to
    #[arg(value_name = "WORD", conflicts_with = "compare")]
    words: Vec<String>,

    /// Trace two mappings, show them side by side, and mark the first difference
    #[arg(long, num_args = 2, value_names = ["A", "B"])]
    compare: Vec<Spec>,

    /// Also record this kernel function; may be given more than once
    #[arg(long, value_name = "FUNCTION")]
    also: Vec<String>,

    /// Print JSON
    #[arg(long)]
    json: bool,

    /// Write a flame graph to this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,

    /// Write one self-contained page with graph, trees and comparison to this file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,

    /// Trace this program and its children instead of a mapping
    #[arg(last = true, value_name = "COMMAND", conflicts_with_all = ["words", "compare"])]
    command: Vec<OsString>,
}

/// The subject of a trace.
#[derive(Clone, Debug)]
pub enum Subject {
    /// A mapping.
    Mapping(Spec),
    /// A program and its arguments.
    Command(Vec<OsString>),
}

/// A run.
#[derive(Debug, Serialize)]
pub struct Trace {
    /// The traced subject.
    pub subject: String,
    /// The mapping in detail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mapping: Option<Spec>,
    /// Version of the kernel.
    pub kernel: String,
    /// Its result.
    pub outcome: Outcome,
    /// The missing parts.
    pub notes: Vec<String>,
    /// System calls and page faults, in their order.
    pub calls: Vec<Call>,
}

impl Trace {
    /// Keeps the part of a recording that belongs to the subject.
    fn new(subject: &Subject, outcome: Outcome, calls: Vec<Call>, notes: Vec<String>) -> Self {
        let (name, mapping) = match subject {
            Subject::Mapping(spec) => (spec.to_string(), Some(spec.clone())),
            Subject::Command(argv) => {
                let words: Vec<_> = argv.iter().map(|word| word.to_string_lossy()).collect();
                (words.join(" "), None)
            }
        };
        let mut calls = calls;
        if mapping.is_some() {
            calls.retain(|call| concerns(call, &outcome));
        }
        Self {
            subject: name,
            mapping,
            kernel: device::release(),
            outcome,
            notes,
            calls,
        }
    }

    /// Returns the whole run for people.
    pub fn text(&self) -> String {
        text::trace(self)
    }

    /// Returns the result in a line.
    pub fn summary(&self) -> String {
        let Outcome {
            result,
            touched,
            signal,
            ..
        } = &self.outcome;
        let mut text = match &self.mapping {
            Some(spec) => format!(
                "mmap({}, {}, {}) = {result}, {touched} pages touched",
                decode::size(spec.length),
                decode::argument("prot", spec.prot.into()),
                decode::argument("flags", spec.flags().bits().into()),
            ),
            None => result.clone(),
        };
        if let Some(signal) = signal {
            text.push_str(&format!(", then {signal}"));
        }
        text
    }
}

/// Returns whether a call concerns the mapping: the system call, or a fault at one of its
/// addresses.
fn concerns(call: &Call, outcome: &Outcome) -> bool {
    match call.name.as_str() {
        path::SYSCALL => true,
        parse::PAGE_FAULT | path::FAULT => {
            let address = call.arg_number("address");
            match (address, outcome.address, outcome.length) {
                (Some(address), Some(start), Some(length)) => {
                    (start..start + length).contains(&address)
                }
                _ => false,
            }
        }
        _ => false,
    }
}

/// Runs the command; calls `at` when something was recorded.
pub fn run(args: &Args, at: fn(Moment)) -> anyhow::Result<ExitCode> {
    let subjects = subjects(args)?;
    for subject in &subjects {
        subject::check(subject)?;
    }
    let mut recorder = Recorder::new(&args.also, at)?;
    let traces: Vec<Trace> = subjects
        .iter()
        .map(|subject| recorder.record(subject))
        .collect::<anyhow::Result<_>>()?;
    // From here on nothing is traced, and Ctrl-C has its usual effect.
    drop(recorder);
    let all: Vec<&Trace> = traces.iter().collect();
    let comparison = match traces.as_slice() {
        [a, b] => Some(compare::compare(a, b)),
        _ => None,
    };
    if let Some(path) = &args.svg {
        write(path, &svg::file(&all))?;
    }
    if let Some(path) = &args.html {
        write(path, &html::page(&all, comparison.as_ref()))?;
    }
    let text = match (args.json, traces.as_slice(), &comparison) {
        (true, [a, b], Some(comparison)) => json_text(&json!({
            "a": a,
            "b": b,
            "comparison": comparison,
        }))?,
        (true, traces, _) => json_text(&json!(traces.first()))?,
        (false, [a, b], Some(comparison)) => text::comparison(a, b, comparison),
        (false, traces, _) => traces.iter().map(text::trace).collect(),
    };
    output::line(text)?;
    Ok(ExitCode::SUCCESS)
}

/// Records a lazy shared mapping of 16 pages of the device, which is written to.
pub fn of_lazy(object: target::Object) -> anyhow::Result<Trace> {
    let object = match object {
        target::Object::Device => spec::Object::Rmmap,
        target::Object::Region => spec::Object::Region,
    };
    let subject = Subject::Mapping(Spec {
        object,
        ..Spec::default()
    });
    Recorder::new(&[], |_| ())?.record(&subject)
}

/// Returns the subjects that the command line names.
fn subjects(args: &Args) -> anyhow::Result<Vec<Subject>> {
    if !args.command.is_empty() {
        return Ok(vec![Subject::Command(args.command.clone())]);
    }
    if !args.compare.is_empty() {
        return Ok(args.compare.iter().cloned().map(Subject::Mapping).collect());
    }
    match Spec::from_words(&args.words) {
        Ok(spec) => Ok(vec![Subject::Mapping(spec)]),
        Err(why) => bail!(why),
    }
}

fn write(path: &Path, contents: &str) -> anyhow::Result<()> {
    fs::write(path, contents).with_context(|| format!("cannot write {}", path.display()))
}

fn json_text(value: &serde_json::Value) -> anyhow::Result<String> {
    serde_json::to_string_pretty(value).context("cannot write JSON")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::tree::Arg;

    fn at(name: &str, address: &str) -> Call {
        Call {
            args: vec![Arg::new("address", address)],
            ..Call::function(name)
        }
    }

    #[test]
    fn only_what_concerns_the_mapping_is_kept() {
        let outcome = Outcome {
            result: "0x1000".into(),
            address: Some(0x1000),
            length: Some(0x2000),
            ..Outcome::default()
        };
        let calls = vec![
            at("handle_mm_fault", "0x55"),
            Call::function("__x64_sys_mmap"),
            at("page fault", "0x1000"),
            at("handle_mm_fault", "0x2fff"),
            at("page fault", "0x3000"),
            Call::function("vm_area_alloc"),
        ];
        let subject = Subject::Mapping(Spec::default());
        let trace = Trace::new(&subject, outcome, calls.clone(), Vec::new());
        let names: Vec<_> = trace.calls.iter().map(|call| call.name.as_str()).collect();
        assert_eq!(names, ["__x64_sys_mmap", "page fault", "handle_mm_fault"]);
        assert!(trace
            .summary()
            .starts_with("mmap(64 KiB, PROT_READ|PROT_WRITE, MAP_SHARED) = "));
        // Everything of a program is kept.
        let program = Subject::Command(vec!["a".into(), "b".into()]);
        let all = Trace::new(&program, Outcome::default(), calls, Vec::new());
        assert_eq!((all.calls.len(), all.subject.as_str()), (6, "a b"));
    }
}
