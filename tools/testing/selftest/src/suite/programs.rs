// SPDX-License-Identifier: GPL-2.0

//! Real programs, unchanged, whose memfds `rmmap exec` makes regions: the short form of `make clients`,
//! with the programs that the lab's root has anyway.

use super::commands::program;
use super::exec::needs_seccomp;
use crate::context::Context;
use crate::folder::Folder;
use crate::outcome::{Result, Stop};
use crate::{cases, check, check_eq};
use std::path::Path;

cases! {
    Rmmap exec_serves_python [] "rmmap exec: Python's mappings, MADV_REMOVE, a memfd sent over a socket, code through two mappings, a sealed pool that grows", 120;
    Rmmap exec_serves_qemu [] "rmmap exec: firmware runs in QEMU with a sealed memory-backend-memfd, and QMP reads that memory", 120;
}

const PYTHON: &str = "/usr/bin/python3";
const QEMU: &str = "/usr/bin/qemu-system-x86_64";
const USES: &str = include_str!("../../../clients/uses.py");
const MACHINE: &str = include_str!("../../../clients/machine.py");

/// Runs a script of `make clients` under `rmmap exec`: it must end well, and its memfds be regions.
fn serve(needed: &[&str], script: &str, arguments: &[&str]) -> Result {
    needs_seccomp()?;
    if let Some(missing) = needed.iter().find(|path| !Path::new(path).exists()) {
        return Err(Stop::skip(format_args!("there is no {missing}")));
    }
    let folder = Folder::new("exec")?;
    let mut command = program("rmmap", "exec --stat --")?;
    command.args([PYTHON, "-c", script]).args(arguments);
    let output = command.current_dir(folder.path()).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    check_eq!(output.status.code(), Some(0), "{arguments:?}: {said}");
    let counted = said.contains("rmmap: regions ") && !said.contains("rmmap: regions 0,");
    check!(counted, "{arguments:?}: no region: {said}");
    check!(said.contains("calls left to the kernel 0\n"), "{said}");
    Ok(())
}

fn exec_serves_python(_: &Context) -> Result {
    for name in ["mmap", "balloon", "rights", "jit", "pool"] {
        serve(&[PYTHON], USES, &[name])?;
    }
    Ok(())
}

fn exec_serves_qemu(_: &Context) -> Result {
    let backend = "memory-backend-memfd,share=on";
    serve(&[PYTHON, QEMU], MACHINE, &["start", backend])
}
