// SPDX-License-Identifier: GPL-2.0
//! Virtual machines: boots a kernel on the lab's own root, runs one command in it, and reports the
//! ending.
//!
//! ```ignore
//! let vm = Vm::new("selftest", kernel).timeout(Duration::from_secs(600));
//! let outcome = vm.run(&project, &["rmmap", "selftest"])?;
//! std::process::exit(outcome.ending.exit_code().into());
//! ```
//!
//! The guest's root file system is the lab's root, read-only; `build/vm/NAME/` has all files of a
//! run (see [`crate::protocol`]).

mod accel;
mod arm64;
mod ending;
mod virtme;
mod watch;

pub use ending::Ending;
pub use rmmap_guest::klog::Splat;
pub use virtme::VIRTME_RUN;

use crate::project::Project;
use crate::protocol::{self, Request};
use anyhow::{Context, Result};
use rmmap_guest::klog;
use rustix::fs::{flock, FlockOperation};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The search path for a guest's commands after the project's own programs.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What to boot.
#[derive(Debug, Clone)]
pub struct Kernel {
    /// The image (bzImage).
    pub image: PathBuf,
    /// Its `lib/modules/VERSION` folder. Without one the kernel must have 9p and virtio built in.
    pub modules: Option<PathBuf>,
    /// Whether its guests' files come by virtio-fs, because it has no 9p.
    pub virtiofs: bool,
    /// The initial RAM disk of an arm64 kernel, which is emulated. Its programs are the guest's root.
    pub arm64: Option<PathBuf>,
}

impl Kernel {
    /// Returns the kernel that was built in `kdir` and needs no modules.
    pub fn built_in(kdir: &Path) -> Self {
        Self {
            image: kdir.join("arch/x86/boot/bzImage"),
            modules: None,
            virtiofs: false,
            arm64: None,
        }
    }
}

/// A virtual machine to start.
#[derive(Debug, Clone)]
pub struct Vm {
    /// Names the run's folder, `build/vm/NAME`; two runs of one name do not overlap.
    pub name: String,
    /// What to boot.
    pub kernel: Kernel,
    /// Memory in MiB.
    pub memory: u32,
    /// Number of processors.
    pub cpus: u32,
    /// Limit until userspace runs.
    pub boot_timeout: Duration,
    /// Limit for the whole run.
    pub timeout: Duration,
    /// More words for the kernel's command line.
    pub append: Vec<String>,
    /// Modules to load before the command, each the arguments of one `insmod`.
    pub insmod: Vec<Vec<String>>,
    /// Variables for the command.
    pub env: Vec<(String, String)>,
    /// Let a guest's nanosecond be one instruction, the same in every run: one emulated processor.
    pub icount: bool,
    /// Make QEMU emulate the processors in any case, for a plugin that observes them.
    pub emulated: bool,
    /// More words for QEMU.
    pub qemu: Vec<String>,
    /// Add a second NUMA node without processors, with [`SPARE_MIB`] of offline memory: the kernel
    /// allocates none of it until somebody sets it online.
    pub spare_node: bool,
}

/// Memory of the spare NUMA node: one memory block of Linux on x86-64, the smallest that it
/// handles.
const SPARE_MIB: u32 = 128;

/// The result of a run.
#[derive(Debug)]
pub struct Outcome {
    /// Its ending.
    pub ending: Ending,
    /// Every report in the kernel log, even if the command failed.
    pub splats: Vec<Splat>,
    /// The run's folder: `stdout`, `stderr`, `dmesg`, `console.log`.
    pub dir: PathBuf,
    /// Its duration, including the boot.
    pub elapsed: Duration,
}

impl Outcome {
    /// Returns the folder with the files that the command left in `/run/lab/out`.
    pub fn files(&self) -> PathBuf {
        self.dir.join(protocol::OUT)
    }

    /// Returns the file with the command's standard error.
    pub fn stderr(&self) -> PathBuf {
        self.dir.join(protocol::STDERR)
    }

    /// Returns the file that is most informative about the kernel: its whole log, or the console of
    /// a dead guest.
    pub fn kernel_log(&self) -> PathBuf {
        let dmesg = self.dir.join(protocol::DMESG);
        if dmesg.exists() {
            dmesg
        } else {
            self.dir.join(protocol::CONSOLE)
        }
    }
}

