// SPDX-License-Identifier: GPL-2.0

//! A tracepoint has no arguments of a type that C calls by the same name and means otherwise.

//~ ERROR E0277
//~ MESSAGE a tracepoint has no arguments of type `char`

#[path = "common.rs"]
mod common;

kernel_mm::tracepoints! {
    /// C's `char` has one byte.
    pub fn letter(a: u64, b: char);
}
