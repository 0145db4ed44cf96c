// SPDX-License-Identifier: GPL-2.0

//! Loads and unloads the module, and explains failures in words.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rmmap_sys::{module, run_in_child, Errno};

/// How long rmmod may fail: the last `fput()` of a process that just exited may be pending.
const UNLOAD: Duration = Duration::from_secs(30);

/// The child's answer when the module is loaded.
const LOADED: &[u8] = b"loaded";

/// Loads the module of a file with parameters, in a process of its own.
///
/// The module's initialization leaves pointers on the kernel stack of the process that loads it.
/// They stay while that process lives, and hide leaks from kmemleak, which scans all stacks. So
/// this process does not load the module itself. insmod(8) would do, but starting it with all its
/// libraries takes eight seconds on the debug kernel.
pub fn load(file: &Path, parameters: &[&str]) -> Result<(), String> {
    let outcome = run_in_child(|| match load_here(file, parameters) {
        Ok(()) => LOADED.to_vec(),
        Err(why) => why.into_bytes(),
    });
    match outcome {
        Ok((_, answer)) if answer == LOADED => Ok(()),
        Ok((end, answer)) if answer.is_empty() => Err(format!(
            "the process that loads {} ended with {end:?}",
            file.display()
        )),
        Ok((_, answer)) => Err(String::from_utf8_lossy(&answer).into_owned()),
        Err(error) => Err(format!("cannot start a process: {error}")),
    }
}

fn load_here(file: &Path, parameters: &[&str]) -> Result<(), String> {
    let parameters = parameters.join(" ");
    module::load(file, &parameters)
        .map_err(|error| format!("insmod {} {parameters}: {error}", file.display()))
}

/// Returns the kernel's name of the module in a file.
pub fn name(file: &Path) -> String {
    let file = file.file_name().unwrap_or_default().to_string_lossy();
    file.split('.').next().unwrap_or_default().replace('-', "_")
}

/// Unloads the module of a file, which is no longer in use.
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
    fn names_follow_the_kernel() {
        assert_eq!(name(Path::new("/a/b/rmmap.ko")), "rmmap");
        assert_eq!(name(Path::new("ctl-dax.ko.xz")), "ctl_dax");
    }

    #[test]
    fn a_module_that_is_not_there_is_named() {
        let why = load_here(Path::new("/no/such/rmmap.ko"), &["prepare=1"]).unwrap_err();
        assert_eq!(
            why,
            "insmod /no/such/rmmap.ko prepare=1: No such file or directory (os error 2)"
        );
    }
}
