// SPDX-License-Identifier: GPL-2.0

//! What was reached, and what it led to.

use crate::op::Answer;
use crate::sites::{Kind, Site};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What became of one operation.
pub struct Tally {
    name: String,
    answers: BTreeMap<String, u32>,
    /// Where, and whether it succeeded in spite of it.
    hits: Vec<(Option<Site>, bool)>,
}

impl Tally {
    /// Begins.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            answers: BTreeMap::new(),
            hits: Vec::new(),
        }
    }

    /// Adds a failed allocation.
    pub fn add(&mut self, answer: Answer, site: Option<Site>) {
        *self.answers.entry(answer.to_string()).or_default() += 1;
        self.hits.push((site, answer == Answer::Done));
    }
}

/// What was found in all operations.
#[derive(Default)]
pub struct Report {
    operations: u32,
    failures: u32,
    injected: usize,
    unlocated: usize,
    /// Each place, and whether an operation failed for it.
    sites: BTreeMap<Site, bool>,
    cannot_fail: BTreeSet<Site>,
    without: Vec<String>,
}

impl Report {
    /// Notes and prints a failure.
    pub fn fail(&mut self, name: &str, text: &str) {
        self.failures += 1;
        println!("FAILED {name}: {text}");
    }

    /// Notes the allocations of modules that cannot be made to fail.
    pub fn cannot_fail(&mut self, all: &[(String, Site)]) {
        let unfailing = all.iter().filter(|(event, site)| {
            event.starts_with("never") && site.in_module && site.kind != Kind::Check
        });
        self.cannot_fail
            .extend(unfailing.map(|(_, site)| site.clone()));
    }

    /// Adds and prints an operation.
    pub fn add(&mut self, tally: Tally) {
        self.operations += 1;
        self.injected += tally.hits.len();
        let below = tally
            .hits
            .iter()
            .flat_map(|(site, _)| site)
            .filter(|site| site.in_module);
        let answers: Vec<String> = tally
            .answers
            .iter()
            .map(|(name, n)| format!("{name} {n}"))
            .collect();
        println!(
            "{}: {} allocations, {} of them in the module's calls: {}",
            tally.name,
            tally.hits.len(),
            below.count(),
            answers.join(", ")
        );
        if tally.hits.is_empty() {
            self.without.push(tally.name);
        }
        for (site, succeeded) in tally.hits {
            match site {
                Some(site) => *self.sites.entry(site).or_default() |= !succeeded,
                None => self.unlocated += 1,
            }
        }
    }

    /// Prints the sum. Returns whether nothing failed.
    pub fn print(&self, elapsed: Duration) -> bool {
        println!("\nallocations in calls of the modules that cannot be made to fail:");
        for site in &self.cannot_fail {
            println!("  {site}");
        }
        println!(
            "\nplaces in calls of the modules where a failure never makes the operation fail:"
        );
        let tolerated = self
            .sites
            .iter()
            .filter(|(site, fails)| !**fails && site.in_module);
        let shown: BTreeSet<String> = tolerated
            .filter(|(site, _)| site.kind != Kind::Check)
            .map(|(site, _)| site.to_string())
            .collect();
        for line in shown {
            println!("  {line}");
        }
        println!(
            "\noperations without allocations: {}",
            self.without.join(", ")
        );
        let count = |kind: Kind| self.sites.keys().filter(|site| site.kind == kind).count();
        let in_module = self
            .sites
            .keys()
            .filter(|site| site.in_module && site.kind != Kind::Check);
        println!(
            "{} operations, {} allocations failed at {} places: slab {}, page {}, usercopy {}, of the \
             kernel's own checks {}; {} of the first three in the modules' calls; {} without a stack",
            self.operations,
            self.injected,
            self.sites.len(),
            count(Kind::Slab),
            count(Kind::Page),
            count(Kind::Copy),
            count(Kind::Check),
            in_module.count(),
            self.unlocated,
        );
        println!("{} failures, {} s", self.failures, elapsed.as_secs());
        self.failures == 0
    }
}
