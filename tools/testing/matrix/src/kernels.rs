// SPDX-License-Identifier: GPL-2.0

//! Which kernels there are: Debian's, the newest of each series and flavour.

use anyhow::{bail, ensure, Context, Result};
use std::collections::BTreeMap;
use std::process::Command;

/// The package that holds a kernel's config, before the kernel's version.
pub const BASE: &str = "linux-base-";
/// The series with the C API that the library is written for.
pub const MAJOR: u32 = 7;
/// The first of them that takes Rust modules.
const FIRST_MINOR: u32 = 2;
/// The flavours: ordinary, for cloud machines, and with PREEMPT_RT.
const FLAVOURS: [&str; 3] = ["amd64", "cloud-amd64", "rt-amd64"];

/// The flavours of arm64: pages of 4 KiB and of 16 KiB.
const ARM64: [&str; 2] = ["arm64", "arm64-16k"];

/// Returns the versions of the kernels of Debian's archive that are tested: the newest of each
/// series and flavour, and the newest of arm64.
pub fn of_archive() -> Result<Vec<String>> {
    let output = Command::new("apt-cache").args(["pkgnames", BASE]).output();
    let output = output.context("cannot run apt-cache")?;
    ensure!(output.status.success(), "apt-cache pkgnames failed");
    let names = String::from_utf8_lossy(&output.stdout);
    let mut kernels = newest_of_each(&names.lines().map(str::to_owned).collect::<Vec<_>>());
    ensure!(
        !kernels.is_empty(),
        "apt knows no kernel of series {MAJOR}.{FIRST_MINOR} or later: are its lists there?"
    );
    kernels.extend(of_arm64(&kernels));
    Ok(kernels)
}

/// Returns the kernels of arm64 of the newest series. Apt's lists do not have them here, but Debian
/// builds a version for all architectures.
fn of_arm64(kernels: &[String]) -> Vec<String> {
    let newest = kernels.last().and_then(|newest| newest.split_once('-'));
    let flavours = newest.map(|(version, _)| ARM64.map(|flavour| format!("{version}-{flavour}")));
    flavours.into_iter().flatten().collect()
}

/// Returns the newest version of each series and flavour, in their order.
fn newest_of_each(packages: &[String]) -> Vec<String> {
    let mut kernels = BTreeMap::new();
    for (index, flavour) in FLAVOURS.iter().enumerate() {
        for (numbers, version) in parsed(packages, flavour) {
            let minor = numbers.get(1).copied().unwrap_or(0);
            if minor < FIRST_MINOR {
                continue;
            }
            // Later ones are newer.
            kernels.insert((minor, index), version);
        }
    }
    kernels.into_values().collect()
}

/// Returns the kernel versions of a flavour in these names of packages, the newest first.
pub fn newest_first(packages: &[String], flavour: &str) -> Vec<String> {
    let found = parsed(packages, flavour).into_iter().rev();
    found.map(|(_, version)| version).collect()
}

/// Returns the versions of a flavour with their numbers, the newest last.
fn parsed(packages: &[String], flavour: &str) -> Vec<(Vec<u32>, String)> {
    let parsed = packages.iter().filter_map(|package| {
        let version = package.strip_prefix(BASE)?;
        // What is left is "7.3.4+deb13-rt-amd64": `deb13` itself has no dash.
        let (numbers, rest) = version.split_once('+')?;
        let (_, its_flavour) = rest.split_once('-')?;
        let numbers = numbers.split('.').map(str::parse);
        let numbers: Vec<u32> = numbers.collect::<Result<_, _>>().ok()?;
        let is_wanted = numbers.first() == Some(&MAJOR) && its_flavour == flavour;
        is_wanted.then(|| (numbers, version.to_owned()))
    });
    let mut found: Vec<_> = parsed.collect();
    found.sort();
    found
}

