// SPDX-License-Identifier: GPL-2.0
//! The proof that metadata belongs to a kernel: both know the same Rust symbols.
//!
//! A mangled Rust name carries the hash of its crate, which changes with compiler, flags and
//! source. So a module built on metadata with the kernel's names will find them when it is loaded.

use anyhow::{bail, Context, Result};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Checks that each Rust symbol the kernel exports is one that the crates in `kdir` define.
///
/// Returns how many there are.
pub fn verify(kdir: &Path, symvers: &Path) -> Result<usize> {
    let text = fs::read_to_string(symvers)
        .with_context(|| format!("cannot read {}", symvers.display()))?;
    let kernel = exported_by_kernel(&text);
    if kernel.is_empty() {
        bail!(
            "{} holds no Rust symbol: it is not of a kernel with CONFIG_RUST=y",
            symvers.display()
        );
    }
    let made = exported_by_crates(&kdir.join("rust"))?;
    let missing: Vec<_> = kernel.difference(&made).collect();
    match missing.first() {
        None => Ok(kernel.len()),
        Some(first) => bail!(
            "{} of the kernel's {} Rust symbols are not in the metadata made here (first: {first}), so \
             no module would load: source, config or compiler are not those the kernel was built with",
            missing.len(),
            kernel.len()
        ),
    }
}

/// Returns the Rust symbols in a `Module.symvers` (`crc symbol module export`).
fn exported_by_kernel(symvers: &str) -> BTreeSet<String> {
    let names = symvers.lines().filter_map(|line| {
        let mut fields = line.split('\t');
        let name = fields.nth(1)?;
        // A module's own exports (a Rust library module) are not the kernel's.
        (name.starts_with("_R") && fields.next() == Some("vmlinux")).then(|| name.to_owned())
    });
    names.collect()
}

/// Returns the Rust symbols in the headers that the kernel's build makes of its crates.
fn exported_by_crates(folder: &Path) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let entries =
        fs::read_dir(folder).with_context(|| format!("{} is missing", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("exports_") && name.ends_with("_generated.h") {
            found.extend(rust_names(&fs::read_to_string(&path)?));
        }
    }
    Ok(found)
}

/// Returns the arguments of `EXPORT_SYMBOL_RUST_GPL(...)` that are mangled Rust names.
fn rust_names(header: &str) -> Vec<String> {
    let argument = |line: &str| {
        let name = line.split_once('(')?.1.split_once(')')?.0;
        name.starts_with("_R").then(|| name.to_owned())
    };
    header.lines().filter_map(argument).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYMVERS: &str = "0x00000000\t_RNvAcore\tvmlinux\tEXPORT_SYMBOL_GPL\t\n\
                           0x00000000\t_RNvBkernel\tvmlinux\tEXPORT_SYMBOL_GPL\t\n\
                           0x00000000\t_RNvCnova\tdrivers/gpu/nova-core\tEXPORT_SYMBOL_GPL\t\n\
                           0x00000000\tkmalloc\tvmlinux\tEXPORT_SYMBOL\t\n";

    fn kdir(names: &[&str]) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("rust")).unwrap();
        let lines: Vec<_> = names
            .iter()
            .map(|name| format!("EXPORT_SYMBOL_RUST_GPL({name});\n"))
            .collect();
        let header = lines.concat();
        fs::write(dir.path().join("rust/exports_core_generated.h"), header).unwrap();
        let symvers = dir.path().join("Module.symvers");
        fs::write(&symvers, SYMVERS).unwrap();
        (dir, symvers)
    }

    #[test]
    fn equal_sets_pass() {
        let (dir, symvers) = kdir(&["_RNvAcore", "_RNvBkernel", "_RNvDmore", "rust_helper_x"]);
        assert_eq!(verify(dir.path(), &symvers).unwrap(), 2);
    }

    #[test]
    fn one_missing_symbol_refuses_and_is_named() {
        let (dir, symvers) = kdir(&["_RNvAcore"]);
        let error = verify(dir.path(), &symvers).unwrap_err().to_string();
        assert!(
            error.contains("1 of the kernel's 2") && error.contains("_RNvBkernel"),
            "{error}"
        );
    }

    #[test]
    fn kernel_without_rust_is_told() {
        let (dir, symvers) = kdir(&["_RNvAcore"]);
        fs::write(&symvers, "0x00000000\tkmalloc\tvmlinux\tEXPORT_SYMBOL\t\n").unwrap();
        let error = verify(dir.path(), &symvers).unwrap_err().to_string();
        assert!(error.contains("no Rust symbol"), "{error}");
    }
}
