// SPDX-License-Identifier: GPL-2.0

//! Records a subject: function graph, probes and tracepoints in one instance of tracing.

use std::collections::BTreeSet;

use anyhow::{anyhow, Context};
use rmmap_sys::{
    fork,
    rustix::{
        io::Errno,
        process::{waitid, WaitId, WaitIdOptions},
    },
    Child, End,
};

use super::{
    answer, parse, path,
    probes::Probes,
    subject::{self, Outcome},
    tracefs::{self, Instance, Tracefs},
    Subject, Trace, Unavailable,
};
use crate::Moment;

/// Tracepoints to record besides the module's, if the kernel has them.
#[cfg(target_arch = "x86_64")]
const EVENTS: &[&str] = &["exceptions/page_fault_user", "mmap/vm_unmapped_area"];
#[cfg(not(target_arch = "x86_64"))]
const EVENTS: &[&str] = &["mmap/vm_unmapped_area"];

/// The options for the tracer's lines; see [`parse`].
const OPTIONS: [(&str, &str); 4] = [
    ("funcgraph-proc", "1"),
    ("funcgraph-cpu", "0"),
    ("funcgraph-tail", "1"),
    ("funcgraph-duration", "1"),
];

/// Room for the recording, KiB for each CPU: a program may take some 100,000 faults.
const BUFFER_KB: &str = "8192";

/// Records one subject after the other with the same settings.
pub struct Recorder {
    // In the order in which they must be dropped.
    probes: Probes,
    functions: String,
    tracefs: Tracefs,
    at: fn(Moment),
}

impl Recorder {
    /// Prepares everything; `also` are functions to record besides those of the mmap path. Calls `at`
    /// after each recording.
    pub fn new(also: &[String], at: fn(Moment)) -> anyhow::Result<Self> {
        let tracefs = Tracefs::new()?;
        let tracers = tracefs::read(&tracefs.path("available_tracers"))?;
        if !tracers
            .split_whitespace()
            .any(|tracer| tracer == "function_graph")
        {
            return Err(Unavailable::no_tracer("function_graph").into());
        }
        let list = tracefs::read(&tracefs.path("available_filter_functions"))?;
        let functions = select(&list, also)?;
        let probes = Probes::new(&tracefs);
        Ok(Self {
            probes,
            functions,
            tracefs,
            at,
        })
    }

    /// Runs a subject and records it.
    pub fn record(&mut self, subject: &Subject) -> anyhow::Result<Trace> {
        let mut notes = Vec::new();
        let instance = self.instance(&mut notes)?;
        let held = self.tracefs.held();
        let mut child = fork(|channel| {
            let result = subject::run(subject, &instance, held);
            let result = result.map_err(|error| format!("{error:#}"));
            let text = serde_json::to_vec(&result).unwrap_or_default();
            i32::from(channel.send(&text).is_err())
        })
        .context("cannot fork")?;
        let end = self.wait(&mut child)?;
        (self.at)(Moment::Recorded);
        instance.set("tracing_on", "0")?;
        let outcome = outcome(subject, &child, end)?;
        let lost = lost(&instance);
        if lost > 0 {
            notes.push(format!(
                "{lost} entries did not fit into the buffer: the first are gone"
            ));
        }
        notes.extend(self.probes.missing.clone());
        let text = instance.get("trace")?;
        // The rest of the work needs no tracing.
        drop(instance);
        let mut roots = parse::parse(&text);
        answer::note(&mut roots);
        Ok(Trace::new(subject, outcome, roots, notes))
    }

    /// Makes an instance with everything to record enabled.
    fn instance(&mut self, notes: &mut Vec<String>) -> Result<Instance, Unavailable> {
        let instance = self.tracefs.instance("graph")?;
        instance.set("buffer_size_kb", BUFFER_KB)?;
        instance.set("set_ftrace_filter", &self.functions)?;
        instance
            .set("current_tracer", "function_graph")
            .map_err(|_| Unavailable::no_tracer("function_graph"))?;
        for (option, value) in OPTIONS {
            instance.set(&format!("options/{option}"), value)?;
        }
        for event in EVENTS {
            if instance
                .set(&format!("events/{event}/enable"), "1")
                .is_err()
            {
                notes.push(format!("this kernel has no tracepoint {event}"));
            }
        }
        // Without the module it has no tracepoints to record.
        let _ = instance.set("events/rmmap/enable", "1");
        self.probes.enable(&instance);
        Ok(instance)
    }

