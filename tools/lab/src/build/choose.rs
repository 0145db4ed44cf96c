// SPDX-License-Identifier: GPL-2.0
//! The choice of the stock kernel: the newest of Debian's that can load Rust modules, or the
//! requested one.

use super::apt;
use crate::project::Project;
use crate::steps::{Log, Steps};
use anyhow::{bail, Context, Result};
use std::fs;
use std::path::Path;

/// The series to look for: it has the C API that the library is written for.
const SERIES: u32 = 7;
/// The ordinary flavour: neither `-cloud-` nor `-rt-`.
const FLAVOUR: &str = "-amd64";
/// The package that holds a kernel's config.
const BASE: &str = "linux-base-";

/// Returns the kernel's version, such as `7.3.4+deb13-amd64`, and remembers it.
pub fn choose(project: &Project, steps: &Steps) -> Result<String> {
    if let Some(version) = std::env::var("KERNEL")
        .ok()
        .filter(|version| !version.is_empty())
    {
        return Ok(version);
    }
    let memory = project.build("kernel/chosen");
    let inputs = super::root_inputs()?;
    steps.step("choosing a kernel", &inputs, &[&memory], |log| {
        fs::create_dir_all(project.build("kernel"))?;
        let version = newest_with_rust(log, &project.build("kernel/probe"))?;
        Ok(fs::write(&memory, version)?)
    })?;
    fs::read_to_string(&memory).with_context(|| format!("cannot read {}", memory.display()))
}

fn newest_with_rust(log: &mut Log, probe: &Path) -> Result<String> {
    let candidates = newest_first(&apt::names(log, BASE)?);
    for version in &candidates {
        if probe.exists() {
            fs::remove_dir_all(probe)?;
        }
        apt::unpack(log, &[format!("{BASE}{version}")], probe)?;
        let config = probe.join("usr/lib/modules").join(version).join("config");
        let text = fs::read_to_string(&config)
            .with_context(|| format!("{BASE}{version} has no {}", config.display()))?;
        fs::remove_dir_all(probe)?;
        if text.lines().any(|line| line == "CONFIG_RUST=y") {
            return Ok(version.clone());
        }
    }
    bail!(
        "none of Debian's {} kernels of series {SERIES} has CONFIG_RUST=y: choose one with KERNEL=VERSION",
        candidates.len()
    );
}

/// Returns the kernel versions of the series and flavour in these package names, the newest first.
fn newest_first(packages: &[String]) -> Vec<String> {
    let parsed = packages.iter().filter_map(|package| {
        let version = package.strip_prefix(BASE)?;
        // What is left is "7.3.4+deb13": another flavour would have one more word.
        let (numbers, distribution) = version.strip_suffix(FLAVOUR)?.split_once('+')?;
        let numbers = numbers.split('.').map(str::parse);
        let numbers: Vec<u32> = numbers.collect::<Result<_, _>>().ok()?;
        let is_wanted = numbers.first() == Some(&SERIES) && !distribution.contains('-');
        is_wanted.then(|| (numbers, version.to_owned()))
    });
    let mut found: Vec<_> = parsed.collect();
    found.sort();
    found
        .into_iter()
        .rev()
        .map(|(_, version)| version)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_as_numbers_and_flavours_left_out() {
        let packages = [
            "linux-base-7.2.11+deb13-amd64",
            "linux-base-7.2.9+deb13-amd64",
            "linux-base-7.3.4+deb13-rt-amd64",
            "linux-base-7.3.4+deb13-cloud-amd64",
            "linux-base-7.3.4+deb13-amd64",
            "linux-base-6.19.14+deb13-amd64",
            "linux-base-5.0",
        ]
        .map(String::from);
        let versions = newest_first(&packages);
        assert_eq!(
            versions,
            [
                "7.3.4+deb13-amd64",
                "7.2.11+deb13-amd64",
                "7.2.9+deb13-amd64"
            ]
        );
    }
}
