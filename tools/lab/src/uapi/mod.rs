// SPDX-License-Identifier: GPL-2.0
//! The C header of the ABI, made of its Rust definition.
//!
//! Not by a general generator: those know neither `_IOR()`, without which the numbers of ioctls are
//! mere numbers, nor the kernel's names of types and its comments.

mod comment;
mod model;
mod render;

use crate::generated;
use crate::project::Project;
use anyhow::{Context, Result};
use std::fs;

/// The definition, relative to the checkout.
pub const DEFINITION: &str = "rust/uapi/rmmap.rs";
/// The header, relative to the checkout.
pub const HEADER: &str = "rust/uapi/rmmap.h";

/// Arguments of `rmmap-lab uapi-header`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only check whether the header is up to date.
    #[arg(long)]
    check: bool,
}

/// Writes the header, or looks whether that is needed. Returns the exit status.
pub fn run(project: &Project, args: &Args) -> Result<u8> {
    if args.check {
        return Ok(generated::report(difference(project)?.as_deref()));
    }
    let path = project.root().join(HEADER);
    fs::write(&path, generate(project)?)
        .with_context(|| format!("cannot write {}", path.display()))?;
    println!("generated {HEADER} from {DEFINITION}");
    Ok(0)
}

/// What is wrong with the header, if anything is.
pub fn difference(project: &Project) -> Result<Option<String>> {
    let remedy = "make it with `tools/lab/lab uapi-header`";
    let say = |line: &str| format!(": differs from {DEFINITION}, which makes it `{line}`");
    let wanted = generate(project)?;
    Ok(generated::difference(project, HEADER, &wanted, remedy, say))
}

fn generate(project: &Project) -> Result<String> {
    let path = project.root().join(DEFINITION);
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let model = model::Model::parse(&text).with_context(|| format!("cannot use {DEFINITION}"))?;
    Ok(render::header(&model))
}
