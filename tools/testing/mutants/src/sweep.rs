// SPDX-License-Identifier: GPL-2.0

//! Has `rmmap-races` sweep the points of mutants: a guest for each, until the first finding.

use crate::build::program;
use crate::guest::Found;
use anyhow::{ensure, Context, Result};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// The lab's exit status when it cannot start a guest.
const LAB_BROKE: i32 = 69;

/// Sweeps a module; `words` are options of `rmmap-races`.
pub fn sweep(module: &Path, words: &[String]) -> Result<Found> {
    let mut races = Command::new(program("rmmap-races")?);
    races.arg("--stop").arg("--module").arg(module).args(words);
    races
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut races = races.spawn().context("cannot run rmmap-races")?;
    let output = races.stdout.take().context("no output")?;
    let mut found = Found::default();
    let mut begun = Instant::now();
    for line in BufReader::new(output).lines() {
        let line = line?;
        if line.starts_with("scenario ") {
            // The guest has booted.
            begun = Instant::now();
        }
        note(&line, &mut found);
        if found.by.is_none() {
            found.seconds = begun.elapsed().as_secs_f64();
        }
    }
    let status = races.wait()?;
    ensure!(
        status.code() != Some(LAB_BROKE),
        "no guest for {}: run `make races` to see why",
        module.display()
    );
    if !status.success() && found.by.is_none() {
        found.by = Some(status.to_string());
    }
    Ok(found)
}

/// Takes from a line of `rmmap-races` what it says.
fn note(line: &str, found: &mut Found) {
    let why = line.strip_prefix("FAILED ");
    let why = why.or_else(|| line.starts_with("the guest died in ").then_some(line));
    if found.by.is_none() {
        found.by = why.map(str::to_owned);
    }
    let mut words = line.split_whitespace().skip(1);
    if let Some(points) = words.next().and_then(|word| word.parse::<u64>().ok()) {
        // A scenario. The line with the sum begins with their number.
        found.operations = Some(found.operations.unwrap_or(0) + points);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_sweep_are_understood() {
        let mut found = Found::default();
        note("scenario  points  delays", &mut found);
        note("fault-truncate  221  176  29", &mut found);
        note("write-truncate  9  7  2", &mut found);
        note("2 scenarios  230  183  31", &mut found);
        assert_eq!((found.operations, found.by.as_deref()), (Some(230), None));
        note("FAILED fault-discard: 3 bytes", &mut found);
        note("FAILED fault-split: 4 bytes", &mut found);
        assert_eq!(found.by.as_deref(), Some("fault-discard: 3 bytes"));
    }
}
