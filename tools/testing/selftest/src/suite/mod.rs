// SPDX-License-Identifier: GPL-2.0

//! The tests, a file per topic. Each file has its functions and a table of them.

use crate::case::Case;

mod badioctl;
mod isolation;
mod kinds;
mod lazy;
mod limits;
mod locked;
mod mlockall;
mod populate;
mod rdwr;
mod zeroed;

/// All tests, in the order in which they run: what others rely on first, reloading last.
pub fn all() -> impl Iterator<Item = &'static Case> {
    let files = [
        kinds::CASES,
        lazy::CASES,
        populate::CASES,
        locked::CASES,
        mlockall::CASES,
        isolation::CASES,
        rdwr::CASES,
        zeroed::CASES,
        limits::CASES,
        badioctl::CASES,
    ];
    files.into_iter().flatten()
}
