// SPDX-License-Identifier: GPL-2.0

//! One boot: passes a [`Plan`] to a guest and returns its records, even if the guest dies.

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{bail, Context, Result};

use super::collect::Collector;
use super::expected;
use super::plan::{Event, Plan};
use super::record::{Record, Test};
use super::report::Report;
use crate::project::Project;
use crate::vm::{Ending, Kernel, Splat, Vm};

/// The time limit until a kernel reaches userspace while another one boots and a third is compiled.
const BOOT_LIMIT: Duration = Duration::from_secs(300);

/// The kernel to boot, and the time limit.
pub struct Target {
    /// The kernel.
    pub kernel: Kernel,
    /// The module built for it.
    pub module: PathBuf,
    /// Words for its command line.
    pub append: Vec<String>,
    /// Limit for the whole boot.
    pub limit: Duration,
}

/// Returns the folder of the files of a guest with `plan`.
pub fn folder(project: &Project, plan: &Plan) -> PathBuf {
    project.build("vm").join(name(plan))
}

fn name(plan: &Plan) -> String {
    format!("test-{}", plan.name())
}

/// Boots and tests. Returns whether the guest lived to the end.
///
/// Boots a guest once more if it dies before the first part, hence before a module of this project
/// is loaded: with several threads QEMU's TCG sometimes runs an instruction that the kernel is
/// patching (`Oops: int3` in `sched_clock_cpu()`, seen on a busy machine).
pub fn run<W: Write>(
    project: &Project,
    target: &Target,
    plan: &Plan,
    report: &Report<W>,
) -> Result<bool> {
    match boot(project, target, plan, report, true)? {
        Some(survived) => Ok(survived),
        None => Ok(boot(project, target, plan, report, false)?.unwrap_or(false)),
    }
}

/// Boots and tests once. Returns whether the guest lived to the end, or `None` if it did not reach
/// the first part and `again` allows another try.
fn boot<W: Write>(
    project: &Project,
    target: &Target,
    plan: &Plan,
    report: &Report<W>,
    again: bool,
) -> Result<Option<bool>> {
    let mut vm = Vm::new(name(plan), target.kernel.clone());
    vm.append.clone_from(&target.append);
    vm.timeout = target.limit;
    vm.boot_timeout = BOOT_LIMIT;
    vm.spare_node = true;
    let agent = project
        .guest_program("rmmap-guest")
        .to_string_lossy()
        .into_owned();
    let command = [agent, "test".to_owned(), serde_json::to_string(plan)?];

    let mut guest = Listener {
        collector: Collector::new(plan),
        shown: 0,
        part: format!("{}/boot", plan.name().replace('-', "/")),
        noise: None,
        begun: false,
    };
    report.begin(&guest.part, 0)?;
    let outcome = vm.run_lines(project, &command, &mut |line| guest.hear(line, report))?;

    let log = outcome.kernel_log();
    let log = log
        .strip_prefix(project.root())
        .unwrap_or(&log)
        .display()
        .to_string();
    let died = matches!(outcome.ending, Ending::Died(_));
    if died && again && !guest.begun {
        eprintln!(
            "lab: {} before its tests began: booting it again (see {log})",
            outcome.ending
        );
        report.end(&guest.part)?;
        return Ok(None);
    }
    if died {
        guest.collector.give_up(&outcome.ending.to_string(), &log);
    } else if !guest.collector.complete() {
        let stderr = std::fs::read_to_string(outcome.stderr()).unwrap_or_default();
        let said = last_words(&stderr);
        let said = said
            .map(str::to_owned)
            .or(guest.noise)
            .unwrap_or_else(|| "the guest printed no reason".into());
        bail!(
            "the tests in the {} guest stopped during {}: {said}",
            plan.name(),
            guest.collector.doing()
        );
    }
    guest.show(report)?;
    let records = guest.collector.records();
    let log = whole_log(plan, &outcome.splats, records, &log);
    report.add(&guest.part, log)?;
    report.end(&guest.part)?;
    Ok(Some(!died))
}

