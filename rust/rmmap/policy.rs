// SPDX-License-Identifier: GPL-2.0

//! The folio policy of a region, and the cell that holds it.
//!
//! For the effect of each policy on a fault or a write see [`crate::plan`].

use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};
use rmmap_uapi::{
    RMMAP_POLICY_ADAPTIVE,
    RMMAP_POLICY_ALWAYS,
    RMMAP_POLICY_NEVER, //
};

/// The amount of memory that a region allocates at a time, and the folios for it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Policy {
    /// Each folio is one page.
    Never,
    /// As much as previous accesses suggest.
    Adaptive,
    /// The largest folios that fit.
    Always,
}

impl Policy {
    /// Returns the policy with this number in the ABI, or `EINVAL`.
    pub(crate) fn from_abi(number: u32) -> Result<Self> {
        match number {
            RMMAP_POLICY_NEVER => Ok(Self::Never),
            RMMAP_POLICY_ADAPTIVE => Ok(Self::Adaptive),
            RMMAP_POLICY_ALWAYS => Ok(Self::Always),
            _ => Err(EINVAL),
        }
    }

    /// Returns its number in the ABI.
    pub(crate) fn to_abi(self) -> u32 {
        match self {
            Self::Never => RMMAP_POLICY_NEVER,
            Self::Adaptive => RMMAP_POLICY_ADAPTIVE,
            Self::Always => RMMAP_POLICY_ALWAYS,
        }
    }
}

/// A policy that may change while it is used; a reader gets the old one or the new one.
pub(crate) struct PolicyCell(Atomic<u32>);

impl PolicyCell {
    /// Returns a cell that holds `policy`.
    pub(crate) fn new(policy: Policy) -> Self {
        Self(Atomic::new(policy.to_abi()))
    }

    /// Returns the policy.
    pub(crate) fn get(&self) -> Policy {
        // Only `set` writes it, so that the number is always one of the ABI.
        Policy::from_abi(self.0.load(Relaxed)).unwrap_or(Policy::Adaptive)
    }

    /// Sets the policy.
    pub(crate) fn set(&self, policy: Policy) {
        self.0.store(policy.to_abi(), Relaxed);
    }
}
