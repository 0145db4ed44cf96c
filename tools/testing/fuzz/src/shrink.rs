// SPDX-License-Identifier: GPL-2.0

//! Makes a failing sequence shorter, and prints it.

use crate::args::Args;
use crate::episode::Failure;
use crate::run::{replayed, Sequence};
use anyhow::{Context, Result};
use std::fs;
use std::time::{Duration, Instant};

/// Shortens a sequence and prints what is left of it.
pub fn report(args: &Args, mut sequence: Sequence, failure: &Failure) -> Result<()> {
    sequence.ops.truncate(failure.step);
    if let Some(folder) = &args.out {
        write(&sequence, &folder.join("failure-whole.json"))?;
    }
    if args.shrink == 0 {
        return Ok(());
    }
    let limit = Instant::now() + Duration::from_secs(args.shrink);
    let whole = sequence.ops.len();
    let last = match replayed(&sequence, args.memfd)? {
        Some(again) if again.class == failure.class => {
            shortened(args, &mut sequence, failure, limit)?.unwrap_or(again)
        }
        other => {
            println!("a replay does not show it: {other:?}");
            return Ok(());
        }
    };
    println!("{} of {whole} operations show it:", sequence.ops.len());
    println!("{}", serde_json::to_string(&sequence.setting)?);
    for op in &sequence.ops {
        println!("{}", serde_json::to_string(op)?);
    }
    println!("{}\n{}", last.class, last.text);
    if let Some(folder) = &args.out {
        write(&sequence, &folder.join("failure.json"))?;
    }
    Ok(())
}

fn write(sequence: &Sequence, path: &std::path::Path) -> Result<()> {
    let text = serde_json::to_string(sequence)?;
    fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}

/// Leaves operations out as long as the failure stays the same (delta debugging). Returns the last
/// failure that was seen.
fn shortened(
    args: &Args,
    sequence: &mut Sequence,
    failure: &Failure,
    limit: Instant,
) -> Result<Option<Failure>> {
    let mut last = None;
    let mut piece = sequence.ops.len().div_ceil(2);
    while piece > 0 {
        let mut at = 0;
        let mut removed = false;
        while at < sequence.ops.len() {
            if Instant::now() > limit {
                return Ok(last);
            }
            let mut shorter = sequence.clone();
            let end = (at + piece).min(shorter.ops.len());
            shorter.ops.drain(at..end);
            match replayed(&shorter, args.memfd)? {
                Some(again) if again.class == failure.class => {
                    shorter.ops.truncate(again.step);
                    *sequence = shorter;
                    last = Some(again);
                    removed = true;
                }
                _ => at = end,
            }
        }
        piece = match (piece, removed) {
            (1, true) => 1,
            (piece, _) => piece / 2,
        };
    }
    Ok(last)
}
