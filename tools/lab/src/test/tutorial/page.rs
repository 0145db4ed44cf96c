// SPDX-License-Identifier: GPL-2.0

//! The tutorial's page: which of its code blocks are files, commands, or what the reader will see.
//!
//! The marks are explained in a comment at the top of the page.

use std::fmt;
use std::path::Path;

use anyhow::{bail, Context, Result};

/// What begins a mark: a comment of reStructuredText.
const MARK: &str = ".. tutorial-";

/// Where commands are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On the reader's machine.
    Host,
    /// In the virtual machine.
    Guest,
}

/// In which folder commands are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Folder {
    /// This project, with the reader's files added.
    Checkout,
    /// The reader's own.
    Own,
}

/// What a code block is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A part of this file.
    File(String),
    /// Commands.
    Run(Place, Folder),
    /// What the commands before it print.
    Shows,
}

/// A marked code block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// What it is.
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

    /// All blocks.
    pub fn blocks(&self) -> &[Block] {
        &self.0
    }

    /// The names of the files.
    pub fn files(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for block in &self.0 {
            match &block.kind {
                Kind::File(name) if !names.contains(&name.as_str()) => names.push(name),
                _ => {}
            }
        }
        names
    }

    /// The contents of the file `name`.
    pub fn contents(&self, name: &str) -> String {
        let parts = self.parts(name).into_iter();
        let texts: Vec<&str> = parts.map(|block| block.text.as_str()).collect();
        texts.join("\n\n") + "\n"
    }

    /// The block that line `line` (from 1) of the file `name` comes from, and its line there.
    pub fn origin(&self, name: &str, line: usize) -> Option<(&Block, usize)> {
        let mut first = 1;
        for block in self.parts(name) {
            let count = block.text.lines().count();
            // The empty line after a block belongs to it: `expected ..., found end of file`.
            if line <= first + count {
                return Some((block, block.line + line.saturating_sub(first)));
            }
            first += count + 1;
        }
        None
    }

    fn parts(&self, name: &str) -> Vec<&Block> {
        let is_part = |block: &&Block| matches!(&block.kind, Kind::File(of) if of == name);
        self.0.iter().filter(is_part).collect()
    }
}

/// Whether line `index` is underlined with `=`.
fn is_title(lines: &[&str], index: usize) -> bool {
    let is_rule = |line: &str| !line.is_empty() && line.chars().all(|c| c == '=');
    let next = lines.get(index + 1).copied().unwrap_or_default();
    is_rule(next) && !lines[index].is_empty() && !is_rule(lines[index])
}

fn kind(mark: &str) -> Result<Kind> {
    let words: Vec<&str> = mark.split_whitespace().collect();
    Ok(match words.as_slice() {
        ["file:", path] => Kind::File((*path).to_owned()),
        ["shows"] => Kind::Shows,
        ["run:", place, folder] => Kind::Run(
            match *place {
                "host" => Place::Host,
                "guest" => Place::Guest,
                _ => bail!("`{place}` is neither `host` nor `guest`"),
            },
            match *folder {
                "checkout" => Folder::Checkout,
                "own" => Folder::Own,
                _ => bail!("`{folder}` is neither `checkout` nor `own`"),
            },
        ),
        _ => bail!("the page does not explain the mark `{MARK}{mark}`"),
    })
}

/// The code block right after the mark in line `index`: its first line, and its text.
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

    const PAGE: &str = "=====\nTitle\n=====\n\nOne\n===\n\n.. tutorial-file: a.rs\n\n\
        .. code-block:: rust\n\n   fn a() {\n       b();\n\n   }\n\nText.\n\n.. code-block:: rust\n\n   \
        not this\n\nTwo\n===\n\n.. tutorial-file: a.rs\n\n.. code-block:: rust\n\n   fn b() {}\n\n\
        .. tutorial-run: guest own\n\n.. code-block:: sh\n\n   true\n";

    #[test]
    fn blocks_of_a_file_are_joined() {
        let page = Page::parse(PAGE).unwrap();
        assert_eq!(page.files(), ["a.rs"]);
        assert_eq!(
            page.contents("a.rs"),
            "fn a() {\n    b();\n\n}\n\nfn b() {}\n"
        );
        let run = page.blocks().last().unwrap();
        assert_eq!(run.kind, Kind::Run(Place::Guest, Folder::Own));
        assert_eq!((run.text.as_str(), run.section.as_str()), ("true", "Two"));
    }

    #[test]
    fn a_line_of_a_file_is_found_in_the_page() {
        let page = Page::parse(PAGE).unwrap();
        let origin = |line| {
            let (block, at) = page.origin("a.rs", line).unwrap();
            (block.section.as_str(), PAGE.lines().nth(at - 1).unwrap())
        };
        assert_eq!(origin(2), ("One", "       b();"));
        assert_eq!(origin(6), ("Two", "   fn b() {}"));
        assert!(page.origin("a.rs", 99).is_none());
        assert!(page.origin("b.rs", 1).is_none());
    }

    #[test]
    fn what_is_no_mark_or_has_no_block_is_refused() {
        assert!(Page::parse("Text.\n").is_err());
        assert!(Page::parse(".. tutorial-fiel: a\n\n.. code-block:: c\n\n   a\n").is_err());
        assert!(Page::parse(".. tutorial-shows\n\nText.\n").is_err());
        assert!(Page::parse(".. tutorial-run: here own\n\n.. code-block:: sh\n\n   a\n").is_err());
    }
}
