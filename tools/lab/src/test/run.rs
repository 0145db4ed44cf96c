// SPDX-License-Identifier: GPL-2.0

//! The whole run: tests on this machine, then one boot per kernel and setting.

use std::fs;
use std::io::{stdout, Stdout};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::{bail, Context, Result};
use rmmap_guest::counters::Counted;

use super::args::{Args, Group, KernelKind};
use super::boot::{self, Target};
use super::jobs::Jobs;
use super::plan::{Hook, Plan, Setting};
use super::record::{Record, Tally, Test};
use super::report::Report;
use super::{compile_fail, host, kunit, origin, package, tutorial, vm};
use crate::build::{self, Ready};
use crate::project::Project;
use crate::steps::Steps;

/// Exit status: a test failed.
const FAILED: u8 = 1;
/// Exit status: a guest died or timed out.
const DIED: u8 = 70;

/// The time limit of a boot with all its tests: twice its duration next to another one.
const LIMIT: Duration = Duration::from_secs(1800);

/// The words that enable the debug kernel's checks.
///
/// Page tables have four levels: with five, `identify_cpu()` of the boot CPU makes the kernel
/// briefly forget the fifth, and KASAN then reports any access of an interrupt as wild. Slab caches
/// are checked because that disables their per-CPU sheaves: these keep the addresses of allocated
/// objects, so that kmemleak would consider most leaked objects referenced.
pub const DEBUG_APPEND: &[&str] = &[
    "page_owner=on",
    "page_poison=1",
    "kunit.enable=1",
    "no5lvl",
    "slab_debug=F",
];

/// The stock kernel zeroes all memory that it allocates, which would hide that the module does not.
/// A part of the memory is a disk, `/dev/pmem0`: files on it can be mapped with DAX.
/// Guests with virtio-fs keep the zeroing: emulated processors do not notice that virtiofsd writes to
/// a page, and would run the code that was in it before, unless the guest itself overwrites it.
const STOCK_APPEND: &[&str] = &["init_on_alloc=0", "memmap=32M!1G"];

/// The debug kernel takes about ten times as long for a page fault.
const DEBUG_SCALE: f64 = 10.0;
/// The divisor of its load/map/unload cycles.
const DEBUG_CYCLES: u64 = 50;
/// The divisor of the cycles for all boots of the stock kernel except the first.
const OTHER_CYCLES: u64 = 10;

/// The number of parallel jobs, if there are as many processors: a guest has two, but mostly uses
/// one.
const AT_ONCE: usize = 4;

/// The file of the results.
type Results = Report<Stdout>;
/// The folder of the results of a group.
type Sink<'a> = &'a mut dyn FnMut(Test) -> Result<()>;

/// Runs the tests that `args` select. Returns the exit status; an error is a broken lab.
///
/// The lab compiles the debug kernel while the tests that do not need it run, with the processor
/// time that they leave; then guests run in parallel.
pub fn run(project: &Project, args: &Args) -> Result<u8> {
    let args = &args.resolved(build::is_default(project));
    let folder = project.build("test");
    fs::create_dir_all(&folder)?;
    let report = Report::new(folder.join("results.json"), stdout())?;
    let survived = AtomicBool::new(true);
    let debug = OnceLock::new();
    let mut jobs = Jobs::default();
    let wants_compile_fail = args.wants_alone(Group::CompileFail);
    let wants_tutorial = args.wants_alone(Group::Tutorial) && tutorial::is_picked(&args.patterns);
    // Its tests only make sense together.
    let wants_vm = args.wants_alone(Group::Vm) && args.patterns.is_empty();
    let wants_package = args.wants_alone(Group::Package) && args.patterns.is_empty();
    let mut stock = None;
    if wants_compile_fail
        || wants_vm
        || wants_tutorial
        || wants_package
        || !args.kernels().is_empty()
    {
        // Other runs may build once all jobs have dropped their references.
        let steps = Arc::new(Steps::begin(project)?);
        let ready = build::ready(project, &steps)?;
        stock = Some((target(ready, STOCK_APPEND), steps));
    }
    origin::write(project, args.has_all_rows())?;

    let has_debug = args.kernels().contains(&KernelKind::Debug);
    let debug_ready = match &stock {
        Some((_, steps)) if has_debug => {
            let (steps, debug) = (Arc::clone(steps), &debug);
            Some(jobs.add(None, move || {
                let ready = build::ready_debug(project, &steps)?;
                debug.get_or_init(|| target(ready, DEBUG_APPEND));
                Ok(())
            }))
        }
        _ => None,
    };
    let results = &report;
    if args.wants_alone(Group::Host) {
        let run = |sink: Sink<'_>| host::run(project, &args.patterns, sink);
        jobs.add(None, move || alone(results, "host", run));
    }
    if let Some((target, steps)) = stock {
        let target = Arc::new(target);
        if wants_compile_fail {
            let modules = target.module.parent().context("the module has no folder")?;
            let modules = modules.to_owned();
            let run =
                move |sink: Sink<'_>| compile_fail::run(project, &modules, &args.patterns, sink);
            jobs.add(None, move || alone(results, "compile-fail", run));
        }
        if wants_vm {
            let kernel = target.kernel.clone();
            let run = |sink: Sink<'_>| vm::run(project, kernel, sink);
            jobs.add(None, move || alone(results, "vm", run));
        }
        if wants_package {
            let steps = Arc::clone(&steps);
            let run = |sink: Sink<'_>| package::run(project, steps, sink);
            jobs.add(None, move || alone(results, "package", run));
        }
        if wants_tutorial {
            let run = |sink: Sink<'_>| tutorial::run(project, steps, sink);
            jobs.add(None, move || alone(results, "tutorial", run));
        }
        for kernel in args.kernels() {
            for boot in boots(args, kernel) {
                let (survived, debug) = (&survived, &debug);
                let stock = Arc::clone(&target);
                let is_debug = kernel == KernelKind::Debug;
                jobs.add(debug_ready.filter(|_| is_debug), move || {
                    let target = match is_debug {
                        true => debug.get().context("there is no debug kernel")?,
                        false => &*stock,
                    };
                    let plan = plan(project, args, kernel, target, &boot)?;
                    if !boot::run(project, target, &plan, results)? {
                        survived.store(false, Relaxed);
                    }
                    Ok(())
                });
            }
        }
    }
    let processors = available_parallelism().map_or(1, usize::from);
    jobs.run(processors.min(AT_ONCE))?;
    if report.is_empty() {
        bail!("no test matches {}", args.patterns.join(", "));
    }
    Ok(status(survived.into_inner(), &report.finish()?))
}

