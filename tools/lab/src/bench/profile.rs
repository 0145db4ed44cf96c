// SPDX-License-Identifier: GPL-2.0
//! `make bench PROFILE=OBJECT/WORKLOAD`: the functions in which a case spends its instructions.
//!
//! QEMU itself counts every instruction, by the plugin `count.c`, while the guest runs the case.
//! The guest's `/proc/kallsyms` names the functions, including the module's.

use super::{BOOT, FOLDER};
use crate::build::Ready;
use crate::project::Project;
use crate::protocol;
use crate::vm::{Stream, Vm};
use anyhow::{ensure, Context, Result};
use rmmap_bench::symbols::{self, Symbols};
use rmmap_bench::Record;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// The plugin's source, relative to the checkout.
const SOURCE: &str = "tools/testing/bench/plugin/count.c";
/// The file of the guest's symbols, in the run's folder.
pub const SYMBOLS: &str = "kallsyms";

/// A case: `OBJECT/WORKLOAD`, with `init_on_alloc=0`, or `OBJECT/WORKLOAD/1`, with `=1`.
#[derive(Clone, Debug)]
pub struct Case {
    object: String,
    workload: String,
    init_on_alloc: u8,
}

impl std::str::FromStr for Case {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<_> = text.split('/').collect();
        let (object, workload, on) = match parts[..] {
            [object, workload] | [object, workload, "0"] => (object, workload, 0),
            [object, workload, "1"] => (object, workload, 1),
            _ => return Err("it is OBJECT/WORKLOAD or OBJECT/WORKLOAD/1".to_owned()),
        };
        Ok(Self {
            object: object.to_owned(),
            workload: workload.to_owned(),
            init_on_alloc: on,
        })
    }
}

/// Runs the case, prints the functions, writes the stacks.
pub fn run(project: &Project, ready: &Ready, case: &Case) -> Result<()> {
    let folder = project.build(FOLDER);
    let raw = folder.join("profile.raw");
    let mut vm = Vm::new("bench-profile", ready.kernel.clone()).timeout(Duration::from_secs(900));
    vm.insmod.push(vec![ready.module.display().to_string()]);
    vm.icount = true;
    vm.boot_timeout = BOOT;
    vm.append
        .push(format!("init_on_alloc={}", case.init_on_alloc));
    vm.qemu = plugin(project, "out", &raw)?;
    let program = project.program("rmmap");
    let program = shlex::try_quote(program.to_str().context("a path is not UTF-8")?)?.into_owned();
    let script = format!(
        "{} && {program} bench --json --instructions --set full --times 1 --object \"$0\" \
         --workload \"$1\"",
        save_symbols(),
    );
    let mut said = Vec::new();
    let command = ["sh", "-c", &script, &case.object, &case.workload];
    let outcome = vm.run_with(project, &command, &mut |stream, bytes| match stream {
        Stream::Stdout => said.extend_from_slice(bytes),
        Stream::Stderr => eprint!("{}", String::from_utf8_lossy(bytes)),
    })?;
    ensure!(
        outcome.ending.exit_code() == 0,
        "cannot profile: {}",
        outcome.ending
    );
    let said = String::from_utf8_lossy(&said);
    let lines = said.lines().map(serde_json::from_str::<Record>);
    let records: Vec<_> = lines
        .collect::<Result<_, _>>()
        .context("unreadable record")?;
    let pages = records.first().context("nothing was measured")?.pages;
    let symbols = Symbols::parse(&fs::read_to_string(outcome.dir.join(SYMBOLS))?);
    let stacks = symbols::stacks(
        &fs::read_to_string(&raw).context("QEMU counted nothing: the workload has no such part")?,
        &symbols,
    )?;
    let lines = stacks
        .iter()
        .map(|(stack, count)| format!("{stack} {count}\n"));
    let folded = lines.collect::<Vec<_>>().concat();
    let path = folder.join("profile.folded");
    fs::write(&path, folded)?;
    print!("{}", symbols::functions(&stacks, pages));
    println!("(stacks, for any flame graph: {})", path.display());
    Ok(())
}

/// Returns QEMU's options that make the plugin count, and write what `option` selects to `file`.
pub fn plugin(project: &Project, option: &str, file: &Path) -> Result<Vec<String>> {
    let plugin = project.build(FOLDER).join("count.so");
    let mut gcc = Command::new("gcc");
    gcc.args(["-O2", "-shared", "-fPIC", "-fvisibility=hidden", "-o"]);
    let status = gcc.arg(&plugin).arg(project.root().join(SOURCE)).status();
    ensure!(status?.success(), "cannot compile {SOURCE}");
    if file.exists() {
        fs::remove_file(file)?;
    }
    let plugged = format!("file={},{option}={}", plugin.display(), file.display());
    Ok(vec!["-plugin".to_owned(), plugged])
}

/// Returns the command that saves a guest's symbols.
pub fn save_symbols() -> String {
    format!("cat /proc/kallsyms > {}/{SYMBOLS}", protocol::GUEST_DIR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_an_object_and_a_workload() {
        let case: Case = "rmmap/random-write/1".parse().unwrap();
        assert_eq!(
            (case.workload.as_str(), case.init_on_alloc),
            ("random-write", 1)
        );
        assert!("rmmap".parse::<Case>().is_err());
    }
}
