// SPDX-License-Identifier: GPL-2.0
//! Steps: named work that is done once, shown while it runs, and skipped until its inputs change.
//!
//! A complete step stores a stamp, the hash of its inputs. It has no stamp while it runs, so the
//! next run repeats an interrupted step.

mod inputs;
mod log;
mod progress;

pub use inputs::Inputs;
pub use log::Log;
pub use progress::Progress;
pub use rmmap_guest::command;

use crate::project::Project;
use anyhow::{ensure, Context, Result};
use rustix::fs::{flock, statvfs, FlockOperation};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// The free space that a step needs to begin, in bytes. The largest one, which unpacks the kernel's
/// source, takes as much.
const ROOM: u64 = 2 << 30;

/// The right to change `build/`, which one run at a time has.
pub struct Steps {
    stamps: PathBuf,
    logs: PathBuf,
    _lock: File,
}

impl Steps {
    /// Waits for other runs, then begins.
    pub fn begin(project: &Project) -> Result<Self> {
        let path = project.build("lab.lock");
        fs::create_dir_all(project.build(""))?;
        let lock = File::create(&path).with_context(|| format!("cannot use {}", path.display()))?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            eprintln!("lab: waiting for another run that is building");
            flock(&lock, FlockOperation::LockExclusive)?;
        }
        let steps = Self {
            stamps: project.build("stamps"),
            logs: project.build("log"),
            _lock: lock,
        };
        fs::create_dir_all(&steps.stamps)?;
        fs::create_dir_all(&steps.logs)?;
        Ok(steps)
    }

    /// Does `work`, unless it was done with these inputs and all `outputs` exist.
    pub fn step(
        &self,
        name: &str,
        inputs: &Inputs,
        outputs: &[&Path],
        work: impl FnOnce(&mut Log) -> Result<()>,
    ) -> Result<()> {
        let stamp = self.stamps.join(name.replace(['/', ' '], "-"));
        let digest = inputs.digest();
        let stamped = fs::read_to_string(&stamp).is_ok_and(|text| text == digest);
        if stamped && outputs.iter().all(|output| output.exists()) {
            return Ok(());
        }
        if stamp.exists() {
            fs::remove_file(&stamp)?;
        }
        self.always(name, work)?;
        let missing = outputs.iter().find(|output| !output.exists());
        if let Some(output) = missing {
            anyhow::bail!("{name} did not create {}", output.display());
        }
        let part = stamp.with_extension("part");
        fs::write(&part, digest)?;
        fs::rename(part, stamp)?;
        Ok(())
    }

    /// Does `work` each time: it checks itself what is up to date.
    pub fn always(&self, name: &str, work: impl FnOnce(&mut Log) -> Result<()>) -> Result<()> {
        check_room(&self.logs, ROOM).with_context(|| format!("no space for {name}"))?;
        let progress = Progress::begin(name);
        let path = self
            .logs
            .join(format!("{}.log", name.replace(['/', ' '], "-")));
        let result = work(&mut Log::create(path)?);
        progress.end(result.is_ok());
        result.with_context(|| format!("{name} failed"))
    }
}

/// Fails when the file system of `dir` has less than `room` bytes left. Compilers that meet a full
/// disk end in pages of messages.
fn check_room(dir: &Path, room: u64) -> Result<()> {
    let stat = statvfs(dir)?;
    let free = stat.f_bavail * stat.f_frsize;
    ensure!(
        free >= room,
        "build/ has {} MiB left on its disk and needs {}: delete something, or move the checkout",
        free >> 20,
        room >> 20
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::bail;
    use std::cell::Cell;

    struct Fixture {
        dir: tempfile::TempDir,
        done: Cell<u32>,
    }

    impl Fixture {
        fn new() -> Self {
            Self {
                dir: tempfile::tempdir().unwrap(),
                done: Cell::new(0),
            }
        }

        fn output(&self) -> PathBuf {
            self.dir.path().join("output")
        }

        fn run(&self, input: &str, fail: bool) -> Result<()> {
            let steps = Steps::begin(&Project::at(self.dir.path()))?;
            let inputs = Inputs::new().text(input);
            steps.step("test", &inputs, &[&self.output()], |_| {
                self.done.set(self.done.get() + 1);
                fs::write(self.output(), input)?;
                if fail {
                    bail!("on purpose");
                }
                Ok(())
            })
        }
    }

    #[test]
    fn unchanged_step_is_skipped() {
        let test = Fixture::new();
        test.run("a", false).unwrap();
        test.run("a", false).unwrap();
        assert_eq!(test.done.get(), 1);
    }

    #[test]
    fn changed_input_or_lost_output_does_it_again() {
        let test = Fixture::new();
        test.run("a", false).unwrap();
        test.run("b", false).unwrap();
        assert_eq!(test.done.get(), 2);
        fs::remove_file(test.output()).unwrap();
        test.run("b", false).unwrap();
        assert_eq!(test.done.get(), 3);
    }

    #[test]
    fn failed_step_is_done_again_though_its_output_exists() {
        let test = Fixture::new();
        test.run("a", false).unwrap();
        assert!(test.run("b", true).is_err());
        // Use the inputs again whose stamp the failed attempt removed.
        test.run("a", false).unwrap();
        assert_eq!(test.done.get(), 3);
    }

    #[test]
    fn step_without_its_output_has_failed() {
        let dir = tempfile::tempdir().unwrap();
        let steps = Steps::begin(&Project::at(dir.path())).unwrap();
        let output = dir.path().join("none");
        let error = steps
            .step("test", &Inputs::new(), &[&output], |_| Ok(()))
            .unwrap_err();
        assert!(error.to_string().contains("did not create"), "{error}");
    }

    #[test]
    fn full_disk_is_named() {
        let dir = tempfile::tempdir().unwrap();
        check_room(dir.path(), 1).unwrap();
        let error = check_room(dir.path(), 1 << 62).unwrap_err().to_string();
        assert!(error.contains("MiB left"), "{error}");
    }
}
