// SPDX-License-Identifier: GPL-2.0

//! The cache lines that processors share while their threads fault, and the number of accesses to
//! them: parses the output of the plugin `plugin/count.c` for [`crate::shared`].
//!
//! QEMU emulates the processors. For each 64-byte line that one of them wrote and another one
//! accessed, the plugin prints the code that accessed it. Only page faults from user mode count,
//! without interrupts and other threads during a fault.

use crate::symbols::Symbols;
use crate::{Place, Record};
use anyhow::{bail, ensure, Context, Result};
use std::collections::{BTreeMap, BTreeSet};

/// The entry point of the kernel for a page fault.
const FAULT: &str = "asm_exc_page_fault";

/// Prefixes of functions that are not part of a fault: interrupts, and the scheduler, which runs
/// other threads.
const OTHERS: &[&str] = &["sysvec_", "common_interrupt", "__schedule", "exc_nmi"];

/// The number of callers that are shown with a function.
const CALLERS: usize = 3;

/// The number of places that a record keeps.
const PLACES: usize = 24;

/// The accesses to a cache line from one call stack.
struct Touch<'a> {
    readers: u64,
    writers: u64,
    count: u64,
    stack: Vec<&'a str>,
}

/// Completes the records. The plugin's output has their order.
pub fn complete(records: &mut [Record], raw: &str, symbols: &Symbols) -> Result<()> {
    let parts: Vec<_> = raw.split("begin\n").skip(1).collect();
    ensure!(
        parts.len() == records.len(),
        "QEMU watched {} workloads, and {} were run",
        parts.len(),
        records.len()
    );
    for (record, part) in records.iter_mut().zip(parts) {
        let name = || {
            format!(
                "{} {} of {}",
                record.object, record.workload, record.threads
            )
        };
        let (faults, places) = places(part, symbols).with_context(name)?;
        ensure!(faults > 0, "{}: no faults", name());
        record.faults = Some(faults as f64 / record.pages as f64);
        record.per_page = places.iter().map(|place| place.accesses).sum();
        record.samples = vec![record.per_page];
        record.places = places;
        record.places.truncate(PLACES);
    }
    Ok(())
}

/// Returns the number of faults in a part of the plugin's output, and all places, those with most
/// accesses first.
fn places(part: &str, symbols: &Symbols) -> Result<(u64, Vec<Place>)> {
    let mut faults = 0;
    // The stacks by name, and the accesses of each line. Stacks outside of faults are left out.
    let mut stacks: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut lines: BTreeMap<u64, Vec<Touch>> = BTreeMap::new();
    for text in part.lines() {
        let words: Vec<_> = text.split_whitespace().collect();
        match words[..] {
            ["entry", address, count] => {
                if symbols.code(hex(address)?) == FAULT {
                    faults += count.parse::<u64>()?;
                }
            }
            ["stack", name, ref addresses @ ..] => {
                let stack = symbols.stack(addresses.iter().copied())?;
                let is_other = |name: &&str| OTHERS.iter().any(|other| name.starts_with(other));
                if stack.first() == Some(&FAULT) && !stack.iter().any(is_other) {
                    stacks.insert(name, stack);
                }
            }
            ["touch", line, readers, writers, count, stack] => {
                if let Some(stack) = stacks.get(stack) {
                    lines.entry(hex(line)?).or_default().push(Touch {
                        readers: hex(readers)?,
                        writers: hex(writers)?,
                        count: count.parse()?,
                        stack: stack.clone(),
                    });
                }
            }
            _ => bail!("`{text}` is not a line of the plugin"),
        }
    }
    let mut found: BTreeMap<(String, String), (BTreeSet<u64>, f64)> = BTreeMap::new();
    for (line, touches) in lines.iter().filter(|(_, touches)| is_shared(touches)) {
        let part = moving(touches);
        for touch in touches {
            let stack = touch.stack.iter().rev().take(1 + CALLERS);
            let code = stack.copied().collect::<Vec<_>>().join(" < ");
            let (lines, count) = found.entry((code, symbols.data(*line))).or_default();
            lines.insert(*line);
            *count += part * touch.count as f64;
        }
    }
    let mut places: Vec<_> = found
        .into_iter()
        .map(|((code, data), (lines, count))| Place {
            code,
            data,
            lines: lines.len() as u64,
            accesses: count / faults as f64,
        })
        .collect();
    places.sort_by(|a, b| b.accesses.total_cmp(&a.accesses));
    Ok((faults, places))
}

