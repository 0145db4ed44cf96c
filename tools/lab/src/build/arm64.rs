// SPDX-License-Identifier: GPL-2.0
//! An arm64 kernel of Debian, with pages of 4 or 16 KiB: cross compiler and emulator, module,
//! programs, and the initial RAM disk that its guests begin with.

use super::{apt, module, stock, Ready};
use crate::project::Project;
use crate::steps::{command, Inputs, Steps};
use anyhow::Result;
use std::path::{Path, PathBuf};

/// The compiler that Debian's arm64 kernels were built with, and QEMU.
const TOOLS: &str =
    "gcc-14-aarch64-linux-gnu binutils-aarch64-linux-gnu libc6-dev-arm64-cross qemu-system-arm";
/// The cross compiler, which also links programs.
const CC: &str = "aarch64-linux-gnu-gcc-14";
/// The target of programs.
const TARGET: &str = "aarch64-unknown-linux-gnu";
/// The programs that run in guests.
const PROGRAMS: [&str; 5] = [
    "rmmap",
    "rmmap-guest",
    "rmmap-panics",
    "rmmap-selftest",
    "rmmap-trace-test",
];

/// Makes everything that a run on the arm64 kernel needs whose pages have `page_size` bytes.
pub fn ready(project: &Project, steps: &Steps, page_size: u32) -> Result<Ready> {
    let foreign = project.build("arm64/files");
    tools(steps, &foreign)?;
    let stock = stock(project, steps)?;
    programs(project, steps, page_size, &foreign)?;
    let module = module(project, steps, &stock.label, &stock.kdir)?;
    let mut kernel = stock.kernel()?;
    let initrd = initrd(project, steps, &stock.version, &stock.modules(), &foreign)?;
    kernel.arm64 = Some(initrd);
    Ok(Ready { kernel, module })
}

/// Installs the tools, and unpacks Rust's library and busybox of arm64 into `foreign`.
fn tools(steps: &Steps, foreign: &Path) -> Result<()> {
    let inputs = super::root_inputs()?;
    let compiler = Path::new("/usr/bin").join(CC);
    let busybox = foreign.join("usr/bin/busybox");
    let outputs = [compiler.as_path(), busybox.as_path()];
    steps.step("installing the tools for arm64", &inputs, &outputs, |log| {
        apt::install(log, TOOLS)?;
        apt::arm64_lists(log)?;
        let rust = log.output(&mut command("dpkg-query -W -f ${Version} rustc"))?;
        let library = format!("libstd-rust-dev={}", rust.trim());
        apt::unpack(log, &[library, "busybox-static".to_owned()], foreign)
    })
}

/// Compiles the programs.
fn programs(project: &Project, steps: &Steps, page_size: u32, foreign: &Path) -> Result<()> {
    let library = foreign.join("usr/lib/rustlib").join(TARGET).join("lib");
    let target_dir = project.build(format!("arm64/cargo-{page_size}"));
    // Cargo knows what changed.
    steps.always("compiling the programs for arm64", |log| {
        let mut cargo = command("cargo build --quiet --release --target");
        cargo.arg(TARGET).arg("--target-dir").arg(&target_dir);
        for program in PROGRAMS {
            cargo.args(["-p", program]);
        }
        cargo.env("RMMAP_PAGE_SIZE", page_size.to_string());
        cargo.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", CC);
        cargo.env(
            "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS",
            format!("-C target-feature=+crt-static -L {}", library.display()),
        );
        log.run(&mut cargo)
    })
}

/// Makes the initial RAM disk of a kernel.
fn initrd(
    project: &Project,
    steps: &Steps,
    version: &str,
    modules: &Path,
    foreign: &Path,
) -> Result<PathBuf> {
    let scripts = project.root().join("tools/lab/arm64");
    let initrd = project.build(format!("arm64/initrd-{version}"));
    let inputs = Inputs::new().text(version).tree(&scripts)?;
    let step = format!("making the initial RAM disk ({version})");
    steps.step(&step, &inputs, &[&initrd], |log| {
        let mut make = command(&scripts.join("initrd").to_string_lossy());
        let busybox = foreign.join("usr/bin/busybox");
        log.run(make.args([modules, &busybox, &initrd]))
    })?;
    Ok(initrd)
}
