// SPDX-License-Identifier: GPL-2.0
//! Source files stay small enough to be read at once; shell stays glue.

use super::lab::Lab;
use super::verdict::Verdict;
use anyhow::Result;

/// One idea takes about 300 lines; a longer file has two.
const SOURCE: usize = 500;
/// Longer work belongs into a language that checks it.
const SHELL: usize = 40;

/// All sources of the checkout.
pub fn check(lab: &Lab<'_>) -> Result<Verdict> {
    let mut complaints = Vec::new();
    for file in &lab.files {
        let limit = match () {
            _ if file.is_shell() => SHELL,
            _ if ["rs", "c", "h", "rst"].iter().any(|kind| file.is(kind)) => SOURCE,
            _ => continue,
        };
        let lines = file.text().lines().count();
        if lines > limit {
            let path = file.path.display();
            complaints.push(format!(
                "{path}: {lines} lines, at most {limit} are allowed"
            ));
        }
    }
    Ok(Verdict::of(&complaints))
}
