// SPDX-License-Identifier: GPL-2.0

//! Where things of this project have their place in the kernel's tree.

use std::collections::BTreeSet;

/// The library here, as a crate.
pub const LIBRARY: &str = "kernel_mm";
/// Where its files are here.
pub const LIBRARY_DIR: &str = "rust/kernel_mm";
/// The module of the `kernel` crate that it becomes a part of.
pub const PARENT: &str = "mm";
/// Where the files of that are in the tree.
pub const PARENT_DIR: &str = "rust/kernel/mm";
/// Where its KUnit suites are in the tree.
pub const KUNIT_DIR: &str = "mm/tests/kernel_mm_kunit";
/// The crate of the suites.
pub const KUNIT: &str = "kernel_mm_kunit";

/// The modules that the root of the library declares, by name.
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
}

/// A text with the files of the library named by their places in the tree.
pub fn rename_files(text: &str) -> String {
    text.replace(&format!("{LIBRARY_DIR}/"), &format!("{PARENT_DIR}/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_renamed_in_texts() {
        assert_eq!(
            rename_files("rust/kernel_mm/ffi.rs repeats rust/kernel_mm/cache/inode.rs"),
            "rust/kernel/mm/ffi.rs repeats rust/kernel/mm/cache/inode.rs"
        );
    }
}
