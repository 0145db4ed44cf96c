// SPDX-License-Identifier: GPL-2.0

//! Rows that no program can reach: each is skipped with its reason, so that none is forgotten.

use crate::context::Context;
use crate::outcome::{Result, Stop};
use crate::{cases, rows};

cases! {
    Rmmap row_mr_02 ["MR-02"] "arch_validate_flags fails";
    Rmmap row_mr_03 ["MR-03"] "mapping_map_writable fails";
    Rmmap row_mr_26 ["MR-26"] "the hook changes the address";
    Rmmap row_po_13 ["PO-13"] "the range disappears while it is populated";
}

/// The reason that the table gives.
fn skip(id: &str) -> Result {
    match rows::all().find(|row| row.id == id) {
        Some(row) if row.reach == rows::Reach::No => {
            Err(Stop::skip(format_args!("cannot be reached: {}", row.why)))
        }
        _ => Err(Stop::fail(format_args!(
            "{id} can be reached, and has no test"
        ))),
    }
}

fn row_mr_02(_: &Context) -> Result {
    skip("MR-02")
}

fn row_mr_03(_: &Context) -> Result {
    skip("MR-03")
}

fn row_mr_26(_: &Context) -> Result {
    skip("MR-26")
}

fn row_po_13(_: &Context) -> Result {
    skip("PO-13")
}
