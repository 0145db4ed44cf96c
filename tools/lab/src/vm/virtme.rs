// SPDX-License-Identifier: GPL-2.0
//! The command line that starts a guest: virtme-ng's `virtme-run`, which calls QEMU.

use super::accel::Accel;
use super::{Kernel, Vm, SPARE_MIB};
use crate::project::Project;
use crate::protocol::{GUEST_DIR, SHELL};
use crate::steps::command;
use anyhow::{Context, Result};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of virtme-ng in the lab's root.
pub const VIRTME_RUN: &str = "/opt/virtme-ng/bin/virtme-run";

/// The folder in which the guest links its kernel's modules; a root without kernels has none.
const MODULES: &str = "/usr/lib/modules";

/// Prepares the root for guests whose kernel has modules, so that `modprobe` finds them.
pub fn prepare_root() -> Result<()> {
    fs::create_dir_all(MODULES).with_context(|| format!("cannot create {MODULES}"))
}

/// Returns the command that boots `vm` with `dir` shared as [`GUEST_DIR`].
pub fn guest(
    vm: &Vm,
    project: &Project,
    dir: &Path,
    accel: Accel,
    interactive: bool,
) -> Result<Command> {
    let agent = project.program("rmmap-guest");
    // The lab may be killed at any time; then nobody else would stop the guest.
    let mut run = command("setpriv --pdeathsig KILL");
    run.arg(VIRTME_RUN);
    run.arg("--qemu-bin")
        .arg(project.root().join("tools/lab/qemu"));
    run.arg("--kimg").arg(stage(&vm.kernel, dir)?);
    let has_modules = vm.kernel.modules.is_some();
    run.args(["--mods", if has_modules { "auto" } else { "none" }]);
    // virtiofs, with which virtme-ng uses microvm, needs a daemon; 9p works everywhere alike.
    let mut words = "--disable-microvm ".to_owned();
    if !vm.kernel.virtiofs {
        words += "--force-9p ";
    }
    if vm.icount {
        words += "--disable-kvm --qemu-opt=-accel --qemu-opt=tcg,thread=single \
                  --qemu-opt=-icount --qemu-opt=shift=0,sleep=off ";
    } else if vm.emulated || accel == Accel::Tcg {
        words += "--disable-kvm --qemu-opt=-accel --qemu-opt=tcg,thread=multi ";
    }
    // A dead guest must end immediately, with its last messages on the console. So must one whose
    // kernel oopses, because it may hang afterwards. `check_timer()` counts the ticks of a few
    // milliseconds, and panics if the host runs the guest too little meanwhile.
    words += "--qemu-opt=-no-reboot --kopt=oops=panic --kopt=panic=-1 --kopt=loglevel=6 \
              --kopt=no_timer_check --kopt=log_buf_len=8M --kopt=printk.devkmsg=on";
    run.args(words.split_whitespace());
    let cpus = if vm.icount { 1 } else { vm.cpus };
    run.arg(format!("--memory={}M", vm.memory))
        .arg(format!("--cpus={cpus}"));
    if vm.spare_node {
        run.args(spare_node(vm.memory, cpus, vm.kernel.virtiofs));
        run.arg("--kopt=memhp_default_state=offline");
    }
    run.arg(format!("--rwdir={GUEST_DIR}={}", dir.display()));
    run.args(vm.qemu.iter().map(|word| format!("--qemu-opt={word}")));
    run.args(vm.append.iter().map(|word| format!("--kopt={word}")));
    if interactive {
        let shell = dir.join(SHELL);
        symlink(&agent, &shell).context("cannot link the guest's shell")?;
        run.arg("--shell").arg(Path::new(GUEST_DIR).join(SHELL));
    } else {
        run.args(["--show-boot-console", "--script-sh"]);
        run.arg(format!(
            "exec {}",
            shlex::try_quote(&agent.to_string_lossy())?
        ));
    }
    Ok(run)
}

/// Returns the words that give a machine of `memory` MiB a second NUMA node, made of a memory
/// module. The kernel adds its memory when it finds it by ACPI; memory that is present from the
/// start cannot be offline. With `virtiofs` virtme-ng adds the first node.
fn spare_node(memory: u32, cpus: u32, virtiofs: bool) -> Vec<String> {
    let options = [
        // QEMU places a module at a multiple of 1 GiB.
        ("-m", format!("slots=1,maxmem={}M", memory + 2048)),
        (
            "-object",
            format!("memory-backend-ram,id=main,size={memory}M"),
        ),
        (
            "-numa",
            format!("node,nodeid=0,cpus=0-{},memdev=main", cpus - 1),
        ),
        ("-numa", "node,nodeid=1".to_owned()),
        (
            "-object",
            format!("memory-backend-ram,id=spare,size={SPARE_MIB}M"),
        ),
        ("-device", "pc-dimm,memdev=spare,node=1".to_owned()),
    ];
    let word = |word: String| format!("--qemu-opt={word}");
    let is_first = |value: &str| value.contains("=main");
    let words = options.into_iter();
    words
        .filter(|(_, value)| !(virtiofs && is_first(value)))
        .flat_map(|(option, value)| [word(option.to_owned()), word(value)])
        .collect()
}

/// Arranges image and modules as virtme-ng expects them, by links: `boot/vmlinuz` below a folder
/// that has `lib/modules/VERSION`.
fn stage(kernel: &Kernel, dir: &Path) -> Result<PathBuf> {
    let image = dir.join("kernel/vmlinuz");
    fs::create_dir_all(dir.join("kernel/lib/modules"))?;
    symlink(&kernel.image, &image)?;
    if let Some(modules) = &kernel.modules {
        let version = modules
            .file_name()
            .context("the modules' folder has no name")?;
        symlink(modules, dir.join("kernel/lib/modules").join(version))?;
    }
    Ok(image)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(interactive: bool, modules: Option<PathBuf>) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let kernel = Kernel {
            modules,
            ..Kernel::built_in("/k".as_ref())
        };
        let mut vm = Vm::new("t", kernel);
        vm.append.push("kunit.enable=1".into());
        let project = Project::at(Path::new("/a b"));
        let command = guest(&vm, &project, dir.path(), Accel::Tcg, interactive).unwrap();
        command
            .get_args()
            .map(|word| word.to_string_lossy().into_owned())
            .collect()
    }

    #[test]
    fn paths_with_spaces_survive() {
        let words = words(false, Some("/k/lib/modules/7.3.4".into()));
        let script = words.last().unwrap();
        assert!(
            script.starts_with("exec '/a b/build/") && script.ends_with("/rmmap-guest'"),
            "{script}"
        );
    }

    #[test]
    fn kernel_without_modules_boots_without_initramfs() {
        let words = words(false, None);
        let mods = words.iter().position(|word| word == "--mods").unwrap();
        assert_eq!(words[mods + 1], "none");
        assert!(words.contains(&"--kopt=kunit.enable=1".to_owned()));
    }

    #[test]
    fn person_gets_a_shell_and_no_script() {
        let words = words(true, None);
        assert!(words.iter().all(|word| word != "--script-sh"));
        assert!(words.iter().any(|word| word.ends_with(SHELL)));
    }
}
