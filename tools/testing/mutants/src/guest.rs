// SPDX-License-Identifier: GPL-2.0

//! Has guests fuzz the mutants: one guest, until a mutant harms it.

use crate::build::program;
use anyhow::{bail, Context, Result};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// What a guest runs, with the words: seconds, seed, and modules: name, file, an option.
///
/// It ends with 99 where a mutant has harmed the guest: the log says so, or the module stays.
const SCRIPT: &str = r#"
seconds=$1 seed=$2
shift 2
while [ $# -gt 0 ]; do
	echo "@mutant $1"
	rmmap-fuzz --module "$2" --seconds "$seconds" --seed "$seed" --shrink 0 "$3" 2>&1
	status=$?
	bad=$(dmesg | grep -E -m 1 'BUG: |WARNING: CPU|WARNING: [a-z_/]*\.c:|Bad page|Oops|general protection|hung task')
	[ -z "$bad" ] || echo "@log $bad"
	! grep -q '^rmmap ' /proc/modules || rmmod rmmap
	echo "@status $status"
	if [ -n "$bad" ] || grep -q '^rmmap ' /proc/modules; then exit 99; fi
	shift 3
done
"#;

/// Seconds for booting, and for an operation that hangs.
const SPARE: u64 = 400;

/// A module to fuzz.
pub struct Module {
    /// The mutant's name.
    name: String,
    /// Whether two actors act at the same time.
    race: bool,
    /// The file.
    file: PathBuf,
}

impl Module {
    /// The module in this file.
    pub fn new(name: &str, race: bool, file: PathBuf) -> Self {
        let name = name.to_owned();
        Self { name, race, file }
    }

    /// The mutant's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file.
    pub fn file(&self) -> &Path {
        &self.file
    }
}

/// How a mutant was found.
#[derive(Debug, Default)]
pub struct Found {
    /// After so many operations, where that is known.
    pub operations: Option<u64>,
    /// After so many seconds, or not in so many.
    pub seconds: f64,
    /// By what.
    pub by: Option<String>,
}

/// Fuzzes modules and reports each.
pub fn fuzz(
    modules: &[Module],
    seconds: u64,
    seed: u64,
    mut report: impl FnMut(&str, Found),
) -> Result<()> {
    let mut rest = modules;
    while !rest.is_empty() {
        let done = in_guest(rest, seconds, seed, &mut report)?;
        if done == 0 {
            bail!("the guest ended before it began, see build/vm/try");
        }
        rest = &rest[done..];
    }
    Ok(())
}

/// Fuzzes modules in one guest. Returns how many were reported.
fn in_guest(
    modules: &[Module],
    seconds: u64,
    seed: u64,
    report: &mut impl FnMut(&str, Found),
) -> Result<usize> {
    let limit = modules.len() as u64 * (seconds + 10) + SPARE;
    let mut lab = Command::new(program("rmmap-lab")?);
    // The kernel must not zero what the module fails to.
    lab.args(["vm", "--append", "init_on_alloc=0", "--timeout"]);
    lab.args([&limit.to_string(), "--", "sh", "-c", SCRIPT, "sh"]);
    lab.args([seconds.to_string(), seed.to_string()]);
    for module in modules {
        let option = if module.race { "--races" } else { "--alone" };
        lab.arg(&module.name).arg(&module.file).arg(option);
    }
    let lab = lab.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut lab = lab.stderr(Stdio::piped()).spawn()?;
    let output = lab.stdout.take().context("no output")?;
    let errors = lab.stderr.take().context("no errors")?;
    let ending = std::thread::spawn(move || {
        let lines = BufReader::new(errors).lines().map_while(Result::ok);
        lines.filter(|line| line.starts_with("lab: ")).last()
    });
    let mut done = 0;
    let mut running: Option<(Instant, Found)> = None;
    for line in BufReader::new(output).lines() {
        let line = line?;
        if line.starts_with("@mutant ") {
            running = Some((Instant::now(), Found::default()));
        } else if let Some((begun, found)) = &mut running {
            let status = line.strip_prefix("@status ");
            note(&line, found);
            if let Some(status) = status {
                if found.by.is_none() && status != "0" {
                    found.by = Some(format!("status {status}"));
                }
                if found.seconds == 0.0 {
                    found.seconds = begun.elapsed().as_secs_f64();
                }
                report(&modules[done].name, std::mem::take(found));
                running = None;
                done += 1;
            }
        }
    }
    let ending = ending.join().ok().flatten();
    lab.wait()?;
    if let Some((begun, mut found)) = running {
        // The guest died.
        found.seconds = begun.elapsed().as_secs_f64();
        let why = ending.unwrap_or("it ended".to_owned());
        let why = why.trim_start_matches("lab: ").split(" (kernel log").next();
        found.by = found.by.or(why.map(str::to_owned));
        report(&modules[done].name, found);
        done += 1;
    }
    Ok(done)
}

/// Takes from a line of the fuzzer what it says.
fn note(line: &str, found: &mut Found) {
    let words: Vec<&str> = line.split(' ').collect();
    match words.as_slice() {
        // How far it is, or how far it came.
        [n, "operations", "in", ..] | ["seed", _, n, "operations", "in", ..] => {
            found.operations = n.parse().ok();
        }
        ["episode", _, "of", "seed", _, "operation", n, "after", seconds, "s:", by @ ..] => {
            found.operations = n.trim_end_matches(',').parse().ok();
            found.seconds = seconds.parse().unwrap_or(0.0);
            found.by = Some(by.join(" "));
        }
        ["@log", text @ ..] if found.by.is_none() => {
            found.by = Some(format!("kernel log: {}", text.join(" ")));
        }
        ["rmmap-fuzz:", text @ ..] if found.by.is_none() => {
            found.by = Some(text.join(" "));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_fuzzer_are_understood() {
        let mut found = Found::default();
        note("2000 operations in 2 episodes, 440 a second", &mut found);
        assert_eq!((found.operations, found.by.is_none()), (Some(2000), true));
        note(
            "episode 3 of seed 1, operation 2345, after 5.1 s: accounts of Store",
            &mut found,
        );
        assert_eq!((found.operations, found.seconds), (Some(2345), 5.1));
        assert_eq!(found.by.as_deref(), Some("accounts of Store"));
    }
}
