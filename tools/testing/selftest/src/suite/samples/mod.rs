// SPDX-License-Identifier: GPL-2.0

//! Tests of `samples/rust` against `Documentation/samples.rst`. A file per sample; each test runs
//! with the sample loaded, and unloading it is part of the test.
//!
//! `rust_mm_ops` counts the calls of the kernel, so its tests also prove that each operation of
//! `vm_operations_struct` reaches the driver: `Documentation/c-api.rst` has the list.

use crate::case::Case;

mod core_dump;
mod dirty;
mod fail;
mod lazy;
mod lazy_fill;
mod lazy_uffd;
mod ops;
mod ops_data;
mod ops_debugger;
mod pages;
mod pfn;
mod ring;
mod sample;

/// The tests of this folder.
pub const FILES: &[&[Case]] = &[
    lazy::CASES,
    lazy_uffd::CASES,
    lazy_fill::CASES,
    dirty::CASES,
    pages::CASES,
    pfn::CASES,
    ring::CASES,
    fail::CASES,
    ops::CASES,
    ops_data::CASES,
    ops_debugger::CASES,
];
