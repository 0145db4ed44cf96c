// SPDX-License-Identifier: GPL-2.0

//! Tests of the environment in guests of `make vm`.

use std::fs;
use std::time::Instant;

use anyhow::Result;

use super::record::Test;
use crate::project::Project;
use crate::vm::{Kernel, Vm};

/// Each test with a command that must succeed in the guest.
const COMMANDS: [(&str, &str); 4] = [
    (
        "tmp-is-writable",
        "echo text > /tmp/file && grep -q text /tmp/file",
    ),
    ("programs-are-on-the-path", "rmmap --version"),
    (
        "modprobe-finds-the-modules",
        "modprobe rust_mm_lazy && test -c /dev/rust_mm_lazy && modprobe -r rust_mm_lazy",
    ),
    ("files-go-out", "echo text > /run/lab/out/file"),
];

/// Boots `kernel` and runs the commands. Results go to `sink`.
pub fn run(
    project: &Project,
    kernel: Kernel,
    sink: &mut dyn FnMut(Test) -> Result<()>,
) -> Result<()> {
    let lines = COMMANDS.map(|(name, command)| {
        format!("if why=$({{ {command}; }} 2>&1); then echo 'ok {name}'; else echo \"$why\"; fi\n")
    });
    let begun = Instant::now();
    let script = lines.concat();
    let vm = Vm::new("test-vm", kernel);
    let (outcome, said) = vm.run_quietly(project, &["bash", "-c", &script])?;
    let file = outcome.files().join("file");
    for (name, _) in COMMANDS {
        let succeeded = said
            .lines()
            .any(|line| line.strip_prefix("ok ") == Some(name));
        let arrived = || fs::read_to_string(&file).is_ok_and(|text| text == "text\n");
        let passed = succeeded && (name != "files-go-out" || arrived());
        let why_not = format!("{}, the guest printed:\n{said}", outcome.ending);
        sink(Test::judged(name, begun, (!passed).then_some(&why_not)))?;
    }
    Ok(())
}
