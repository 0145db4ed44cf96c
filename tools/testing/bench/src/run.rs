// SPDX-License-Identifier: GPL-2.0

//! The runs, with progress on standard error.

use crate::args::Args;
use crate::measure;
use crate::plan::{plan, Case, MIB};
use crate::record::{init_on_alloc, median, percentiles, Record};
use crate::{shared, threads};
use anyhow::{anyhow, bail, ensure, Context, Result};
use rmmap_sys::rustix::mm::MapFlags;
use rmmap_sys::rustix::process::{setrlimit, Resource, Rlimit};
use rmmap_sys::{module, mounts, run_in_child, End, Errno, MapOptions, PAGE_SIZE};
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::time::Instant;

/// Pages that are zeroed repeatedly to measure the cost of zeroing, and the number of repetitions:
/// enough that timer interrupts have the same share as in other measurements.
const ZEROED: usize = 64;
const ROUNDS: usize = 512;

/// Size of an execution that is not counted, before the measured ones, bytes. It fills caches of
/// the kernel, which matters less for larger objects.
const WARMED: usize = 16 * MIB;

/// Runs the measurements of the command line; prints each record at once.
pub fn run(args: &Args) -> Result<()> {
    if let Some(path) = &args.module {
        replace_module(path)?;
    }
    let mut out = io::stdout().lock();
    if !args.json {
        header(&mut out)?;
    }
    let mut give = |mut record: Record, ours: bool| -> Result<()> {
        if ours {
            record.object.push_str(&args.suffix);
        }
        match args.json {
            true => writeln!(out, "{}", serde_json::to_string(&record)?)?,
            false => row(&mut out, &record)?,
        }
        Ok(out.flush()?)
    };
    match args.threads {
        _ if args.shared => shared::run(&args.objects, &mut give),
        Some(threads) => parallel(args, threads, &mut give),
        None => serial(args, &mut give),
    }
}

/// Removes the cases whose records are in the file.
fn leave_done(cases: &mut Vec<Case>, path: &Path, suffix: &str) -> Result<()> {
    let text =
        fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let mut done = BTreeSet::new();
    for line in text.lines() {
        let record: Record = serde_json::from_str(line)
            .with_context(|| format!("{} has a line that is not a record", path.display()))?;
        done.insert((record.object, record.workload, record.size));
    }
    cases.retain(|case| {
        let mut object = case.object.name();
        if case.object.is_ours() {
            object.push_str(suffix);
        }
        !done.contains(&(object, case.workload.name(), case.size as u64))
    });
    Ok(())
}

/// A consumer of a record, and of whether its object is rmmap's.
type Give<'a> = dyn FnMut(Record, bool) -> Result<()> + 'a;

fn serial(args: &Args, give: &mut Give) -> Result<()> {
    // In a mount namespace of this process the mounts end with it, even if it is killed.
    mounts::unshare_mounts().context("cannot unshare the mount namespace; run this as root")?;
    // Secret memory counts as locked memory, even for root (mm/secretmem.c,
    // secretmem_account_folio()).
    let unlimited = Rlimit {
        current: None,
        maximum: None,
    };
    setrlimit(Resource::Memlock, unlimited).context("cannot lift the limit of locked memory")?;
    let zeroing = zeroing()?;
    let mut cases = plan(args);
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..));
    if let Some(path) = &args.done {
        leave_done(&mut cases, path, &args.suffix)?;
    }
    eprintln!(
        "rmmap: {} cases in random order, --seed {seed}",
        cases.len()
    );
    fastrand::Rng::with_seed(seed).shuffle(&mut cases);
    for (number, case) in cases.iter().enumerate() {
        let name = format!(
            "{} {} of {} KiB",
            case.object.name(),
            case.workload.name(),
            case.size >> 10
        );
        eprintln!("rmmap: {}/{} {name}", number + 1, cases.len());
        // Run each case in a process of its own, so that none depends on memory that another one
        // left.
        let (end, answer) = run_in_child(|| {
            let answer = match measured(args, *case, zeroing) {
                Err(error) if error.root_cause().downcast_ref() == Some(&Errno::OPNOTSUPP) => {
                    Ok(None)
                }
                answer => answer.map(Some).map_err(|error| format!("{error:#}")),
            };
            serde_json::to_vec(&answer).unwrap_or_default()
        })?;
        ensure!(end == End::Exited(0), "{name}: the process failed: {end:?}");
        let answer: Result<Option<Record>, String> = serde_json::from_slice(&answer)?;
        match answer {
            Ok(Some(record)) => give(record, case.object.is_ours())?,
            Ok(None) => eprintln!("rmmap: {name}: the kernel does not support that"),
            Err(reason) => bail!("{name}: {reason}"),
        }
    }
    Ok(())
}

