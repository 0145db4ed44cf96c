// SPDX-License-Identifier: GPL-2.0

//! The control devices (`tools/testing/ctl`): drivers that each do one odd thing.

use crate::context::P;
use crate::outcome::{Result, Stop};
use rmmap_sys::rustix::fs::OFlags;
use rmmap_sys::rustix::io::pread;
use rmmap_sys::{Device, MapOptions, Mapping};
use std::os::fd::{AsFd, BorrowedFd};

/// Their module, for `With(..)` in a table of tests.
pub const MODULE: &str = "rmmap_ctl";

/// An open control device.
#[derive(Debug)]
pub struct Ctl {
    fd: Device,
}

impl Ctl {
    /// Opens `/dev/rmmap-ctl-NAME` for reading and writing.
    #[track_caller]
    pub fn open(name: &str) -> Result<Self> {
        let path = format!("/dev/rmmap-ctl-{name}");
        match Device::open_path(&path, OFlags::RDWR) {
            Ok(fd) => Ok(Self { fd }),
            Err(e) => Err(Stop::fail(format_args!("cannot open {path}: {e}"))),
        }
    }

    /// Returns a number of the device: calls of an operation, `cached` pages, `references`.
    #[track_caller]
    pub fn get(&self, name: &str) -> Result<u64> {
        let mut report = [0; 1024];
        let len = pread(&self.fd, &mut report, 0)?;
        let report = String::from_utf8_lossy(&report[..len]);
        let value = report
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
        value.ok_or_else(|| Stop::fail(format_args!("no counter {name} in {report:?}")))
    }

    /// Returns several numbers, to compare at once.
    #[track_caller]
    pub fn counts<const N: usize>(&self, names: [&str; N]) -> Result<[u64; N]> {
        let mut counts = [0; N];
        for (count, name) in counts.iter_mut().zip(names) {
            *count = self.get(name)?;
        }
        Ok(counts)
    }

    /// Returns options for a shared mapping of some pages.
    pub fn part(&self, page: usize, pages: usize) -> MapOptions {
        MapOptions::new(pages * P).offset((page * P) as u64)
    }

    /// Returns options for a shared mapping of the first pages.
    pub fn pages(&self, pages: usize) -> MapOptions {
        self.part(0, pages)
    }

    /// Maps some pages over a part of a window.
    pub fn map_at(
        &self,
        window: &mut Mapping,
        page: usize,
        options: MapOptions,
    ) -> rmmap_sys::Result<()> {
        window.map_over(page * P, &options, Some(self))
    }
}

impl AsFd for Ctl {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
