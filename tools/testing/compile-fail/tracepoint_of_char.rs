// SPDX-License-Identifier: GPL-2.0

//! A tracepoint cannot have arguments of a type whose name means another type in C.

//~ ERROR E0277
//~ MESSAGE a tracepoint has no arguments of type `char`

#[path = "common.rs"]
mod common;

kernel_mm::tracepoints! {
    /// Traces a letter: C's `char` has one byte.
    pub fn letter(a: u64, b: char);
}
