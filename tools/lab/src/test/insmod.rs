// SPDX-License-Identifier: GPL-2.0

//! Loads and unloads the module, with the reason in words when that fails.

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rmmap_sys::{module, Errno};

/// The module's name in the kernel.
const MODULE: &str = "rmmap";

/// How long rmmod may be refused: the last `fput` of a process that just exited is still to come.
const UNLOAD: Duration = Duration::from_secs(3);

/// Loads the module of a file with one parameter, by a process of its own.
///
/// What the module's initialization leaves on the kernel stack of the process that loads it stays
/// there for as long as that process lives, and hides leaks from kmemleak, which looks for pointers
/// on all stacks. So this program does not load it itself.
pub fn load(file: &Path, parameter: &str) -> Result<(), String> {
    let output = Command::new("insmod")
        .arg(file)
        .arg(parameter)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cannot run insmod: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => {
            let said = String::from_utf8_lossy(&output.stderr);
            let (said, status) = (said.trim(), output.status);
            Err(format!(
                "insmod {} {parameter}: {status}: {said}",
                file.display()
            ))
        }
    }
}

/// Unloads the module, which nothing uses any more.
pub fn unload() -> Result<(), String> {
    let begun = Instant::now();
    loop {
        match module::unload(MODULE) {
            Ok(()) => return Ok(()),
            Err(Errno::WOULDBLOCK) if begun.elapsed() < UNLOAD => {
                sleep(Duration::from_millis(50));
            }
            Err(error) => return Err(format!("rmmod {MODULE}: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_that_is_not_there_is_named() {
        let why = load(Path::new("/no/such/rmmap.ko"), "prepare=1").unwrap_err();
        assert!(
            why.starts_with("insmod /no/such/rmmap.ko prepare=1: exit status: 1: "),
            "{why}"
        );
        assert!(why.contains("No such file"), "{why}");
    }
}
