// SPDX-License-Identifier: GPL-2.0

//! Opens the device or a region, and names the remedy if that fails.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use rmmap_sys::{rustix, Device, Errno};
use rmmap_uapi::{RmmapInfo, RmmapStats, RMMAP_ABI_VERSION, RMMAP_DEVICE};
use rustix::fs::OFlags;

/// The first kernel that rmmap supports.
const OLDEST_KERNEL: (u32, u32) = (7, 3);

/// Why the device cannot be used: cause and remedy.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The node does not exist.
    #[error(
        "{} does not exist: the module is not loaded; load it with `insmod \
         build/modules/stock/rmmap.ko` (as root), or use `make run`, which boots a VM",
        path.display()
    )]
    NotLoaded {
        /// The node.
        path: PathBuf,
    },
    /// The node does not exist, and this kernel is too old for the module.
    #[error(
        "{} does not exist, and this kernel ({release}) is too old for the module: it needs Linux \
         {}.{} or newer with CONFIG_RUST=y, as in Debian's trixie-backports; or use `make run`, \
         which boots one in a VM",
        path.display(), OLDEST_KERNEL.0, OLDEST_KERNEL.1
    )]
    KernelTooOld {
        /// The node.
        path: PathBuf,
        /// Version of the running kernel.
        release: String,
    },
    /// The node exists, and this user may not open it.
    #[error(
        "no permission to open {}: the node belongs to root (mode 0600); run this as root, or let \
         the administrator open it wider",
        path.display()
    )]
    NoPermission {
        /// The node.
        path: PathBuf,
    },
    /// The number is not an open descriptor.
    #[error(
        "descriptor {fd} is not open here; give it to rmmap, as in `rmmap stat {fd} {fd}<FILE`"
    )]
    NoDescriptor {
        /// The number.
        fd: u32,
    },
    /// The file is something else.
    #[error(
        "{} is not /dev/rmmap or a region of it, or its module is of another version: use the \
         program and the module of one checkout",
        path.display()
    )]
    NotOurs {
        /// The file.
        path: PathBuf,
    },
    /// The module has another version of the ABI.
    #[error(
        "the loaded module has version {module} of the ABI, this program version \
         {RMMAP_ABI_VERSION}: use the program and the module of one checkout"
    )]
    AbiVersion {
        /// Version of the module.
        module: u32,
    },
    /// Any other error.
    #[error("cannot open {}: {errno}", path.display())]
    Other {
        /// The file.
        path: PathBuf,
        /// The kernel's error.
        errno: Errno,
    },
}

/// Opens `/dev/rmmap` for reading and writing.
pub fn open() -> Result<(Device, RmmapInfo), OpenError> {
    open_target(RMMAP_DEVICE, OFlags::RDWR)
}

/// Opens a path, or a descriptor that was inherited if `target` is a number.
pub fn open_target(target: &str, flags: OFlags) -> Result<(Device, RmmapInfo), OpenError> {
    let path = match target.parse::<u32>() {
        Ok(fd) => {
            let path = PathBuf::from(format!("/proc/self/fd/{fd}"));
            if path.symlink_metadata().is_err() {
                return Err(OpenError::NoDescriptor { fd });
            }
            path
        }
        Err(_) => PathBuf::from(target),
    };
    let device =
        Device::open_path(&path, flags).map_err(|errno| explain(&path, errno, &release()))?;
    let info = device.info().map_err(|errno| match errno {
        Errno::NOTTY | Errno::INVAL | Errno::OPNOTSUPP => OpenError::NotOurs { path },
        errno => OpenError::Other { path, errno },
    })?;
    check_version(&info)?;
    Ok((device, info))
}

/// Finds the cause of a failed open.
fn explain(path: &Path, errno: Errno, release: &str) -> OpenError {
    let path = path.to_owned();
    match errno {
        Errno::NOENT if path == Path::new(RMMAP_DEVICE) && is_too_old(release) => {
            OpenError::KernelTooOld {
                path,
                release: release.to_owned(),
            }
        }
        // ENODEV and ENXIO: a stale node, or one made with mknod.
        Errno::NOENT | Errno::NODEV | Errno::NXIO if path == Path::new(RMMAP_DEVICE) => {
            OpenError::NotLoaded { path }
        }
        Errno::ACCESS | Errno::PERM => OpenError::NoPermission { path },
        errno => OpenError::Other { path, errno },
    }
}

/// Reads the counters.
pub fn stats(device: &Device) -> anyhow::Result<RmmapStats> {
    device.stats().map_err(|e| match e {
        Errno::OPNOTSUPP => anyhow!(
            "the module was built without counters (STATS=n): load build/modules/stock/rmmap.ko \
             instead"
        ),
        e => anyhow!(e).context("cannot read the counters (RMMAP_IOC_STATS)"),
    })
}

/// Returns whether the module of this program and the loaded one belong together.
fn check_version(info: &RmmapInfo) -> Result<(), OpenError> {
    match info.abi_version {
        RMMAP_ABI_VERSION => Ok(()),
        module => Err(OpenError::AbiVersion { module }),
    }
}

/// Returns the version of the running kernel.
pub fn release() -> String {
    rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned()
}

/// Returns whether a version such as `6.12.57+deb13-amd64` is older than rmmap can use.
fn is_too_old(release: &str) -> bool {
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map_while(|word| word.parse::<u32>().ok());
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) => (major, minor) < OLDEST_KERNEL,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(errno: Errno, release: &str) -> String {
        explain(Path::new(RMMAP_DEVICE), errno, release).to_string()
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(is_too_old("6.12.57+deb13-amd64"));
        assert!(is_too_old("7.2.9"));
        assert!(!is_too_old("7.3.4+deb13-amd64"));
        assert!(!is_too_old("7.10-rc1"));
        assert!(!is_too_old("10.0.0"));
        assert!(!is_too_old("unknown"));
    }

    #[test]
    fn a_missing_node_names_the_module_and_how_to_load_it() {
        let text = message(Errno::NOENT, "7.3.4+deb13-amd64");
        assert!(
            text.contains("not loaded") && text.contains("insmod") && text.contains("make run")
        );
    }

    #[test]
    fn an_old_kernel_is_named_with_the_version_that_is_needed() {
        let text = message(Errno::NOENT, "6.12.57+deb13-amd64");
        assert!(
            text.contains("6.12.57+deb13-amd64") && text.contains("7.3"),
            "{text}"
        );
    }

    #[test]
    fn no_permission_says_who_may() {
        let text = message(Errno::ACCESS, "7.3.4");
        assert!(text.contains("0600") && text.contains("as root"), "{text}");
    }

    #[test]
    fn another_file_is_not_taken_for_the_device() {
        let error = open_target("/dev/null", OFlags::RDONLY).unwrap_err();
        assert!(matches!(error, OpenError::NotOurs { .. }), "{error}");
    }

    #[test]
    fn a_closed_descriptor_is_named() {
        let error = open_target("987", OFlags::RDONLY).unwrap_err();
        assert!(
            matches!(error, OpenError::NoDescriptor { fd: 987 }),
            "{error}"
        );
    }

    #[test]
    fn another_abi_version_is_refused() {
        let info = RmmapInfo {
            abi_version: RMMAP_ABI_VERSION + 1,
            ..Default::default()
        };
        let text = check_version(&info).unwrap_err().to_string();
        assert!(text.contains(&format!("version {}", RMMAP_ABI_VERSION + 1)));
    }
}
