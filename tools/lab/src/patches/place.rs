// SPDX-License-Identifier: GPL-2.0

//! Files of this checkout, copied to their places in the kernel's tree.
//!
//! Files of the library are identical there. KUnit suites and samples are crates that use it: the
//! `kernel_mm` of their paths becomes `kernel::mm`. The files of C wrappers are appended to those
//! with the same name. Files that declare modules declare those that are in the tree so far.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{bail, Context, Result};

/// Folders here, each with its place in the tree.
pub const FOLDERS: [(&str, &str); 4] = [
    ("rust/helpers/", "rust/helpers/"),
    ("rust/kernel_mm/", "rust/kernel/mm/"),
    ("rust/kernel_mm_kunit/", KUNIT),
    ("samples/rust/", "samples/rust/"),
];

/// The folder of the KUnit suites in the tree.
pub const KUNIT: &str = "mm/tests/kernel_mm_kunit/";

/// Files here that declare the modules of a folder, without their extension.
const ROOTS: [&str; 4] = [
    "rust/kernel_mm/cache",
    "rust/kernel_mm/file",
    "rust/kernel_mm/vm",
    "rust/kernel_mm_kunit/kernel_mm_kunit",
];

/// The root of the library here, which declares the modules of `mm` ...
const CRATE_ROOT: &str = "rust/kernel_mm/kernel_mm.rs";
/// ... as this file does in the tree.
const MM: &str = "rust/kernel/mm.rs";

/// Returns whether a file here declares modules: it is copied together with those.
pub fn is_root(path: &str) -> bool {
    let name = path.trim_end_matches(".rs");
    ROOTS.contains(&name) || path == CRATE_ROOT
}

/// The source and the destination of copies.
pub struct Places<'a> {
    /// This checkout.
    pub checkout: &'a Path,
    /// The unpacked kernel source.
    pub source: &'a Path,
    /// The kernel's tree to change.
    pub tree: &'a Path,
}

impl Places<'_> {
    /// Copies the file `path` of the checkout to its place in the tree.
    pub fn copy(&self, path: &str) -> Result<()> {
        let tree = self.tree;
        let text = fs::read_to_string(self.checkout.join(path))?;
        let place = FOLDERS
            .iter()
            .find_map(|(here, there)| Some(format!("{there}{}", path.strip_prefix(here)?)))
            .with_context(|| format!("{path} has no place in the kernel's tree"))?;
        let file = tree.join(&place);
        let text = match path {
            _ if path.starts_with("rust/kernel_mm/") => text,
            _ if path.ends_with(".rs") => self.user(&text)?,
            _ if file.exists() => fs::read_to_string(&file)? + &wrappers(&text),
            _ => text,
        };
        write(&file, &text)
    }

    /// Declares the modules that are in the tree so far. Unused items raise no warning until the
    /// library `is_complete`.
    pub fn declare(&self, is_complete: bool) -> Result<()> {
        let Self {
            checkout,
            source,
            tree,
        } = self;
        for root in ROOTS {
            let (here, there) = FOLDERS
                .into_iter()
                .find(|(here, _)| root.starts_with(here))
                .context("a root has no folder")?;
            let name = format!("{there}{}.rs", &root[here.len()..]);
            let (folder, is_user) = match there {
                KUNIT => (tree.join(KUNIT), true),
                _ => (tree.join(name.trim_end_matches(".rs")), false),
            };
            if folder.is_dir() {
                let text = fs::read_to_string(checkout.join(root).with_extension("rs"))?;
                let text = match is_user {
                    true => self.user(&text)?,
                    false => text,
                };
                write(&tree.join(name), &with_modules_of(&text, &folder))?;
            }
        }
        let root = fs::read_to_string(checkout.join(CRATE_ROOT))?;
        let (_, inside) = root
            .split_once("\npub mod mm {\n")
            .with_context(|| format!("{CRATE_ROOT} has no module mm"))?;
        let (inside, _) = inside.split_once("\n}").unwrap_or_default();
        let ours: Vec<&str> = inside
            .lines()
            .map(str::trim)
            // Attributes, except for those that select another file for other kernels.
            .filter(|line| !line.starts_with("#[cfg_attr("))
            .filter(|line| line.starts_with('#') || module(line).is_some())
            .collect();
        let mut lines = String::new();
        for line in with_modules_of(&ours.join("\n"), &tree.join("rust/kernel/mm")).lines() {
            if module(line).is_some() {
                lines += "#[cfg(CONFIG_MMU)]\n";
                if !is_complete {
                    lines += "#[allow(dead_code, unreachable_pub)] // Used by what follows.\n";
                }
            }
            lines += line;
            lines.push('\n');
        }
        let anchor = "pub mod virt;\n";
        let old = fs::read_to_string(source.join(MM))?;
        if !old.contains(anchor) {
            bail!("{MM} has no line `{}`", anchor.trim_end());
        }
        write(&tree.join(MM), &old.replacen(anchor, &(lines + anchor), 1))
    }

    /// Returns a file of a crate that uses the library, formatted by the kernel's rules.
    fn user(&self, text: &str) -> Result<String> {
        let text = text
            .replace("kernel_mm::", "kernel::mm::")
            .replace("`kernel_mm`", "`kernel::mm`");
        let mut rustfmt = Command::new("rustfmt")
            .args(["--edition", "2021", "--config-path"])
            .arg(self.source)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot run rustfmt")?;
        // This end of the pipe must be closed for rustfmt to begin.
        let mut input = rustfmt.stdin.take().context("rustfmt has no input")?;
        let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
        let output = rustfmt.wait_with_output()?;
        if writer.join().is_err() || !output.status.success() {
            bail!("rustfmt does not accept a file");
        }
        Ok(String::from_utf8(output.stdout)?)
    }
}

