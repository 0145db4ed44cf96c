// SPDX-License-Identifier: GPL-2.0
//! The kernel's source: found, unpacked when it is an archive, and of the right version.

use crate::version::SourceVersion;
use anyhow::{bail, Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Returns the source tree of `version`: `given` itself, or the tree that it unpacks to below
/// `out`.
pub fn tree(given: &Path, out: &Path, version: SourceVersion) -> Result<PathBuf> {
    let tree = if given.is_dir() {
        given.to_owned()
    } else {
        unpack(given, out)?
    };
    let makefile = fs::read_to_string(tree.join("Makefile")).with_context(|| {
        format!(
            "{} is not a kernel source: it has no Makefile",
            tree.display()
        )
    })?;
    match SourceVersion::of_makefile(&makefile) {
        Some(found) if found == version => Ok(tree.canonicalize()?),
        Some(found) => bail!(
            "{} is the source of {found}, but the kernel is {version}: install the source package of \
             the kernel's own version",
            given.display()
        ),
        None => bail!("{} is not a kernel source: its Makefile names no version", tree.display()),
    }
}

/// Unpacks an archive into `out/linux`, unless an earlier run did that completely.
fn unpack(archive: &Path, out: &Path) -> Result<PathBuf> {
    let tree = out.join("linux");
    if tree.exists() {
        return Ok(tree);
    }
    eprintln!("kdir: unpacking {}", archive.display());
    let part = out.join("linux.part");
    if part.exists() {
        fs::remove_dir_all(&part).with_context(|| format!("cannot empty {}", part.display()))?;
    }
    fs::create_dir_all(&part)?;
    let status = Command::new("tar")
        .args(["--strip-components=1", "-xf"])
        .arg(archive)
        .arg("-C")
        .arg(&part)
        .status()
        .context("cannot run tar: apt-get install tar")?;
    if !status.success() {
        bail!(
            "cannot unpack {}: is the download complete?",
            archive.display()
        );
    }
    fs::rename(&part, &tree)?;
    Ok(tree)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version() -> SourceVersion {
        SourceVersion::of_release("7.3.4").unwrap()
    }

    fn makefile(dir: &Path, sublevel: u32) {
        let text = format!("VERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL = {sublevel}\n");
        fs::write(dir.join("Makefile"), text).unwrap();
    }

    #[test]
    fn other_version_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        makefile(dir.path(), 5);
        let error = tree(dir.path(), dir.path(), version())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("source of 7.3.5") && error.contains("kernel is 7.3.4"),
            "{error}"
        );
    }

    #[test]
    fn archive_is_unpacked_once_and_completely() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().join("linux-source-7.3");
        fs::create_dir(&top).unwrap();
        makefile(&top, 4);
        let archive = dir.path().join("source.tar");
        let tar = |words: &[&str]| {
            Command::new("tar")
                .current_dir(dir.path())
                .args(words)
                .status()
                .unwrap()
                .success()
        };
        assert!(tar(&["-cf", "source.tar", "linux-source-7.3"]));
        let out = dir.path().join("out");
        // The remains of an interrupted run do not count as a source.
        fs::create_dir_all(out.join("linux.part/old")).unwrap();
        let found = tree(&archive, &out, version()).unwrap();
        assert!(found.join("Makefile").exists() && !found.join("old").exists());
        fs::remove_file(&archive).unwrap();
        assert_eq!(tree(&archive, &out, version()).unwrap(), found);
    }

    #[test]
    fn damaged_archive_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let archive = dir.path().join("source.tar.xz");
        fs::write(&archive, b"no archive").unwrap();
        assert!(tree(&archive, dir.path(), version()).is_err());
        assert!(!dir.path().join("linux").exists());
    }
}
