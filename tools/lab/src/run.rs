// SPDX-License-Identifier: GPL-2.0
//! The commands for people in virtual machines: the demo, a shell, a command.

use crate::build::{self, Ready};
use crate::project::Project;
use crate::steps::Steps;
use crate::test::DEBUG_APPEND;
use crate::vm::{Outcome, Vm};
use anyhow::{ensure, Context, Result};
use std::fs;
use std::path::Path;
use std::time::Duration;

/// The limit for the demo including the boot: ten times its duration under TCG.
const DEMO: Duration = Duration::from_secs(300);

/// Runs a command in a virtual machine with the stock kernel, and exits as it does.
///
/// The root file system is the lab's root, read-only; the checkout is at the same path as here. `/tmp`
/// is a tmpfs. The project's programs are on the PATH, and modprobe finds its modules. Files that the
/// command writes to /run/lab/out are in build/vm/NAME/out afterwards.
#[derive(Debug, clap::Args)]
pub struct VmArgs {
    /// Time limit, seconds.
    #[arg(long, default_value_t = 300)]
    timeout: u64,
    /// Name of the guest; guests of one name do not overlap.
    #[arg(long, default_value = "try")]
    name: String,
    /// Append this word to the kernel's command line; may be given more than once.
    #[arg(long)]
    append: Vec<String>,
    /// Load the module before the command, and unload it afterwards.
    #[arg(long)]
    module: bool,
    /// Use the module without statistics (`STATS=n`).
    #[arg(long)]
    without_statistics: bool,
    /// Boot the debug kernel, with all its checks; its modules are in `build/modules/debug`.
    #[arg(long)]
    debug: bool,
    /// Count instructions: each takes a nanosecond of the guest's clock; one processor.
    #[arg(long)]
    icount: bool,
    /// Emulate the processors, with this word for QEMU; may be given more than once.
    #[arg(long, allow_hyphen_values = true)]
    qemu: Vec<String>,
    /// Memory of the guest, MiB.
    #[arg(long)]
    memory: Option<u32>,
    /// Command and arguments.
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

/// Makes everything that a run needs.
pub fn lab(project: &Project) -> Result<u8> {
    let ready = ready(project)?;
    println!("kernel: {}", ready.kernel.image.display());
    println!("module: {}", ready.module.display());
    println!("programs: {}", project.guest_program("").display());
    Ok(0)
}

/// Loads the module into the stock kernel and runs `rmmap demo`.
pub fn demo(project: &Project) -> Result<u8> {
    let ready = ready(project)?;
    let vm = with_module("run", &ready)?.timeout(DEMO);
    let program = project.guest_program("rmmap");
    let command = [path(&program)?, "demo"];
    Ok(report(&vm.run(project, &command)?))
}

/// Gives the terminal to a shell in a guest with the module loaded.
pub fn shell(project: &Project) -> Result<u8> {
    let ready = ready(project)?;
    ensure!(
        ready.kernel.arm64.is_none(),
        "a guest of arm64 has no shell for a person: use `make vm VM='-- COMMAND'`"
    );
    let vm = with_module("shell", &ready)?;
    eprintln!("lab: booting with the module loaded; `rmmap --help` lists commands, `exit` leaves");
    Ok(report(&vm.shell(project)?))
}

/// Runs any command in a guest.
pub fn command(project: &Project, args: &VmArgs) -> Result<u8> {
    let mut ready = match args.debug {
        true => build::ready_debug(project, &Steps::begin(project)?)?,
        false => ready(project)?,
    };
    if args.without_statistics {
        ready.module = build::without_statistics(project, &Steps::begin(project)?)?;
    }
    let mut vm = match args.module {
        true => with_module(&args.name, &ready)?,
        false => Vm::new(&args.name, ready.kernel),
    };
    if args.debug {
        vm.append = DEBUG_APPEND.iter().map(|&word| word.into()).collect();
        vm.boot_timeout = Duration::from_secs(args.timeout);
    }
    vm.append.extend_from_slice(&args.append);
    vm.icount = args.icount;
    vm.emulated = !args.qemu.is_empty();
    vm.qemu.extend_from_slice(&args.qemu);
    vm.memory = args.memory.unwrap_or(vm.memory);
    let vm = vm.timeout(Duration::from_secs(args.timeout));
    Ok(report(&vm.run(project, &args.command)?))
}

/// Makes everything that is needed, and lets other runs build before the guest starts.
fn ready(project: &Project) -> Result<Ready> {
    build::ready(project, &Steps::begin(project)?)
}

fn with_module(name: &str, ready: &Ready) -> Result<Vm> {
    let mut vm = Vm::new(name, ready.kernel.clone());
    vm.insmod.push(vec![path(&ready.module)?.to_owned()]);
    Ok(vm)
}

fn path(path: &Path) -> Result<&str> {
    path.to_str()
        .with_context(|| format!("{} is not UTF-8", path.display()))
}

/// Prints how a run ended, and the log to read if it failed.
fn report(outcome: &Outcome) -> u8 {
    let code = outcome.ending.exit_code();
    let seconds = outcome.elapsed.as_secs();
    if code == 0 {
        eprintln!("lab: {} in {seconds} s", outcome.ending);
    } else {
        let log = outcome.kernel_log();
        eprintln!(
            "lab: {} after {seconds} s (kernel log: {})",
            outcome.ending,
            log.display()
        );
    }
    let files = outcome.files();
    if fs::read_dir(&files).is_ok_and(|mut files| files.next().is_some()) {
        eprintln!("lab: files of the guest: {}", files.display());
    }
    code
}
