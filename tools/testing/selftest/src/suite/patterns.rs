// SPDX-License-Identifier: GPL-2.0

//! Access patterns under policy adaptive: their page faults, and the memory that they use.
//!
//! Every pattern takes at most one fault per page touched, as on memfd, and uses at most twice the
//! memory that it touches. Faults in ascending order get large folios, also next to other streams.

use super::policy::{folios, held, region, touch};
use crate::context::{has_large_folios, Context, P};
use crate::counting::stats;
use crate::outcome::Result;
use crate::{cases, check, check_eq};
use rmmap_sys::rustix::io::pwrite;
use rmmap_sys::uapi::{RMMAP_CREATE_ADAPTIVE, RMMAP_CREATE_NEVER};
use rmmap_sys::{Device, Mapping};

cases! {
    Rmmap pattern_streams_far_apart [] "2 to 16 streams of touches in lockstep, 32 MiB apart: large folios, no waste", 60;
    Rmmap pattern_streams_side_by_side [] "2 to 16 streams in lockstep within 32 MiB, 2 within 512 pages: large folios, no waste", 60;
    Rmmap pattern_streams_of_single_pages [] "policy never: each of 16 streams in lockstep adds many pages per fault";
    Rmmap pattern_streams_of_writes [] "16 streams of write(2) in lockstep, of a page or 16 each: the pages written, in folios of that size";
    Rmmap pattern_short_runs [] "runs of 17 to 500 pages, then a jump: at most twice the memory, a few faults each";
    Rmmap pattern_regular_runs [] "runs of 17 pages every 17 to 64: at most twice the memory";
    Rmmap pattern_no_run [] "backward, strides of 2 and 16, bursts of 16, random: a fault per page, no waste", 60;
}

/// The pages of 32 MiB.
const PART: usize = (32 << 20) / P;

/// The pages of a long run.
const RUN: usize = 512;

/// The most faults that a run up to [`RUN`] may take: 16 for single pages, and a few for each
/// doubling.
const FAULTS: usize = 40;

/// Touches `pages` pages from each of `starts` on in turn: the first page of each, then the second
/// of each, ...
fn lockstep(mapping: &Mapping, starts: &[usize], pages: usize) -> Result {
    for page in 0..pages {
        touch(mapping, starts.iter().map(|start| start + page))?;
    }
    Ok(())
}

/// Returns the faults on a region so far.
fn faults(region: &Device) -> Result<usize> {
    Ok(stats(region)?.region.fault_write as usize)
}

/// Fills `pages` pages from each of `starts` on in lockstep, and checks faults and memory.
fn check_streams(cx: &Context, size: usize, starts: &[usize], pages: usize) -> Result {
    let (region, mapping) = region(cx, size, RMMAP_CREATE_ADAPTIVE)?;
    lockstep(&mapping, starts, pages)?;
    let (faults, touched) = (faults(&region)?, starts.len() * pages);
    let about = format!("{} streams, {:?}", starts.len(), folios(&region)?);
    check!(faults <= starts.len() * FAULTS, "{faults} faults, {about}");
    check!(
        held(&region)? <= 2 * touched,
        "{} held, {about}",
        held(&region)?
    );
    Ok(())
}

fn pattern_streams_far_apart(cx: &Context) -> Result {
    for streams in [2, 3, 4, 8, 16] {
        let starts: Vec<usize> = (0..streams).map(|stream| stream * PART).collect();
        check_streams(cx, streams * PART, &starts, RUN)?;
    }
    Ok(())
}

fn pattern_streams_side_by_side(cx: &Context) -> Result {
    for streams in [2, 3, 4, 8, 16] {
        let starts: Vec<usize> = (0..streams).map(|n| n * (PART / streams) + n * 3).collect();
        check_streams(cx, PART, &starts, RUN.min(PART / streams) / 2)?;
    }
    check_streams(cx, RUN, &[0, RUN / 2], RUN / 2)?;
    check_streams(cx, RUN, &[7, 99, 300, 401], 80)
}

