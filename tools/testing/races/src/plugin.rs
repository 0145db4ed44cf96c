// SPDX-License-Identifier: GPL-2.0

//! What this program and the plugin `delay.c` tell each other.

use anyhow::{bail, Context, Result};
use rmmap_guest::protocol::{GUEST_DIR, OUT as FOLDER};
use rmmap_sys::walk::announce;
use std::fs;
use std::path::{Path, PathBuf};

/// The plugin's file, in the folder for files of the guest.
pub const ANSWER: &str = "answer";
/// The file with the name of the scenario that runs, for the case that the guest dies.
pub const OUT: &str = "scenario";

/// A point where the first role is delayed: an address, or one of these.
pub const NONE: u64 = 0;
/// Before the operation.
pub const BEGIN: u64 = 1;

/// The numbers of `enum what`.
mod what {
    pub const RANGE: u64 = 0;
    pub const TRANSLATE: u64 = 1;
    pub const FORGET: u64 = 2;
    pub const ARM: u64 = 3;
    pub const BEGIN: u64 = 4;
    pub const END: u64 = 5;
    pub const ANSWER: u64 = 6;
}

/// What a trial delays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delay {
    /// The role that is delayed: it begins, and the other one begins when it is delayed.
    pub first: usize,
    /// Where.
    pub point: u64,
    /// The execution of this point.
    pub hit: u64,
}

/// An execution of an instruction, the first of its kind since the plugin forgot all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Executed {
    /// Its address.
    pub address: u64,
    /// The number of the execution in the trial.
    pub hit: u64,
    /// Whether it is the first instruction of a block.
    pub is_block: bool,
}

/// What the plugin saw since the last answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Delays that the other role's end ended.
    pub ended: u32,
    /// That ended as the other role waited for something.
    pub idle: u32,
    /// As it ran for too long.
    pub limit: u32,
    /// Trials in which it began before the first role had ended or come to the point.
    pub early: u32,
    /// New executions of the first role.
    pub new: Vec<Executed>,
}

/// Watches the code at these addresses.
pub fn watch(ranges: &[(u64, u64)]) {
    for (begin, end) in ranges {
        announce(what::RANGE, [*begin, *end, 0, 0]);
    }
    announce(what::TRANSLATE, [0; 4]);
    // The plugin's processor translates anew at the end of the block.
    std::thread::sleep(std::time::Duration::from_millis(20));
}

/// Forgets which instructions were executed.
pub fn forget() {
    announce(what::FORGET, [0; 4]);
}

/// Begins a trial; answers contain the first `hits` executions of each instruction.
pub fn arm(delay: Delay, hits: u64) {
    announce(
        what::ARM,
        [delay.first as u64, delay.point, delay.hit, hits],
    );
}

/// Begins a role on this processor: waits for its turn.
pub fn begin(role: usize) {
    announce(what::BEGIN, [role as u64, 0, 0, 0]);
}

/// Ends it.
pub fn end(role: usize) {
    announce(what::END, [role as u64, 0, 0, 0]);
}

/// Returns a file in the folder for the host.
pub fn file(name: &str) -> PathBuf {
    Path::new(GUEST_DIR).join(FOLDER).join(name)
}

/// Returns what the plugin saw. To read it takes longer than a trial.
pub fn answer() -> Result<Answer> {
    announce(what::ANSWER, [0; 4]);
    let path = file(ANSWER);
    let text = fs::read_to_string(&path)
        .with_context(|| format!("{}: QEMU runs without the plugin", path.display()))?;
    parse(&text).with_context(|| format!("unreadable answer of the plugin: {text}"))
}

fn parse(text: &str) -> Result<Answer> {
    let mut lines = text.lines();
    let head: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    let ["ended", ended, "idle", idle, "limit", limit, "early", early] = head[..] else {
        bail!("no counts");
    };
    let executed = |line: &str| {
        let mut words = line.split(' ');
        Some(Executed {
            is_block: words.next()? == "b",
            address: u64::from_str_radix(words.next()?, 16).ok()?,
            hit: words.next()?.parse().ok()?,
        })
    };
    let new: Option<Vec<Executed>> = lines.map(executed).collect();
    Ok(Answer {
        ended: ended.parse()?,
        idle: idle.parse()?,
        limit: limit.parse()?,
        early: early.parse()?,
        new: new.context("no such execution")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_understood() {
        let text = "ended 5 idle 3 limit 1 early 2\nb ffffffffc0000010 1\ni 20 2\n";
        let answer = parse(text).unwrap();
        assert_eq!(
            (answer.ended, answer.idle, answer.limit, answer.early),
            (5, 3, 1, 2)
        );
        let executed = |address, hit, is_block| Executed {
            address,
            hit,
            is_block,
        };
        let new = [
            executed(0xffff_ffff_c000_0010, 1, true),
            executed(0x20, 2, false),
        ];
        assert_eq!(answer.new, new);
        assert!(parse("armed 0 0 1\n").is_err());
        assert!(parse("ended 1 idle 2 limit 3 early soon\n").is_err());
    }
}
