// SPDX-License-Identifier: GPL-2.0
//! Files of the checkout that are generated from others, and must match a new generation.

use crate::project::Project;
use std::fs;

/// Prints the difference, if there is one, and returns the exit status.
pub fn report(difference: Option<&str>) -> u8 {
    if let Some(difference) = difference {
        println!("{difference}");
    }
    u8::from(difference.is_some())
}

/// Returns how the file `name` (relative to the checkout) differs from `wanted`: it does not exist,
/// or its first different line, with the explanation of `say` for the wanted line.
pub fn difference(
    project: &Project,
    name: &str,
    wanted: &str,
    remedy: &str,
    say: impl Fn(&str) -> String,
) -> Option<String> {
    let Ok(found) = fs::read_to_string(project.root().join(name)) else {
        return Some(format!("there is no {name}: {remedy}"));
    };
    if found == wanted {
        return None;
    }
    let mut lines = found.lines().zip(wanted.lines()).enumerate();
    let (number, line) = match lines.find(|(_, (found, wanted))| found != wanted) {
        Some((number, (_, wanted))) => (number + 1, wanted),
        None => (found.lines().count().min(wanted.lines().count()) + 1, "..."),
    };
    Some(format!("{name}:{number}{}: {remedy}", say(line)))
}
