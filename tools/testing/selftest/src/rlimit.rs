// SPDX-License-Identifier: GPL-2.0

//! A resource limit of this process, restored on drop.

use crate::outcome::Result;
use rmmap_sys::rustix::process::{getrlimit, setrlimit, Resource, Rlimit};

/// A soft limit that a test lowers.
///
/// While it is in force, allocations may fail, even one for the text of a failure: so a test stores
/// its results, drops the limit, and then checks them.
#[derive(Debug)]
pub struct Limit {
    resource: Resource,
    before: Rlimit,
}

impl Limit {
    /// Sets it to this many bytes.
    #[track_caller]
    pub fn set(resource: Resource, bytes: u64) -> Result<Self> {
        let before = getrlimit(resource);
        let current = Some(bytes);
        let maximum = before.maximum;
        setrlimit(resource, Rlimit { current, maximum })?;
        Ok(Self { resource, before })
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        // Raising a soft limit up to the hard one is always allowed.
        let _ = setrlimit(self.resource, self.before);
    }
}
