// SPDX-License-Identifier: GPL-2.0
//! The four endings of a run, derived from the observations.

use super::klog::{self, Splat};
use anyhow::{anyhow, Result};
use std::fmt;
use std::time::Duration;

/// The ending of a run. A failure of the lab itself is an error, not an ending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The command succeeded and the kernel log is clean.
    Passed,
    /// The command ended with this status.
    Failed(i32),
    /// The command succeeded, but the kernel reported something.
    KernelLog(Splat),
    /// The guest died or had to be stopped before it reported a status.
    Died(Death),
}

/// The reason for a guest without a status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Death {
    /// The kernel printed the reason in this line.
    Kernel(String),
    /// The guest ended without a message.
    Silent,
    /// Userspace was not reached in this time.
    BootTimeout(Duration),
    /// The command did not end in this time.
    Timeout(Duration),
}

impl Ending {
    /// Returns the exit status of the lab for this ending.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Passed => 0,
            Self::Failed(_) | Self::KernelLog(_) => 1,
            Self::Died(_) => 70,
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => write!(out, "passed"),
            Self::Failed(status) => write!(out, "the command failed with status {status}"),
            Self::KernelLog(splat) => write!(out, "the kernel log reports: {}", splat.text),
            Self::Died(death) => write!(out, "the guest died: {death}"),
        }
    }
}

impl fmt::Display for Death {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel(line) => write!(out, "{line}"),
            Self::Silent => write!(out, "it powered off before the command ended"),
            Self::BootTimeout(limit) => {
                write!(out, "it did not reach userspace in {} s", limit.as_secs())
            }
            Self::Timeout(limit) => {
                write!(
                    out,
                    "the command did not end in {} s and was stopped",
                    limit.as_secs()
                )
            }
        }
    }
}

/// The observations of a run.
#[derive(Debug, Default)]
pub struct Evidence<'a> {
    /// The status that the guest reported.
    pub status: Option<i32>,
    /// The time limit that ran out.
    pub expired: Option<Death>,
    /// The output on the serial console, preceded by the complaints of virtme-ng and QEMU.
    pub console: &'a str,
    /// The reports in the kernel log.
    pub splats: &'a [Splat],
}

/// Classifies the ending. Returns an error if no guest ever ran.
pub fn classify(seen: Evidence<'_>) -> Result<Ending> {
    Ok(match (seen.status, seen.expired) {
        (Some(0), _) => match seen.splats.first() {
            None => Ending::Passed,
            Some(splat) => Ending::KernelLog(splat.clone()),
        },
        (Some(status), _) => Ending::Failed(status),
        // The kernel's message takes precedence: a panicked guest that hangs also exceeds the time
        // limit.
        (None, expired) => match (klog::death(seen.console), expired) {
            (Some(line), _) => Ending::Died(Death::Kernel(line)),
            (None, Some(death)) => Ending::Died(death),
            (None, None) if kernel_ran(seen.console) => Ending::Died(Death::Silent),
            (None, None) => return Err(never_started(seen.console)),
        },
    })
}

/// Returns whether a kernel wrote to the console: its lines begin with the time since boot.
fn kernel_ran(console: &str) -> bool {
    console
        .lines()
        .any(|line| line.starts_with("[ ") && line.contains("] "))
}

fn never_started(console: &str) -> anyhow::Error {
    let said = console.lines().rev().find(|line| !line.trim().is_empty());
    anyhow!(
        "the virtual machine did not start: {}",
        said.unwrap_or("QEMU printed no reason").trim()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOT: &str = "[    0.000000] Linux version 7.3.4\n";

    fn splat() -> Splat {
        Splat {
            text: "WARNING: CPU: 0".into(),
            context: vec![],
        }
    }

    #[test]
    fn success_needs_a_clean_log() {
        let seen = Evidence {
            status: Some(0),
            console: BOOT,
            ..Evidence::default()
        };
        assert_eq!(classify(seen).unwrap(), Ending::Passed);
        let splats = [splat()];
        let seen = Evidence {
            status: Some(0),
            console: BOOT,
            splats: &splats,
            ..Evidence::default()
        };
        let ending = classify(seen).unwrap();
        assert_eq!(ending, Ending::KernelLog(splat()));
        assert_eq!(ending.exit_code(), 1);
    }

    #[test]
    fn status_of_the_command_is_kept() {
        let seen = Evidence {
            status: Some(7),
            console: BOOT,
            ..Evidence::default()
        };
        let ending = classify(seen).unwrap();
        assert_eq!(ending, Ending::Failed(7));
        assert_eq!(ending.exit_code(), 1);
    }

    #[test]
    fn panic_is_the_guests_death() {
        let console = "[    1.0] x\n[    2.0] Kernel panic - not syncing: sysrq triggered crash\n";
        let limit = Some(Death::Timeout(Duration::from_secs(3)));
        for expired in [None, limit] {
            let ending = classify(Evidence {
                console,
                expired,
                ..Evidence::default()
            })
            .unwrap();
            let line = "Kernel panic - not syncing: sysrq triggered crash".to_owned();
            assert_eq!(ending, Ending::Died(Death::Kernel(line)));
            assert_eq!(ending.exit_code(), 70);
        }
    }

    #[test]
    fn limits_and_silence_are_deaths() {
        let expired = Death::Timeout(Duration::from_secs(3));
        let seen = Evidence {
            console: BOOT,
            expired: Some(expired.clone()),
            ..Evidence::default()
        };
        assert_eq!(classify(seen).unwrap(), Ending::Died(expired));
        let seen = Evidence {
            console: BOOT,
            ..Evidence::default()
        };
        assert_eq!(classify(seen).unwrap(), Ending::Died(Death::Silent));
    }

    #[test]
    fn machine_that_never_ran_is_the_labs_fault() {
        let console = "qemu-system-x86_64: -m: invalid size\n";
        let error = classify(Evidence {
            console,
            ..Evidence::default()
        })
        .unwrap_err();
        assert!(error.to_string().contains("invalid size"), "{error}");
    }
}
