// SPDX-License-Identifier: GPL-2.0
//! The choice of QEMU's accelerator, by booting a kernel and not by checking for `/dev/kvm`.
//!
//! A `/dev/kvm` that opens, and even creates a machine, may still hang every guest (nested or
//! filtered virtualization). So the lab boots the kernel itself without a root file system: if KVM
//! works it panics for lack of one after about a second, otherwise it prints nothing.

use super::Kernel;
use crate::project::Project;
use crate::steps::command;
use anyhow::{Context, Result};
use rustix::fs::{access, Access};
use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How QEMU runs the guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accel {
    /// The processor's virtualization.
    Kvm,
    /// QEMU's translator: about ten times slower, works everywhere.
    Tcg,
}

/// The time limit for the boot that tries KVM.
const PROBE: Duration = Duration::from_secs(8);

/// Returns the accelerator to use, and remembers the result of the probe in `build/vm/accel`.
pub fn choose(project: &Project, kernel: &Kernel) -> Result<Accel> {
    if let Ok(word) = std::env::var("ACCEL") {
        return parse(&word).with_context(|| format!("ACCEL={word}: use kvm or tcg"));
    }
    if access("/dev/kvm", Access::READ_OK | Access::WRITE_OK).is_err() {
        return Ok(Accel::Tcg);
    }
    // If two guests start together, one makes the probe, and the other uses its result.
    static TRIES: Mutex<()> = Mutex::new(());
    let _tries = TRIES.lock().unwrap_or_else(PoisonError::into_inner);
    let memory = project.build("vm/accel");
    let host = host_id();
    if let Some(accel) = recall(&memory, &host) {
        return Ok(accel);
    }
    let accel = if boots(&kernel.image, &project.build("vm/accel.log"))? {
        Accel::Kvm
    } else {
        Accel::Tcg
    };
    if accel == Accel::Tcg {
        eprintln!(
            "lab: /dev/kvm opens, but no guest ran in {} s: using TCG",
            PROBE.as_secs()
        );
    }
    fs::write(memory, format!("{}\n{host}\n", name(accel)))?;
    Ok(accel)
}

fn parse(word: &str) -> Option<Accel> {
    match word {
        "kvm" => Some(Accel::Kvm),
        "tcg" => Some(Accel::Tcg),
        _ => None,
    }
}

fn name(accel: Accel) -> &'static str {
    match accel {
        Accel::Kvm => "kvm",
        Accel::Tcg => "tcg",
    }
}

/// Returns what the result depends on: this boot of this machine.
fn host_id() -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id");
    boot.map_or_else(|_| "unknown".to_owned(), |id| id.trim().to_owned())
}

fn recall(memory: &Path, host: &str) -> Option<Accel> {
    let text = fs::read_to_string(memory).ok()?;
    let (word, known_host) = text.trim().split_once('\n')?;
    if known_host == host {
        parse(word)
    } else {
        None
    }
}

/// Returns whether a kernel runs under KVM within [`PROBE`].
fn boots(image: &Path, log: &Path) -> Result<bool> {
    let output = File::create(log)?;
    let mut qemu = command(
        "qemu-system-x86_64 -accel kvm -cpu host -m 256M -nodefaults -no-user-config \
         -display none -serial stdio -no-reboot",
    );
    let mut qemu = qemu
        .args(["-append", "console=ttyS0 panic=-1", "-kernel"])
        .arg(image)
        .stdin(Stdio::null())
        .stderr(output.try_clone()?)
        .stdout(output)
        .spawn()
        .context("cannot start qemu-system-x86_64")?;
    let begun = Instant::now();
    let mut exited = false;
    while !exited && begun.elapsed() < PROBE {
        sleep(Duration::from_millis(50));
        exited = qemu.try_wait()?.is_some();
    }
    if !exited {
        qemu.kill()?;
        qemu.wait()?;
    }
    let text = fs::read(log)?;
    Ok(exited && String::from_utf8_lossy(&text).contains("Kernel panic"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_holds_for_the_same_boot_only() {
        let dir = tempfile::tempdir().unwrap();
        let memory = dir.path().join("accel");
        assert_eq!(recall(&memory, "a"), None);
        fs::write(&memory, "tcg\na\n").unwrap();
        assert_eq!(recall(&memory, "a"), Some(Accel::Tcg));
        assert_eq!(recall(&memory, "b"), None);
        fs::write(&memory, "torn").unwrap();
        assert_eq!(recall(&memory, "a"), None);
    }
}
