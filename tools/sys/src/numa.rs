// SPDX-License-Identifier: GPL-2.0

//! NUMA nodes: policies for memory (`mbind(2)`, `set_mempolicy(2)`), and the nodes of pages
//! (`move_pages(2)`).

use crate::mapping::last_error;
use crate::{Errno, Mapping, Result, PAGE_SIZE};
use std::ptr;

/// The policy for new pages: `MPOL_*` of `include/uapi/linux/mempolicy.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Policy {
    /// The task's policy, or else the node of the allocating processor (`MPOL_DEFAULT`).
    Default = 0,
    /// On these nodes only (`MPOL_BIND`).
    Bind = 2,
    /// On one node after the other (`MPOL_INTERLEAVE`).
    Interleave = 3,
}

/// The kernel subtracts one from the number of bits that it gets.
const MASK_BITS: usize = u64::BITS as usize + 1;

/// Returns a mask of nodes, whose numbers are below 64.
fn mask(nodes: &[u32]) -> u64 {
    nodes.iter().fold(0, |mask, node| mask | (1 << node))
}

impl Mapping {
    /// Calls `mbind(2)` on a range. Existing pages do not move.
    pub fn bind(&self, offset: usize, len: usize, policy: Policy, nodes: &[u32]) -> Result<()> {
        let (start, len) = self.pointer(offset, len);
        let mask = mask(nodes);
        let (mode, flags) = (policy as usize, 0usize);
        // SAFETY: The policy changes no contents; the kernel reads as many bits as the mask has.
        succeeded(unsafe {
            libc::syscall(libc::SYS_mbind, start, len, mode, &mask, MASK_BITS, flags)
        })
    }

    /// Returns the node of each page of a range, or the reason why it has none: `ENOENT` where the
    /// page table has no page. Calls `move_pages(2)` without nodes.
    pub fn nodes(&self, offset: usize, len: usize) -> Result<Vec<Result<u32>>> {
        let (start, len) = self.pointer(offset, len);
        let pages: Vec<_> = (0..len)
            .step_by(PAGE_SIZE)
            .map(|at| start.wrapping_byte_add(at))
            .collect();
        let mut answers: Vec<libc::c_int> = vec![-1; pages.len()];
        let nowhere = ptr::null::<libc::c_int>();
        let (myself, flags) = (0usize, 0usize);
        // SAFETY: Without nodes the kernel moves nothing; it writes one answer for each page.
        let ret = unsafe {
            libc::syscall(
                libc::SYS_move_pages,
                myself,
                pages.len(),
                pages.as_ptr(),
                nowhere,
                answers.as_mut_ptr(),
                flags,
            )
        };
        succeeded(ret)?;
        let node = |answer: &libc::c_int| {
            u32::try_from(*answer).map_err(|_| Errno::from_raw_os_error(-answer))
        };
        Ok(answers.iter().map(node).collect())
    }
}

/// Calls `set_mempolicy(2)`: sets the policy of this thread's new pages for which no mapping has a
/// policy.
pub fn set_policy(policy: Policy, nodes: &[u32]) -> Result<()> {
    let mask = mask(nodes);
    let mode = policy as usize;
    // SAFETY: The kernel reads as many bits as the mask has.
    succeeded(unsafe { libc::syscall(libc::SYS_set_mempolicy, mode, &mask, MASK_BITS) })
}

fn succeeded(ret: libc::c_long) -> Result<()> {
    match ret {
        -1 => Err(last_error()),
        _ => Ok(()),
    }
}
