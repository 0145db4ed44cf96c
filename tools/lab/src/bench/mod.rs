// SPDX-License-Identifier: GPL-2.0
//! `make bench`: the cost of memory of `/dev/rmmap`, next to memfd, ramfs, huge and anonymous
//! pages.
//!
//! `rmmap bench` measures, in four guests with the stock kernel: two whose clock counts instructions,
//! so that every run gives the same figures, one with `init_on_alloc=0` and one with `=1`; one with
//! 16 emulated processors, for the lines of memory that they share; and one with two processors, for
//! threads. The results of each are kept until all have finished, so an interrupted run can
//! continue.
//!
//! | file | what it does |
//! |---|---|
//! | [`results`] | the measurements: `build/bench/results.json` |
//! | [`bars`] | performance targets, and whether rmmap meets them |
//! | [`tables`] | the tables of a run |
//! | [`plot`] | the same as pictures |
//! | [`profile`] | the functions in which a case spends its instructions |
//! | [`shared`] | targets of accesses to lines that processors share |
//! | [`page`] | `Documentation/benchmark.rst`, `benchmark-tables.rst` |

mod bars;
mod page;
mod plot;
mod profile;
mod results;
mod shared;
mod tables;

use crate::build::{self, Ready};
use crate::project::Project;
use crate::steps::{Inputs, Progress, Steps};
use crate::test::origin;
use crate::vm::{Stream, Vm};
use anyhow::{anyhow, bail, ensure, Context, Result};
use results::{Results, Verdict};
use rmmap_bench::symbols::Symbols;
use rmmap_bench::unfinished::Unfinished;
use rmmap_bench::{lines, shared as watched, Record, Unit};
use rmmap_pages::Grid;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// Exit status: rmmap misses a performance target.
const MISSED: u8 = 1;
/// Exit status: no target is missed, but some are inconclusive.
const INCONCLUSIVE: u8 = 4;

/// The limit until userspace runs, also on a busy machine.
const BOOT: Duration = Duration::from_secs(600);

/// The folder of the results, below `build/`.
const FOLDER: &str = "bench";

/// Measure what memory of rmmap costs, next to memfd, ramfs, huge and anonymous pages.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Measure only the performance targets, at small sizes: three minutes on a quiet machine.
    #[arg(long)]
    quick: bool,
    /// Measure only this part, and take the others from the last run if it measured the same
    /// commit.
    #[arg(long, value_enum)]
    only: Option<Part>,
    /// Measure in the random order with this seed instead of a new one.
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Only print the functions in which a case spends its instructions, such as
    /// `rmmap/random-write` (with init_on_alloc=0) or `memfd/populate/1`, and write its stacks.
    #[arg(long, value_name = "CASE", conflicts_with_all = ["quick", "only", "record"])]
    profile: Option<profile::Case>,
    /// Measure nothing: write the last results to Documentation/benchmark.rst.
    #[arg(long, conflicts_with_all = ["quick", "only"])]
    record: bool,
}

/// A part of the measurements, made by one guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Instructions, in a guest whose clock counts them.
    Instructions,
    /// Accesses of many processors to lines of memory that they share.
    Shared,
    /// Several threads by the clock, which needs quiet processors.
    Threads,
}

impl Part {
    /// Returns the unit of this part's records.
    fn unit(self) -> Unit {
        match self {
            Part::Instructions => Unit::Instructions,
            Part::Shared => Unit::Accesses,
            Part::Threads => Unit::Nanoseconds,
        }
    }
}

/// A measuring guest: its commands and limits.
struct Guest {
    name: &'static str,
    part: Part,
    /// The word `init_on_alloc=` on the command line, if there is one.
    init_on_alloc: Option<bool>,
    /// Arguments of `rmmap bench`, run one after the other.
    runs: Vec<Vec<String>>,
    memory: u32,
    limit: Duration,
}