/// Returns the largest possible share of accesses that move the line between caches: each access of
/// every processor but the one with the most, and one access of that one after each of those. A
/// waker writes once to the stack of the thread that it wakes, which does not make all accesses to
/// that stack shared.
fn moving(touches: &[Touch]) -> f64 {
    let mut counts: BTreeMap<u64, u64> = BTreeMap::new();
    for touch in touches {
        *counts.entry(touch.readers | touch.writers).or_default() += touch.count;
    }
    let all: u64 = counts.values().sum();
    let others = all - counts.values().max().copied().unwrap_or_default();
    (2 * others).min(all) as f64 / all as f64
}

/// Returns whether several processors access the line and at least one writes.
fn is_shared(touches: &[Touch]) -> bool {
    let all = |of: fn(&Touch) -> u64| touches.iter().map(of).fold(0, |a, b| a | b);
    let writers = all(|touch| touch.writers);
    writers != 0 && (writers | all(|touch| touch.readers)).count_ones() > 1
}

fn hex(word: &str) -> Result<u64> {
    u64::from_str_radix(word, 16).with_context(|| format!("`{word}` is no number"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Unit;

    fn symbols() -> Symbols {
        Symbols::parse(
            "ffffffff81000000 T asm_exc_page_fault\nffffffff81000100 t fault [rmmap]\n\
             ffffffff81000200 T sysvec_timer\nffffffff81000300 T entry\n\
             ffffffff82000000 D used\nffffffff82000100 D other\n",
        )
    }

    fn records() -> Vec<Record> {
        vec![Record {
            object: "rmmap".into(),
            workload: "random-write".into(),
            size: 4096,
            threads: 2,
            unit: Unit::Accesses,
            pages: 20,
            per_page: 0.0,
            zeroing: 0.0,
            init_on_alloc: None,
            memory: None,
            faults: None,
            latency: None,
            samples: Vec::new(),
            places: Vec::new(),
        }]
    }

    const FAULTING: &str = "ffffffff81000000 ffffffff81000100 ffffffff81000180";

    #[test]
    fn lines_that_one_writes_and_others_access_count() {
        let raw = format!(
            "begin\nentry ffffffff81000000 10\nentry ffffffff81000300 7\n\
             stack 0.1 {FAULTING}\nstack 1.1 {FAULTING}\n\
             touch ffffffff82000000 0 1 5 0.1\ntouch ffffffff82000000 2 0 20 1.1\n\
             touch ffffffff82000040 3 0 30 0.1\ntouch ffffffff82000080 1 1 30 0.1\n"
        );
        let mut records = records();
        complete(&mut records, &raw, &symbols()).unwrap();
        assert_eq!(
            records[0].per_page, 1.0,
            "5 of the one, and 5 of the other after those"
        );
        assert_eq!(records[0].faults, Some(0.5));
        let place = &records[0].places[0];
        assert_eq!(place.code, "fault[rmmap] < asm_exc_page_fault");
        assert_eq!((place.data.as_str(), place.lines), ("used", 1));
    }

    #[test]
    fn what_is_no_fault_does_not_count() {
        let interrupt = FAULTING.replace("81000180", "81000200");
        let call = FAULTING.replace("81000000", "81000300");
        let line = "touch ffffffff82000000";
        let part = format!(
            "entry ffffffff81000000 10\nstack 0.1 {FAULTING}\nstack 1.1 {interrupt}\n\
             stack 1.2 {call}\n{line} 1 0 5 0.1\n{line} 0 2 5 1.1\n{line} 0 2 5 1.2\n"
        );
        let (faults, places) = places(&part, &symbols()).unwrap();
        assert_eq!((faults, places), (10, vec![]));
    }

    #[test]
    fn what_was_not_watched_is_an_error() {
        let mut records = records();
        assert!(complete(&mut records, "", &symbols()).is_err());
        assert!(complete(&mut records, "begin\n", &symbols()).is_err());
    }
}
