// SPDX-License-Identifier: GPL-2.0

//! The runs, with progress on standard error.

use crate::args::Args;
use crate::measure;
use crate::plan::{plan, Case, MIB};
use crate::record::{median, Record};
use crate::threads;
use anyhow::{Context, Result};
use rmmap_sys::rustix::mm::MapFlags;
use rmmap_sys::{module, mounts, MapOptions, PAGE_SIZE};
use std::io::{self, Write};
use std::path::Path;
use std::time::Instant;

/// Pages that are zeroed for the price of it.
const ZEROED: usize = 1024;

/// Bytes of an execution that is not counted, before those that are: it fills caches of the kernel,
/// which matters less the larger the object is.
const WARMED: usize = 64 * MIB;

/// Measures what the command line says; gives each record out when it is made.
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
        Some(threads) => parallel(args, threads, &mut give),
        None => serial(args, &mut give),
    }
}

/// What takes a record, and whether the module answered for it.
type Give<'a> = dyn FnMut(Record, bool) -> Result<()> + 'a;

fn serial(args: &Args, give: &mut Give) -> Result<()> {
    // In mounts of our own: they go when we go, whatever happens.
    mounts::unshare_mounts().context("cannot have mounts of its own: run it as root")?;
    let zeroing = zeroing()?;
    let cases = plan(args);
    let mut prepared = None;
    for (number, case) in cases.iter().enumerate() {
        let Case {
            object,
            size,
            workload,
            times,
        } = *case;
        eprintln!(
            "rmmap: {}/{} {} {} {} MiB",
            number + 1,
            cases.len(),
            object.name(),
            workload.name(),
            size / MIB
        );
        let name = || {
            format!(
                "{} {} of {} MiB",
                object.name(),
                workload.name(),
                size / MIB
            )
        };
        if prepared
            .as_ref()
            .is_none_or(|(of, _)| *of != (object, size))
        {
            // What was prepared for another is put back before this one's is set.
            drop(prepared.take());
            prepared = Some(((object, size), object.prepare(size).with_context(name)?));
        }
        let (_, on) = prepared.as_mut().context("nothing is prepared")?;
        let mut samples = Vec::new();
        let mut memory = Vec::new();
        let mut pages = 0;
        on.resize(size.min(WARMED));
        measure::once(workload, on).with_context(name)?;
        on.resize(size);
        for _ in 0..times {
            let sample = measure::once(workload, on).with_context(name)?;
            pages = sample.pages;
            samples.push(sample.cost as f64 / pages as f64);
            memory.extend(
                sample
                    .memory
                    .map(|bytes| bytes as f64 / (pages * PAGE_SIZE) as f64),
            );
        }
        let record = Record {
            object: object.name(),
            workload: workload.name(),
            size: size as u64,
            threads: 1,
            unit: args.unit(),
            pages: pages as u64,
            per_page: median(&samples),
            zeroing,
            memory: (!memory.is_empty()).then(|| median(&memory)),
            samples,
        };
        give(record, object.is_ours())?;
    }
    Ok(())
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

/// What zeroing a page costs: in memory that is there, page by page.
fn zeroing() -> Result<f64> {
    let mapping = MapOptions::new(ZEROED * PAGE_SIZE)
        .private()
        .flags(MapFlags::LOCKED)
        .map_anonymous()
        .context("no memory to zero")?;
    let mut samples = Vec::new();
    for _ in 0..5 {
        let begun = Instant::now();
        mapping.zero_pages(ZEROED);
        samples.push(begun.elapsed().as_nanos() as f64 / ZEROED as f64);
    }
    Ok(median(&samples))
}

/// Unloads the module and loads the one in the file `path`.
fn replace_module(path: &Path) -> Result<()> {
    const NAME: &str = "rmmap";
    if module::is_loaded(NAME) {
        module::unload(NAME).context("the loaded module cannot be unloaded")?;
    }
    module::load(path, "").with_context(|| format!("{} cannot be loaded", path.display()))
}

fn header(out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "{:<14} {:<16} {:>9} {:>3} {:>12} {:>12} {:>8} {:>8}",
        "object", "workload", "size", "thr", "per page", "but zeroing", "memory", "spread"
    )
}

fn row(out: &mut impl Write, record: &Record) -> Result<()> {
    let memory = record
        .memory
        .map_or("-".to_owned(), |memory| format!("{memory:.2}"));
    writeln!(
        out,
        "{:<14} {:<16} {:>5} MiB {:>3} {:>12.1} {:>12.1} {:>8} {:>7.2}%",
        record.object,
        record.workload,
        record.size as usize / MIB,
        record.threads,
        record.per_page,
        record.per_page - record.zeroing,
        memory,
        record.spread() * 100.0
    )?;
    Ok(())
}
