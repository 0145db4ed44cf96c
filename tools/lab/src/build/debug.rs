// SPDX-License-Identifier: GPL-2.0
//! The debug kernel: every check enabled, compiled by clang, which KASAN together with Rust needs.

use super::own::Recipe;

/// The kernel's build does not remember its arguments, and a module built in this folder needs the
/// same compiler.
const GNUMAKEFILE: &str = "# Made by rmmap-lab.\nexport LLVM := 1\ninclude Makefile\n";

/// Returns its recipe.
pub fn debug() -> Recipe {
    Recipe {
        folder: "debug-kernel",
        step: "compiling the debug kernel (8 minutes on two processors)",
        fragments: &["tools/lab/debug.config"],
        words: vec!["LLVM=1".into()],
        gnumakefile: GNUMAKEFILE.into(),
    }
}
