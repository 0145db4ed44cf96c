// SPDX-License-Identifier: GPL-2.0
//! Makes the build folder: config, generated headers, the kernel's Rust crates, and the proof.

use crate::build::Make;
use crate::config::Config;
use crate::locate::Places;
use crate::toolchain::Toolchain;
use crate::version::SourceVersion;
use crate::{source, symbols};
use anyhow::{bail, Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// The file that marks a folder as complete and proved.
pub const PROVED: &str = "rmmap-kdir.proved";

/// The folder to make, and its inputs.
#[derive(Debug, Clone)]
pub struct Options {
    /// The kernel, as `uname -r` prints it.
    pub kernel: String,
    /// The folder to make.
    pub out: PathBuf,
    /// Source tree or archive; by default the distribution's.
    pub source: Option<PathBuf>,
    /// The kernel's config; by default the distribution's.
    pub config: Option<PathBuf>,
    /// The kernel's Module.symvers; by default the distribution's.
    pub symvers: Option<PathBuf>,
    /// Number of jobs.
    pub jobs: usize,
}

impl Options {
    /// Returns the options for a kernel of which the distribution installed all inputs.
    pub fn installed(kernel: &str, out: PathBuf, jobs: usize) -> Self {
        Self {
            kernel: kernel.to_owned(),
            out,
            source: None,
            config: None,
            symvers: None,
            jobs,
        }
    }
}

/// Makes `options.out`, and reuses the results of an interrupted run.
pub fn prepare(options: &Options) -> Result<()> {
    let version = SourceVersion::of_release(&options.kernel)?;
    let places = Places::here();
    let shipped_path = or_else(&options.config, || places.config(&options.kernel))?;
    let shipped = Config::read(&shipped_path)?;
    if !shipped.is_y("CONFIG_RUST") {
        bail!(
            "the kernel {} was built without CONFIG_RUST=y ({}), so no Rust module can be loaded into \
             it: use a kernel that has it (Debian: 7.0 and later)",
            options.kernel,
            shipped_path.display()
        );
    }
    let symvers = or_else(&options.symvers, || places.symvers(&options.kernel))?;
    let given = or_else(&options.source, || places.source(&options.kernel))?;
    let toolchain = Toolchain::for_kernel(&shipped)?;

    fs::create_dir_all(&options.out)
        .with_context(|| format!("cannot create the folder {}", options.out.display()))?;
    let out = options.out.canonicalize()?;
    // Until the new proof succeeds, the folder does not count as complete.
    let proved = out.join(PROVED);
    if proved.exists() {
        fs::remove_file(&proved)?;
    }
    let tree = source::tree(&given, &out, version)?;
    let make = Make::new(&tree, &out, &toolchain, &options.kernel, options.jobs);

    write_if_changed(&out.join(".config"), &shipped.text())?;
    make.run("configuring", &["olddefconfig"])?;
    compare_configs(&shipped, &Config::read(&out.join(".config"))?, &make)?;
    make.run("compiling the kernel's Rust crates", &["prepare"])?;
    fs::copy(&symvers, out.join("Module.symvers"))
        .with_context(|| format!("cannot copy {}", symvers.display()))?;
    make.run("compiling the module tools", &["modules_prepare"])?;

    let count = symbols::verify(&out, &symvers)?;
    // Debian's Makefile reads this, so that a plain `make -C KDIR` takes the kernel's compiler.
    fs::write(
        out.join(".kernelvariables"),
        format!("CC = {}\n", toolchain.cc),
    )?;
    fs::write(
        proved,
        format!("{count} Rust symbols of {}\n", options.kernel),
    )?;
    eprintln!(
        "kdir: {count} of {count} Rust symbols of {} match",
        options.kernel
    );
    Ok(())
}

/// Fails if kconfig, with the tools found here, made another configuration.
fn compare_configs(shipped: &Config, made: &Config, make: &Make) -> Result<()> {
    if !made.is_y("CONFIG_RUST") {
        let reason = make.reason_rust_is_unavailable();
        bail!("kconfig disabled CONFIG_RUST, because it cannot use the Rust tools: {reason}");
    }
    let differences = shipped.differences(made);
    match differences.first() {
        None => Ok(()),
        Some(first) => bail!(
            "{} options differ from the kernel's config ({first}{}): install the tools that the kernel \
             was built with",
            differences.len(),
            differences.get(1).map(|second| format!("; {second}")).unwrap_or_default()
        ),
    }
}

/// Does not rewrite a file with the wanted contents, because make compares its time.
fn write_if_changed(path: &Path, text: &str) -> Result<()> {
    let same = fs::read_to_string(path).is_ok_and(|old| {
        Config::parse(&old)
            .differences(&Config::parse(text))
            .is_empty()
    });
    if !same {
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn or_else(given: &Option<PathBuf>, find: impl FnOnce() -> Result<PathBuf>) -> Result<PathBuf> {
    match given {
        Some(path) if path.exists() => Ok(path.clone()),
        Some(path) => bail!("{} does not exist", path.display()),
        None => find(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(dir: &Path, config: &str) -> Options {
        let path = dir.join("config");
        fs::write(&path, config).unwrap();
        Options {
            kernel: "7.3.4-test".into(),
            out: dir.join("out"),
            source: Some("/".into()),
            config: Some(path.clone()),
            symvers: Some(path),
            jobs: 1,
        }
    }

    #[test]
    fn kernel_without_rust_is_refused_before_any_work() {
        let dir = tempfile::tempdir().unwrap();
        let options = options(dir.path(), "# CONFIG_RUST is not set\n");
        let error = prepare(&options).unwrap_err().to_string();
        assert!(error.contains("without CONFIG_RUST=y"), "{error}");
        assert!(!options.out.exists());
    }

    #[test]
    fn missing_input_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let mut options = options(dir.path(), "CONFIG_RUST=y\n");
        options.symvers = Some("/no/symvers".into());
        let error = prepare(&options).unwrap_err().to_string();
        assert_eq!(error, "/no/symvers does not exist");
    }
}
