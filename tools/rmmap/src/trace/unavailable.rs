// SPDX-License-Identifier: GPL-2.0

//! The reasons why nothing can be traced: cause and remedy, in one line each.

use std::{fs, io, path::PathBuf};

/// The reason for a missing trace.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// The user disabled it.
    #[error("left out because of --no-trace")]
    NotWanted,
    /// Only root may trace.
    #[error("tracing needs root: run this as root to see the call path")]
    NotRoot,
    /// The kernel forbids it even to root.
    #[error(
        "the kernel does not let root trace: {0}; boot without lockdown (Secure Boot off), or trace \
         in a VM, with `make shell`"
    )]
    Locked(String),
    /// The kernel was built without it.
    #[error("this kernel has no {0}: build it with {1}, as Debian does")]
    NotBuilt(&'static str, &'static str),
    /// An operation on a file of tracefs failed.
    #[error("cannot {what} {}: {errno}", path.display())]
    File {
        /// The operation: read, write to, …
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The kernel's error.
        errno: io::Error,
    },
    /// The traced subject failed.
    #[error("the traced mapping or program failed: {0:#}")]
    Subject(anyhow::Error),
    /// Somebody pressed Ctrl-C.
    #[error("interrupted; all tracing settings are restored")]
    Interrupted,
}

impl Unavailable {
    /// Makes the error for a kernel without this tracer.
    pub fn no_tracer(tracer: &'static str) -> Self {
        match tracer {
            "function_graph" => {
                Self::NotBuilt("function_graph tracer", "CONFIG_FUNCTION_GRAPH_TRACER=y")
            }
            tracer => Self::NotBuilt(tracer, "CONFIG_DYNAMIC_FTRACE=y"),
        }
    }

    /// Makes a function for `map_err` that names the operation and the file.
    pub fn file(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |errno| match errno.kind() {
            io::ErrorKind::PermissionDenied => Self::forbidden(),
            _ => Self::File { what, path, errno },
        }
    }

    /// Makes the error for forbidden tracing: to everybody, or to this user.
    pub fn forbidden() -> Self {
        match rustix::process::geteuid().is_root() {
            true => Self::Locked(lockdown()),
            false => Self::NotRoot,
        }
    }
}

/// Returns the kernel's report of its lockdown.
fn lockdown() -> String {
    match fs::read_to_string("/sys/kernel/security/lockdown") {
        Ok(text) => format!("lockdown is {}", text.trim()),
        Err(_) => "CAP_SYS_ADMIN is missing, or the kernel is locked down".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_one_line_with_a_remedy() {
        let reasons = [
            Unavailable::NotRoot,
            Unavailable::Locked("lockdown is none [integrity]".into()),
            Unavailable::no_tracer("function_graph"),
            Unavailable::NotBuilt("tracefs", "CONFIG_FTRACE=y"),
        ];
        for reason in reasons {
            let text = reason.to_string();
            assert!(!text.contains('\n'), "{text}");
            let remedies = ["run ", "boot ", "build it with CONFIG_"];
            assert!(remedies.iter().any(|word| text.contains(word)), "{text}");
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let missing = io::Error::from(io::ErrorKind::NotFound);
        let text = Unavailable::file("read", "/sys/kernel/tracing/trace")(missing).to_string();
        assert!(text.contains("read /sys/kernel/tracing/trace"), "{text}");
    }
}