/// Measures, judges, reports. Returns the exit status.
pub fn run(project: &Project, args: &Args) -> Result<u8> {
    let folder = project.build(FOLDER);
    if args.record {
        let results = Results::read(&folder)?.judged();
        plot::draw(&folder, &results)?;
        page::record(project, &results)?;
        return Ok(0);
    }
    fs::create_dir_all(&folder)?;
    let steps = Steps::begin(project)?;
    let ready = build::ready(project, &steps)?;
    if let Some(case) = &args.profile {
        drop(steps);
        return profile::run(project, &ready, case).map(|()| 0);
    }
    let bare = match args.only {
        None | Some(Part::Instructions) => build::without_statistics(project, &steps)?,
        Some(_) => PathBuf::new(),
    };
    drop(steps);
    let commit = origin::commit(project);
    let kernel = kernel(&ready)?;
    let key = Inputs::new()
        .text(&format!("{kernel} {}", args.quick))
        .file(&ready.module)?
        .file(&project.program("rmmap-bench"))?;
    let unfinished = Unfinished::open(folder.join("unfinished"), &key.digest(), args.seed)?;
    let seed = unfinished.seed();
    let guests = guests(args.quick, seed, &bare)?;
    let wanted = |guest: &&Guest| args.only.is_none_or(|part| part == guest.part);
    let mut results = Results {
        kernel,
        commit,
        seed,
        quick: args.quick,
        records: measure_all(
            project,
            &ready,
            &unfinished,
            &guests.iter().filter(wanted).collect::<Vec<_>>(),
        )?,
        bars: Vec::new(),
    };
    if let Some(part) = args.only {
        let earlier = Results::read(&folder);
        if !earlier.is_ok_and(|earlier| results.complete(earlier, part.unit())) {
            eprintln!(
                "lab: the last run was of another commit, or not committed: its parts are left out"
            );
        }
    }
    let results = results.judged();
    results.write(&folder)?;
    unfinished.close()?;
    plot::draw(&folder, &results)?;
    let text = tables::all(&results)
        .iter()
        .map(Grid::text)
        .collect::<Vec<_>>()
        .join("\n");
    fs::write(folder.join("results.txt"), &text)?;
    println!("{text}");
    println!(
        "{}; order of --seed {seed} (results: {})",
        tables::summary(&results),
        folder.display()
    );
    let worst = results.bars.iter().map(|bar| bar.verdict);
    Ok(match worst.min_by_key(|verdict| *verdict as u8) {
        Some(Verdict::Missed) => MISSED,
        Some(Verdict::Inconclusive) => INCONCLUSIVE,
        _ => 0,
    })
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

/// Returns the guests, each with its measurements.
fn guests(quick: bool, seed: u64, bare: &Path) -> Result<Vec<Guest>> {
    let set = if quick { "quick" } else { "full" };
    let statistics = |suffix| {
        words(&format!(
            "--instructions --set statistics --seed {seed} --suffix={suffix}"
        ))
    };
    let mut without = statistics(bars::BARE);
    without.push("--module".to_owned());
    without.push(bare.to_str().context("a path is not UTF-8")?.to_owned());
    let counting = |on: bool| Guest {
        name: if on { "bench-1" } else { "bench-0" },
        part: Part::Instructions,
        init_on_alloc: Some(on),
        runs: vec![words(&format!("--instructions --set {set} --seed {seed}"))],
        // Objects are at most 4 GiB.
        memory: if quick { 2048 } else { 6144 },
        limit: Duration::from_secs(if quick { 900 } else { 5400 }),
    };
    let mut off = counting(false);
    // If pages are zeroed once, statistics are the largest part of the cost of a page.
    off.runs.extend([statistics(bars::COUNTED), without]);
    let few = if quick { " --object rmmap" } else { "" };
    let mut guests = vec![off, counting(true)];
    if !quick {
        guests.push(Guest {
            name: "bench-shared",
            part: Part::Shared,
            init_on_alloc: Some(false),
            runs: vec![words("--shared")],
            memory: 2048,
            limit: Duration::from_secs(1800),
        });
    }
    guests.push(Guest {
        name: "bench-threads",
        part: Part::Threads,
        init_on_alloc: None,
        runs: vec![words(&format!("--threads 2{few}"))],
        memory: 2048,
        limit: Duration::from_secs(900),
    });
    Ok(guests)
}

/// Runs the counting guests in parallel, which disturbs no count, and the one that measures time
/// alone.
fn measure_all(
    project: &Project,
    ready: &Ready,
    unfinished: &Unfinished,
    guests: &[&Guest],
) -> Result<Vec<Record>> {
    let (timing, counting): (Vec<&Guest>, Vec<&Guest>) = guests
        .iter()
        .copied()
        .partition(|guest| guest.part == Part::Threads);
    let mut records = Vec::new();
    for (name, guests) in [
        ("counting instructions and accesses", counting),
        ("timing threads", timing),
    ] {
        if guests.is_empty() {
            continue;
        }
        let progress = Progress::begin(name);
        let at = &|line: &str| progress.at(line);
        let outcomes: Vec<_> = thread::scope(|scope| {
            let mut threads = Vec::new();
            for guest in guests {
                threads.push(scope.spawn(move || match unfinished.done(guest.name)? {
                    Some(records) => Ok(records),
                    None => measure(project, ready, unfinished, guest, at),
                }));
            }
            threads.into_iter().map(|thread| thread.join()).collect()
        });
        progress.end(true);
        for outcome in outcomes {
            records.extend(outcome.map_err(|_| anyhow!("a measuring thread panicked"))??);
        }
    }
    Ok(records)
}

/// Runs a guest; reports its current case to `at`, or how it failed.
fn measure(
    project: &Project,
    ready: &Ready,
    unfinished: &Unfinished,
    guest: &Guest,
    at: &(dyn Fn(&str) + Sync),
) -> Result<Vec<Record>> {
    let program = project.program("rmmap");
    let program = shlex::try_quote(program.to_str().context("a path is not UTF-8")?)?.into_owned();
    let done = unfinished.path(guest.name);
    let done = shlex::try_quote(done.to_str().context("a path is not UTF-8")?)?.into_owned();
    let mut commands = Vec::new();
    for run in &guest.runs {
        let run = shlex::try_join(run.iter().map(String::as_str))?;
        commands.push(match guest.part {
            Part::Instructions => format!("{program} bench --json --done {done} {run}"),
            _ => format!("{program} bench --json {run}"),
        });
    }
    let mut vm = Vm::new(guest.name, ready.kernel.clone()).timeout(guest.limit);
    let setting = guest.init_on_alloc.map(u8::from);
    vm.append
        .extend(setting.map(|on| format!("init_on_alloc={on}")));
    // Regions may hold half of memory by default.
    let most = (u64::from(guest.memory) * 3 / 4) << 20;
    vm.insmod.push(vec![
        ready.module.display().to_string(),
        format!("max_bytes={most}"),
    ]);
    vm.memory = guest.memory;
    vm.boot_timeout = BOOT;
    let raw = project.build(FOLDER).join("shared.raw");
    match guest.part {
        Part::Instructions => vm.icount = true,
        Part::Shared => {
            (vm.emulated, vm.cpus) = (true, watched::processors());
            vm.qemu = profile::plugin(project, "shared", &raw)?;
            // The kernel is at the same addresses in every run. The guest has more processors than
            // the host: some seem to hang, and none can calibrate its speed.
            let more = "nokaslr nowatchdog lpj=4000000 rcupdate.rcu_cpu_stall_suppress=1";
            vm.append.extend(words(more));
            commands.insert(0, profile::save_symbols());
        }
        Part::Threads => {}
    }
    let mut log = unfinished.log(guest.name, guest.part == Part::Instructions)?;
    let mut told = Vec::new();
    let script = commands.join(" && ");
    let outcome = vm.run_with(
        project,
        &["sh", "-c", &script],
        &mut |stream, bytes| match stream {
            // Results that cannot be kept are reported as missing below.
            Stream::Stdout => drop(log.write_all(bytes)),
            Stream::Stderr => {
                told.extend_from_slice(bytes);
                if let Some(line) = last_line(&told) {
                    at(line);
                }
            }
        },
    )?;
    if outcome.ending.exit_code() != 0 {
        let told = String::from_utf8_lossy(&told);
        let reasons = told.lines().rev().take(5).collect::<Vec<_>>();
        let reasons: Vec<_> = reasons.into_iter().rev().collect();
        bail!(
            "cannot measure: {}; the next run continues from here. Last lines of `rmmap bench`:\n{}\n\
             Kernel log: {}",
            outcome.ending,
            reasons.join("\n"),
            outcome.kernel_log().display()
        );
    }
    if let Some(on) = guest.init_on_alloc {
        // mm/mm_init.c, report_meminit(): the kernel's actual setting, whatever its command line
        // says.
        let log = fs::read_to_string(outcome.kernel_log())?;
        let wanted = format!("heap alloc:{}", if on { "on" } else { "off" });
        ensure!(
            log.contains(&wanted),
            "the kernel does not print `{wanted}`: {}",
            outcome.kernel_log().display()
        );
    }
    let mut records = unfinished.records(guest.name)?;
    ensure!(!records.is_empty(), "`rmmap bench` printed no results");
    if guest.part == Part::Shared {
        let symbols = fs::read_to_string(outcome.dir.join(profile::SYMBOLS))?;
        let raw = fs::read_to_string(&raw).context("QEMU recorded no accesses")?;
        lines::complete(&mut records, &raw, &Symbols::parse(&symbols))?;
    }
    unfinished.finish(guest.name, &records)?;
    Ok(records)
}

/// Returns the last complete line.
fn last_line(text: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(text).ok()?;
    let (complete, _) = text.rsplit_once('\n')?;
    complete.lines().last()
}

/// Returns the version of the kernel.
fn kernel(ready: &Ready) -> Result<String> {
    let modules = ready.kernel.modules.as_deref();
    let version = modules
        .and_then(Path::file_name)
        .context("the kernel has no version")?;
    Ok(version.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_complete() {
        assert_eq!(last_line(b"a\nb\nc"), Some("b"));
        assert_eq!(last_line(b"a"), None);
    }

    #[test]
    fn guests_are_told_what_rmmap_understands() {
        use clap::Parser;
        #[derive(Parser)]
        struct Line {
            #[command(flatten)]
            _args: rmmap_bench::Args,
        }
        for quick in [false, true] {
            for guest in guests(quick, 7, Path::new("/a b/rmmap.ko")).unwrap() {
                for run in &guest.runs {
                    let line = std::iter::once("bench").chain(run.iter().map(String::as_str));
                    Line::try_parse_from(line).map(drop).unwrap();
                }
            }
        }
    }
}
