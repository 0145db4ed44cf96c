// SPDX-License-Identifier: GPL-2.0

//! Entries of the new files in the kernel's build system.

use anyhow::{Context, Result};

use super::place::KUNIT;
use super::words::{paragraphs, wrapped};

/// Columns of a help text, behind its tab and two spaces.
const COLUMNS: usize = 66;

/// The option of the library's KUnit suites.
pub const KUNIT_OPTION: &str = "RUST_MM_KUNIT_TEST";

/// The option of a sample.
pub fn sample_option(name: &str) -> String {
    format!("SAMPLE_{}", name.to_uppercase())
}

/// The entry of a sample in `samples/rust/Kconfig`.
pub fn sample_entry(name: &str, source: &str) -> Result<String> {
    let description = source
        .lines()
        .find_map(|line| {
            line.trim_start()
                .strip_prefix("description: \"")?
                .strip_suffix("\",")
        })
        .with_context(|| format!("{name}.rs has no description in module!"))?;
    let prompt = description.trim_start_matches("Sample: ");
    let about = paragraphs(source).into_iter().next().unwrap_or_default();
    Ok(format!(
        "config {}\n\ttristate \"Mapping: {prompt}\"\n\tdepends on MMU\n\thelp\n{}\n\n\t  To compile \
         this as a module, choose M here:\n\t  the module will be called {name}.\n\n\t  If unsure, \
         say N.\n\n",
        sample_option(name),
        wrapped(
            &format!("This option builds a Rust sample of memory mapping. {about}"),
            COLUMNS,
            "\t  "
        )
    ))
}

/// `samples/rust/Makefile` with a sample added behind the others.
pub fn with_sample(makefile: &str, name: &str) -> Result<String> {
    let lines: Vec<&str> = makefile.lines().collect();
    let is_sample = |line: &&str| line.starts_with("obj-$(CONFIG_SAMPLE_RUST_");
    let last = lines
        .iter()
        .rposition(is_sample)
        .context("samples/rust/Makefile has no samples")?;
    let line = format!("obj-$(CONFIG_{})", sample_option(name));
    // To the column of the others, by tabs.
    let tabs = (48_usize.saturating_sub(line.len())).div_ceil(8).max(1);
    let line = format!("{line}{}+= {name}.o", "\t".repeat(tabs));
    let mut lines: Vec<&str> = lines;
    lines.insert(last + 1, &line);
    Ok(lines.join("\n") + "\n")
}

/// The Makefile of the suites' folder.
pub fn kunit_makefile() -> String {
    format!("# SPDX\x2dLicense-Identifier: GPL-2.0\nobj-$(CONFIG_{KUNIT_OPTION}) += {KUNIT}.o\n")
}

/// What `mm/Makefile` says of that folder.
pub fn kunit_folder() -> String {
    format!("obj-$(CONFIG_{KUNIT_OPTION}) += tests/{KUNIT}/\n")
}

/// The entry of the suites in `mm/Kconfig`.
pub fn kunit_entry() -> String {
    format!(
        "config {KUNIT_OPTION}\n\ttristate \"KUnit tests for Rust abstractions of memory mapping\" if \
         !KUNIT_ALL_TESTS\n\tdepends on RUST && MMU\n\tdepends on KUNIT=y\n\tdefault \
         KUNIT_ALL_TESTS\n\thelp\n\t  Enable this option to test mappings, page faults and the page \
         cache\n\t  as Rust drivers see them, with a driver of a few files that is\n\t  mapped in the \
         address space of the test.\n\n\t  If unsure, say N.\n\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_has_an_option_and_an_object() {
        let source = "//! A device.\n\nmodule! {\n    description: \"Sample: a device\",\n}\n";
        let entry = sample_entry("rust_mm_a", source).unwrap();
        assert!(entry.starts_with("config SAMPLE_RUST_MM_A\n\ttristate \"Mapping: a device\"\n"));
        assert!(entry.contains("memory mapping. A device.\n"), "{entry}");
        let makefile = "obj-$(CONFIG_SAMPLE_RUST_SOC)\t\t\t+= rust_soc.o\n\nrust_print-y := a.o\n";
        assert_eq!(
            with_sample(makefile, "rust_mm_a").unwrap(),
            "obj-$(CONFIG_SAMPLE_RUST_SOC)\t\t\t+= rust_soc.o\n\
             obj-$(CONFIG_SAMPLE_RUST_MM_A)\t\t\t+= rust_mm_a.o\n\nrust_print-y := a.o\n"
        );
    }
}
