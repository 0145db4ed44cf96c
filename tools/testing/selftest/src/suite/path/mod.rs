// SPDX-License-Identifier: GPL-2.0

//! The tests of the branches of the mmap path (`rows/`): a file per topic, and each test names its
//! row.

use crate::case::Case;

mod ctl_both;
mod ctl_dm;
mod ctl_entry;
mod ctl_mr_commit;
mod ctl_mr_hook;
mod ctl_mr_merge;
mod ctl_po;
mod dm_access;
mod dm_address;
mod dm_anonymous;
mod dm_bits;
mod dm_compat;
mod dm_disk;
mod dm_entry;
mod dm_exec;
mod dm_locked;
mod dm_reserve;
mod dm_type;
mod ks;
mod ks_audit;
mod ks_huge;
mod mk;
mod mr_account;
mod mr_files;
mod mr_limits;
mod mr_locked;
mod mr_memcg;
mod mr_perf;
mod mr_uprobe;
mod mr_victims;
mod po;
mod sc;
mod vm;
mod vm_refused;

/// The tables of these files, in the order in which they run.
pub const FILES: &[&[Case]] = &[
    mk::CASES,
    sc::CASES,
    ks::CASES,
    ks_audit::CASES,
    ks_huge::CASES,
    vm::CASES,
    vm_refused::CASES,
    ctl_dm::CASES,
    ctl_entry::CASES,
    ctl_mr_commit::CASES,
    ctl_mr_hook::CASES,
    ctl_mr_merge::CASES,
    ctl_po::CASES,
    dm_entry::CASES,
    dm_bits::CASES,
    dm_exec::CASES,
    dm_compat::CASES,
    dm_address::CASES,
    dm_locked::CASES,
    dm_type::CASES,
    dm_access::CASES,
    dm_disk::CASES,
    dm_anonymous::CASES,
    dm_reserve::CASES,
    mr_account::CASES,
    mr_files::CASES,
    mr_limits::CASES,
    mr_locked::CASES,
    mr_memcg::CASES,
    mr_perf::CASES,
    mr_uprobe::CASES,
    mr_victims::CASES,
    po::CASES,
    // The kernel warns in this test, and is tainted afterwards.
    ctl_both::CASES,
];
