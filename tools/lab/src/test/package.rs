// SPDX-License-Identifier: GPL-2.0

//! The package that `rmmap-kdir deb` makes: Rust modules from elsewhere build by DKMS and by a plain
//! `make -C /lib/modules/VERSION/build`, and load.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;

use super::record::Test;
use crate::build::{self, Stock};
use crate::project::Project;
use crate::steps::{Inputs, Steps};
use crate::vm::Vm;

/// What installs the package and builds the modules, relative to the checkout.
const SOURCES: &str = "tools/testing/package";

/// Each module with a line that it prints.
const MODULES: [(&str, &str); 5] = [
    ("rust_out_of_tree", "out of tree"),
    ("rust_minimal", "Rust minimal sample (init)"),
    ("rust_print", "Rust printing macros sample (init)"),
    ("rust_misc_device", "Initialising Rust Misc Device Sample"),
    ("rust_driver_faux", "Initialising Rust Faux Device Sample"),
];

/// Makes the package, builds the modules with it, and loads them. Results go to `sink`. It drops
/// `steps` before the guest starts.
pub fn run(
    project: &Project,
    steps: Arc<Steps>,
    sink: &mut dyn FnMut(Test) -> Result<()>,
) -> Result<()> {
    let stock = build::stock(project, &steps)?;
    build::virtme_ng(&steps)?;
    let folder = project.build("package");
    let begun = Instant::now();
    let built = build_modules(project, &steps, &stock, &folder);
    let why_not = built.as_ref().err().map(|error| format!("{error:#}"));
    sink(Test::judged("build-by-dkms", begun, why_not.as_deref()))?;
    drop(steps);
    if built.is_err() {
        return Ok(());
    }

    let begun = Instant::now();
    let load = |(name, line)| {
        let path = folder.join(name).with_extension("ko");
        format!(
            "insmod {}\nrmmod {name}\ndmesg | grep -F '{line}'\n",
            path.display()
        )
    };
    let script = format!("set -e\n{}echo ok", MODULES.map(load).concat());
    let vm = Vm::new("test-package", stock.kernel()?);
    let (outcome, said) = vm.run_quietly(project, &["bash", "-c", &script])?;
    let passed = said.lines().last() == Some("ok") && outcome.splats.is_empty();
    let why_not = format!("{}, the guest printed:\n{said}", outcome.ending);
    sink(Test::judged(
        "modules-load",
        begun,
        (!passed).then_some(&why_not),
    ))
}

fn build_modules(project: &Project, steps: &Steps, stock: &Stock, folder: &Path) -> Result<()> {
    let sources = project.root().join(SOURCES);
    let kdir = project.program("rmmap-kdir");
    let inputs = Inputs::new()
        .text(&stock.version)
        .file(&kdir)?
        .file(&stock.kdir.join("rmmap-kdir.proved"))?
        .file(&project.root().join("tools/lab/machine"))?
        .tree(&project.root().join("tools/kdir/hooks"))?
        .tree(&sources)?;
    let last = folder.join("done");
    steps.step("building Rust modules by DKMS", &inputs, &[&last], |log| {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        fs::create_dir_all(folder)?;
        let mut make = Command::new(&kdir);
        let deb = log.output(make.arg("deb").arg(&stock.kdir).arg("--out").arg(folder))?;
        let mut build = Command::new(sources.join("build"));
        build.arg(deb.trim()).arg(&stock.version).arg(&stock.source);
        log.run(build.arg(folder))?;
        let mut hook = Command::new(sources.join("hook"));
        log.run(hook.arg(&stock.version).arg(&stock.source).arg(&kdir))?;
        Ok(fs::write(&last, "")?)
    })
}