fn pattern_streams_of_single_pages(cx: &Context) -> Result {
    const PAGES: usize = 256;
    let (region, mapping) = region(cx, 16 * PART, RMMAP_CREATE_NEVER)?;
    let starts: Vec<usize> = (0..16).map(|stream| stream * PART).collect();
    lockstep(&mapping, &starts, PAGES)?;
    let (faults, held) = (faults(&region)?, held(&region)?);
    check!(faults <= 16 * FAULTS, "{faults} faults");
    check!(held <= 16 * 2 * PAGES, "{held} held");
    check_eq!(folios(&region)?, [(0, held as u64)]);
    Ok(())
}

fn pattern_streams_of_writes(cx: &Context) -> Result {
    for (pages, order) in [(1, 0), (16, 4)] {
        let order = if has_large_folios() { order } else { 0 };
        let (region, _mapping) = region(cx, 16 * PART, RMMAP_CREATE_ADAPTIVE)?;
        let data = vec![7; pages * P];
        for page in (0..RUN).step_by(pages) {
            for stream in 0..16 {
                let offset = (stream * PART + page) * P;
                check_eq!(pwrite(&region, &data, offset as u64)?, data.len());
            }
        }
        check_eq!(folios(&region)?, [(order, ((16 * RUN) >> order) as u64)]);
        check_eq!(held(&region)?, 16 * RUN);
    }
    Ok(())
}

fn pattern_short_runs(cx: &Context) -> Result {
    let lengths = [
        17, 18, 31, 32, 33, 48, 63, 65, 100, 129, 200, 255, 257, 300, 400, 499, 500,
    ];
    let (region, mapping) = region(cx, lengths.len() * 2 * RUN, RMMAP_CREATE_ADAPTIVE)?;
    let (mut before, mut faults_before) = (0, 0);
    for (run, length) in lengths.into_iter().enumerate() {
        // Starts with all kinds of alignment.
        let start = run * 2 * RUN + run * 9;
        touch(&mapping, start..start + length)?;
        let (held, faults) = (held(&region)?, faults(&region)?);
        let (added, taken) = (held - before, faults - faults_before);
        check!(
            added >= length && added <= 2 * length,
            "{added} of {length}"
        );
        check!(taken <= length.min(FAULTS), "{taken} faults for {length}");
        (before, faults_before) = (held, faults);
    }
    Ok(())
}

fn pattern_regular_runs(cx: &Context) -> Result {
    for period in [17, 18, 24, 31, 32, 33, 48, 64] {
        let (region, mapping) = region(cx, 4 * RUN, RMMAP_CREATE_ADAPTIVE)?;
        let runs = (4 * RUN) / period;
        for run in 0..runs {
            touch(&mapping, run * period..run * period + 17)?;
        }
        let (held, touched) = (held(&region)?, runs * 17);
        check!(held <= 2 * touched, "period {period}: {held} of {touched}");
        check!(faults(&region)? <= touched, "period {period}");
    }
    Ok(())
}

fn pattern_no_run(cx: &Context) -> Result {
    let pages = 8 * RUN;
    // Full cycles modulo 4096 in which neighbours are far apart.
    let scattered = |n: usize| (n * 2897 + 11) % pages;
    let bursts = (0..32).flat_map(|burst| {
        let start = (burst * 27 % 64) * 64;
        start..start + 16
    });
    let patterns: [(&str, Vec<usize>); 5] = [
        ("backward", (0..pages).rev().collect()),
        ("stride 2", (0..pages).step_by(2).collect()),
        ("stride 16", (0..pages).step_by(16).collect()),
        ("bursts", bursts.collect()),
        ("random", (0..pages / 4).map(scattered).collect()),
    ];
    for (name, order) in patterns {
        let (region, mapping) = region(cx, pages, RMMAP_CREATE_ADAPTIVE)?;
        let touched = order.len();
        touch(&mapping, order)?;
        check_eq!(held(&region)?, touched, "{name}");
        check_eq!(faults(&region)?, touched, "{name}");
    }
    Ok(())
}
