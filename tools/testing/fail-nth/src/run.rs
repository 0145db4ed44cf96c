// SPDX-License-Identifier: GPL-2.0

//! Runs the operations, each until none of its allocations fails.

use crate::args::Args;
use crate::faults::{self, Faults};
use crate::load::{self, Module};
use crate::op::{Answer, Cx, Op};
use crate::ops;
use crate::report::{Report, Tally};
use crate::sites::{in_log, Site, Trace};
use anyhow::{Context, Result};
use rmmap_guest::debugfs;
use rmmap_guest::klog;
use rmmap_guest::kmsg::KernelLog;
use rmmap_guest::leak::{map_program, Snapshot};
use rmmap_guest::taint::Mask;
use rmmap_sys::Device;
use std::cell::Cell;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Size of the device, bytes: one huge page and some more.
const CAPACITY: u64 = (512 + 64) * 4096;

/// More allocations than any operation has.
const MANY: u32 = 3000;

/// What `pagefault_out_of_memory()` of mm/oom_kill.c prints of a fault that ends with
/// `VM_FAULT_OOM`; the processor then repeats the access. It looks like a report of a leak.
const RETRIES: &str = "Huh VM_FAULT_OOM leaked out to the #PF handler. Retrying PF";

/// How long regions of a process that has ended may stay.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the operations share.
pub struct Bench<'a> {
    /// The command line.
    pub args: &'a Args,
    /// This thread's count.
    pub faults: Faults,
    /// Where allocations fail.
    pub trace: Trace,
    log: KernelLog,
    /// Its lines since the last check.
    seen: Vec<String>,
    /// What was found.
    pub report: Report,
}

/// Does what the command line says. Returns whether nothing failed.
pub fn run(args: &Args) -> Result<bool> {
    if args.list {
        for (group, ops) in ops::GROUPS {
            for op in *ops {
                println!("{group}: {}", op.name);
            }
        }
        return Ok(true);
    }
    let folder = args.modules.as_deref().context("no modules")?;
    let begun = Instant::now();
    faults::prepare()?;
    map_program()?;
    debugfs::forget_leaks()?;
    let taint = Mask::read()?;
    let mut bench = Bench {
        args,
        faults: Faults::of_this_thread()?,
        trace: Trace::new()?,
        log: KernelLog::open()?,
        seen: Vec::new(),
        report: Report::default(),
    };
    bench.log.read_new()?;
    let before = Snapshot::take()?;

    if let Err(error) = all(&mut bench, folder) {
        bench
            .report
            .fail("the run ends early", &format!("{error:#}"));
    }

    if let Some(missing) = before.wait_until_back()? {
        bench.report.fail("memory that the modules left", &missing);
    }
    if let Some(letters) = Mask::read()?.new_since(taint, false, false) {
        bench.report.fail("taint", &letters);
    }
    let leaks = debugfs::leaks();
    let pages = debugfs::orphaned_pages();
    for (name, found) in [("kmemleak", leaks), ("page_owner", pages)] {
        match found {
            Ok(None) => {}
            Ok(Some(text)) => bench.report.fail(name, &text),
            Err(error) => bench.report.fail(name, &format!("{error:#}")),
        }
    }
    if !debugfs::lockdep_is_on()? {
        bench.report.fail("lockdep", "it is off");
    }
    bench.check_log("the end")?;
    Ok(bench.report.print(begun.elapsed()))
}

/// Runs the operations that the command line wants, on each module.
fn all(bench: &mut Bench<'_>, folder: &Path) -> Result<()> {
    for prepare in [0, 1] {
        let parameters = format!("capacity={CAPACITY} prepare={prepare}");
        let module = Module::read(folder, "rmmap", &parameters)?;
        let prefix = if prepare == 0 { "" } else { "mmap_prepare: " };
        load::load(bench, &module, prefix)?;
        for (group, ops) in ops::GROUPS {
            // The hook concerns mappings only.
            if prepare == 0 || *group == "mapping" {
                for op in *ops {
                    let name = format!("{prefix}{}", op.name);
                    if bench.args.wants(group, &name) {
                        each(bench, &name, op, Some(&Device::open()?))?;
                    }
                }
            }
        }
        load::unload(bench, &module, prefix)?;
    }
    for sample in ops::samples::SAMPLES {
        for parameters in sample.parameters {
            let module = Module::read(folder, sample.name, parameters)?;
            let prefix = match *parameters {
                "" => format!("{}: ", sample.name),
                _ => format!("{} {parameters}: ", sample.name),
            };
            load::load(bench, &module, &prefix)?;
            for op in sample.ops {
                let name = format!("{prefix}{}", op.name);
                if bench.args.wants("samples", &name) {
                    each(bench, &name, op, None)?;
                }
            }
            load::unload(bench, &module, &prefix)?;
        }
    }
    Ok(())
}

