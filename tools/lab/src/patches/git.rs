// SPDX-License-Identifier: GPL-2.0

//! The series as commits, and as mails.
//!
//! `linux` is a tree that can be built: folders that the series changes are copies, and in the
//! repository; the rest is links to the unpacked source, which stays unchanged. The tool makes the
//! commits in a separate worktree, so that a checkout of one changes only the files that differ,
//! and make rebuilds only their users.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{bail, Context, Result};

use super::place::Places;
use super::series::Series;
use crate::project::Project;
use crate::steps::Log;

/// The folders of the kernel that the series changes.
const FOLDERS: [&str; 3] = ["mm", "rust", "samples"];

/// Words for git.
const CHECKOUT: &str = "checkout --quiet --force --detach";

/// The default author and date, for a checkout without history, such as a tarball.
const NOBODY: &str = "rmmap developers\nnobody@localhost\n2026-01-01T00:00:00Z";

/// The repository in a folder.
pub struct Repository {
    /// The tree to build.
    tree: PathBuf,
    /// The tree where commits are made.
    work: PathBuf,
    /// Name, address and date of the author, from the project's last commit.
    author: String,
}

impl Repository {
    /// Opens or makes the repository in `folder`.
    pub fn new(folder: &Path, project: &Project) -> Self {
        let mut git = Command::new("git");
        git.args([
            "-c",
            "safe.directory=*",
            "log",
            "-1",
            "--format=%an%n%ae%n%aI",
        ]);
        let output = git
            .current_dir(project.root())
            .stderr(Stdio::null())
            .output();
        let author = output.ok().filter(|output| output.status.success());
        let author = author.and_then(|output| String::from_utf8(output.stdout).ok());
        Self {
            tree: folder.join("linux"),
            work: folder.join("commits"),
            author: author.unwrap_or_else(|| NOBODY.to_owned()),
        }
    }

    /// Returns the tree to build, with the patches of the last checkout.
    pub fn tree(&self) -> &Path {
        &self.tree
    }

    /// Makes the commits on top of `source`, and the mails in `out`.
    pub fn make(
        &self,
        series: &Series,
        checkout: &Path,
        source: &Path,
        out: &Path,
        log: &mut Log,
    ) -> Result<()> {
        self.begin(source, log)?;
        let work = |log: &mut Log, line: &str, files: &[&Path]| {
            log.run(self.git(&self.work, line).args(files))
        };
        let tree = &self.work;
        let places = Places {
            checkout,
            source,
            tree,
        };
        let message = self.tree.join(".git/message");
        for (index, patch) in series.patches.iter().enumerate() {
            for path in &patch.copies {
                places.copy(path).with_context(|| path.clone())?;
            }
            places.declare(series.is_complete(index + 1))?;
            if patch.has_diff {
                work(log, "apply", &[&patch.file])?;
            }
            fs::write(&message, &patch.message)?;
            work(log, "add --force --all .", &[])?;
            work(log, "commit --quiet --signoff --file", &[&message])?;
        }
        for old in mails(out)? {
            fs::remove_file(old)?;
        }
        let format = "format-patch --quiet --no-signature --cover-letter \
                      --cover-from-description=subject pristine..HEAD";
        fs::write(&message, &series.cover)?;
        let files = [
            Path::new("--description-file"),
            &message,
            Path::new("-o"),
            out,
        ];
        work(log, format, &files)?;
        work(log, "tag --force patched", &[])
    }

    /// Checks out the tree with all patches except the last `without`.
    pub fn checkout(&self, without: usize, log: &mut Log) -> Result<()> {
        let commit = format!("{CHECKOUT} patched~{without}");
        log.run(&mut self.git(&self.tree, &commit))
    }

