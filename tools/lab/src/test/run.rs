// SPDX-License-Identifier: GPL-2.0

//! The whole run: the host's unit tests, then one boot per kernel.

use std::fs;
use std::io::stdout;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{bail, Context, Result};

use super::args::{Args, Group, KernelKind};
use super::boot::{self, Target};
use super::counters::Counted;
use super::ktap::Test;
use super::plan::{Hook, Plan};
use super::record::{Record, Tally};
use super::report::Report;
use super::{compile_fail, host, kunit, tutorial};
use crate::build::{self, Ready};
use crate::project::Project;
use crate::steps::Steps;

/// Exit status: a test failed.
const FAILED: u8 = 1;
/// Exit status: a guest died or timed out.
const DIED: u8 = 70;

/// How long a boot with all its tests may take: several times what it does on a quiet machine.
const LIMIT: Duration = Duration::from_secs(1500);

/// What switches the debug kernel's checks on.
///
/// Page tables have four levels: with five, `identify_cpu()` of the boot CPU makes the kernel forget
/// about the fifth for a moment, in which KASAN takes any access of an interrupt for a wild one.
/// Slab caches are checked, for that switches their per-CPU sheaves off: these keep the addresses of
/// objects that they have given out, and kmemleak then takes most leaked objects for used.
const DEBUG_APPEND: &[&str] = &[
    "page_owner=on",
    "page_poison=1",
    "kunit.enable=1",
    "no5lvl",
    "slab_debug=F",
];

/// The stock kernel zeroes all memory that it gives out, and would hide that the module does not.
/// A part of the memory is a disk, `/dev/pmem0`: files on it can be mapped with DAX.
const STOCK_APPEND: &[&str] = &["init_on_alloc=0", "memmap=32M!1G"];

/// The debug kernel takes about ten times as long for a page fault.
const DEBUG_SCALE: f64 = 10.0;
/// How much fewer load/map/unload cycles it runs.
const DEBUG_CYCLES: u64 = 50;

/// Tests what `args` ask for. Returns the exit status; an error is a broken lab.
pub fn run(project: &Project, args: &Args) -> Result<u8> {
    let folder = project.build("test");
    fs::create_dir_all(&folder)?;
    let mut report = Report::new(folder.join("results.json"), stdout().lock())?;
    if args.wants_host() {
        report.begin("host")?;
        host::run(project, &args.patterns, &mut |test| {
            Ok(report.add(record("host", test))?)
        })?;
        report.end()?;
    }
    if args.wants_compile_fail() {
        let target = prepare(project, KernelKind::Stock)?;
        let modules = target.module.parent().context("the module has no folder")?;
        report.begin("compile-fail")?;
        compile_fail::run(project, modules, &args.patterns, &mut |test| {
            Ok(report.add(record("compile-fail", test))?)
        })?;
        report.end()?;
    }
    if args.wants_tutorial() && tutorial::is_picked(&args.patterns) {
        report.begin("tutorial")?;
        tutorial::run(project, &mut |test| {
            Ok(report.add(record("tutorial", test))?)
        })?;
        report.end()?;
    }
    let mut survived = true;
    for kernel in args.kernels() {
        let target = prepare(project, kernel)?;
        let plan = plan(project, args, kernel, &target)?;
        survived &= boot::run(project, &target, &plan, &mut report)?;
    }
    if report.is_empty() {
        bail!("no test matches {}", args.patterns.join(", "));
    }
    Ok(status(survived, &report.finish()?))
}

/// A run of the device tests on the kernel that counts.
pub struct Covered {
    /// Its exit status, as [`run`] returns it.
    pub status: u8,
    /// What was counted: `gcov/mm/mmap.gcda`, `module-mmap.profraw`.
    pub folder: PathBuf,
    /// The module that counted.
    pub module: PathBuf,
    /// Where the kernel was built.
    pub kdir: PathBuf,
    /// The kernel's source.
    pub source: PathBuf,
}

/// Runs the device tests on the kernel whose `files` count what runs of them.
pub fn coverage(
    project: &Project,
    patterns: &[String],
    hook: Option<Hook>,
    files: &[String],
) -> Result<Covered> {
    let (ready, stock, kdir) = build::ready_coverage(project, &Steps::begin(project)?, files)?;
    let folder = project.build("coverage");
    fs::create_dir_all(&folder)?;
    let target = target(ready, STOCK_APPEND);
    let args = Args::device_tests(patterns, hook);
    let mut plan = plan(project, &args, KernelKind::Coverage, &target)?;
    plan.counted = Some(Counted {
        kdir: kdir.clone(),
        files: files.to_vec(),
    });
    let mut report = Report::new(folder.join("results.json"), stdout().lock())?;
    let survived = boot::run(project, &target, &plan, &mut report)?;
    Ok(Covered {
        status: status(survived, &report.finish()?),
        folder: boot::folder(project, &plan),
        module: target.module,
        kdir,
        source: stock.source,
    })
}

fn status(survived: bool, tally: &Tally) -> u8 {
    match (survived, tally.failed) {
        (false, _) => DIED,
        (true, 0) => 0,
        (true, _) => FAILED,
    }
}

fn plan(project: &Project, args: &Args, kernel: KernelKind, target: &Target) -> Result<Plan> {
    let is_debug = kernel == KernelKind::Debug;
    let kunit = match is_debug && args.wants(Group::Kunit) {
        true => suites(project)?,
        false => Vec::new(),
    };
    Ok(Plan {
        kernel: kernel.to_string(),
        module: target.module.clone(),
        others: others(&target.module)?,
        rmmap: project.program("rmmap"),
        hooks: args.hooks(),
        kunit,
        patterns: args.patterns.clone(),
        cycles: if is_debug {
            args.cycles.div_ceil(DEBUG_CYCLES)
        } else {
            args.cycles
        },
        time_scale: if is_debug { DEBUG_SCALE } else { 1.0 },
        debug_checks: is_debug,
        counted: None,
    })
}

/// The modules that were built together with `module`.
fn others(module: &Path) -> Result<Vec<PathBuf>> {
    let folder = module.parent().context("the module has no folder")?;
    let mut modules = build::modules_in(folder)?;
    modules.retain(|path| path != module);
    Ok(modules)
}

/// The KUnit suites in the source.
fn suites(project: &Project) -> Result<Vec<String>> {
    let suites = kunit::suites_in(&project.root().join("rust"))?;
    if suites.is_empty() {
        bail!("rust/ contains no #[kunit_tests(...)]");
    }
    Ok(suites)
}

/// The record of a test on this machine.
fn record(group: &str, test: Test) -> Record {
    Record {
        id: format!("{group}/{}", test.name),
        kernel: "host".to_owned(),
        hook: None,
        outcome: test.outcome,
        ms: test.ms.unwrap_or(0),
        rows: test.rows,
        message: test.message,
    }
}

/// Makes a kernel and the module for it, where they are not there yet.
fn prepare(project: &Project, kind: KernelKind) -> Result<Target> {
    // Other runs may build again once this is dropped.
    let steps = Steps::begin(project)?;
    let (ready, append) = match kind {
        KernelKind::Stock => (build::ready(project, &steps)?, STOCK_APPEND),
        KernelKind::Debug => (build::ready_debug(project, &steps)?, DEBUG_APPEND),
        KernelKind::Coverage => bail!("the coverage kernel is for `make coverage`"),
    };
    Ok(target(ready, append))
}

fn target(ready: Ready, append: &[&str]) -> Target {
    Target {
        kernel: ready.kernel,
        module: ready.module,
        append: append.iter().map(|&word| word.to_owned()).collect(),
        limit: LIMIT,
    }
}