/// What the module holds: it must be the same after each operation.
type State = (u64, u64);

/// Frees what the operation left in the device's own region, and returns what all regions hold.
fn state(device: &Device) -> Result<State> {
    let info = device.info()?;
    device.discard(0, info.capacity)?;
    let info = device.info()?;
    Ok((info.regions, info.used_bytes))
}

/// Fails each allocation of an operation. `device` is that of the module, for its own counts.
pub fn each(bench: &mut Bench<'_>, name: &str, op: &Op, device: Option<&Device>) -> Result<()> {
    let mut tally = Tally::new(name);
    // Code and memory of this program that it needs are there after the first time.
    for _ in 0..2 {
        match bench.once(op, 0).0 {
            Ok(Answer::Done) => {}
            usual => {
                let text = format!("{usual:?} where nothing fails");
                bench.report.fail(name, &text);
                return Ok(());
            }
        }
    }
    bench.trace.record_all(true)?;
    let (recorded, _) = bench.once(op, MANY);
    bench.trace.record_all(false)?;
    recorded.with_context(|| name.to_owned())?;
    let all = bench.trace.take()?;
    bench.report.cannot_fail(&all);
    let mut before = device.map(state).transpose()?;

    let mut has_ended = false;
    for nth in bench.args.nth.unwrap_or(1)..MANY {
        bench.trace.clear()?;
        let (outcome, has_failed) = bench.once(op, nth);
        let site = bench.hit()?;
        let at = site.as_ref().map_or("?".to_owned(), Site::to_string);
        let wrong = match &outcome {
            Err(error) => Some(format!("{error:#}")),
            Ok(Answer::Done) => None,
            Ok(answer) if !has_failed => Some(format!("{answer} where nothing fails")),
            Ok(answer) if !op.may.contains(answer) => Some(format!("undocumented {answer}")),
            Ok(_) => None,
        };
        let left = match (before, device) {
            (Some(before), Some(device)) => differs(before, device)?,
            _ => None,
        };
        if left.is_some() {
            // Once is enough.
            before = device.map(state).transpose()?;
        }
        for text in [wrong, left].into_iter().flatten() {
            let text = format!("allocation {nth} ({at}): {text}");
            bench.report.fail(name, &text);
        }
        if !has_failed {
            has_ended = true;
            break;
        }
        if let Ok(answer) = outcome {
            if bench.args.sites {
                println!("{name} {nth}: {answer}: {at}");
            }
            tally.add(answer, site);
        }
        if bench.args.nth.is_some() {
            has_ended = true;
            break;
        }
    }
    if !has_ended {
        bench.report.fail(name, "it has too many allocations");
    }
    bench.check_log(name)?;
    bench.report.add(tally);
    Ok(())
}

/// Waits until the counts are back, and says what is not.
fn differs(before: State, device: &Device) -> Result<Option<String>> {
    let begun = Instant::now();
    loop {
        let now = state(device)?;
        if now == before {
            return Ok(None);
        }
        if begun.elapsed() > PATIENCE {
            let ((regions, bytes), (regions_now, bytes_now)) = (before, now);
            return Ok(Some(format!(
                "regions {regions} then {regions_now}, bytes {bytes} then {bytes_now}"
            )));
        }
        sleep(Duration::from_millis(20));
    }
}

impl Bench<'_> {
    /// Runs an operation once; `nth` is 0 for no failure. Also returns whether there was one.
    fn once(&self, op: &Op, nth: u32) -> (Result<Answer>, bool) {
        let cx = Cx {
            faults: &self.faults,
            nth,
            has_failed: Cell::new(false),
        };
        let answer = (op.run)(&cx);
        (answer, cx.has_failed.get())
    }

    /// Returns where an allocation failed since the trace was cleared.
    pub fn hit(&mut self) -> Result<Option<Site>> {
        let hits = self.trace.take()?.into_iter();
        let hit = hits.map(|(_, site)| site).next();
        if hit.is_some() {
            return Ok(hit);
        }
        let from = self.seen.len();
        self.read_log()?;
        Ok(in_log(self.seen[from..].iter().map(String::as_str)))
    }

    fn read_log(&mut self) -> Result<()> {
        let lines = self.log.read_new()?;
        self.seen.extend(lines.into_iter().map(|line| line.text));
        Ok(())
    }

    /// Looks for reports in the kernel log.
    pub fn check_log(&mut self, name: &str) -> Result<()> {
        self.read_log()?;
        self.seen.retain(|line| !line.contains(RETRIES));
        for splat in klog::scan(&self.seen.join("\n")) {
            let name = format!("{name}: kernel log");
            self.report.fail(&name, &splat.to_string());
        }
        self.seen.clear();
        Ok(())
    }
}
