// SPDX-License-Identifier: GPL-2.0

//! Runs a part of a test in a process of its own.

use crate::message::{decode, encode};
use crate::outcome::{Result, Stop};
use rmmap_sys::run_in_child;

/// Runs a part of a test in a child, and returns its result. The child can give something up for
/// good, such as a capability, which the test may still need to restore settings.
#[track_caller]
pub fn in_child(work: impl FnOnce() -> Result) -> Result {
    match run_in_child(|| encode(work()))? {
        (end, message) if message.is_empty() => {
            Err(Stop::fail(format_args!("a child ended with {end:?}")))
        }
        (_, message) => decode(&message),
    }
}
