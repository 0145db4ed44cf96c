// SPDX-License-Identifier: GPL-2.0

//! Runs episodes until the time is up or one fails.

use crate::args::Args;
use crate::differences::DIFFERENCES;
use crate::episode::{Episode, Failure, Given, Setting, Step};
use crate::generate::Edges;
use crate::model::Model;
use crate::op::Op;
use crate::{actor, generate, shrink};
use anyhow::{ensure, Context, Result};
use rmmap_guest::klog;
use rmmap_guest::kmsg::KernelLog;
use rmmap_sys::module;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// Size of the device, bytes: one huge page and some more.
const CAPACITY: u64 = (512 + 131) * 4096;

/// A sequence, as a file for a replay has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sequence {
    /// What it begins with.
    pub setting: Setting,
    /// What is done.
    pub ops: Vec<Op>,
}

/// How an episode went.
pub struct Ran {
    /// Its operations.
    pub sequence: Sequence,
    /// Steps that were done.
    pub steps: usize,
    /// How often each declared difference was met.
    pub met: Vec<u64>,
    /// How it failed.
    pub failure: Option<Failure>,
}

/// Does what the command line says. Returns whether nothing failed.
pub fn run(args: &Args) -> Result<bool> {
    if args.differences {
        for difference in DIFFERENCES {
            println!("{}: {}", difference.name, difference.reason);
        }
        return Ok(true);
    }
    ensure!(actor::has_usual_pages(), "pages of 4096 bytes are needed");
    soil();
    if let Some(file) = &args.module {
        let parameters = format!("capacity={CAPACITY} prepare={}", args.prepare);
        module::load(file, &parameters).with_context(|| format!("loading {}", file.display()))?;
    }
    let well = match &args.replay {
        Some(file) => replay(args, file)?,
        None => episodes(args)?,
    };
    if args.module.is_some() {
        module::unload("rmmap").context("unloading the module")?;
    }
    Ok(well)
}

fn replay(args: &Args, file: &Path) -> Result<bool> {
    let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    let sequence: Sequence = serde_json::from_str(&text)?;
    match replayed(&sequence, args.memfd)? {
        Some(failure) => {
            println!("step {}: {}\n{}", failure.step, failure.class, failure.text);
            shrink::report(args, sequence, &failure)?;
            Ok(false)
        }
        None => {
            println!(
                "{} operations, no undeclared difference",
                sequence.ops.len()
            );
            Ok(true)
        }
    }
}

fn episodes(args: &Args) -> Result<bool> {
    let begun = Instant::now();
    let mut shown = begun;
    let mut met = vec![0; DIFFERENCES.len()];
    let (mut operations, mut number) = (0, 0);
    let mut failed = BTreeSet::new();
    let mut log = match args.memfd {
        true => None,
        false => Some(KernelLog::open().context("opening the kernel log")?),
    };
    complaint(log.as_mut())?;
    let limit = Duration::from_secs(args.seconds);
    while begun.elapsed() < limit && args.operations.is_none_or(|most| operations < most) {
        let seed = args.seed.wrapping_mul(1_000_003).wrapping_add(number);
        let mut ran = episode(args, seed)?;
        if let (None, Some(text)) = (&ran.failure, complaint(log.as_mut())?) {
            ran.failure = Some(Failure {
                step: ran.steps,
                class: "kernel log".to_owned(),
                text,
            });
        }
        operations += ran.steps as u64;
        number += 1;
        for (sum, one) in met.iter_mut().zip(&ran.met) {
            *sum += one;
        }
        if let Some(failure) = ran.failure {
            let seconds = begun.elapsed().as_secs_f64();
            println!(
                "episode {number} of seed {}, operation {operations}, after {seconds:.1} s: {}\n{}",
                args.seed, failure.class, failure.text
            );
            if failed.insert(failure.class.clone()) {
                shrink::report(args, ran.sequence, &failure)?;
            }
            if !args.all {
                return Ok(false);
            }
        }
        if shown.elapsed() > Duration::from_secs(10) {
            shown = Instant::now();
            let rate = operations as f64 / begun.elapsed().as_secs_f64();
            println!("{operations} operations in {number} episodes, {rate:.0} a second");
        }
    }
    let rate = operations as f64 / begun.elapsed().as_secs_f64();
    let found = match failed.len() {
        0 => "no undeclared difference".to_owned(),
        n => format!("{n} kinds of undeclared differences"),
    };
    println!(
        "seed {}: {operations} operations in {number} episodes, {rate:.0} a second, {found}",
        args.seed
    );
    for (difference, n) in DIFFERENCES.iter().zip(met) {
        println!("declared: {} {n} times", difference.name);
    }
    Ok(failed.is_empty())
}

