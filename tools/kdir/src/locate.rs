// SPDX-License-Identifier: GPL-2.0
//! Where distributions put a kernel's config, symbols and source.
//!
//! - Debian, Ubuntu: `linux-image` or `linux-base` has the config, `linux-headers` the symbols, and
//!   `linux-source-X.Y` an archive.
//! - Fedora: `kernel-core` has the config, `kernel-devel` the symbols in `/usr/src/kernels/RELEASE`.
//!   The source is in the source package only.
//! - openSUSE: `kernel-FLAVOUR` has the config, `kernel-FLAVOUR-devel` the symbols in
//!   `/usr/src/linux-VERSION-obj/ARCH/FLAVOUR`, and `kernel-source` a tree in `/usr/src/linux-VERSION`.
//!
//! `/lib/modules/RELEASE/build` leads to the symbols on all of them.

use crate::version::SourceVersion;
use anyhow::{anyhow, Result};
use std::fs;
use std::path::PathBuf;

/// The files of an installation, below its root folder.
pub struct Places {
    root: PathBuf,
}

/// How a distribution installs packages, the names of two, and how it provides the source.
struct Packages {
    install: &'static str,
    config: String,
    symvers: String,
    source: String,
}

impl Places {
    /// Returns the places of this machine.
    pub fn here() -> Self {
        Self { root: "/".into() }
    }

    /// Returns the config of the kernel `release`.
    pub fn config(&self, release: &str) -> Result<PathBuf> {
        let places = [
            format!("usr/lib/modules/{release}/config"),
            format!("lib/modules/{release}/config"),
            format!("boot/config-{release}"),
        ];
        let packages = self.packages(release);
        self.first(&places).ok_or_else(|| {
            anyhow!(
                "no config of {release} in /usr/lib/modules or /boot: {} {}, or give --config",
                packages.install,
                packages.config
            )
        })
    }

    /// Returns the symbols that the kernel `release` exports.
    pub fn symvers(&self, release: &str) -> Result<PathBuf> {
        let (version, flavour) = release.rsplit_once('-').unwrap_or((release, ""));
        let architecture = std::env::consts::ARCH;
        let places = [
            format!("usr/src/linux-headers-{release}/Module.symvers"),
            format!("usr/src/kernels/{release}/Module.symvers"),
            format!("usr/src/linux-{version}-obj/{architecture}/{flavour}/Module.symvers"),
            format!("usr/lib/modules/{release}/build/Module.symvers"),
            format!("lib/modules/{release}/build/Module.symvers"),
        ];
        let packages = self.packages(release);
        self.first(&places).ok_or_else(|| {
            anyhow!(
                "cannot find Module.symvers of {release}: {} {}, or give --symvers",
                packages.install,
                packages.symvers
            )
        })
    }

    /// Returns the source of the kernel `release`, a tree or an archive.
    pub fn source(&self, release: &str) -> Result<PathBuf> {
        let version = SourceVersion::of_release(release)?;
        let archive = format!("usr/src/linux-source-{}", version.series());
        let suffixes = ["", ".tar.xz", ".tar.zst", ".tar.gz"];
        let mut places = Vec::from(suffixes.map(|suffix| format!("{archive}{suffix}")));
        let tree = release.rsplit_once('-').map_or(release, |(tree, _)| tree);
        places.push(format!("usr/src/linux-{tree}"));
        let packages = self.packages(release);
        self.first(&places).ok_or_else(|| {
            anyhow!(
                "cannot find the source of {version} in /usr/src: {}",
                packages.source
            )
        })
    }