/// Returns the agent's own last message, or else the last line.
fn last_words(stderr: &str) -> Option<&str> {
    let lines = || stderr.lines().rev().filter(|line| !line.trim().is_empty());
    let own = lines().find_map(|line| line.strip_prefix("lab: "));
    own.or_else(|| lines().next())
}

/// The state of a running guest's report.
struct Listener {
    collector: Collector,
    /// The number of the collector's records in the report.
    shown: usize,
    /// The part of the report that they belong to.
    part: String,
    /// The last line that was not an event.
    noise: Option<String>,
    /// Whether it reached its first part.
    begun: bool,
}

impl Listener {
    fn hear<W: Write>(&mut self, line: &str, report: &Report<W>) -> Result<()> {
        let Ok(event) = serde_json::from_str(line) else {
            self.noise = Some(line.to_owned());
            return Ok(());
        };
        let begins = match &event {
            Event::Begin(part, tests) => Some((part.to_string(), tests.len())),
            _ => None,
        };
        let ends = matches!(event, Event::End(_));
        self.collector.event(event);
        if let Some((part, of)) = begins {
            self.begun = true;
            report.end(&self.part)?;
            self.part = format!("{}/{part}", self.collector.kernel());
            report.begin(&self.part, of)?;
        }
        self.show(report)?;
        if ends {
            report.end(&self.part)?;
        }
        Ok(())
    }

    fn show<W: Write>(&mut self, report: &Report<W>) -> Result<()> {
        for record in &self.collector.records()[self.shown..] {
            report
                .add(&self.part, record.clone())
                .context("cannot show a result")?;
        }
        self.shown = self.collector.records().len();
        Ok(())
    }
}

/// Judges the kernel log from power on to power off. The guest has checked the sections of its
/// tests and knows their hooks; its reports are not counted again.
fn whole_log(plan: &Plan, splats: &[Splat], known: &[Record], log: &str) -> Record {
    let is_new = |splat: &&Splat| {
        !known
            .iter()
            .any(|record| record.message.contains(&splat.text))
    };
    let passes = known.iter().filter(|record| expected::is_pass(record));
    let splats = expected::without(splats.to_vec(), passes.count());
    let new: Vec<String> = splats.iter().filter(is_new).map(Splat::to_string).collect();
    let why_not = (!new.is_empty()).then(|| format!("{}\nsee {log}", new.join("\n\n")));
    let test = Test::judged("boot-log", Instant::now(), why_not.as_deref());
    Record::new("check", &plan.kernel, plan.only(), test)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::plan::{Hook, Policy, Setting};
    use crate::test::record::Outcome;

    fn plan() -> Plan {
        Plan {
            settings: vec![Setting::new(Hook::Mmap, Policy::Always)],
            ..Plan::new("stock", "rmmap.ko".as_ref(), "r".as_ref())
        }
    }

    fn splat(text: &str) -> Splat {
        Splat {
            text: text.into(),
            context: vec!["Call Trace:".into()],
        }
    }

    #[test]
    fn the_agents_message_is_the_reason() {
        let stderr = "noise\nlab: rmmap selftest --list: error: unknown\n\nFor more, try --help\n";
        assert_eq!(
            last_words(stderr),
            Some("rmmap selftest --list: error: unknown")
        );
        assert_eq!(last_words("killed\n\n"), Some("killed"));
        assert_eq!(last_words(""), None);
    }

    #[test]
    fn a_report_outside_of_the_tests_counts_once() {
        let clean = whole_log(&plan(), &[], &[], "log");
        assert_eq!(clean.outcome, Outcome::Pass);
        let splats = [splat("WARNING: at boot"), splat("BUG: in a test")];
        let mut known = clean;
        known.message = "BUG: in a test\nCall Trace:".into();
        let found = whole_log(&plan(), &splats, &[known.clone()], "log");
        assert_eq!(found.outcome, Outcome::Fail);
        assert_eq!(found.message, "WARNING: at boot\nCall Trace:\nsee log");
        assert_eq!(
            whole_log(&plan(), &splats[1..], &[known], "log").outcome,
            Outcome::Pass
        );
    }
}