/// Runs a group of tests on this machine and reports it as a part.
fn alone(report: &Results, group: &str, run: impl FnOnce(Sink<'_>) -> Result<()>) -> Result<()> {
    report.begin(group, 0)?;
    run(&mut |test| Ok(report.add(group, Record::new(group, "host", None, test))?))?;
    report.end(group)
}

/// The purpose of one boot of a kernel.
struct Boot {
    settings: Vec<Setting>,
    /// Whether the modules without device tests are also loaded.
    modules: bool,
    /// Whether it is the kernel's first, which runs most load/map/unload cycles.
    first: bool,
}

/// Returns the boots of a kernel: one for each setting. The last one of the debug kernel, where
/// modules contain their KUnit suites, loads the other modules; on the stock kernel the first one
/// does.
fn boots(args: &Args, kernel: KernelKind) -> Vec<Boot> {
    let settings = args.settings(kernel);
    let count = settings.len().max(1);
    let with_modules = match kernel {
        KernelKind::Debug => count - 1,
        _ => 0,
    };
    let boot = |index| Boot {
        settings: settings.get(index).copied().into_iter().collect(),
        modules: index == with_modules,
        first: index == 0,
    };
    (0..count).map(boot).collect()
}

/// A run of the device tests on the coverage kernel.
pub struct Covered {
    /// Its exit status, as [`run`] returns it.
    pub status: u8,
    /// The folder of the counters: `gcov/mm/mmap.gcda`, `module-mmap.profraw`.
    pub folder: PathBuf,
    /// The counting module.
    pub module: PathBuf,
    /// The folder in which the kernel was built.
    pub kdir: PathBuf,
    /// The kernel's source.
    pub source: PathBuf,
}

/// Runs the device tests on the kernel whose `files` count their executions.
pub fn coverage(
    project: &Project,
    patterns: &[String],
    hook: Option<Hook>,
    files: &[String],
) -> Result<Covered> {
    let (ready, stock, kdir) = build::ready_coverage(project, &Steps::begin(project)?, files)?;
    let folder = project.build("coverage");
    fs::create_dir_all(&folder)?;
    let mut target = target(ready, STOCK_APPEND);
    // All settings in one boot.
    target.limit = 2 * LIMIT;
    let args = Args::device_tests(patterns, hook);
    let boot = Boot {
        settings: args.settings(KernelKind::Coverage),
        modules: true,
        first: true,
    };
    let mut plan = plan(project, &args, KernelKind::Coverage, &target, &boot)?;
    plan.counted = Some(Counted {
        kdir: kdir.clone(),
        files: files.to_vec(),
    });
    let report = Report::new(folder.join("results.json"), stdout())?;
    let survived = boot::run(project, &target, &plan, &report)?;
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

fn plan(
    project: &Project,
    args: &Args,
    kernel: KernelKind,
    target: &Target,
    boot: &Boot,
) -> Result<Plan> {
    let is_debug = kernel == KernelKind::Debug;
    let kunit = match is_debug && boot.modules && args.wants(Group::Kunit) {
        true => suites(project)?,
        false => Vec::new(),
    };
    let others = match boot.modules {
        true => others(&target.module)?,
        false => Vec::new(),
    };
    Ok(Plan {
        others,
        settings: boot.settings.clone(),
        kunit,
        patterns: args.patterns.clone(),
        cycles: match (kernel, boot.first) {
            (KernelKind::Debug, _) => args.cycles.div_ceil(DEBUG_CYCLES),
            (_, true) => args.cycles,
            (_, false) => args.cycles.div_ceil(OTHER_CYCLES),
        },
        time_scale: if is_debug { DEBUG_SCALE } else { 1.0 },
        debug_checks: is_debug,
        ..Plan::new(
            &kernel.to_string(),
            &target.module,
            &project.guest_program("rmmap"),
        )
    })
}

/// Returns the modules that were built together with `module`.
fn others(module: &Path) -> Result<Vec<PathBuf>> {
    let folder = module.parent().context("the module has no folder")?;
    let mut modules = build::modules_in(folder)?;
    modules.retain(|path| path != module);
    Ok(modules)
}

/// Returns the KUnit suites in the source.
fn suites(project: &Project) -> Result<Vec<String>> {
    let suites = kunit::suites_in(&project.root().join("rust"))?;
    if suites.is_empty() {
        bail!("rust/ contains no #[kunit_tests(...)]");
    }
    Ok(suites)
}

fn target(ready: Ready, append: &[&str]) -> Target {
    let mut append: Vec<_> = append.iter().map(|&word| word.to_owned()).collect();
    append.retain(|word| !ready.kernel.virtiofs || word != "init_on_alloc=0");
    Target {
        kernel: ready.kernel,
        module: ready.module,
        append,
        limit: LIMIT,
    }
}
