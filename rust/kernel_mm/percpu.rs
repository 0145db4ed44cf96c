// SPDX-License-Identifier: GPL-2.0

//! Counters that cost one instruction to add to, whatever the number of CPUs.
//!
//! C header: [`include/linux/percpu.h`](srctree/include/linux/percpu.h)

use crate::ffi;
use core::ptr::NonNull;
use kernel::{
    bindings,
    cpu::nr_cpu_ids,
    prelude::*, //
};

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
// SAFETY: `this_cpu_add()` is atomic with respect to its CPU; sums read single words.
unsafe impl<const N: usize> Sync for PerCpuCounters<N> {}

impl<const N: usize> PerCpuCounters<N> {
    /// Allocates counters that are all zero, charged to the memory cgroup of the caller. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new() -> Result<Self> {
        // SAFETY: Any size is fine; the answer is null when there is no memory.
        let counters = NonNull::new(unsafe { ffi::alloc_percpu_u64(N) }).ok_or(ENOMEM)?;
        // INVARIANT: `alloc_percpu` gives zeroed memory.
        Ok(Self { counters })
    }

    /// Adds `n` to counter `index`; an index beyond `N` is ignored. Does not sleep.
    #[inline(always)]
    pub fn add(&self, index: usize, n: u64) {
        if index < N {
            // SAFETY: By the type invariants, and since `index` was just checked, this is the
            // per-CPU address of a `u64`.
            unsafe { ffi::this_cpu_add_u64(self.counters.as_ptr().wrapping_add(index), n) };
        }
    }

    /// Returns the sum of counter `index` over all CPUs; additions at the same time may be missed.
    pub fn sum(&self, index: usize) -> u64 {
        if index >= N {
            return 0;
        }
        let mut sum = 0u64;
        for cpu in 0..nr_cpu_ids() {
            // SAFETY: Any number may be asked for.
            if !unsafe { ffi::cpu_possible(cpu) } {
                continue;
            }
            let counter = self.counters.as_ptr().wrapping_add(index);
            // SAFETY: A per-CPU address and a possible CPU.
            let counter = unsafe { ffi::per_cpu_ptr_u64(counter, cpu) };
            // SAFETY: The address is valid for reads; the word may change meanwhile, which a
            // volatile read of one word stands as well as C's `READ_ONCE()` does.
            sum = sum.wrapping_add(unsafe { counter.read_volatile() });
        }
        sum
    }
}

impl<const N: usize> Drop for PerCpuCounters<N> {
    fn drop(&mut self) {
        // SAFETY: By the type invariants, and it is not used again.
        unsafe { bindings::free_percpu(self.counters.as_ptr().cast()) };
    }
}
