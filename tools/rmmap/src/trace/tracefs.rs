// SPDX-License-Identifier: GPL-2.0

//! tracefs, and tracing instances that are always removed.

use std::{
    cell::Cell,
    fs::{self, OpenOptions},
    io::{self, Write},
    panic,
    path::{Path, PathBuf},
    process,
    sync::{
        atomic::{AtomicU32, Ordering},
        Once,
    },
};

use nix::sys::signal::{raise, SigSet, Signal};
use rustix::{
    io::Errno,
    mount::{mount, unmount, MountFlags, UnmountFlags},
};

use super::{names, Unavailable};

/// Signals that would end the program; they stay blocked until everything is restored.
const ENDING: [Signal; 4] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGQUIT,
];

/// The process that mounted tracefs and unmounts it; 0 if none did. A forked child does not unmount
/// it.
static MOUNTED_BY: AtomicU32 = AtomicU32::new(0);

/// tracefs, mounted temporarily if it was not.
#[derive(Debug)]
pub struct Tracefs {
    /// The signals that were not blocked before.
    held: SigSet,
    /// A pending signal, which ends the program when everything is restored.
    ending: Cell<Option<Signal>>,
}

impl Tracefs {
    /// Finds or mounts it, and removes the objects of killed runs.
    pub fn new() -> Result<Self, Unavailable> {
        clear_at_panic();
        let root = Path::new(names::ROOT);
        let mounted = || root.join("instances").is_dir();
        let mut held = ending_signals();
        // For `wait()`: the kernel drops the signal if nobody blocks it.
        held.add(Signal::SIGCHLD);
        if let Ok(before) = SigSet::thread_get_mask() {
            held = held
                .iter()
                .filter(|signal| !before.contains(*signal))
                .collect();
        }
        // Only this thread exists; a failure leaves the signals as they are, which is harmless.
        let _ = held.thread_block();
        let tracefs = Self {
            held,
            ending: Cell::new(None),
        };
        if !mounted() {
            let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
            mount("tracefs", root, "tracefs", flags, None).map_err(|errno| match errno {
                Errno::PERM | Errno::ACCESS => Unavailable::forbidden(),
                Errno::NODEV | Errno::NOENT => Unavailable::NotBuilt("tracefs", "CONFIG_FTRACE=y"),
                errno => Unavailable::file("mount tracefs on", root)(errno.into()),
            })?;
            MOUNTED_BY.store(process::id(), Ordering::Relaxed);
        }
        if !mounted() {
            return Err(Unavailable::forbidden());
        }
        names::clear_left_over();
        Ok(tracefs)
    }

    /// Returns the path of a file of the top level.
    pub fn path(&self, file: &str) -> PathBuf {
        Path::new(names::ROOT).join(file)
    }

    /// Makes an instance; it records nothing yet.
    pub fn instance(&self, word: &str) -> Result<Instance, Unavailable> {
        let name = format!("{}_{word}", names::own());
        let path = self.path("instances").join(name);
        fs::create_dir(&path).map_err(Unavailable::file("create", &path))?;
        let instance = Instance { path };
        instance.set("tracing_on", "0")?;
        Ok(instance)
    }

    /// Returns the signals to unblock before a program is executed.
    pub fn held(&self) -> SigSet {
        self.held
    }

    /// Waits until a child changes state, or a signal arrives. Returns `false` if the program must
    /// end.
    pub fn wait(&self) -> Result<bool, Unavailable> {
        let mut awaited = ending_signals();
        awaited.add(Signal::SIGCHLD);
        let failed = |errno: nix::Error| Unavailable::Subject(io::Error::from(errno).into());
        match awaited.wait().map_err(failed)? {
            Signal::SIGCHLD => Ok(true),
            signal => {
                self.ending.set(Some(signal));
                Ok(false)
            }
        }
    }
}

impl Drop for Tracefs {
    fn drop(&mut self) {
        unmount_ours();
        let _ = self.held.thread_unblock();
        if let Some(signal) = self.ending.take() {
            // Deliver it as if it arrived now.
            let _ = raise(signal);
        }
    }
}

/// Unmounts what this process mounted.
fn unmount_ours() {
    if MOUNTED_BY.load(Ordering::Relaxed) == process::id() {
        // If somebody else has begun to use it, it stays mounted.
        let _ = unmount(names::ROOT, UnmountFlags::empty());
    }
}

fn ending_signals() -> SigSet {
    ENDING.into_iter().collect()
}

/// Makes a panic remove the objects of this process: the release build aborts without dropping
/// anything.
fn clear_at_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            names::clear_own();
            unmount_ours();
            before(info);
        }));
    });
}

/// An instance with its own buffer and tracer, separate from the machine's.
#[derive(Debug)]
pub struct Instance {
    path: PathBuf,
}

impl Instance {
    /// Returns the path of a file of the instance.
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
        names::remove_instance(&self.path);
    }
}

/// Reads a file of tracefs.
pub fn read(path: &Path) -> Result<String, Unavailable> {
    let bytes = fs::read(path).map_err(Unavailable::file("read", path))?;
    // Names of programs may contain any bytes.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
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
