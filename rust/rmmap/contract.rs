// SPDX-License-Identifier: GPL-2.0

//! The properties of a region as a file, which memfd_create(2)'s flags set for a memfd: whether it
//! may be executed, and whether it may be sealed.

use kernel::prelude::*;
use kernel_mm::{
    cache::seals::{
        self,
        Seals, //
    },
    file::noexec::{
        may_exec,
        Wish, //
    }, //
};
use rmmap_uapi::*;

/// The properties of a region as a file.
pub(crate) struct Contract {
    /// Permission bits.
    pub(crate) mode: u16,
    /// Seals.
    pub(crate) seals: Seals,
}

impl Contract {
    /// Returns the contract of a region that has no descriptor of its own.
    pub(crate) fn none() -> Self {
        Self {
            mode: 0o600,
            seals: Seals::new(seals::SEAL),
        }
    }

    /// Returns the contract that the `flags` of CREATE request, as `memfd_alloc_file()` does.
    ///
    /// # Errors
    ///
    /// `EINVAL` for flags that exclude each other; `EACCES` when `vm.memfd_noexec` forbids files
    /// that may be executed.
    pub(crate) fn new(flags: u32) -> Result<Self> {
        let wish = match flags & RMMAP_CREATE_EXECUTION {
            0 => Wish::None,
            RMMAP_CREATE_EXEC => Wish::Exec,
            RMMAP_CREATE_NOEXEC_SEAL | RMMAP_CREATE_NOEXEC => Wish::NoExecSeal,
            _ => return Err(EINVAL),
        };
        let exec = may_exec(wish)?;
        let initial = match flags & RMMAP_CREATE_ALLOW_SEALING {
            _ if !exec => seals::EXEC,
            0 => seals::SEAL,
            _ => 0,
        };
        Ok(Self {
            mode: if exec { 0o777 } else { 0o666 },
            seals: Seals::new(initial),
        })
    }
}
