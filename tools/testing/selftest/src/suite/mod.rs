// SPDX-License-Identifier: GPL-2.0

//! The tests, a file per topic. Each file has its functions and a table of them.

use crate::case::Case;

mod allocate;
mod badioctl;
mod commands;
mod contract;
mod eof;
mod exec;
mod file;
mod fork;
mod fragments;
mod gup;
mod hwpoison;
mod isolation;
mod keep;
mod kinds;
mod lazy;
mod limits;
mod locked;
mod lsm;
mod memcg;
mod mempolicy;
mod merge;
mod mlockall;
mod mremap;
mod nomem;
mod path;
mod patterns;
mod policy;
mod populate;
mod programs;
mod quota;
mod quota_race;
mod races;
mod rdwr;
mod reclaim;
mod regions;
mod reload;
mod samples;
mod seals;
mod seek;
mod splice;
mod stale;
mod times;
mod tracepoints;
mod watch;
mod zeroed;

/// Returns all tests in the order in which they run: basic ones first, those that reload the module
/// last.
pub fn all() -> impl Iterator<Item = &'static Case> {
    let files = [
        kinds::CASES,
        lazy::CASES,
        populate::CASES,
        locked::CASES,
        mlockall::CASES,
        isolation::CASES,
        rdwr::CASES,
        splice::CASES,
        fork::CASES,
        mremap::CASES,
        merge::CASES,
        file::CASES,
        allocate::CASES,
        seek::CASES,
        contract::CASES,
        seals::CASES,
        times::CASES,
        eof::CASES,
        zeroed::CASES,
        stale::CASES,
        limits::CASES,
        badioctl::CASES,
        races::CASES,
        keep::CASES,
        hwpoison::CASES,
        lsm::CASES,
        memcg::CASES,
        reclaim::CASES,
        nomem::CASES,
        policy::CASES,
        patterns::CASES,
        gup::CASES,
        mempolicy::CASES,
        fragments::CASES,
        quota::CASES,
        quota_race::CASES,
        regions::CASES,
        tracepoints::CASES,
        commands::CASES,
        exec::CASES,
        programs::CASES,
        watch::CASES,
    ];
    let path = path::FILES.iter().copied();
    let samples = samples::FILES.iter().copied();
    files
        .into_iter()
        .chain(path)
        .chain(samples)
        .chain([reload::CASES])
        .flatten()
}
