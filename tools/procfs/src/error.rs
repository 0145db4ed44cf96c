// SPDX-License-Identifier: GPL-2.0

//! What can go wrong when a file of `/proc` is read.

use std::{io, path::PathBuf};

/// Why a file of `/proc` could not be read or understood.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file could not be opened or read.
    #[error("cannot read {}: {errno}{}", path.display(), hint(errno))]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the kernel answered.
        errno: io::Error,
    },
    /// A line is not as the kernel writes it.
    #[error("{}: line {line}: cannot understand {text:?}", path.display())]
    Parse {
        /// Which file.
        path: PathBuf,
        /// Number of the line, from 1.
        line: usize,
        /// The line.
        text: String,
    },
    /// No mapping lies at this address.
    #[error("{}: no mapping at {addr:#x}", path.display())]
    NoMapping {
        /// Which file.
        path: PathBuf,
        /// The address asked for.
        addr: usize,
    },
}

/// The remedy for a failed read, where there is a usual one.
fn hint(errno: &io::Error) -> &'static str {
    match errno.kind() {
        io::ErrorKind::PermissionDenied => " (run it as root or as the owner of the process)",
        io::ErrorKind::NotFound => " (is /proc mounted, and does the process still run?)",
        _ => "",
    }
}

/// A line that a parser refused; [`Error::Parse`] once the file is known.
#[derive(Debug, PartialEq, Eq)]
pub struct BadLine {
    /// Number of the line, from 1.
    pub line: usize,
    /// The line.
    pub text: String,
}

impl BadLine {
    /// Names the file in which the line stands.
    pub fn in_file(self, path: impl Into<PathBuf>) -> Error {
        Error::Parse {
            path: path.into(),
            line: self.line,
            text: self.text,
        }
    }
}
