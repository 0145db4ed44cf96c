// SPDX-License-Identifier: GPL-2.0

//! The guest's side of a test run: carries out a [`Plan`] and reports each step to the host.
//!
//! A fault of the kernel is a failed test, and the run continues with the next one. Functions
//! return an error only where the lab itself fails.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use rmmap_sys::Device;

use crate::counters::ModuleCounters;
use crate::insmod;
use crate::klog::{self, Splat};
use crate::kmsg::{KernelLog, Line};
use crate::leak::{self, Snapshot};
use crate::plan::{Event, Part, Plan, Setting, Stage};
use crate::protocol::GUEST_DIR;
use crate::record::{Outcome, Record, Test};
use crate::suite::Suite;
use crate::{debugfs, expected, kunit, taint};

/// Why a test failed; `Ok` when it passed.
type Verdict = std::result::Result<(), String>;

/// Carries out the plan that the host sent. Failed tests are no error, since the host knows them.
pub fn run(plan: &str) -> Result<()> {
    let plan = serde_json::from_str(plan).context("cannot parse the plan")?;
    carry_out(&plan, Path::new(GUEST_DIR))
}

/// Carries out `plan`. The reports of programs go to `folder`, which the host also sees.
fn carry_out(plan: &Plan, folder: &Path) -> Result<()> {
    let mut log = KernelLog::open().context("cannot open /dev/kmsg")?;
    log.read_new()?;
    if plan.debug_checks {
        debugfs::forget_leaks()?;
    }
    if let Some(counted) = &plan.counted {
        counted.reset()?;
    }
    leak::map_program()?;
    let mut guest = Guest {
        plan,
        folder,
        counters: None,
        before: Snapshot::take()?,
        log,
        lines: Vec::new(),
        expected: 0,
        taint: taint::Mask::read()?,
        part: Part {
            stage: Stage::Load,
            setting: None,
        },
    };
    for part in plan.parts() {
        guest.part(part)?;
    }
    tell(&Event::Done)
}

struct Guest<'a> {
    plan: &'a Plan,
    folder: &'a Path,
    /// The module's counters under the current setting.
    counters: Option<ModuleCounters>,
    before: Snapshot,
    log: KernelLog,
    /// The kernel log since the module was loaded with the current setting.
    lines: Vec<Line>,
    /// The number of times that the test that causes a report passed meanwhile.
    expected: usize,
    /// The taint mask when it was last read.
    taint: taint::Mask,
    part: Part,
}