/// Returns the size of a page, bytes, of the arm64 kernel `version`, or `None` if it is of the lab's
/// own architecture.
pub fn arm64_page_size(version: &str) -> Option<u32> {
    // A folder of one's own kernel may have any name.
    let flavour = version.split('/').next()?;
    match flavour.rsplit_once('-')? {
        (_, "arm64") => Some(4096),
        (rest, "16k") if rest.ends_with("-arm64") => Some(16384),
        _ => None,
    }
}

/// Returns the ordinary flavour of a version: `7.3.4+deb13-amd64` of `7.3.4+deb13-rt-amd64`. All
/// flavours are built from one source.
pub fn ordinary(version: &str) -> String {
    let common = version.split('-').next().unwrap_or_default();
    format!("{common}-amd64")
}

/// Returns the series in a kernel's version: `7.3` of `7.3.4+deb13-amd64`.
pub fn series(version: &str) -> Result<String> {
    let numbers = version.split('+').next().unwrap_or_default();
    let mut parts = numbers.split('.');
    match (parts.next(), parts.next()) {
        (Some(major), Some(minor)) => Ok(format!("{major}.{minor}")),
        _ => {
            bail!("`{version}` is not a kernel version: give one such as KERNEL=7.3.4+deb13-amd64")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_arm64_have_two_sizes() {
        assert_eq!(arm64_page_size("7.3.4+deb13-arm64"), Some(4096));
        assert_eq!(arm64_page_size("7.3.4+deb13-rt-arm64"), Some(4096));
        assert_eq!(arm64_page_size("7.3.4+deb13-arm64-16k"), Some(16384));
        assert_eq!(arm64_page_size("7.3.4+deb13-amd64"), None);
        assert_eq!(arm64_page_size("/home/me/linux-arm64"), None);
    }

    const VERSIONS: [&str; 9] = [
        "7.2.12+deb13-amd64",
        "7.2.9+deb13-amd64",
        "7.2.12+deb13-rt-amd64",
        "7.3.4+deb13-amd64",
        "7.3.4+deb13-cloud-amd64",
        "7.3.4+deb13-amd64-unsigned",
        "7.1.3+deb13-amd64",
        "6.19.14+deb13-amd64",
        "5.0",
    ];

    #[test]
    fn the_newest_of_each_series_and_flavour_is_taken() {
        let expected = [
            "7.2.12+deb13-amd64",
            "7.2.12+deb13-rt-amd64",
            "7.3.4+deb13-amd64",
            "7.3.4+deb13-cloud-amd64",
        ];
        assert_eq!(
            newest_of_each(&VERSIONS.map(|v| format!("{BASE}{v}"))),
            expected
        );
    }

    #[test]
    fn arm64_has_the_newest_series() {
        let kernels = ["7.2.12+deb13-amd64", "7.3.4+deb13-rt-amd64"].map(str::to_owned);
        let expected = ["7.3.4+deb13-arm64", "7.3.4+deb13-arm64-16k"];
        assert_eq!(of_arm64(&kernels), expected);
        assert!(of_arm64(&[]).is_empty());
    }

    #[test]
    fn numbers_are_compared_as_numbers_and_flavours_left_out() {
        let expected = [
            "7.3.4+deb13-amd64",
            "7.2.12+deb13-amd64",
            "7.2.9+deb13-amd64",
            "7.1.3+deb13-amd64",
        ];
        let packages = VERSIONS.map(|v| format!("{BASE}{v}"));
        assert_eq!(newest_first(&packages, "amd64"), expected);
    }

    #[test]
    fn flavours_share_the_ordinary_ones_source() {
        for flavour in ["amd64", "rt-amd64", "cloud-amd64"] {
            let version = format!("7.3.4+deb13-{flavour}");
            assert_eq!(ordinary(&version), "7.3.4+deb13-amd64");
        }
    }

    #[test]
    fn series_of_a_version() {
        assert_eq!(series("7.3.4+deb13-amd64").unwrap(), "7.3");
        assert!(series("newest").is_err());
    }
}
