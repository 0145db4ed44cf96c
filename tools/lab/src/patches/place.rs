// SPDX-License-Identifier: GPL-2.0

//! Where things of this project have their place in the kernel's tree.

use std::collections::BTreeSet;

/// Modules of the library that are about files and file systems: they go to `kernel::fs`. All
/// others, new ones too, go to `kernel::mm`.
const FS: &[&str] = &[
    "anon",
    "file_ops",
    "file_table",
    "inode",
    "misc",
    "pseudo_fs",
    "rw",
];

/// The library here, as a crate.
pub const LIBRARY: &str = "kernel_mm";
/// Where its files are here.
pub const LIBRARY_DIR: &str = "rust/kernel_mm";
/// Where its KUnit suites are in the tree.
pub const KUNIT_DIR: &str = "mm/tests/kernel_mm_kunit";
/// The crate of the suites.
pub const KUNIT: &str = "kernel_mm_kunit";

/// The modules of the library, by name.
#[derive(Clone, Debug, Default)]
pub struct Modules(BTreeSet<String>);

impl Modules {
    /// These modules.
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        Self(names.into_iter().collect())
    }

    /// Whether the library has this module.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// The module of the `kernel` crate that a module of the library goes to.
pub fn parent(module: &str) -> &'static str {
    match FS.contains(&module) {
        true => "fs",
        false => "mm",
    }
}

/// The file in the tree of a module of the library.
pub fn file(module: &str) -> String {
    format!("rust/kernel/{}/{module}.rs", parent(module))
}

/// A text with the files of the library named by their places in the tree.
pub fn rename_files(text: &str, modules: &Modules) -> String {
    modules.names().fold(text.to_owned(), |text, name| {
        text.replace(&format!("{LIBRARY_DIR}/{name}.rs"), &file(name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_renamed_in_texts() {
        let modules = Modules::new(["ffi", "inode"].map(str::to_owned));
        let text = "rust/kernel_mm/ffi.rs repeats rust/kernel_mm/inode.rs, not rust/kernel_mm/x.rs";
        assert_eq!(
            rename_files(text, &modules),
            "rust/kernel/mm/ffi.rs repeats rust/kernel/fs/inode.rs, not rust/kernel_mm/x.rs"
        );
    }
}