impl Guest<'_> {
    fn part(&mut self, part: Part) -> Result<()> {
        self.part = part;
        match (part.stage, part.setting) {
            (Stage::Modules, _) => self.modules()?,
            (Stage::Load, Some(setting)) => self.load(setting)?,
            (Stage::Selftest, Some(setting)) => {
                self.suite(&Suite::selftest(self.plan, setting)?)?;
            }
            (Stage::Trace, Some(setting)) => {
                self.suite(&Suite::trace(self.plan, setting, self.folder))?;
            }
            (Stage::Counters, Some(setting)) => self.save_counters(setting)?,
            (Stage::Check, _) => self.check_after_unload()?,
            (Stage::Final, _) => self.check_at_the_end()?,
            (Stage::Load | Stage::Selftest | Stage::Trace | Stage::Counters, None) => {}
        }
        tell(&Event::End(part))
    }

    fn begin(&mut self, tests: Vec<String>) -> Result<()> {
        tell(&Event::Begin(self.part, tests))
    }

    fn modules(&mut self) -> Result<()> {
        let plan = self.plan;
        let modules = plan.modules();
        // A suite stands for its tests, whose names only the report contains.
        let suites = plan.kunit.iter().filter(|_| plan.patterns.is_empty());
        let mut promised: Vec<String> = suites.map(|suite| format!("kunit/{suite}")).collect();
        promised.extend(modules.iter().map(|(file, _)| module_id(file)));
        promised.extend(["modules-leak", "modules-log"].map(check_id));
        self.begin(promised)?;
        self.read_log()?;
        self.forget_log();
        let mut tests = Vec::new();
        for (file, has_suites) in modules {
            let first = self.lines.len();
            self.check(&module_id(file), |_| Ok(load_and_unload(file)))?;
            self.read_log()?;
            if has_suites {
                tests.extend(kunit::read(&self.lines[first..]));
            }
        }
        tests.extend(kunit::missing(&tests, &plan.kunit));
        for test in tests {
            if plan.picks(&test.name) || test.outcome == Outcome::Fail {
                self.record("kunit", test)?;
            }
        }
        self.check_leak("check/modules-leak")?;
        self.check_kernel_log("check/modules-log")
    }

    fn load(&mut self, setting: Setting) -> Result<()> {
        self.begin(vec!["check/load".to_owned()])?;
        self.read_log()?;
        self.forget_log();
        let file = &self.plan.module;
        let params = setting.params();
        let params = params.each_ref().map(String::as_str);
        self.check("check/load", |_| Ok(insmod::load(file, &params)))
    }

    fn suite(&mut self, suite: &Suite) -> Result<()> {
        let names = suite.list()?;
        let ids = names.iter().map(|name| format!("{}/{name}", suite.group));
        self.begin(ids.collect())?;
        if names.is_empty() {
            return Ok(());
        }
        let (plan, folder) = (self.plan, self.folder);
        if plan.counted.is_some() {
            self.counters = Some(ModuleCounters::new(&plan.module)?);
        }
        suite.run(folder, &mut |test| {
            if let Some(counters) = &mut self.counters {
                counters.look();
            }
            self.record(suite.group, test)
        })
    }

    /// Saves after each setting, so that the counts so far survive if the guest dies under the
    /// next.
    fn save_counters(&mut self, setting: Setting) -> Result<()> {
        self.begin(Vec::new())?;
        if let Some(mut counters) = self.counters.take() {
            counters.look();
            counters.save(self.folder, setting)?;
        }
        match &self.plan.counted {
            Some(counted) => counted.save(self.folder),
            None => Ok(()),
        }
    }

    fn check_after_unload(&mut self) -> Result<()> {
        let mut promised = ["counters", "unload", "leak", "kernel-log"]
            .map(check_id)
            .to_vec();
        let has_kunit = self.plan.debug_checks;
        if has_kunit {
            promised.push(check_id("kunit-reloads"));
        }
        self.begin(promised)?;
        self.check("check/counters", |_| Ok(counters_are_back()))?;
        let file = &self.plan.module;
        self.check("check/unload", |_| Ok(insmod::unload(file)))?;
        self.check_leak("check/leak")?;
        if has_kunit {
            self.read_log()?;
            self.check("check/kunit-reloads", |guest| {
                Ok(none(kunit::failures_in_reloads(&guest.lines)))
            })?;
        }
        self.check_kernel_log("check/kernel-log")
    }

    fn check_at_the_end(&mut self) -> Result<()> {
        let promised = ["kmemleak", "page-owner", "lockdep", "kernel-log"].map(check_id);
        self.begin(promised.to_vec())?;
        self.forget_log();
        let found = |found: Option<String>| found.map_or(Ok(()), Err);
        self.check("check/kmemleak", |_| debugfs::leaks().map(found))?;
        self.check("check/page-owner", |_| debugfs::orphaned_pages().map(found))?;
        self.check("check/lockdep", |_| {
            Ok(match debugfs::lockdep_is_on()? {
                true => Ok(()),
                false => Err("lockdep disabled itself: it did not check later code".into()),
            })
        })?;
        self.check_kernel_log("check/kernel-log")
    }

    /// Compares the memory counters with those from before the first load.
    fn check_leak(&mut self, id: &str) -> Result<()> {
        self.check(id, |guest| {
            let missing = guest.before.wait_until_back()?;
            Ok(missing.map_or(Ok(()), |missing| {
                Err(format!("{missing}, counted from before the first load"))
            }))
        })
    }

    /// Checks the taint mask, and the part of the kernel log that belongs to the current stage or
    /// setting.
    fn check_kernel_log(&mut self, id: &str) -> Result<()> {
        self.read_log()?;
        self.check(id, |guest| {
            let text: Vec<&str> = guest.lines.iter().map(|line| line.text.as_str()).collect();
            let splats = klog::scan(&text.join("\n"));
            let splats = expected::without(splats, guest.expected);
            let mut reports: Vec<String> = splats.iter().map(Splat::to_string).collect();
            if guest.log.lost() > 0 {
                reports.push("records were overwritten before they were read".into());
            }
            let taint = taint::Mask::read()?;
            let is_warned = guest.expected > 0;
            let new = taint.new_since(guest.taint, is_warned, guest.plan.debug_checks);
            guest.taint = taint;
            reports.extend(new.map(|letters| format!("the kernel is tainted anew: {letters}")));
            Ok(none(reports))
        })
    }

    fn forget_log(&mut self) {
        self.lines.clear();
        self.expected = 0;
    }

    fn read_log(&mut self) -> Result<()> {
        let new = self.log.read_new().context("cannot read /dev/kmsg")?;
        self.lines.extend(new);
        Ok(())
    }

    /// Runs one check and reports it. Fails if the check itself cannot be made.
    fn check(&mut self, id: &str, run: impl FnOnce(&mut Self) -> Result<Verdict>) -> Result<()> {
        let begun = Instant::now();
        let verdict = run(self).with_context(|| id.to_owned())?;
        let (group, name) = id.split_once('/').unwrap_or(("check", id));
        let why_not = verdict.err();
        self.record(group, Test::judged(name, begun, why_not.as_deref()))
    }

    fn record(&mut self, group: &str, test: Test) -> Result<()> {
        let record = Record::new(group, &self.plan.kernel, self.part.setting, test);
        self.expected += usize::from(expected::is_pass(&record));
        tell(&Event::Record(record))
    }
}

/// Reports to the host immediately, since a guest may die at any moment.
fn tell(event: &Event) -> Result<()> {
    println!("{}", serde_json::to_string(event)?);
    Ok(())
}

/// Returns the id of the check that a module can be loaded and unloaded.
fn module_id(file: &Path) -> String {
    check_id(&format!("load-{}", insmod::name(file)))
}

/// Loads and unloads a module. Its messages in the kernel log, among them the reports of its KUnit
/// suites, are read afterwards.
fn load_and_unload(file: &Path) -> Verdict {
    insmod::load(file, &[])?;
    insmod::unload(file)
}

fn check_id(name: &str) -> String {
    format!("check/{name}")
}

fn none(problems: Vec<String>) -> Verdict {
    match problems.is_empty() {
        true => Ok(()),
        false => Err(problems.join("\n\n")),
    }
}

/// Checks the module's own counters at the end of the tests: no region may be left but the device's
/// own, and no memory but the memory of that (it lives as long as the module, and so does its
/// data).
fn counters_are_back() -> Verdict {
    let device = Device::open().map_err(|error| format!("cannot open /dev/rmmap: {error}"))?;
    let info = device
        .info()
        .map_err(|error| format!("RMMAP_IOC_INFO: {error}"))?;
    if info.regions != 1 {
        return Err(format!(
            "{} regions exist, expected the device's own only",
            info.regions
        ));
    }
    if info.used_bytes != info.resident {
        return Err(format!(
            "{} bytes are accounted, the device's region holds {}",
            info.used_bytes, info.resident
        ));
    }
    Ok(())
}
