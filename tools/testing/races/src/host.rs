// SPDX-License-Identifier: GPL-2.0

//! The part in the lab's root: compiles the plugin and starts the guest.

use crate::args::Args;
use crate::plugin::{ANSWER, OUT};
use crate::scenarios;
use anyhow::{ensure, Context, Result};
use std::fs;
use std::path::Path;
use std::process::Command;

/// The guest's name.
const NAME: &str = "races";

/// The plugin, and the folder with QEMU's header.
const SOURCE: &str = "tools/testing/races/plugin/delay.c";
const INCLUDE: &str = "tools/testing/bench/plugin";

/// The lab's exit status when the guest dies.
const DIED: u8 = 70;

/// Runs the scenarios in a guest. Returns its exit status.
pub fn run(args: &Args) -> Result<u8> {
    if args.list {
        scenarios::all().for_each(|one| println!("{}", one.name));
        return Ok(0);
    }
    let root = std::env::current_dir().context("no current folder")?;
    let plugin = root.join("build/races/delay.so");
    fs::create_dir_all(root.join("build/races"))?;
    let mut gcc = Command::new("gcc");
    gcc.args(["-O2", "-Wall", "-shared", "-fPIC", "-fvisibility=hidden"]);
    gcc.arg("-I").arg(root.join(INCLUDE));
    gcc.arg("-o").arg(&plugin).arg(root.join(SOURCE));
    ensure!(gcc.status()?.success(), "cannot compile {SOURCE}");

    let folder = root.join("build/vm").join(NAME).join("out");
    let answer = folder.join(ANSWER);
    let own = std::env::current_exe().context("cannot tell where this program lies")?;
    let mut lab = Command::new(own.with_file_name("rmmap-lab"));
    lab.args(["vm", "--name", NAME, "--append", "nokaslr"]);
    lab.args(["--timeout", &args.timeout.to_string(), "--qemu=-plugin"]);
    let plugged = format!("file={},out={}", plugin.display(), answer.display());
    lab.arg(format!("--qemu={plugged}")).arg("--");
    lab.arg("rmmap-races")
        .arg("--guest")
        .args(std::env::args_os().skip(1));
    if args.module.is_relative() {
        lab.arg("--module").arg(root.join(&args.module));
    }
    let status = lab.status().context("cannot start the lab")?;
    let code = status.code().unwrap_or(2) as u8;
    if code == DIED {
        tell_last(&answer);
    }
    Ok(code)
}

/// Prints the trial that the guest died in.
fn tell_last(answer: &Path) {
    let text = fs::read_to_string(answer).unwrap_or_default();
    let names = fs::read_to_string(answer.with_file_name(OUT)).unwrap_or_default();
    if let Some(command) = last(&text, names.trim()) {
        println!("the guest died in {command}");
    }
}

/// Returns the command for a trial that was armed.
fn last(answer: &str, scenario: &str) -> Option<String> {
    let mut words = answer.strip_prefix("armed ")?.split_whitespace();
    let role = if words.next()? == "0" { "A" } else { "B" };
    let point = match words.next()? {
        "0" => "none".to_owned(),
        "1" => "begin".to_owned(),
        address => format!("0x{address}"),
    };
    let hit = words.next()?;
    Some(format!(
        "make races RACES='--scenario {scenario} --role {role} --point {point} --hit {hit}'"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_death_is_attributed() {
        let told = last("armed 1 ffffffffc0001000 2\n", "fault-truncate").unwrap();
        let words = "--scenario fault-truncate --role B --point 0xffffffffc0001000 --hit 2";
        assert_eq!(told, format!("make races RACES='{words}'"));
        assert_eq!(last("ended 1 idle 0 limit 0 early 0\n", "x"), None);
    }
}
