// SPDX-License-Identifier: GPL-2.0

//! The series as commits, and as mails.
//!
//! The repository is a tree that can be built: folders that the series changes are copies, and in
//! the repository; all else is links to the unpacked source, which stays as it is.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{bail, Context, Result};

use super::series::Patch;
use crate::project::Project;
use crate::steps::Log;

/// The commit before the first patch.
const BASE: &str = "pristine";

/// Who signs when nobody else does: the checkout has no history, as a tarball has none.
const NOBODY: [&str; 2] = ["rmmap developers", "nobody@localhost"];

/// The repository in a folder.
pub struct Repository {
    folder: PathBuf,
    /// Name, address and date of the author: those of the project's last commit.
    author: [String; 3],
}

impl Repository {
    /// The repository in `folder`, whose commits are signed by the author of the last commit of
    /// `project`.
    pub fn new(folder: PathBuf, project: &Project) -> Self {
        let last = |format: &str| {
            let mut git = Command::new("git");
            git.args([
                "-c",
                "safe.directory=*",
                "log",
                "-1",
                &format!("--format={format}"),
            ]);
            let output = git
                .current_dir(project.root())
                .stderr(Stdio::null())
                .output()
                .ok()?;
            let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
            (output.status.success() && !text.is_empty()).then_some(text)
        };
        let [name, address] = NOBODY.map(str::to_owned);
        Self {
            folder,
            author: [
                last("%an").unwrap_or(name),
                last("%ae").unwrap_or(address),
                last("%aI").unwrap_or_else(|| "2026-01-01T00:00:00Z".to_owned()),
            ],
        }
    }