/// Returns the name of the module that a line declares.
fn module(line: &str) -> Option<&str> {
    let (_, name) = line.strip_suffix(';')?.split_once("mod ")?;
    name.chars()
        .all(|c| c.is_alphanumeric() || c == '_')
        .then_some(name)
}

/// Returns a text without the modules that have no file in `folder`, and without their attributes.
fn with_modules_of(text: &str, folder: &Path) -> String {
    let mut kept = String::new();
    let mut attributes = String::new();
    for line in text.lines() {
        let is_attribute = line.starts_with("#[");
        let is_absent =
            module(line).is_some_and(|name| !folder.join(name).with_extension("rs").exists());
        if is_absent {
            attributes.clear();
        } else if is_attribute {
            attributes += &format!("{line}\n");
        } else {
            kept += &format!("{}{line}\n", std::mem::take(&mut attributes));
        }
    }
    kept
}

/// Returns the part of a file of C wrappers to append to one that has the headers.
fn wrappers(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.starts_with("#include "));
    let (_, body) = lines
        .map(|line| format!("{line}\n"))
        .partition::<String, _>(|line| line.starts_with("// SPDX"));
    format!("\n{}", body.trim_start())
}

fn write(file: &Path, text: &str) -> Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(file, text).with_context(|| file.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_without_a_file_are_not_declared() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("b.rs"), "").unwrap();
        fs::write(dir.path().join("d.rs"), "").unwrap();
        let text = "//! Doc.\n\npub mod a;\n#[cfg(X)]\npub(crate) mod b;\n#[cfg(Y)]\nmod c;\nmod d;\n\nfn f() {}\n";
        assert_eq!(
            with_modules_of(text, dir.path()),
            "//! Doc.\n\n#[cfg(X)]\npub(crate) mod b;\nmod d;\n\nfn f() {}\n"
        );
    }

    #[test]
    fn wrappers_are_added_without_their_headers() {
        let text = "// SPDX\n\n#include <linux/a.h>\n\nvoid new(void)\n{\n\tx();\n\n}\n";
        assert_eq!(wrappers(text), "\nvoid new(void)\n{\n\tx();\n\n}\n");
    }
}