    /// Begins with the source in `source`, unless an earlier run did that.
    fn begin(&self, source: &Path, log: &mut Log) -> Result<()> {
        let is_of = fs::read_link(self.tree.join("Makefile"))
            .is_ok_and(|link| link == source.join("Makefile"));
        if !is_of || !self.tree.join(".git/refs/tags/pristine").exists() {
            for old in [&self.tree, &self.work] {
                if old.exists() {
                    fs::remove_dir_all(old)?;
                }
            }
            self.copy(source, log)?;
        }
        if self.work.exists() {
            log.run(&mut self.git(&self.work, &format!("{CHECKOUT} pristine")))?;
            return log.run(&mut self.git(&self.work, "clean --quiet -fdx"));
        }
        let mut add = self.git(&self.tree, "worktree add --force --detach");
        log.run(add.arg(&self.work).arg("pristine"))
    }

    fn copy(&self, source: &Path, log: &mut Log) -> Result<()> {
        fs::create_dir_all(&self.tree)?;
        for entry in fs::read_dir(source)? {
            let entry = entry?;
            let name = entry.file_name();
            let target = self.tree.join(&name);
            let name = name.to_string_lossy();
            if FOLDERS.contains(&&*name) {
                log.run(Command::new("cp").arg("-a").arg(entry.path()).arg(target))?;
            } else if !name.starts_with(".git") {
                symlink(entry.path(), target)?;
            }
        }
        log.run(&mut self.git(&self.tree, "init --quiet --initial-branch=series"))?;
        // Links are no part of the repository.
        fs::write(self.tree.join(".git/info/exclude"), "/*\n")?;
        log.run(self.git(&self.tree, "add --force --").args(FOLDERS))?;
        log.run(&mut self.git(&self.tree, "commit --quiet --message pristine"))?;
        log.run(&mut self.git(&self.tree, "tag pristine"))
    }

    /// Returns the command git in a folder, with these words.
    fn git(&self, folder: &Path, words: &str) -> Command {
        let mut git = Command::new("git");
        git.current_dir(folder);
        for setting in ["safe.directory=*", "gc.auto=0", "core.autocrlf=false"] {
            git.args(["-c", setting]);
        }
        let names = ["NAME", "EMAIL", "DATE"];
        for (name, value) in names.into_iter().zip(self.author.lines()) {
            git.env(format!("GIT_AUTHOR_{name}"), value);
            git.env(format!("GIT_COMMITTER_{name}"), value);
        }
        git.args(words.split_whitespace());
        git
    }
}

/// Returns the mails in a folder, in their order.
pub fn mails(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut mails = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "patch")
        {
            mails.push(path);
        }
    }
    mails.sort();
    Ok(mails)
}

/// Returns why the mails, in order, do not apply to `source`, without changing it. Writes all of
/// them to the file `all`, as `git am` takes them.
pub fn apply(source: &Path, mails: &[PathBuf], all: &Path) -> Result<Option<String>> {
    if mails.is_empty() {
        bail!("there are no patches");
    }
    let mut text = Vec::new();
    for mail in mails {
        text.extend(fs::read(mail)?);
    }
    fs::write(all, text)?;
    let mut git = Command::new("git");
    // Not a repository, even if its parent folder is in one.
    git.env("GIT_CEILING_DIRECTORIES", source.parent().unwrap_or(source));
    // In one file: git would check each of several files by itself.
    let output = git
        .args(["apply", "--check"])
        .arg(all)
        .current_dir(source)
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok((!output.status.success()).then_some(said))
}

