// SPDX-License-Identifier: GPL-2.0
//! The compilers: they must be those that the kernel was built with.

use crate::config::Config;
use anyhow::{bail, Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Programs that the kernel's build needs besides the compilers, each with its Debian package.
const TOOLS: &[(&str, &str)] = &[
    ("make", "make"),
    ("flex", "flex"),
    ("bison", "bison"),
    ("bc", "bc"),
    ("perl", "perl"),
];

/// Compilers that fit a kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toolchain {
    /// The C compiler, as `CC=`.
    pub cc: String,
    /// What its name begins with if it compiles for another architecture, such as
    /// `aarch64-linux-gnu-`, and the kernel's name of that architecture.
    pub cross: Option<(String, &'static str)>,
    /// The sources of Rust's `core`, as `RUST_LIB_SRC=`.
    pub rust_lib_src: PathBuf,
}

impl Toolchain {
    /// Checks the installed compilers against those that the kernel's config names.
    pub fn for_kernel(config: &Config) -> Result<Self> {
        for (tool, package) in TOOLS {
            if version_line(tool).is_err() {
                bail!("`{tool}` is not installed: apt-get install {package}");
            }
        }
        check_rustc(config)?;
        check_bindgen(config)?;
        let cc = find_cc(config)?;
        Ok(Self {
            cross: cross(config, &cc),
            cc,
            rust_lib_src: find_rust_lib_src()?,
        })
    }

    /// Returns the arguments for `make` that select these compilers.
    pub fn make_arguments(&self) -> Vec<String> {
        let mut arguments = vec![
            format!("CC={}", self.cc),
            format!("HOSTCC={}", self.host_cc()),
            format!("RUST_LIB_SRC={}", self.rust_lib_src.display()),
        ];
        if let Some((prefix, architecture)) = &self.cross {
            arguments.push(format!("ARCH={architecture}"));
            arguments.push(format!("CROSS_COMPILE={prefix}"));
        }
        if self.cc.starts_with("clang") {
            // A kernel built with clang uses the rest of LLVM's tools, of the same version.
            let suffix = self.cc.trim_start_matches("clang");
            arguments.push(format!(
                "LLVM={}",
                if suffix.is_empty() { "1" } else { suffix }
            ));
        }
        arguments
    }

    /// Returns the compiler for programs that run here.
    fn host_cc(&self) -> &str {
        let prefix = self.cross.as_ref().map_or("", |(prefix, _)| prefix);
        self.cc.strip_prefix(prefix).unwrap_or(&self.cc)
    }
}

/// The architectures of kernels: the option, the name in Kbuild, and that in Rust.
const ARCHITECTURES: &[(&str, &str, &str)] = &[
    ("CONFIG_X86_64", "x86_64", "x86_64"),
    ("CONFIG_ARM64", "arm64", "aarch64"),
];

/// Returns the prefix of the cross compiler `cc` and the architecture of the kernel, where that is
/// not this machine's.
fn cross(config: &Config, cc: &str) -> Option<(String, &'static str)> {
    let (_, kbuild, _) = ARCHITECTURES
        .iter()
        .find(|(option, _, rust)| config.is_y(option) && *rust != std::env::consts::ARCH)?;
    let prefix = cc.split("gcc").next().filter(|prefix| *prefix != cc)?;
    Some((prefix.to_owned(), kbuild))
}

/// Checks that `rustc` is exactly the kernel's: metadata of another version is unreadable.
pub fn check_rustc(config: &Config) -> Result<()> {
    let wanted = config.get("CONFIG_RUSTC_VERSION_TEXT").unwrap_or_default();
    let have = version_line("rustc").map_err(|_| {
        anyhow::anyhow!("rustc is not installed: install `{wanted}`, which built the kernel")
    })?;
    if wanted.is_empty() || have == wanted {
        return Ok(());
    }
    bail!(
        "rustc is `{have}`, but the kernel was built with `{wanted}`: put that version first in PATH (the \
         distribution's own, not rustup's)"
    );
}

fn check_bindgen(config: &Config) -> Result<()> {
    let wanted = config
        .get("CONFIG_BINDGEN_VERSION_TEXT")
        .unwrap_or_default();
    let Ok(have) = version_line("bindgen") else {
        bail!("bindgen is not installed: apt-get install bindgen (`{wanted}` built the kernel)");
    };
    if !wanted.is_empty() && have != wanted {
        bail!(
            "bindgen is `{have}`, but the kernel was built with `{wanted}`: install that version"
        );
    }
    Ok(())
}

/// Returns the C compiler whose first line of `--version` is the one in the config.
fn find_cc(config: &Config) -> Result<String> {
    let wanted = config.get("CONFIG_CC_VERSION_TEXT").unwrap_or_default();
    let named = wanted.split_whitespace().next().unwrap_or_default();
    let mut candidates = vec![named.to_owned()];
    if wanted.contains("clang version") {
        candidates = vec!["clang".to_owned()];
        let major = wanted
            .split("clang version ")
            .nth(1)
            .and_then(|rest| rest.split('.').next());
        candidates.extend(major.map(|major| format!("clang-{major}")));
    }
    for candidate in &candidates {
        if version_line(candidate).is_ok_and(|have| have == wanted) {
            return Ok(candidate.clone());
        }
    }
    bail!("`{wanted}`, which built the kernel, is not installed: apt-get install that version");
}

/// Returns the sources of `core` that belong to the `rustc` in use.
fn find_rust_lib_src() -> Result<PathBuf> {
    let output = Command::new("rustc")
        .args(["--print", "sysroot"])
        .output()
        .context("rustc")?;
    let sysroot = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let folder = Path::new(&sysroot).join("lib/rustlib/src/rust/library");
    if folder.join("core/src/lib.rs").exists() {
        // The real path: Kbuild removes it from the results, and Debian's path is a link.
        return Ok(folder.canonicalize()?);
    }
    bail!(
        "{} has no sources of Rust's core: apt-get install rust-src",
        folder.display()
    );
}

/// Returns the first line that `program --version` prints.
fn version_line(program: &str) -> Result<String> {
    let output = Command::new(program)
        .arg("--version")
        .env("LC_ALL", "C")
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    // As in the kernel's Makefile: make would read the character # as a comment.
    Ok(text
        .lines()
        .next()
        .unwrap_or_default()
        .replace('#', "")
        .trim()
        .to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_rustc_is_refused_with_both_versions() {
        let config = Config::parse("CONFIG_RUSTC_VERSION_TEXT=\"rustc 1.2.3 (abc 2015-01-01)\"\n");
        let error = check_rustc(&config).unwrap_err().to_string();
        assert!(
            error.contains("rustc 1.2.3 (abc") && error.contains("but the kernel"),
            "{error}"
        );
    }

    #[test]
    fn installed_rustc_is_accepted() {
        let have = version_line("rustc").unwrap();
        let config = Config::parse(&format!("CONFIG_RUSTC_VERSION_TEXT=\"{have}\"\n"));
        check_rustc(&config).unwrap();
    }

    #[test]
    fn unknown_compiler_is_refused() {
        let config = Config::parse("CONFIG_CC_VERSION_TEXT=\"gcc-3 (Old) 3.0\"\n");
        let error = find_cc(&config).unwrap_err().to_string();
        assert!(error.contains("gcc-3 (Old) 3.0"), "{error}");
    }

    #[test]
    fn kernels_of_another_architecture_take_a_cross_compiler() {
        let config = Config::parse(match std::env::consts::ARCH {
            "aarch64" => "CONFIG_X86_64=y\n",
            _ => "CONFIG_ARM64=y\n",
        });
        let cc = "aarch64-linux-gnu-gcc-14";
        let toolchain = Toolchain {
            cc: cc.into(),
            cross: cross(&config, cc),
            rust_lib_src: "/x".into(),
        };
        let arguments = toolchain.make_arguments();
        for wanted in ["HOSTCC=gcc-14", "CROSS_COMPILE=aarch64-linux-gnu-"] {
            assert!(arguments.contains(&wanted.to_owned()), "{arguments:?}");
        }
        assert_eq!(cross(&Config::parse(""), cc), None);
    }

    #[test]
    fn clang_kernels_take_llvms_tools() {
        let toolchain = Toolchain {
            cc: "clang-19".into(),
            cross: None,
            rust_lib_src: "/x".into(),
        };
        assert!(toolchain.make_arguments().contains(&"LLVM=-19".to_owned()));
    }
}
