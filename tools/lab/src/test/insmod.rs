// SPDX-License-Identifier: GPL-2.0

//! Loads and unloads the module, with the reason in words when that fails.

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rmmap_sys::{module, Errno};

/// How long rmmod may be refused: the last `fput` of a process that just exited is still to come.
const UNLOAD: Duration = Duration::from_secs(3);

/// Loads the module of a file with parameters, by a process of its own.
///
/// What the module's initialization leaves on the kernel stack of the process that loads it stays
/// there for as long as that process lives, and hides leaks from kmemleak, which looks for pointers
/// on all stacks. So this program does not load it itself.
pub fn load(file: &Path, parameters: &[&str]) -> Result<(), String> {
    let output = Command::new("insmod")
        .arg(file)
        .args(parameters)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cannot run insmod: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => {
            let said = String::from_utf8_lossy(&output.stderr);
            let (said, status) = (said.trim(), output.status);
            let parameters = parameters.join(" ");
            Err(format!(
                "insmod {} {parameters}: {status}: {said}",
                file.display()
            ))
        }
    }
}

/// The name in the kernel of the module in a file.
pub fn name(file: &Path) -> String {
    let stem = file.file_stem().unwrap_or_default();
    stem.to_string_lossy().replace('-', "_")
}

/// Unloads the module of a file, which nothing uses any more.
pub fn unload(file: &Path) -> Result<(), String> {
    let name = name(file);
    let begun = Instant::now();
    loop {
        match module::unload(&name) {
            Ok(()) => return Ok(()),
            Err(Errno::WOULDBLOCK) if begun.elapsed() < UNLOAD => {
                sleep(Duration::from_millis(50));
            }
            Err(error) => return Err(format!("rmmod {name}: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_that_is_not_there_is_named() {
        let why = load(Path::new("/no/such/rmmap.ko"), &["prepare=1"]).unwrap_err();
        assert!(
            why.starts_with("insmod /no/such/rmmap.ko prepare=1: exit status: 1: "),
            "{why}"
        );
        assert!(why.contains("No such file"), "{why}");
    }
}