/// Returns the complaints of checkpatch.pl of `source` about the mails, if there are any.
pub fn checkpatch(source: &Path, mails: &[PathBuf]) -> Result<Option<String>> {
    let mut perl = Command::new("perl");
    perl.args([
        "scripts/checkpatch.pl",
        "--strict",
        "--terse",
        "--show-types",
    ]);
    // The maintainers who take new files say who maintains them; text that people search for is not
    // broken.
    perl.args(["--no-summary", "--quiet", "--max-line-length=100"]);
    perl.arg("--ignore=FILE_PATH_CHANGES,LONG_LINE_STRING");
    let output = perl
        .args(mails)
        .current_dir(source)
        .output()
        .context("cannot run perl")?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).trim().to_owned();
    Ok((!output.status.success() || !said.is_empty()).then_some(said))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::Steps;

    /// Makes a minimal checkout, and a source in it.
    const FILES: &[(&str, &str)] = &[
        ("source/Makefile", "all:\n"),
        ("source/mm/Kconfig", "one\n"),
        ("source/samples/a", ""),
        ("source/.rustfmt.toml", "edition = \"2021\"\n"),
        ("source/rust/kernel/mm.rs", "//! Mm.\n\npub mod virt;\n"),
        (
            "rust/kernel_mm/kernel_mm.rs",
            "\npub mod mm {\n    pub mod cache;\n    pub mod vm;\n}\n",
        ),
        ("rust/kernel_mm/cache.rs", "pub mod folio;\n"),
        ("rust/kernel_mm/cache/folio.rs", ""),
        ("rust/kernel_mm/vm.rs", "pub mod vma;\n"),
        ("rust/kernel_mm/vm/vma.rs", ""),
        (
            "tools/patches/0000-cover.txt",
            "rust: mm: all\n\nIt is good.\n",
        ),
        (
            "tools/patches/0001-a.txt",
            "rust: mm: add folios\n\nWhy.\n---\nrust/kernel_mm/cache/folio.rs\n\n\
             diff --git a/mm/Kconfig b/mm/Kconfig\n--- a/mm/Kconfig\n+++ b/mm/Kconfig\n\
             @@ -1 +1,2 @@\n one\n+two\n",
        ),
        (
            "tools/patches/0002-b.txt",
            "rust: mm: add VMAs\n\nWhy.\n---\nrust/kernel_mm/vm/vma.rs\nsamples/rust/b.rs\n",
        ),
        (
            "tools/patches/not-upstream.txt",
            "rust/helpers/x.c: Why.\nrust/kernel_mm_kunit/x.rs: Why.\n",
        ),
        ("rust/helpers/x.c", ""),
        ("rust/kernel_mm_kunit/x.rs", ""),
        (
            "samples/rust/b.rs",
            "use kernel::{a::b, c};\nuse kernel_mm::d::e;\n",
        ),
    ];

    #[test]
    fn a_series_applies_to_what_it_was_made_of_only() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for (path, text) in FILES {
            let file = root.join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        let (source, out) = (root.join("source"), root.join("out"));
        fs::create_dir_all(&out).unwrap();
        let project = Project::at(root);
        let repository = Repository::new(&out, &project);
        let series = Series::read(root).unwrap();
        let steps = Steps::begin(&project).unwrap();
        let mm = repository.tree().join("rust/kernel/mm.rs");
        let mut times = Vec::new();
        for without in [1, 0, 0] {
            let made = steps.always("test", |log| {
                repository.make(&series, root, &source, &out, log)?;
                repository.checkout(without, log)
            });
            made.unwrap();
            times.push(fs::metadata(&mm).unwrap().modified().unwrap());
            let text = fs::read_to_string(&mm).unwrap();
            assert_eq!(text.contains("mod vm;"), without == 0, "{text}");
            assert_eq!(text.contains("dead_code"), without == 1, "{text}");
        }
        // Doing the same again changes no file.
        assert!(times[0] != times[1] && times[1] == times[2], "{times:?}");
        let tree = repository.tree();
        let sample = fs::read_to_string(tree.join("samples/rust/b.rs")).unwrap();
        assert!(sample.contains("use kernel::mm::d::e;\n"), "{sample}");
        assert!(tree.join("Makefile").is_symlink());
        assert_eq!(
            fs::read_to_string(tree.join("mm/Kconfig")).unwrap(),
            "one\ntwo\n"
        );
        assert_eq!(
            fs::read_to_string(source.join("mm/Kconfig")).unwrap(),
            "one\n"
        );
        let mails = mails(&out).unwrap();
        assert_eq!(mails.len(), 3);
        let letter = fs::read_to_string(&mails[0]).unwrap();
        assert!(
            letter.contains("Subject: [PATCH 0/2] rust: mm: all\n\nIt is good.\n"),
            "{letter}"
        );
        let text = fs::read_to_string(&mails[2]).unwrap();
        assert!(text.contains("Signed-off-by: rmmap developers"), "{text}");
        let all = out.join("all.mbox");
        assert_eq!(apply(&source, &mails[1..], &all).unwrap(), None);
        assert!(apply(&source, &mails[2..], &all).unwrap().is_some());
    }
}
