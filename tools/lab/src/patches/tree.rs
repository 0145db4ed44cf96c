// SPDX-License-Identifier: GPL-2.0

//! Files of the kernel's tree, as the patches so far have left them.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{bail, Context, Result};

/// Columns of a line.
const COLUMNS: usize = 100;

/// The tree, in memory: what changed, on top of the unpacked source.
pub struct Tree {
    source: PathBuf,
    changed: BTreeMap<String, String>,
}

impl Tree {
    /// The tree whose source lies in `source`.
    pub fn new(source: PathBuf) -> Self {
        Self {
            source,
            changed: BTreeMap::new(),
        }
    }

    /// The text of a file, if there is one.
    pub fn get(&self, path: &str) -> Result<Option<String>> {
        if let Some(text) = self.changed.get(path) {
            return Ok(Some(text.clone()));
        }
        self.pristine(path)
    }

    /// The text of a file as the source has it.
    pub fn pristine(&self, path: &str) -> Result<Option<String>> {
        let file = self.source.join(path);
        match file.exists() {
            true => Ok(Some(
                fs::read_to_string(&file).with_context(|| path.to_owned())?,
            )),
            false => Ok(None),
        }
    }

    /// The text of a file of the source that must be there.
    pub fn must_have(&self, path: &str) -> Result<String> {
        self.get(path)?
            .with_context(|| format!("the kernel has no {path}"))
    }

    /// Changes a file, or makes one. Rust code is formatted by the kernel's rules.
    pub fn set(&mut self, path: &str, text: String) -> Result<(String, String)> {
        let text = match path.ends_with(".rs") {
            true => wrap_comments(&self.rustfmt(&text).with_context(|| path.to_owned())?),
            false => text,
        };
        self.changed.insert(path.to_owned(), text.clone());
        Ok((path.to_owned(), text))
    }

    fn rustfmt(&self, text: &str) -> Result<String> {
        let mut rustfmt = Command::new("rustfmt")
            .args(["--edition", "2021", "--config-path"])
            .arg(&self.source)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot run rustfmt")?;
        // Its own end of the pipe must be closed for rustfmt to begin.
        let mut input = rustfmt.stdin.take().context("rustfmt has no input")?;
        let text = text.to_owned();
        let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
        let output = rustfmt.wait_with_output()?;
        if writer.join().is_err() || !output.status.success() {
            bail!("rustfmt does not accept what became of it");
        }
        Ok(String::from_utf8(output.stdout)?)
    }
}

/// Breaks lines of comments that longer names have made too long; rustfmt leaves comments alone.
fn wrap_comments(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let mut line = line.to_owned();
        while let Some((first, rest)) = broken(&line) {
            out += first.trim_end();
            out.push('\n');
            line = rest;
        }
        out += &line;
        out.push('\n');
    }
    out
}

/// A comment's line that is too long, broken at its last space; tables stay as they are.
fn broken(line: &str) -> Option<(&str, String)> {
    let text = line.trim_start();
    let sign = text
        .split_whitespace()
        .next()
        .filter(|sign| sign.starts_with("//"))?;
    let body = &text[sign.len()..];
    if line.chars().count() <= COLUMNS || body.trim_start().starts_with('|') {
        return None;
    }
    let begin = line.len() - body.trim_start().len();
    let limit = line
        .char_indices()
        .nth(COLUMNS)
        .map_or(line.len(), |(at, _)| at);
    let at = line[..=limit].rfind(' ').filter(|at| *at > begin)?;
    let indent = &line[..line.len() - text.len()];
    Some((&line[..at], format!("{indent}{sign} {}", &line[at + 1..])))
}

/// `text` with `line`s before the line `anchor`, which must be there.
pub fn before(text: &str, anchor: &str, lines: &str) -> Result<String> {
    let at = text.find(&format!("\n{anchor}"));
    let at =
        at.with_context(|| format!("there is no line `{anchor}` to add something before"))? + 1;
    Ok(format!("{}{lines}{}", &text[..at], &text[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_comments_are_broken() {
        let long = format!("    /// {} end.", "word ".repeat(18).trim_end());
        let expected = format!("    /// {}\n    /// end.\n", "word ".repeat(18).trim_end());
        assert_eq!(wrap_comments(&format!("{long}\n")), expected);
        let table = format!("//! | {} |\n", "word ".repeat(30));
        assert_eq!(wrap_comments(&table), table);
        let code = format!("f({});\n", "a, ".repeat(40));
        assert_eq!(wrap_comments(&code), code);
    }

    #[test]
    fn lines_are_added_before_an_anchor() {
        assert_eq!(before("a\nb\nc\n", "b", "x\n").unwrap(), "a\nx\nb\nc\n");
        assert!(before("a\nb\n", "x", "").is_err());
    }
}
