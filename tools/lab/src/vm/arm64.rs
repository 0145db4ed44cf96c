// SPDX-License-Identifier: GPL-2.0
//! The command line that starts an arm64 guest: QEMU itself, since virtme-ng wants a root of arm64.

use super::Vm;
use crate::project::Project;
use crate::steps::command;
use std::path::Path;
use std::process::Command;

/// Returns the command that boots `vm`, whose init is `tools/lab/arm64/init`, with `dir` shared as
/// the guest's folder and the checkout at the path that it has here.
pub fn guest(vm: &Vm, project: &Project, dir: &Path, initrd: &Path) -> Command {
    let mut run = command("setpriv --pdeathsig KILL qemu-system-aarch64 -machine virt");
    // Architected pointer authentication takes half of the time of an emulated processor.
    run.args("-cpu max,pauth-impdef=on -accel tcg,thread=multi".split_whitespace());
    run.args("-nodefaults -display none -serial stdio -no-reboot".split_whitespace());
    run.arg("-smp").arg(vm.cpus.to_string());
    run.arg("-m").arg(format!("{}M", vm.memory));
    run.arg("-kernel").arg(&vm.kernel.image);
    run.arg("-initrd").arg(initrd);
    share(&mut run, "lab", dir, "");
    share(&mut run, "project", project.root(), ",readonly=on");
    let mut words = "console=ttyAMA0 oops=panic panic=-1 loglevel=6 log_buf_len=8M \
                     printk.devkmsg=on"
        .to_owned();
    for word in &vm.append {
        words = format!("{words} {word}");
    }
    // What the kernel does not know becomes the environment of init.
    words += &format!(" project={}", project.root().display());
    words += &format!(" agent={}", project.guest_program("rmmap-guest").display());
    run.arg("-append").arg(words);
    run.args(&vm.qemu);
    run
}

/// Gives the guest a folder of the host under the name `tag`.
fn share(run: &mut Command, tag: &str, folder: &Path, how: &str) {
    let path = folder.display();
    run.arg("-fsdev").arg(format!(
        "local,id={tag},path={path},security_model=none,multidevs=remap{how}"
    ));
    run.arg("-device")
        .arg(format!("virtio-9p-pci,fsdev={tag},mount_tag={tag}"));
}
