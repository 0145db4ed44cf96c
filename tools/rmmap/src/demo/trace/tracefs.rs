// SPDX-License-Identifier: GPL-2.0

//! tracefs, and an instance of tracing that is removed again whatever happens.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    thread::sleep,
    time::Duration,
};

use nix::sys::signal::{SigSet, Signal};
use rustix::mount::{mount, unmount, MountFlags, UnmountFlags};

use super::Unavailable;

/// Where tracefs is mounted.
const ROOT: &str = "/sys/kernel/tracing";

/// How the instances of this program are named; the process's id and a word follow.
const PREFIX: &str = "rmmap-demo-";

/// tracefs, mounted for the time being if it was not.
#[derive(Debug)]
pub struct Tracefs {
    unmount: bool,
    /// Signals that would end the program wait until everything is restored.
    held: SigSet,
}

impl Tracefs {
    /// Finds or mounts it, and clears away what a killed run left behind.
    pub fn new() -> Result<Self, Unavailable> {
        let root = Path::new(ROOT);
        let mounted = || root.join("instances").is_dir();
        let mut held = SigSet::empty();
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
            held.add(signal);
        }
        // Only this thread exists; a failure leaves the signals as they are, which is no harm.
        let _ = held.thread_block();
        let mut tracefs = Self {
            unmount: false,
            held,
        };
        if !mounted() {
            let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
            mount("tracefs", root, "tracefs", flags, None).map_err(|errno| match errno {
                rustix::io::Errno::PERM | rustix::io::Errno::ACCESS => Unavailable::NotRoot,
                rustix::io::Errno::NODEV | rustix::io::Errno::NOENT => {
                    Unavailable::NotBuilt("tracefs")
                }
                errno => Unavailable::file("mount tracefs on", root)(errno.into()),
            })?;
            tracefs.unmount = true;
        }
        if !mounted() {
            return Err(Unavailable::NotRoot);
        }
        tracefs.clear_leftovers();
        Ok(tracefs)
    }

    /// Path of a file of the top level.
    pub fn path(&self, file: &str) -> PathBuf {
        Path::new(ROOT).join(file)
    }

    /// Makes an instance; it records nothing yet.
    pub fn instance(&self, word: &str) -> Result<Instance, Unavailable> {
        let name = format!("{PREFIX}{}-{word}", std::process::id());
        let path = self.path("instances").join(name);
        fs::create_dir(&path).map_err(Unavailable::file("create", &path))?;
        let instance = Instance { path };
        instance.set("tracing_on", "0")?;
        Ok(instance)
    }

    /// Removes instances whose process does not exist any more: it was killed.
    fn clear_leftovers(&self) {
        let Ok(entries) = fs::read_dir(self.path("instances")) else {
            return;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let Some((pid, _)) = name
                .to_str()
                .and_then(|name| name.strip_prefix(PREFIX)?.split_once('-'))
            else {
                continue;
            };
            if !Path::new("/proc").join(pid).exists() {
                drop(Instance { path: entry.path() });
            }
        }
    }
}

impl Drop for Tracefs {
    fn drop(&mut self) {
        if self.unmount {
            // Somebody else may have begun to use it: then it stays.
            let _ = unmount(ROOT, UnmountFlags::empty());
        }
        let _ = self.held.thread_unblock();
    }
}

/// A buffer and a tracer of its own, apart from the machine's.
#[derive(Debug)]
pub struct Instance {
    path: PathBuf,
}

impl Instance {
    /// Path of a file of the instance.
    pub fn path(&self, file: &str) -> PathBuf {
        self.path.join(file)
    }

    /// Writes a setting.
    pub fn set(&self, file: &str, value: &str) -> Result<(), Unavailable> {
        write(&self.path(file), value)
    }

    /// Reads a file.
    pub fn get(&self, file: &str) -> Result<String, Unavailable> {
        read(&self.path(file))
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // Removing it takes all settings down; what is in use is stopped first. Errors have no
        // remedy here, and the next run tries again.
        let _ = self.set("tracing_on", "0");
        let _ = self.set("current_tracer", "nop");
        for _ in 0..50 {
            if fs::remove_dir(&self.path).is_ok() {
                return;
            }
            // Busy for as long as somebody reads it.
            sleep(Duration::from_millis(20));
        }
    }
}

/// Reads a file of tracefs.
pub fn read(path: &Path) -> Result<String, Unavailable> {
    fs::read_to_string(path).map_err(Unavailable::file("read", path))
}

/// Writes to a file of tracefs in one piece.
pub fn write(path: &Path, value: &str) -> Result<(), Unavailable> {
    put(path, value).map_err(Unavailable::file("write to", path))
}

/// Opens, writes and closes.
fn put(path: &Path, value: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).truncate(true).open(path)?;
    file.write_all(value.as_bytes())
}
