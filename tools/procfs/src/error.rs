// SPDX-License-Identifier: GPL-2.0

//! Errors of reading a file of `/proc`.

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
    /// A line does not have the kernel's format.
    #[error("{}: line {line}: cannot understand {text:?}", path.display())]
    Parse {
        /// Which file.
        path: PathBuf,
        /// Number of the line, from 1.
        line: usize,
        /// The line.
        text: String,
    },
    /// No mapping covers this address.
    #[error("{}: no mapping at {addr:#x}", path.display())]
    NoMapping {
        /// Which file.
        path: PathBuf,
        /// The address asked for.
        addr: usize,
    },
}

/// Returns the usual remedy for a failed read, if there is one.
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
    /// Adds the file that contains the line.
    pub fn in_file(self, path: impl Into<PathBuf>) -> Error {
        Error::Parse {
            path: path.into(),
            line: self.line,
            text: self.text,
        }
    }
}
