// SPDX-License-Identifier: GPL-2.0
//! `make bench PROFILE=OBJECT/WORKLOAD`: in which functions a case spends its instructions.
//!
//! QEMU itself counts, by the plugin `profile.c`, while the guest runs the case: every instruction, not
//! samples of them. The guest's `/proc/kallsyms` names them, those of the module, too.

use super::FOLDER;
use crate::build::Ready;
use crate::project::Project;
use crate::vm::{Stream, Vm};
use anyhow::{ensure, Context, Result};
use rmmap_bench::Record;
use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::Duration;

/// The plugin's source, relative to the checkout.
const SOURCE: &str = "tools/lab/src/bench/profile.c";
/// Where the guest leaves its symbols, in the run's folder.
const SYMBOLS: &str = "kallsyms";

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
    let (plugin, raw) = (folder.join("profile.so"), folder.join("profile.raw"));
    let mut gcc = Command::new("gcc");
    gcc.args(["-O2", "-shared", "-fPIC", "-fvisibility=hidden", "-o"]);
    let status = gcc.arg(&plugin).arg(project.root().join(SOURCE)).status();
    ensure!(status?.success(), "cannot compile {SOURCE}");
    if raw.exists() {
        fs::remove_file(&raw)?;
    }
    let mut vm = Vm::new("bench-profile", ready.kernel.clone()).timeout(Duration::from_secs(900));
    vm.insmod.push(vec![ready.module.display().to_string()]);
    vm.icount = true;
    vm.append
        .push(format!("init_on_alloc={}", case.init_on_alloc));
    let plugged = format!("file={},out={}", plugin.display(), raw.display());
    vm.qemu = vec!["-plugin".to_owned(), plugged];
    let program = project.program("rmmap");
    let program = shlex::try_quote(program.to_str().context("a path is not UTF-8")?)?.into_owned();
    let script = format!(
        "cat /proc/kallsyms > {guest}/{SYMBOLS} && {program} bench --json --instructions --set full \
         --times 1 --object \"$0\" --workload \"$1\"",
        guest = crate::protocol::GUEST_DIR,
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
        .context("this is no record")?;
    let pages = records.first().context("nothing was measured")?.pages;
    let symbols = Symbols::parse(&fs::read_to_string(outcome.dir.join(SYMBOLS))?);
    let stacks = stacks(
        &fs::read_to_string(&raw).context("QEMU counted nothing: the workload has no such part")?,
        &symbols,
    )?;
    let lines = stacks
        .iter()
        .map(|(stack, count)| format!("{stack} {count}\n"));
    let folded = lines.collect::<Vec<_>>().concat();
    let path = folder.join("profile.folded");
    fs::write(&path, folded)?;
    print!("{}", functions(&stacks, pages));
    println!("(stacks, for any flame graph: {})", path.display());
    Ok(())
}

/// The kernel's functions by their addresses.
struct Symbols(BTreeMap<u64, String>);

impl Symbols {
    /// Of the text of `/proc/kallsyms`.
    fn parse(text: &str) -> Self {
        let function = |line: &str| {
            let mut words = line.split_whitespace();
            let address = u64::from_str_radix(words.next()?, 16).ok()?;
            let is_code = words.next()?.eq_ignore_ascii_case("t");
            let name = rustc_demangle::demangle(words.next()?);
            // A name in a folded stack has no separators.
            let name = format!("{name:#}").replace([' ', ';'], "");
            let module = words.next().unwrap_or_default();
            is_code.then(|| (address, format!("{name}{module}")))
        };
        Self(text.lines().filter_map(function).collect())
    }

    fn name(&self, address: u64) -> &str {
        match self.0.range(..=address).next_back() {
            Some((_, name)) if address >> 63 == 1 => name,
            _ => "[user]",
        }
    }
}

/// The plugin's lines with names, equal ones together.
fn stacks(raw: &str, symbols: &Symbols) -> Result<BTreeMap<String, u64>> {
    let mut stacks = BTreeMap::new();
    for line in raw.lines() {
        let mut words: Vec<_> = line.split(' ').collect();
        let count: u64 = words.pop().unwrap_or_default().parse()?;
        let mut names: Vec<&str> = Vec::new();
        for word in words {
            let name = symbols.name(u64::from_str_radix(word, 16)?);
            // Compilers call by way of these, and a block is in the function that it is a part of.
            if names.last() != Some(&name) && !name.starts_with("__x86_indirect_thunk") {
                names.push(name);
            }
        }
        *stacks.entry(names.join(";")).or_insert(0) += count;
    }
    Ok(stacks)
}

/// The functions with most instructions of their own.
fn functions(stacks: &BTreeMap<String, u64>, pages: u64) -> String {
    let mut own: BTreeMap<&str, u64> = BTreeMap::new();
    for (stack, count) in stacks {
        *own.entry(stack.rsplit(';').next().unwrap_or_default())
            .or_insert(0) += count;
    }
    let total: u64 = own.values().sum();
    let mut own: Vec<_> = own.into_iter().collect();
    own.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let per_page = |count: u64| count as f64 / pages as f64;
    let mut text = format!("{:>12} {:>7}  function\n", "per page", "part");
    for (name, count) in own.into_iter().take(40) {
        let part = 100.0 * count as f64 / total as f64;
        text.push_str(&format!("{:>12.1} {part:>6.2}%  {name}\n", per_page(count)));
    }
    text.push_str(&format!("{:>12.1} 100.00%  all\n", per_page(total)));
    text
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

    #[test]
    fn blocks_are_counted_in_their_functions() {
        let symbols = Symbols::parse(
            "ffffffff81000000 T do_fault\nffffffff81000100 t fault [rmmap]\nffffffff81000200 D data\n",
        );
        let raw = "ffffffff81000000 ffffffff81000100 ffffffff81000180 6\n\
                   ffffffff81000000 ffffffff81000100 ffffffff81000190 4\n\
                   ffffffff81000000 ffffffff81000010 5\n401000 401000 5\n";
        let stacks = stacks(raw, &symbols).unwrap();
        assert_eq!(stacks["do_fault;fault[rmmap]"], 10);
        assert_eq!((stacks["do_fault"], stacks["[user]"]), (5, 5));
        let text = functions(&stacks, 2);
        assert!(text.contains("5.0  50.00%  fault[rmmap]"), "{text}");
        assert!(text.contains("10.0 100.00%  all"), "{text}");
    }
}