/// The output of the guest's command to which bytes belong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Vm {
    /// Returns a machine with two processors, 2 GiB and five minutes for a command.
    pub fn new(name: impl Into<String>, kernel: Kernel) -> Self {
        Self {
            name: name.into(),
            kernel,
            memory: 2048,
            cpus: 2,
            boot_timeout: Duration::from_secs(180),
            timeout: Duration::from_secs(300),
            append: Vec::new(),
            insmod: Vec::new(),
            env: Vec::new(),
            icount: false,
            emulated: false,
            qemu: Vec::new(),
            spare_node: false,
        }
    }

    /// Sets the limit for the whole run.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// Boots, runs `command` and copies its output to ours as it arrives.
    pub fn run<S: AsRef<str>>(&self, project: &Project, command: &[S]) -> Result<Outcome> {
        self.run_with(project, command, &mut watch::pass_on)
    }

    /// Boots, runs `command` and passes its output to `sink` as it arrives.
    pub fn run_with<S: AsRef<str>>(
        &self,
        project: &Project,
        command: &[S],
        sink: &mut dyn FnMut(Stream, &[u8]),
    ) -> Result<Outcome> {
        let command = command
            .iter()
            .map(|word| word.as_ref().to_owned())
            .collect();
        self.start(project, self.request(project, command, false), sink)
    }

    /// Boots, runs `command` and passes each line of its standard output to `sink`, until that
    /// fails.
    pub fn run_lines<S: AsRef<str>>(
        &self,
        project: &Project,
        command: &[S],
        sink: &mut dyn FnMut(&str) -> Result<()>,
    ) -> Result<Outcome> {
        let mut partial = Vec::new();
        let mut broken = Ok(());
        let outcome = self.run_with(project, command, &mut |stream, bytes| {
            if stream == Stream::Stdout {
                partial.extend_from_slice(bytes);
            }
            while let (Some(end), Ok(())) = (partial.iter().position(|b| *b == b'\n'), &broken) {
                let line: Vec<u8> = partial.drain(..=end).collect();
                broken = sink(String::from_utf8_lossy(&line).trim_end());
            }
        })?;
        broken.map(|()| outcome)
    }

    /// Boots and runs `command`. Also returns its standard output.
    pub fn run_quietly<S: AsRef<str>>(
        &self,
        project: &Project,
        command: &[S],
    ) -> Result<(Outcome, String)> {
        let outcome = self.run_with(project, command, &mut |_, _| {})?;
        let said = read_lossy(&outcome.dir.join(protocol::STDOUT));
        Ok((outcome, said))
    }

    /// Boots and gives the terminal to a shell, without time limits.
    pub fn shell(&self, project: &Project) -> Result<Outcome> {
        let vm = Self {
            timeout: Duration::MAX,
            boot_timeout: Duration::MAX,
            ..self.clone()
        };
        let request = vm.request(project, Vec::new(), true);
        vm.start(project, request, &mut watch::pass_on)
    }

    fn request(&self, project: &Project, command: Vec<String>, interactive: bool) -> Request {
        let path = format!("{}:{PATH}", project.guest_program("").display());
        let mut env = vec![("PATH".to_owned(), path)];
        env.extend_from_slice(&self.env);
        Request {
            insmod: self.insmod.clone(),
            command,
            env,
            interactive,
        }
    }

    fn start(
        &self,
        project: &Project,
        request: Request,
        sink: &mut dyn FnMut(Stream, &[u8]),
    ) -> Result<Outcome> {
        let started = Instant::now();
        let dir = project.build("vm").join(&self.name);
        let _lock =
            fresh_folder(&dir).with_context(|| format!("cannot prepare {}", dir.display()))?;
        fs::write(
            dir.join(protocol::REQUEST),
            serde_json::to_vec_pretty(&request)?,
        )?;

        let command = match &self.kernel.arm64 {
            Some(initrd) => arm64::guest(self, project, &dir, initrd),
            None => {
                virtme::prepare_root()?;
                let accel = accel::choose(project, &self.kernel)?;
                virtme::guest(self, project, &dir, accel, request.interactive)?
            }
        };
        let expired = watch::run(command, &dir, self, sink)?;

        let status = read_lossy(&dir.join(protocol::STATUS));
        let console = read_lossy(&dir.join(protocol::CONSOLE));
        let dmesg = read_lossy(&dir.join(protocol::DMESG));
        let splats = klog::scan_both(&dmesg, &console);
        let seen = ending::Evidence {
            status: status.trim().parse().ok(),
            expired,
            console: &console,
            splats: &splats,
        };
        let ending = ending::classify(seen)
            .with_context(|| format!("see {}", dir.join(protocol::CONSOLE).display()))?;
        Ok(Outcome {
            ending,
            splats,
            dir,
            elapsed: started.elapsed(),
        })
    }
}

/// Empties the run's folder and locks it while the returned file is open.
fn fresh_folder(dir: &Path) -> Result<File> {
    fs::create_dir_all(dir)?;
    let lock = File::create(dir.with_extension("lock"))?;
    flock(&lock, FlockOperation::NonBlockingLockExclusive)
        .context("another run uses this folder: wait until it ends")?;
    fs::remove_dir_all(dir)?;
    fs::create_dir_all(dir.join(protocol::OUT))?;
    Ok(lock)
}

fn read_lossy(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}
