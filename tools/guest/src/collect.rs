// SPDX-License-Identifier: GPL-2.0

//! Makes records of a guest's events, even if the guest dies.
//!
//! Every announced test gets a record: its own, or a failure that says what the guest was doing
//! when it died.

use crate::plan::{Event, Part, Plan};
use crate::record::{Outcome, Record, Test};

/// The events of one boot so far.
pub struct Collector {
    kernel: String,
    /// Parts that have not ended yet, in order.
    remaining: Vec<Part>,
    running: Option<(Part, Vec<String>)>,
    records: Vec<Record>,
    done: bool,
}

impl Collector {
    /// Makes a collector that expects the parts of `plan`.
    pub fn new(plan: &Plan) -> Self {
        Self {
            kernel: plan.kernel.clone(),
            remaining: plan.parts(),
            running: None,
            records: Vec::new(),
            done: false,
        }
    }

    /// Takes one event.
    pub fn event(&mut self, event: Event) {
        match event {
            Event::Begin(part, tests) => self.running = Some((part, tests)),
            Event::Record(record) => {
                if let Some((_, tests)) = &mut self.running {
                    // The guest announces a KUnit suite, and reports the suite's tests.
                    tests.retain(|id| *id != record.id && !is_within(&record.id, id));
                }
                self.records.push(record);
            }
            Event::End(part) => {
                // Tests that the part announced and never reported are lost, even if the guest is
                // alive.
                let lost = self
                    .running
                    .take()
                    .map_or_else(Vec::new, |(_, tests)| tests);
                for id in lost {
                    self.fail(part, id, "the test was listed, but reported no result");
                }
                self.remaining.retain(|other| *other != part);
            }
            Event::Done => self.done = true,
        }
    }

    /// Returns the records so far.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// Returns whether the guest reported that it has finished.
    pub fn complete(&self) -> bool {
        self.done && self.remaining.is_empty()
    }

    /// Describes what the guest is doing, for people.
    pub fn doing(&self) -> String {
        match (&self.running, self.remaining.first()) {
            (Some((part, tests)), _) => match tests.first() {
                Some(test) => format!("{}/{part}, {test}", self.kernel),
                None => format!("{}/{part}", self.kernel),
            },
            (None, Some(next)) => format!("{}, before {next}", self.kernel),
            (None, None) => format!("{}, after the last part", self.kernel),
        }
    }

    /// Turns all open tests into failures, because the guest ended before it finished. `end` says
    /// how it ended ("the guest died"), `log` where to read more.
    pub fn give_up(&mut self, end: &str, log: &str) {
        let during = self.doing();
        let why = format!("{end} during {during}; see {log}");
        let running = self.running.take();
        for part in std::mem::take(&mut self.remaining) {
            let open = match &running {
                Some((now, tests)) if *now == part => tests.clone(),
                _ => Vec::new(),
            };
            if open.is_empty() {
                self.fail(part, format!("part/{}", part.stage), &why);
            }
            for id in open {
                self.fail(part, id, &why);
            }
        }
    }

    /// Returns the kernel's name in the records.
    pub fn kernel(&self) -> &str {
        &self.kernel
    }

    fn fail(&mut self, part: Part, id: String, message: &str) {
        let test = Test::new("", Outcome::Fail, message);
        let record = Record::new("", &self.kernel, part.setting, test);
        self.records.push(Record { id, ..record });
    }
}

/// Returns whether the test `id` belongs to the suite `suite`.
fn is_within(id: &str, suite: &str) -> bool {
    id.strip_prefix(suite)
        .is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Hook, Policy, Setting, Stage};

    fn plan() -> Plan {
        Plan {
            settings: vec![Setting::new(Hook::Mmap, Policy::Always)],
            ..Plan::new("stock", "rmmap.ko".as_ref(), "r".as_ref())
        }
    }

    fn part(stage: Stage) -> Part {
        Part {
            stage,
            setting: Some(Setting::new(Hook::Mmap, Policy::Always)),
        }
    }

    fn pass(id: &str) -> Event {
        let record = Record::new("", "stock", None, Test::new("", Outcome::Pass, ""));
        Event::Record(Record {
            id: id.into(),
            ..record
        })
    }

    fn failed(collector: &Collector) -> Vec<&str> {
        let failed = collector
            .records
            .iter()
            .filter(|r| r.outcome == Outcome::Fail);
        failed.map(|r| r.id.as_str()).collect()
    }

    #[test]
    fn a_guest_that_finishes_leaves_nothing_open() {
        let mut collector = Collector::new(&plan());
        for stage in [Stage::Load, Stage::Selftest, Stage::Trace, Stage::Check] {
            collector.event(Event::Begin(part(stage), vec!["a".into()]));
            collector.event(pass("a"));
            collector.event(Event::End(part(stage)));
        }
        assert!(!collector.complete());
        collector.event(Event::Done);
        assert!(collector.complete());
        assert_eq!(collector.records().len(), 4);
    }

    #[test]
    fn a_guest_that_dies_fails_the_running_test_and_all_behind_it() {
        let mut collector = Collector::new(&plan());
        collector.event(Event::Begin(part(Stage::Load), vec![]));
        collector.event(Event::End(part(Stage::Load)));
        let tests = vec![
            "selftest/a".into(),
            "selftest/b".into(),
            "selftest/c".into(),
        ];
        collector.event(Event::Begin(part(Stage::Selftest), tests));
        collector.event(pass("selftest/a"));
        collector.give_up("the guest died", "build/vm/stock.log");
        assert_eq!(
            failed(&collector),
            ["selftest/b", "selftest/c", "part/trace", "part/check"]
        );
        let message = &collector.records().last().unwrap().message;
        assert_eq!(
            message,
            "the guest died during stock/mmap/always/selftest, selftest/b; see build/vm/stock.log"
        );
    }

    #[test]
    fn a_guest_that_never_began_fails_every_part() {
        let mut collector = Collector::new(&plan());
        collector.give_up("the guest timed out", "log");
        assert_eq!(
            failed(&collector),
            ["part/load", "part/selftest", "part/trace", "part/check"]
        );
    }

    #[test]
    fn a_suite_is_there_when_one_of_its_tests_is() {
        let mut collector = Collector::new(&plan());
        let promised = vec!["kunit/a".into(), "kunit/ab".into()];
        collector.event(Event::Begin(part(Stage::Modules), promised));
        collector.event(pass("kunit/a/quota"));
        collector.event(Event::End(part(Stage::Modules)));
        assert_eq!(failed(&collector), ["kunit/ab"]);
    }

    #[test]
    fn a_listed_test_without_result_is_a_failure_even_when_the_part_ends() {
        let mut collector = Collector::new(&plan());
        collector.event(Event::Begin(
            part(Stage::Selftest),
            vec!["a".into(), "b".into()],
        ));
        collector.event(pass("b"));
        collector.event(Event::End(part(Stage::Selftest)));
        assert_eq!(failed(&collector), ["a"]);
    }
}
