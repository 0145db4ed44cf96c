// SPDX-License-Identifier: GPL-2.0

//! Why nothing can be traced: cause and remedy, in one line each.

use std::{fs, io, path::PathBuf};

/// Why there is no trace.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// The user does not want it.
    #[error("left out because of --no-trace")]
    NotWanted,
    /// Only root may trace.
    #[error("tracing needs root: run this as root to see the call path")]
    NotRoot,
    /// The kernel forbids it to root, too.
    #[error(
        "the kernel does not let root trace: {0}; boot without lockdown (Secure Boot off), or trace \
         in a VM, with `make shell`"
    )]
    Locked(String),
    /// The kernel was built without it.
    #[error("this kernel has no {0}: build it with {1}, as Debian does")]
    NotBuilt(&'static str, &'static str),
    /// A file of tracefs refused.
    #[error("cannot {what} {}: {errno}", path.display())]
    File {
        /// What was tried: read, write to, …
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the kernel answered.
        errno: io::Error,
    },
    /// What is traced did not come to its end.
    #[error("the traced mapping or program failed: {0:#}")]
    Subject(anyhow::Error),
    /// Somebody pressed Ctrl-C.
    #[error("interrupted; all tracing settings are restored")]
    Interrupted,
}

impl Unavailable {
    /// The kernel has no function tracer, or not the one that is needed.
    pub fn no_tracer(tracer: &'static str) -> Self {
        match tracer {
            "function_graph" => {
                Self::NotBuilt("function_graph tracer", "CONFIG_FUNCTION_GRAPH_TRACER=y")
            }
            tracer => Self::NotBuilt(tracer, "CONFIG_DYNAMIC_FTRACE=y"),
        }
    }

    /// For `map_err`: names what was tried on which file.
    pub fn file(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |errno| match errno.kind() {
            io::ErrorKind::PermissionDenied => Self::forbidden(),
            _ => Self::File { what, path, errno },
        }
    }

    /// Tracing is forbidden: to everybody, or to this user.
    pub fn forbidden() -> Self {
        match rustix::process::geteuid().is_root() {
            true => Self::Locked(lockdown()),
            false => Self::NotRoot,
        }
    }
}

/// What the kernel says of its lockdown.
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