/// What an unhealthy kernel wrote to its log since the last call.
fn complaint(log: Option<&mut KernelLog>) -> Result<Option<String>> {
    let Some(log) = log else {
        return Ok(None);
    };
    let lines = log.read_new().context("reading the kernel log")?;
    let text: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
    let splats = klog::scan(&text.join("\n"));
    Ok(splats.first().map(|splat| splat.text.clone()))
}

/// Fills free memory, so that a page that nobody zeroes shows it.
fn soil() {
    const BYTES: usize = 16 << 20;
    std::hint::black_box(vec![0xa5_u8; BYTES]);
}

/// What the episode of a seed begins with: with `races`, files of many pages.
fn setting(random: &mut fastrand::Rng, races: bool) -> Setting {
    let pages = match random.u32(if races { 5..8 } else { 0..8 }) {
        0 | 1 => 8,
        2 | 3 => 24,
        4 => 40,
        5 | 6 => 200,
        _ => 1200,
    };
    let given = |device: bool, random: &mut fastrand::Rng| Given {
        device,
        size: match random.u32(0..5) {
            0 => 0,
            1..=3 => random.u64(0..=(pages * 4096) as u64),
            _ => (random.usize(0..=pages) * 4096) as u64,
        },
        policy: random.u32(0..3),
    };
    Setting {
        pages,
        actors: 4,
        files: vec![
            given(false, random),
            given(false, random),
            given(true, random),
        ],
        pairs: random.u32(0..3) == 0,
    }
}

/// Runs the episode of a seed.
fn episode(args: &Args, seed: u64) -> Result<Ran> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut setting = setting(&mut random, args.races);
    setting.pairs = args.races || (setting.pairs && !args.alone);
    // What the model does not know becomes more with each step.
    let most = args.steps.div_ceil(random.usize(1..=4));
    let mut edges = Edges::default();
    let mut ops = Vec::new();
    soil();
    let mut episode = Episode::begin(&setting, args.memfd)?;
    if let Some(folder) = &args.out {
        fs::write(folder.join("seed"), format!("{seed} of {}\n", args.seed))?;
    }
    let failure = steps(&mut episode, |model| {
        (ops.len() < most).then(|| {
            let op = generate::next(&mut random, &mut edges, model, &setting);
            ops.push(op.clone());
            op
        })
    })?;
    let (steps, met) = (episode.steps, episode.met.clone());
    let left = episode.end()?;
    Ok(Ran {
        sequence: Sequence { setting, ops },
        steps,
        met,
        failure: failure.or(left),
    })
}

/// Does the operations of `next` until there is none, one fails or one ends the episode; compares
/// everything then. Returns the first failure.
fn steps(
    episode: &mut Episode,
    mut next: impl FnMut(&Model) -> Option<Op>,
) -> Result<Option<Failure>> {
    while let Some(op) = next(&episode.model) {
        match episode.step(&op)? {
            Step::Well => {}
            Step::Ends => break,
            Step::EndsApart => return Ok(None),
            Step::Failed(failed) => return Ok(Some(failed)),
        }
    }
    match episode.compare_all()? {
        Step::Failed(failed) => Ok(Some(failed)),
        Step::Well | Step::Ends | Step::EndsApart => Ok(None),
    }
}

/// Does a sequence again.
pub fn replayed(sequence: &Sequence, with_memfds_only: bool) -> Result<Option<Failure>> {
    let mut episode = Episode::begin(&sequence.setting, with_memfds_only)?;
    let mut ops = sequence.ops.iter();
    let failure = steps(&mut episode, |_| ops.next().cloned())?;
    let left = episode.end()?;
    Ok(failure.or(left))
}