    /// The tree with all patches applied.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes the tree, the commits and the mails in `out`, of which the first one says `cover`.
    /// Files that end up as they were keep their times: make goes by them.
    pub fn make(
        &self,
        source: &Path,
        patches: &[Patch],
        cover: &(String, String),
        out: &Path,
        log: &mut Log,
    ) -> Result<()> {
        let paths = patches.iter().flat_map(|patch| patch.files.iter());
        let paths: BTreeSet<PathBuf> = paths.map(|(path, _)| self.folder.join(path)).collect();
        let state = |path: &PathBuf| {
            let modified = fs::metadata(path).and_then(|data| data.modified()).ok()?;
            Some((fs::read(path).ok()?, modified))
        };
        let before: Vec<_> = paths.iter().map(state).collect();
        self.begin(source, patches, log)?;
        self.add(patches, cover, out, log)?;
        for (path, before) in paths.iter().zip(before) {
            match before {
                Some((text, time)) if fs::read(path).is_ok_and(|now| now == text) => {
                    fs::File::options()
                        .append(true)
                        .open(path)?
                        .set_modified(time)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Begins with the source in `source`, unless that was done for the same folders of it.
    fn begin(&self, source: &Path, patches: &[Patch], log: &mut Log) -> Result<()> {
        let paths = patches.iter().flat_map(|patch| patch.files.iter());
        let folders: BTreeSet<&str> = paths
            .filter_map(|(path, _)| path.split('/').next())
            .collect();
        let is_copy = |name: &&str| {
            let folder = self.folder.join(name);
            folder.is_dir() && !folder.is_symlink()
        };
        let has_base = self.folder.join(".git/refs/tags").join(BASE).exists();
        if has_base && folders.iter().all(is_copy) && self.links_to(source) {
            log.run(self.git().args(["reset", "--quiet", "--hard", BASE]))?;
            return log.run(
                self.git()
                    .args(["clean", "--quiet", "-fd", "--"])
                    .args(&folders),
            );
        }
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder)?;
        }
        fs::create_dir_all(&self.folder)?;
        for entry in fs::read_dir(source)? {
            let entry = entry?;
            let name = entry.file_name();
            let target = self.folder.join(&name);
            if folders.contains(&*name.to_string_lossy()) {
                log.run(Command::new("cp").arg("-a").arg(entry.path()).arg(target))?;
            } else if !name.to_string_lossy().starts_with(".git") {
                symlink(entry.path(), target)?;
            }
        }
        log.run(
            self.git()
                .args(["init", "--quiet", "--initial-branch=series"]),
        )?;
        // Links are no part of the repository.
        fs::write(self.folder.join(".git/info/exclude"), "/*\n")?;
        log.run(self.git().args(["add", "--force", "--"]).args(&folders))?;
        self.commit(&format!("{BASE}\n\nThe source as Debian ships it.\n"), log)?;
        log.run(self.git().args(["tag", BASE]))
    }

    /// Whether the tree is one on top of `source`.
    fn links_to(&self, source: &Path) -> bool {
        fs::read_link(self.folder.join("Makefile"))
            .is_ok_and(|link| link == source.join("Makefile"))
    }

    /// Commits the patches, and writes them as mails into `out`, with a first one that says
    /// `cover`.
    fn add(
        &self,
        patches: &[Patch],
        cover: &(String, String),
        out: &Path,
        log: &mut Log,
    ) -> Result<()> {
        for patch in patches {
            for (path, text) in &patch.files {
                let file = self.folder.join(path);
                if let Some(folder) = file.parent() {
                    fs::create_dir_all(folder)?;
                }
                fs::write(&file, text)?;
                log.run(self.git().args(["add", "--force", "--", path]))?;
            }
            self.commit(&format!("{}\n\n{}\n", patch.subject, patch.body), log)?;
        }
        for old in mails(out)? {
            fs::remove_file(old)?;
        }
        let mut format = self.git();
        format.args([
            "format-patch",
            "--quiet",
            "--cover-letter",
            "--no-signature",
        ]);
        log.run(format.arg("-o").arg(out).arg(format!("{BASE}..HEAD")))?;
        let letter = out.join("0000-cover-letter.patch");
        let text = fs::read_to_string(&letter)?;
        let text = text
            .replace("*** SUBJECT HERE ***", &cover.0)
            .replace("*** BLURB HERE ***", &cover.1);
        Ok(fs::write(letter, text)?)
    }

    fn commit(&self, message: &str, log: &mut Log) -> Result<()> {
        let file = self.folder.join(".git/message");
        let mut written = fs::File::create(&file)?;
        written.write_all(message.as_bytes())?;
        log.run(
            self.git()
                .args(["commit", "--quiet", "--signoff", "--file"])
                .arg(file),
        )
    }

    fn git(&self) -> Command {
        let [name, address, date] = &self.author;
        let mut git = Command::new("git");
        git.current_dir(&self.folder);
        git.args([
            "-c",
            "safe.directory=*",
            "-c",
            "gc.auto=0",
            "-c",
            "core.autocrlf=false",
        ]);
        for who in ["AUTHOR", "COMMITTER"] {
            git.env(format!("GIT_{who}_NAME"), name);
            git.env(format!("GIT_{who}_EMAIL"), address);
            git.env(format!("GIT_{who}_DATE"), date);
        }
        git
    }
}

/// The mails in a folder, in their order.
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

/// Whether the mails apply to `source`, one after the other, and why not. Nothing is changed there.
/// All of them are put into the file `all`, as `git am` takes them.
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
    // Not a repository, whatever it lies in.
    git.env("GIT_CEILING_DIRECTORIES", source.parent().unwrap_or(source));
    // In one file: git looks at each file as if it were the only one.
    let output = git
        .args(["apply", "--check"])
        .arg(all)
        .current_dir(source)
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok((!output.status.success()).then_some(said))
}

/// What checkpatch.pl of `source` says about the mails, if anything.
pub fn checkpatch(source: &Path, mails: &[PathBuf]) -> Result<Option<String>> {
    let mut perl = Command::new("perl");
    perl.arg("scripts/checkpatch.pl");
    perl.args([
        "--strict",
        "--terse",
        "--show-types",
        "--no-summary",
        "--quiet",
    ]);
    // Who maintains new files is for those to say who take them; text that people search for is
    // not broken.
    perl.args([
        "--max-line-length=100",
        "--ignore=FILE_PATH_CHANGES,LONG_LINE_STRING",
    ]);
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

    fn patch(path: &str, text: &str) -> Patch {
        Patch {
            subject: format!("rust: change {path}"),
            body: "Why.".to_owned(),
            files: vec![(path.to_owned(), text.to_owned())],
        }
    }

    #[test]
    fn a_series_applies_to_what_it_was_made_of_only() {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("source");
        fs::create_dir_all(source.join("rust/kernel")).unwrap();
        fs::write(source.join("rust/kernel/mm.rs"), "one\n").unwrap();
        fs::write(source.join("Makefile"), "all:\n").unwrap();
        let project = Project::at(dir.path());
        let repository = Repository::new(dir.path().join("tree"), &project);
        let out = dir.path().join("out");
        fs::create_dir_all(&out).unwrap();
        let patches = [
            patch("rust/kernel/mm.rs", "one\ntwo\n"),
            patch("rust/kernel/mm.rs", "one\ntwo\nthree\n"),
        ];
        let steps = Steps::begin(&project).unwrap();
        let file = dir.path().join("tree/rust/kernel/mm.rs");
        let mut times = BTreeSet::new();
        for _ in 0..2 {
            steps
                .always("test", |log| {
                    repository.make(&source, &patches, &("s".into(), "b".into()), &out, log)
                })
                .unwrap();
            times.insert(fs::metadata(&file).unwrap().modified().unwrap());
        }
        assert_eq!(times.len(), 1);
        let tree = repository.folder();
        assert_eq!(
            fs::read_to_string(tree.join("rust/kernel/mm.rs")).unwrap(),
            "one\ntwo\nthree\n"
        );
        assert!(tree.join("Makefile").is_symlink());
        assert_eq!(
            fs::read_to_string(source.join("rust/kernel/mm.rs")).unwrap(),
            "one\n"
        );
        let mails = mails(&out).unwrap();
        assert_eq!(mails.len(), 3);
        let letter = fs::read_to_string(&mails[0]).unwrap();
        assert!(letter.contains("Subject: [PATCH 0/2] s\n"), "{letter}");
        let text = fs::read_to_string(&mails[2]).unwrap();
        assert!(text.contains("Signed-off-by: rmmap developers"), "{text}");
        let all = out.join("all.mbox");
        assert_eq!(apply(&source, &mails[1..], &all).unwrap(), None);
        assert!(apply(&source, &mails[2..], &all).unwrap().is_some());
    }
}
