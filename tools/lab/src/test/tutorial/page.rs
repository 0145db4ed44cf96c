// SPDX-License-Identifier: GPL-2.0

//! The tutorial's page: its code blocks with commands, and those with their expected output.
//!
//! A comment at the top of the page explains the marks.

use std::fmt;
use std::path::Path;

use anyhow::{bail, Context, Result};

/// The beginning of a mark, a comment of reStructuredText.
const MARK: &str = ".. tutorial-";

/// The folder in which commands run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Folder {
    /// This project's.
    Checkout,
    /// The reader's own.
    Own,
}

/// The kind of a code block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Commands that build the driver in the reader's own folder.
    Build,
    /// Commands for the virtual machine.
    Run(Folder),
    /// The output of the commands before it.
    Shows,
}

/// A marked code block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its kind.
    pub kind: Kind,
    /// The title of the section that it is in.
    pub section: String,
    /// The line of the page on which its text begins, from 1.
    pub line: usize,
    /// The text, without its indentation.
    pub text: String,
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the block of `{}`, line {}", self.section, self.line)
    }
}

/// The marked blocks of a page, in its order.
#[derive(Debug)]
pub struct Page(Vec<Block>);

impl Page {
    /// Reads the page in the file `path`.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).with_context(|| path.display().to_string())
    }

    fn parse(text: &str) -> Result<Self> {
        let lines: Vec<&str> = text.lines().collect();
        let mut blocks = Vec::new();
        let mut section = "";
        for (index, line) in lines.iter().enumerate() {
            if is_title(&lines, index) {
                section = line;
            }
            if let Some(mark) = line.strip_prefix(MARK) {
                let (line, text) =
                    code_after(&lines, index).with_context(|| format!("line {}", index + 1))?;
                blocks.push(Block {
                    kind: kind(mark).with_context(|| format!("line {}", index + 1))?,
                    section: section.to_owned(),
                    line,
                    text,
                });
            }
        }
        if blocks.is_empty() {
            bail!("it has no line that begins with `{MARK}`");
        }
        Ok(Self(blocks))
    }

    /// Returns all blocks.
    pub fn blocks(&self) -> &[Block] {
        &self.0
    }
}

/// Returns whether line `index` is underlined with `=`.
fn is_title(lines: &[&str], index: usize) -> bool {
    let is_rule = |line: &str| !line.is_empty() && line.chars().all(|c| c == '=');
    let next = lines.get(index + 1).copied().unwrap_or_default();
    is_rule(next) && !lines[index].is_empty() && !is_rule(lines[index])
}

fn kind(mark: &str) -> Result<Kind> {
    let words: Vec<&str> = mark.split_whitespace().collect();
    Ok(match words.as_slice() {
        ["build"] => Kind::Build,
        ["shows"] => Kind::Shows,
        ["run:", "checkout"] => Kind::Run(Folder::Checkout),
        ["run:", "own"] => Kind::Run(Folder::Own),
        _ => bail!("the page does not explain the mark `{MARK}{mark}`"),
    })
}

/// Returns the code block right after the mark in line `index`: its first line, and its text.
fn code_after(lines: &[&str], index: usize) -> Result<(usize, String)> {
    let blank = |line: &&&str| line.trim().is_empty();
    let skip = |from: usize| from + lines[from..].iter().take_while(blank).count();
    let directive = skip(index + 1);
    if !lines
        .get(directive)
        .is_some_and(|line| line.starts_with(".. code-block::"))
    {
        bail!("no `.. code-block::` comes right after the mark");
    }
    let first = skip(directive + 1);
    let text: Vec<&str> = lines[first..]
        .iter()
        .take_while(|line| line.trim().is_empty() || line.starts_with("   "))
        .map(|line| line.get(3..).unwrap_or_default())
        .collect();
    let text = text.join("\n").trim_end().to_owned();
    if text.is_empty() {
        bail!("the code block is empty");
    }
    Ok((first + 1, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marked_blocks_are_taken_with_their_sections() {
        let page =
            "=====\nTitle\n=====\n\nOne\n===\n\n.. tutorial-build\n\n.. code-block:: sh\n\n   \
            a\n\n   b\n\nText.\n\n.. code-block:: sh\n\n   not this\n\nTwo\n===\n\n\
            .. tutorial-run: own\n\n.. code-block:: sh\n\n   true\n";
        let page = Page::parse(page).unwrap();
        let [build, run] = page.blocks() else {
            panic!("{page:?}");
        };
        assert_eq!((&build.kind, build.text.as_str()), (&Kind::Build, "a\n\nb"));
        assert_eq!(run.kind, Kind::Run(Folder::Own));
        assert_eq!((run.text.as_str(), run.section.as_str()), ("true", "Two"));
    }

    #[test]
    fn what_is_no_mark_or_has_no_block_is_refused() {
        assert!(Page::parse("Text.\n").is_err());
        assert!(Page::parse(".. tutorial-biuld\n\n.. code-block:: c\n\n   a\n").is_err());
        assert!(Page::parse(".. tutorial-shows\n\nText.\n").is_err());
        assert!(Page::parse(".. tutorial-run: here\n\n.. code-block:: sh\n\n   a\n").is_err());
    }
}
