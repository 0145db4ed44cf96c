// SPDX-License-Identifier: GPL-2.0

//! The series, as the files in `tools/patches` describe it.
//!
//! Each is a patch: a line with the licence, its message, a line `---`, and the files of this
//! checkout that it copies, a line each. A diff after them has other changes of the tree.
//! `0000-cover-letter.txt` is the first mail, and `not-upstream.txt` names the files that stay
//! here, each with the reason.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{bail, Context, Result};
use walkdir::WalkDir;

use super::place;

/// The folder of the patches.
const FOLDER: &str = "tools/patches";
/// The largest number of patches that people read.
const MOST: usize = 15;

/// One patch.
#[derive(Debug)]
pub struct Patch {
    /// Its file.
    pub file: PathBuf,
    /// Its message, without the sign-off.
    pub message: String,
    /// The files of the checkout that it copies.
    pub copies: Vec<String>,
    /// Whether the file also has a diff.
    pub has_diff: bool,
}

/// All patches, in their order.
pub struct Series {
    /// The text of the first mail, subject first.
    pub cover: String,
    /// The patches.
    pub patches: Vec<Patch>,
}

impl Series {
    /// Reads the series of the checkout in `root`. Checks that every file that could go upstream is
    /// in one patch, or stays here for a reason.
    pub fn read(root: &Path) -> Result<Self> {
        let folder = root.join(FOLDER);
        let mut files = Vec::new();
        for entry in WalkDir::new(&folder).min_depth(1).sort_by_file_name() {
            files.push(entry?.into_path());
        }
        let (numbered, _): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| {
            file.file_name().is_some_and(|name| {
                name.to_string_lossy()
                    .starts_with(|c: char| c.is_ascii_digit())
            })
        });
        let [cover, patches @ ..] = &numbered[..] else {
            bail!("there are no patches in {FOLDER}");
        };
        let patches = patches.iter().map(|file| {
            let text = fs::read_to_string(file)?;
            parse(&text, file).with_context(|| file.display().to_string())
        });
        let patches = patches.collect::<Result<Vec<_>>>()?;
        if patches.len() > MOST {
            bail!("{FOLDER} has {} patches, more than {MOST}", patches.len());
        }
        let stays = fs::read_to_string(folder.join("not-upstream.txt"))?;
        let stays = without_licence(&stays);
        let stays = stays.lines().filter_map(|line| line.split_once(": "));
        let copied = patches.iter().flat_map(|patch| patch.copies.iter());
        let named = stays
            .map(|(path, _)| path)
            .chain(copied.map(String::as_str));
        check(&candidates(root)?, &named.collect::<Vec<_>>())?;
        let cover = fs::read_to_string(cover)?;
        Ok(Self {
            cover: without_licence(&cover).to_owned(),
            patches,
        })
    }

    /// Returns whether patch `number`, from 1 on, or one before it is the last that adds a file of
    /// the library.
    pub fn is_complete(&self, number: usize) -> bool {
        let library = |patch: &Patch| {
            let mut copies = patch.copies.iter();
            copies.any(|path| path.starts_with("rust/kernel_mm/"))
        };
        !self.patches[number..].iter().any(library)
    }
}

/// Returns the text after the line that names its licence, which mails do not contain.
fn without_licence(text: &str) -> &str {
    match text.split_once('\n') {
        Some((first, rest)) if first.starts_with('#') => rest.trim_start_matches('\n'),
        _ => text,
    }
}

fn parse(text: &str, file: &Path) -> Result<Patch> {
    let text = without_licence(text);
    let (message, rest) = text.split_once("\n---\n").context("no line `---`")?;
    let has_diff = rest.contains("diff --git ");
    let files = rest.split("diff --git ").next().unwrap_or_default();
    Ok(Patch {
        file: file.to_owned(),
        message: format!("{}\n", message.trim_end()),
        copies: files.split_whitespace().map(str::to_owned).collect(),
        has_diff,
    })
}

/// Returns the files here that could go upstream.
fn candidates(root: &Path) -> Result<BTreeSet<String>> {
    let mut all = BTreeSet::new();
    for (folder, _) in place::FOLDERS {
        for entry in WalkDir::new(root.join(folder)) {
            let entry = entry?;
            let path = entry.path().strip_prefix(root)?.to_string_lossy();
            if entry.file_type().is_file() && !place::is_root(&path) {
                all.insert(path.into_owned());
            }
        }
    }
    Ok(all)
}

/// Fails unless the series names each of the files `there` once, and no other.
fn check(there: &BTreeSet<String>, named: &[&str]) -> Result<()> {
    let mut left = there.clone();
    for path in named {
        if !left.remove(*path) {
            bail!("{FOLDER} names {path} twice, or it does not exist");
        }
    }
    match left.first() {
        Some(path) => bail!("{path} is in no patch of {FOLDER}, nor in its not-upstream.txt"),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_has_a_message_files_and_a_diff() {
        let text =
            "# L\n\nrust: a: b\n\nWhy.\n\n---\nrust/a.rs\nrust/b.rs\n\ndiff --git a/c b/c\n--- a/c\n";
        let patch = parse(text, Path::new("p")).unwrap();
        assert_eq!(patch.message, "rust: a: b\n\nWhy.\n");
        assert_eq!(patch.copies, ["rust/a.rs", "rust/b.rs"]);
        assert!(patch.has_diff);
        assert!(parse("no files\n", Path::new("p")).is_err());
    }

    #[test]
    fn each_file_is_named_once() {
        let there = BTreeSet::from(["a".to_owned(), "b".to_owned()]);
        assert!(check(&there, &["b", "a"]).is_ok());
        assert!(check(&there, &["a"]).is_err());
        assert!(check(&there, &["a", "b", "a"]).is_err());
        assert!(check(&there, &["a", "b", "c"]).is_err());
    }

    #[test]
    fn the_series_of_this_checkout_is_complete() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let series = Series::read(&root).unwrap();
        assert!(series.is_complete(series.patches.len()));
        assert!(!series.is_complete(1));
    }
}