/// Measures a case.
fn measured(args: &Args, case: Case, zeroing: f64) -> Result<Record> {
    let Case {
        object,
        size,
        workload,
        times,
    } = case;
    let mut on = object.prepare(size)?;
    on.resize(size.min(WARMED.max(workload.size())));
    measure::once(workload, &on)?;
    on.resize(size);
    let (mut samples, mut memory, mut faults) = (Vec::new(), Vec::new(), Vec::new());
    let (mut pages, mut latencies) = (0, Vec::new());
    for _ in 0..times {
        let sample = measure::once(workload, &on)?;
        pages = sample.pages;
        let per_page = |total: f64| total / pages as f64;
        samples.push(per_page(sample.cost as f64));
        faults.extend(sample.faults.map(|faults| per_page(faults as f64)));
        let bytes = sample.memory.map(|bytes| bytes as f64 / PAGE_SIZE as f64);
        memory.extend(bytes.map(per_page));
        latencies.extend(sample.latencies);
    }
    Ok(Record {
        object: object.name(),
        workload: workload.name(),
        size: size as u64,
        threads: 1,
        unit: args.unit(),
        pages: pages as u64,
        per_page: median(&samples),
        zeroing,
        init_on_alloc: init_on_alloc(),
        memory: (!memory.is_empty()).then(|| median(&memory)),
        faults: (!faults.is_empty()).then(|| median(&faults)),
        latency: percentiles(latencies),
        samples,
        places: Vec::new(),
    })
}

fn parallel(args: &Args, threads: u32, give: &mut Give) -> Result<()> {
    let zeroing = zeroing()?;
    threads::compare_zeroing(threads, zeroing, &mut |record| give(record, false))?;
    for &object in threads::OBJECTS {
        if !args.objects.is_empty() && !args.objects.contains(&object) {
            continue;
        }
        for &workload in threads::WORKLOADS {
            eprintln!("rmmap: {threads} threads: {} {}", object.name(), workload.0);
            let ours = object.is_ours();
            threads::compare(object, workload, threads, zeroing, &mut |record| {
                give(record, ours)
            })
            .with_context(|| format!("{} {} of {threads} threads", object.name(), workload.0))?;
        }
    }
    Ok(())
}

/// Returns the cost of zeroing a page, in memory that is already mapped, page by page.
fn zeroing() -> Result<f64> {
    let mapping = MapOptions::new(ZEROED * PAGE_SIZE)
        .private()
        .flags(MapFlags::LOCKED)
        .map_anonymous()
        .context("no memory to zero")?;
    let begun = Instant::now();
    for _ in 0..ROUNDS {
        mapping.zero_pages(ZEROED);
    }
    Ok(begun.elapsed().as_nanos() as f64 / (ZEROED * ROUNDS) as f64)
}

/// Unloads the module and loads the one in the file `path`.
fn replace_module(path: &Path) -> Result<()> {
    const NAME: &str = "rmmap";
    let file = path.display();
    // Read the file first, so that a wrong path leaves the loaded module alone.
    let image = fs::read(path).with_context(|| format!("cannot read the module {file}"))?;
    if module::is_loaded(NAME) {
        module::unload(NAME)
            .map_err(|e| anyhow!("cannot unload the module {NAME}: {e}{}", module::remedy(e)))?;
    }
    module::load_image(&image, "")
        .map_err(|e| anyhow!("cannot load {file}: {e}{}", module::remedy(e)))
}

fn header(out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "{:<14} {:<16} {:>11} {:>3} {:>12} {:>12} {:>8} {:>8}",
        "object", "workload", "size", "thr", "per page", "w/o zeroing", "memory", "spread"
    )
}

fn row(out: &mut impl Write, record: &Record) -> Result<()> {
    let memory = record
        .memory
        .map_or("-".to_owned(), |memory| format!("{memory:.2}"));
    writeln!(
        out,
        "{:<14} {:<16} {:>7} KiB {:>3} {:>12.1} {:>12.1} {:>8} {:>7.2}%",
        record.object,
        record.workload,
        record.size >> 10,
        record.threads,
        record.per_page,
        record.per_page - record.zeroing,
        memory,
        record.spread() * 100.0
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Workload::{Populate, SeqWrite};
    use crate::{Object, Unit};

    #[test]
    fn what_is_done_is_not_done_again() {
        let record = |object: &str| Record {
            object: object.into(),
            workload: "populate".into(),
            size: 16 * MIB as u64,
            threads: 1,
            unit: Unit::Instructions,
            pages: 4096,
            per_page: 1.0,
            zeroing: 1.0,
            init_on_alloc: None,
            memory: None,
            faults: None,
            latency: None,
            samples: vec![1.0],
            places: Vec::new(),
        };
        let lines = ["memfd", "rmmap-bare"].map(|name| serde_json::to_string(&record(name)));
        let path = std::env::temp_dir().join(format!("rmmap-done-{}", std::process::id()));
        fs::write(&path, lines.map(Result::unwrap).join("\n")).unwrap();
        let left = |suffix| {
            let case = |object, workload| Case {
                object,
                size: 16 * MIB,
                workload,
                times: 1,
            };
            let mut cases = vec![
                case(Object::Memfd, Populate),
                case(Object::Memfd, SeqWrite),
                case(Object::Rmmap, Populate),
            ];
            leave_done(&mut cases, &path, suffix).unwrap();
            cases.iter().map(|case| case.object).collect::<Vec<_>>()
        };
        assert_eq!(left("-bare"), [Object::Memfd]);
        assert_eq!(left(""), [Object::Memfd, Object::Rmmap]);
        fs::remove_file(path).unwrap();
    }
}
