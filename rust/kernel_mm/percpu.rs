// SPDX-License-Identifier: GPL-2.0

//! Counters that one instruction adds to, on any number of CPUs.
//!
//! C header: [`include/linux/percpu.h`](srctree/include/linux/percpu.h)

use crate::{
    bindings,
    cpu::nr_cpu_ids,
    prelude::*, //
};
use core::ptr::NonNull;

/// `N` counters, each kept once per CPU.
///
/// # Invariants
///
/// `counters` is a per-CPU allocation of `N` `u64`, zeroed when it was made.
pub struct PerCpuCounters<const N: usize> {
    counters: NonNull<u64>,
}

// SAFETY: The allocation is bound to no thread.
unsafe impl<const N: usize> Send for PerCpuCounters<N> {}
// SAFETY: `this_cpu_add()` is one instruction on x86-64, or runs with interrupts disabled
// (`this_cpu_generic_to_op()`), so no other addition on the same CPU interferes; other CPUs only
// read single words.
unsafe impl<const N: usize> Sync for PerCpuCounters<N> {}

/// The largest number of counters: any per-CPU allocation may have `PCPU_MIN_UNIT_SIZE` bytes.
const MAX: usize = bindings::PCPU_MIN_UNIT_SIZE / size_of::<u64>();

impl<const N: usize> PerCpuCounters<N> {
    /// The number of counters, `N`. A larger `N` than a per-CPU allocation can hold does not
    /// compile.
    pub const LEN: usize = {
        assert!(N <= MAX, "more counters than a per-CPU allocation holds");
        N
    };

    /// Allocates zeroed counters, charged to the memory cgroup of the caller. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new() -> Result<Self> {
        // SAFETY: `LEN` times eight is at most `PCPU_MIN_UNIT_SIZE`: the product does not overflow,
        // and pcpu_alloc_noprof() accepts the size. It returns null when there is no memory.
        let counters = unsafe { bindings::alloc_percpu_u64(Self::LEN) };
        let counters = NonNull::new(counters).ok_or(ENOMEM)?;
        // INVARIANT: `LEN` is `N`, and pcpu_alloc_noprof() clears the memory of each possible CPU.
        Ok(Self { counters })
    }

    /// Adds `n` to counter `index`; an index of `N` or more is ignored. Does not sleep.
    #[inline(always)]
    pub fn add(&self, index: usize, n: u64) {
        if index < N {
            // SAFETY: By the type invariants, and since `index` was just checked, this is the
            // per-CPU address of a `u64`.
            unsafe { bindings::this_cpu_add_u64(self.counters.as_ptr().wrapping_add(index), n) };
        }
    }

    /// Returns the sum of counter `index` over all CPUs, which may miss concurrent additions.
    pub fn sum(&self, index: usize) -> u64 {
        if index >= N {
            return 0;
        }
        let mut sum = 0u64;
        for cpu in 0..nr_cpu_ids() {
            // SAFETY: cpu_possible() takes any number below `nr_cpu_ids`.
            if !unsafe { bindings::cpu_possible(cpu) } {
                continue;
            }
            let counter = self.counters.as_ptr().wrapping_add(index);
            // SAFETY: By the type invariants, and since `index` was checked, this is the per-CPU
            // address of a `u64`; the CPU is possible, so it has a copy.
            let counter = unsafe { bindings::per_cpu_ptr_u64(counter, cpu) };
            // SAFETY: The address is valid for reads. The word may change concurrently, which a
            // volatile read of one word allows as C's `READ_ONCE()` does.
            sum = sum.wrapping_add(unsafe { counter.read_volatile() });
        }
        sum
    }
}

impl<const N: usize> Drop for PerCpuCounters<N> {
    fn drop(&mut self) {
        // SAFETY: By the type invariants it is a per-CPU allocation. It is not used again: this is
        // the only owner, and users borrow it.
        unsafe { bindings::free_percpu(self.counters.as_ptr().cast()) };
    }
}
