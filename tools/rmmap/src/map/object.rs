// SPDX-License-Identifier: GPL-2.0

//! The mapped object.

use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use rmmap_sys::rustix::fs::{ftruncate, memfd_create, MemfdFlags, OFlags};
use rmmap_uapi::{RMMAP_CREATE_CLOEXEC, RMMAP_DEVICE};

use super::flags::{MAP_PRIVATE, MAP_SHARED};
use crate::device;

/// How the object is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Access {
    /// For reading and writing.
    #[default]
    Rdwr,
    /// For reading.
    Rdonly,
    /// For writing.
    Wronly,
}

impl Access {
    fn flags(self) -> OFlags {
        match self {
            Self::Rdwr => OFlags::RDWR,
            Self::Rdonly => OFlags::RDONLY,
            Self::Wronly => OFlags::WRONLY,
        }
    }
}

/// The kind of object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// `/dev/rmmap`.
    Device,
    /// A new region of this size, bytes.
    Region(u64),
    /// A new memfd of this size, bytes.
    Memfd(u64),
    /// A file.
    File(PathBuf),
    /// None.
    Anonymous,
}

/// An object, open.
#[derive(Debug)]
pub struct Object {
    /// Its name, for people.
    pub name: String,
    file: Option<File>,
}

impl Choice {
    /// Opens or makes the object.
    pub fn open(&self, access: Access) -> anyhow::Result<Object> {
        let (name, file) = match self {
            Self::Device => {
                let (device, _) = device::open_target(RMMAP_DEVICE, access.flags())?;
                (RMMAP_DEVICE.to_owned(), Some(OwnedFd::from(device)))
            }
            Self::Region(size) => {
                let (device, _) = device::open()?;
                let region = device.create(*size, RMMAP_CREATE_CLOEXEC);
                let region = region.with_context(|| {
                    format!("cannot create a region of {size} bytes (RMMAP_IOC_CREATE)")
                })?;
                ("a region".to_owned(), Some(OwnedFd::from(region)))
            }
            Self::Memfd(size) => {
                let fd = memfd_create("rmmap-map", MemfdFlags::CLOEXEC)?;
                ftruncate(&fd, *size)
                    .with_context(|| format!("cannot create a memfd of {size} bytes"))?;
                ("a memfd".to_owned(), Some(fd))
            }
            Self::File(path) => {
                let file = open(path, access)
                    .with_context(|| format!("cannot open {}", path.display()))?;
                (path.display().to_string(), Some(file.into()))
            }
            Self::Anonymous => ("no object".to_owned(), None),
        };
        Ok(Object {
            name,
            file: file.map(File::from),
        })
    }

    /// Returns the default type of a mapping.
    pub fn default_type(&self) -> u32 {
        match self {
            Self::Anonymous => MAP_PRIVATE,
            _ => MAP_SHARED,
        }
    }
}

fn open(path: &Path, access: Access) -> std::io::Result<File> {
    OpenOptions::new()
        .read(access != Access::Wronly)
        .write(access != Access::Rdonly)
        .open(path)
}

impl Object {
    /// Returns its descriptor.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.file.as_ref().map(File::as_fd)
    }

    /// Reads it by read(2) instead of the mapping. Returns zeroes where there is no object or past
    /// its end, and `None` if it cannot be read.
    pub fn read(&self, offset: u64, length: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; length];
        let Some(file) = &self.file else {
            return Some(bytes);
        };
        let mut at = 0;
        while at < length {
            match file.read_at(&mut bytes[at..], offset.checked_add(at as u64)?) {
                Ok(0) => break,
                Ok(count) => at += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_memfd_is_zeroes_up_to_its_end_and_beyond() {
        let memfd = Choice::Memfd(8192).open(Access::Rdwr).unwrap();
        assert!(memfd.fd().is_some());
        assert_eq!(memfd.read(4096, 8192), Some(vec![0; 8192]));
        let nothing = Choice::Anonymous.open(Access::Rdwr).unwrap();
        assert!(nothing.fd().is_none());
        assert_eq!(nothing.read(1 << 40, 2), Some(vec![0; 2]));
    }

    #[test]
    fn a_file_is_opened_as_asked() {
        let path = PathBuf::from("/dev/zero");
        let object = Choice::File(path.clone()).open(Access::Wronly).unwrap();
        assert_eq!(object.read(0, 1), None);
        assert!(Choice::File(path)
            .open(Access::Rdonly)
            .unwrap()
            .read(0, 1)
            .is_some());
        let error = Choice::File("/no/such".into()).open(Access::Rdwr);
        assert!(error.unwrap_err().to_string().contains("/no/such"));
    }
}
