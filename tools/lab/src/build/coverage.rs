// SPDX-License-Identifier: GPL-2.0
//! The coverage kernel: the files of the mmap path count how often each of their lines runs.

use super::own::Recipe;
use std::path::Path;

/// The compiler of the stock kernel; `gcov-14` reads the counters of its code.
const COMPILER: &str = "CC=gcc-14";

/// The options that make rustc count in the modules. The lab reads the counters from the kernel's
/// memory, so it does not need the runtime that would write them to a file at exit, and that a
/// module cannot contain.
const RUST: &str =
    "KRUSTFLAGS=-Cinstrument-coverage -Zno-profiler-runtime -Zcoverage-options=branch \
                    -Cllvm-args=-instrprof-atomic-counter-update-all";

/// Returns the recipe of the kernel whose `files` (`mm/mmap.c`, ...) count.
pub fn coverage(files: &[String]) -> Recipe {
    let mut words = vec![COMPILER.to_owned()];
    words.extend(files.iter().map(|file| profile(file)));
    Recipe {
        folder: "coverage-kernel",
        step: "compiling the coverage kernel (10 minutes on two processors)",
        fragments: &["tools/lab/debug.config", "tools/lab/coverage.config"],
        // The words for make are part of the recipe, so another list of files makes another kernel.
        gnumakefile: format!(
            "# Made by rmmap-lab: make {}\ninclude Makefile\n",
            words.join(" ")
        ),
        words,
    }
}

/// Returns the words for make that build counting modules.
pub fn module_words() -> [&'static str; 2] {
    [COMPILER, RUST]
}

/// Returns the word that makes Kbuild compile `file` with counters. Its variable names the object
/// without the folder; make expands the word for each object, so that it applies in this folder
/// only.
fn profile(file: &str) -> String {
    let path = Path::new(file);
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let folder = path.parent().unwrap_or(path).display();
    format!("GCOV_PROFILE_{stem}.o=$(if $(filter {folder},$(obj)),y)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_named_file_is_profiled() {
        assert_eq!(
            profile("mm/util.c"),
            "GCOV_PROFILE_util.o=$(if $(filter mm,$(obj)),y)"
        );
    }

    #[test]
    fn another_list_of_files_is_another_kernel() {
        let one = coverage(&["mm/mmap.c".into()]).gnumakefile;
        assert_ne!(one, coverage(&["mm/vma.c".into()]).gnumakefile);
    }
}
