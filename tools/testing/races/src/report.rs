// SPDX-License-Identifier: GPL-2.0

//! What was tried and found.

use crate::plugin::Answer;
use std::ops::AddAssign;
use std::time::Duration;

/// Counts of trials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Points.
    pub points: u32,
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
    /// Adds what the plugin saw.
    pub fn add(&mut self, answer: &Answer) {
        self.ended += answer.ended;
        self.idle += answer.idle;
        self.limit += answer.limit;
        self.early += answer.early;
    }

    /// Prints them.
    pub fn print(&self, name: &str, time: Duration) {
        let Self {
            points,
            ended,
            idle,
            limit,
            early,
            findings,
        } = self;
        let delays = ended + idle + limit;
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
        counts.add(&Answer {
            ended: 2,
            idle: 1,
            early: 1,
            ..Answer::default()
        });
        let mut sum = counts;
        sum += counts;
        assert_eq!((sum.ended, sum.idle, sum.limit, sum.early), (4, 2, 0, 2));
    }
}
