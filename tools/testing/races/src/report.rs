// SPDX-License-Identifier: GPL-2.0

//! What was tried and found.

use crate::plugin::{Answer, End, NONE};
use std::ops::AddAssign;
use std::time::Duration;

/// Counts of trials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Points.
    pub points: u32,
    /// Trials in which a role was delayed.
    pub delays: u32,
    /// Delays that the other role's end ended.
    pub ended: u32,
    /// That ended as the other role waited.
    pub idle: u32,
    /// As it ran for too long.
    pub limit: u32,
    /// Trials in which the other role began before the first one came to its point.
    pub early: u32,
    /// Findings.
    pub findings: u32,
}

impl Counts {
    /// Adds a trial.
    pub fn add(&mut self, point: u64, answer: &Answer) {
        self.points += u32::from(point != NONE);
        self.delays += u32::from(answer.delay != End::Never);
        let count = |end| u32::from(answer.delay == end);
        self.ended += count(End::Ended);
        self.idle += count(End::Idle);
        self.limit += count(End::Limit);
        self.early += u32::from(matches!(answer.begin, End::Idle | End::Limit));
    }

    /// Prints them.
    pub fn print(&self, name: &str, time: Duration) {
        let Self {
            points,
            delays,
            ended,
            idle,
            limit,
            early,
            findings,
        } = self;
        println!(
            "{name:30} {points:>7} {delays:>7} {ended:>7} {idle:>7} {limit:>7} {early:>7} \
             {findings:>8} {:>7.1}",
            time.as_secs_f64()
        );
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.points += other.points;
        self.delays += other.delays;
        self.ended += other.ended;
        self.idle += other.idle;
        self.limit += other.limit;
        self.early += other.early;
        self.findings += other.findings;
    }
}

/// Prints the names of the columns.
pub fn head() {
    println!(
        "{:30} {:>7} {:>7} {:>7} {:>7} {:>7} {:>7} {:>8} {:>7}",
        "scenario", "points", "delays", "ended", "waited", "limit", "early", "findings", "seconds"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trials_are_counted() {
        let mut counts = Counts::default();
        let answer = |delay, begin| Answer {
            delay,
            begin,
            new: Vec::new(),
        };
        counts.add(NONE, &answer(End::Never, End::Ended));
        counts.add(16, &answer(End::Idle, End::Limit));
        counts.add(16, &answer(End::Ended, End::Ended));
        let mut sum = counts;
        sum += counts;
        assert_eq!((sum.points, sum.delays, sum.ended), (4, 4, 2));
        assert_eq!((sum.idle, sum.limit, sum.early), (2, 0, 2));
    }
}
