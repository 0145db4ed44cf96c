// SPDX-License-Identifier: GPL-2.0
//! The lab's program in a guest. Without arguments it is the agent; `su` passes none to a login shell.
#![forbid(unsafe_code)]

use anyhow::{bail, Result};
use rmmap_guest::{agent, counters, tests};
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run() {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("lab: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<u8> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => return Ok(u8::from(agent::serve()? != 0)),
        ["test", plan] => tests::run(plan)?,
        ["counters", module] => counters::save_present(Path::new(module))?,
        _ => bail!("the lab calls this program in its guests; it takes `test` or `counters`"),
    }
    Ok(0)
}