    /// Returns the names that the packages of the kernel `release` have here.
    fn packages(&self, release: &str) -> Packages {
        let about = fs::read_to_string(self.root.join("etc/os-release")).unwrap_or_default();
        let value = |key: &str| about.lines().find_map(|line| line.strip_prefix(key));
        let like = value("ID_LIKE=").or(value("ID=")).unwrap_or_default();
        let series =
            SourceVersion::of_release(release).map_or_else(|_| "X.Y".into(), |v| v.series());
        if like.contains("fedora") || like.contains("rhel") {
            return Packages {
                install: "dnf install",
                config: format!("kernel-core-{release}"),
                symvers: format!("kernel-devel-{release}"),
                source: format!(
                    "dnf download --source kernel-{release}, unpack it, and give --source"
                ),
            };
        }
        let (version, flavour) = release.rsplit_once('-').unwrap_or((release, "default"));
        if like.contains("suse") {
            return Packages {
                install: "zypper install",
                config: format!("kernel-{flavour}={version}"),
                symvers: format!("kernel-{flavour}-devel={version}"),
                source: format!("zypper install kernel-source={version}, or give --source"),
            };
        }
        Packages {
            install: "apt-get install",
            config: format!("linux-base-{release}"),
            symvers: format!("linux-headers-{release}"),
            source: format!("apt-get install linux-source-{series}, or give --source"),
        }
    }

    fn first(&self, places: &[String]) -> Option<PathBuf> {
        let mut paths = places.iter().map(|place| self.root.join(place));
        paths.find(|path| path.exists())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes an installation with these files and this `/etc/os-release`.
    fn installed(about: &str, files: &[&str]) -> (tempfile::TempDir, Places) {
        let dir = tempfile::tempdir().unwrap();
        for file in ["etc/os-release"].iter().chain(files) {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, about).unwrap();
        }
        let root = dir.path().to_owned();
        (dir, Places { root })
    }

    /// Checks that all three are found, at these places.
    fn found(about: &str, release: &str, files: [&str; 3]) {
        let (_dir, places) = installed(about, &files);
        let paths = [
            places.config(release).unwrap(),
            places.symvers(release).unwrap(),
            places.source(release).unwrap(),
        ];
        assert_eq!(paths, files.map(|file| places.root.join(file)));
    }

    #[test]
    fn debians_layout() {
        let files = [
            "boot/config-7.3.4+deb13-amd64",
            "usr/src/linux-headers-7.3.4+deb13-amd64/Module.symvers",
            "usr/src/linux-source-7.3.tar.xz",
        ];
        found("ID=debian\n", "7.3.4+deb13-amd64", files);
    }

    #[test]
    fn fedoras_layout() {
        let release = "7.3.4-200.fc45.x86_64";
        let files = [
            "lib/modules/7.3.4-200.fc45.x86_64/config",
            "usr/src/kernels/7.3.4-200.fc45.x86_64/Module.symvers",
        ];
        let (_dir, places) = installed("ID=fedora\n", &files);
        assert!(places.config(release).is_ok() && places.symvers(release).is_ok());
        let error = places.source(release).unwrap_err().to_string();
        assert!(error.contains("dnf download --source"), "{error}");
    }

    #[test]
    fn opensuses_layout() {
        let symvers = format!(
            "usr/src/linux-7.3.4-1-obj/{}/default/Module.symvers",
            std::env::consts::ARCH
        );
        let files = [
            "usr/lib/modules/7.3.4-1-default/config",
            &symvers,
            "usr/src/linux-7.3.4-1",
        ];
        found("ID=\"opensuse-tumbleweed\"\n", "7.3.4-1-default", files);
    }

    #[test]
    fn missing_file_is_named_with_its_package() {
        for (about, release, packages) in [
            (
                "ID=ubuntu\nID_LIKE=debian\n",
                "7.3.4-10-generic",
                [
                    "apt-get install linux-base-7.3.4-10-generic",
                    "linux-headers-",
                    "linux-source-7.3,",
                ],
            ),
            (
                "ID=fedora\n",
                "7.3.4-200.fc45.x86_64",
                [
                    "dnf install kernel-core-7.3.4-200",
                    "kernel-devel-7.3.4-200",
                    "unpack it, and",
                ],
            ),
            (
                "ID_LIKE=\"suse opensuse\"\n",
                "7.3.4-1-default",
                [
                    "kernel-default=7.3.4-1",
                    "kernel-default-devel=7.3.4-1",
                    "kernel-source=7.3.4-1",
                ],
            ),
        ] {
            let (_dir, places) = installed(about, &[]);
            let errors = [
                places.config(release).unwrap_err().to_string(),
                places.symvers(release).unwrap_err().to_string(),
                places.source(release).unwrap_err().to_string(),
            ];
            for (error, package) in errors.iter().zip(packages) {
                assert!(error.contains(package), "{error}");
            }
        }
    }
}
