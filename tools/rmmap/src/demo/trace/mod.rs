// SPDX-License-Identifier: GPL-2.0

//! The call path of one lazy shared mapping, as the kernel's function graph shows it: from the
//! system call to the module's hook, and from the page fault to the fault handler and the page
//! cache.
//!
//! The function graph sees functions that begin with a call for the tracer. rustc makes none, and
//! without one the kernel refuses a kprobe as well (`CONFIG_KPROBE_EVENTS_ON_NOTRACE` is off in
//! Debian's kernel). But the C helpers that the module calls are seen, and so is the stack on which
//! each traced function is called: a second recording of the same functions has these stacks, and
//! what they name in between is put into the graph.
//!
//! [`crate::trace`] has what both have in common: tracefs and the functions of interest.
//!
//! Everything happens in tracing instances of its own, so no setting of the machine's tracing is
//! touched, and they are removed again whatever happens.
//!
//! | module | what it does |
//! |---|---|
//! | [`record`] | maps and touches in a traced child |
//! | [`graph`] | reads the function graph's text into trees |
//! | [`stacks`] | reads the stacks, and puts what they name into a tree |
//! | [`mod@render`] | the trees for people |

mod graph;
mod record;
mod render;
mod stacks;

use serde::Serialize;

pub use record::run;
pub use render::render;

pub use crate::trace::Unavailable;

/// The call path.
#[derive(Debug, Serialize)]
pub struct Trace {
    /// What was done: the arguments of mmap(2).
    subject: String,
    /// From the system call.
    mmap: Option<graph::Node>,
    /// From the page fault.
    fault: Option<graph::Node>,
}