    /// Waits until the child ends, or until a signal ends this program.
    fn wait(&self, child: &mut Child) -> anyhow::Result<End> {
        loop {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
            match waitid(WaitId::Pid(child.pid()), options) {
                Ok(Some(_)) => return Ok(child.wait()?),
                Ok(None) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno).context("cannot wait for the child"),
            }
            if !self.tracefs.wait()? {
                // The child is killed when it is dropped.
                return Err(Unavailable::Interrupted.into());
            }
        }
    }
}

/// Returns the numbers of the functions in the kernel's list. By name the kernel would compare each
/// with all of about 50,000, which takes seconds in an emulated guest.
fn select(list: &str, also: &[String]) -> anyhow::Result<String> {
    let mut wanted: BTreeSet<&str> = also.iter().map(String::as_str).collect();
    let mut numbers = String::new();
    for (index, line) in list.lines().enumerate() {
        let name = line.split_whitespace().next().unwrap_or_default();
        let is_known = path::FUNCTIONS.iter().any(|(known, _)| *known == name);
        if wanted.remove(name) || is_known {
            numbers.push_str(&format!("{} ", index + 1));
        }
    }
    match wanted.first() {
        Some(name) => Err(anyhow!(
            "this kernel cannot trace {name}: it is not in {}/available_filter_functions",
            super::names::ROOT
        )),
        None => Ok(numbers),
    }
}

/// Returns the child's report, or how the program ended.
fn outcome(subject: &Subject, child: &Child, end: End) -> anyhow::Result<Outcome> {
    let answer = child.channel().receive();
    match (answer, subject, end) {
        (Ok(answer), ..) => serde_json::from_slice::<Result<Outcome, String>>(&answer)
            .context("the child's answer is cut off")?
            .map_err(|why| anyhow!(why)),
        // exec(2) closed the channel.
        (Err(_), Subject::Command(_), End::Exited(status)) => Ok(Outcome {
            result: format!("exit status {status}"),
            ..Outcome::default()
        }),
        (Err(_), Subject::Command(_), End::Killed(signal)) => Ok(Outcome {
            result: format!("killed by signal {signal}"),
            ..Outcome::default()
        }),
        (Err(_), Subject::Mapping(_), end) => Err(anyhow!("the traced child ended early: {end:?}")),
    }
}

/// Returns how many entries were overwritten.
fn lost(instance: &Instance) -> u64 {
    let Ok(cpus) = std::fs::read_dir(instance.path("per_cpu")) else {
        return 0;
    };
    let stats = cpus
        .flatten()
        .filter_map(|cpu| tracefs::read(&cpu.path().join("stats")).ok());
    stats.map(|text| overrun(&text)).sum()
}

/// Reads `overrun: 12`.
fn overrun(stats: &str) -> u64 {
    let values = stats
        .lines()
        .filter_map(|line| line.strip_prefix("overrun:"));
    values
        .filter_map(|value| value.trim().parse::<u64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_selected_by_their_number() {
        let list = "do_one\ndo_mmap\nmmap_region\nmine [mod]\nhandle_mm_fault\n";
        assert_eq!(select(list, &[]).unwrap(), "2 3 5 ");
        assert_eq!(select(list, &["mine".to_owned()]).unwrap(), "2 3 4 5 ");
        let error = select(list, &["absent".to_owned()])
            .unwrap_err()
            .to_string();
        assert!(error.contains("absent"), "{error}");
    }

    #[test]
    fn lost_entries_are_counted() {
        let stats = "entries: 645\noverrun: 12\ncommit overrun: 3\nbytes: 4\n";
        assert_eq!(overrun(stats), 12);
    }
}
