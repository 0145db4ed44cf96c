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
//! Everything happens in tracing instances of its own, so no setting of the machine's tracing is
//! touched, and they are removed again whatever happens.
//!
//! | module | what it does |
//! |---|---|
//! | [`tracefs`] | finds or mounts tracefs, makes and removes instances |
//! | [`record`] | maps and touches in a traced child |
//! | [`graph`] | reads the function graph's text into trees |
//! | [`stacks`] | reads the stacks, and puts what they name into a tree |
//! | [`path`] | the functions of interest and what they do |
//! | [`mod@render`] | the trees for people |

mod graph;
mod path;
mod record;
mod render;
mod stacks;
mod tracefs;

use std::{io, path::PathBuf};

use serde::Serialize;

pub use record::run;
pub use render::render;

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

/// Why there is no call path: cause and remedy.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// The user does not want it.
    #[error("left out, as --no-trace says")]
    NotWanted,
    /// Only root may trace.
    #[error("tracing needs root: run this as root to see the call path")]
    NotRoot,
    /// The kernel was built without it.
    #[error("this kernel has no {0}: it needs CONFIG_FUNCTION_GRAPH_TRACER, as Debian's has")]
    NotBuilt(&'static str),
    /// A file of tracefs refused.
    #[error("cannot {what} {}: {source}", path.display())]
    File {
        /// What was tried: read, write to, …
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the kernel answered.
        source: io::Error,
    },
    /// The child that maps did not come to its end.
    #[error("the traced mapping failed: {0:#}")]
    Subject(anyhow::Error),
    /// Functions were loaded or unloaded meanwhile.
    #[error(
        "the kernel's list of functions changed meanwhile (a module was loaded?): run it again"
    )]
    Moved,
}

impl Unavailable {
    /// For `map_err`: names what was tried on which file.
    fn file(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| match source.kind() {
            io::ErrorKind::PermissionDenied => Self::NotRoot,
            _ => Self::File { what, path, source },
        }
    }
}
