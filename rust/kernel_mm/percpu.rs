// SPDX-License-Identifier: GPL-2.0

//! Counters that cost one instruction to add to, whatever the number of CPUs.
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
// (`this_cpu_generic_to_op()`), so that no other addition on the same CPU comes in between; other
// CPUs only read single words.
unsafe impl<const N: usize> Sync for PerCpuCounters<N> {}

/// The largest number of counters: `PCPU_MIN_UNIT_SIZE` is what every per-CPU allocation may have.
const MAX: usize = bindings::PCPU_MIN_UNIT_SIZE / size_of::<u64>();

impl<const N: usize> PerCpuCounters<N> {
    /// The number of counters, `N`. More than a per-CPU allocation may hold do not compile.
    pub const LEN: usize = {
        assert!(N <= MAX, "more counters than a per-CPU allocation holds");
        N
    };

    /// Allocates counters that are all zero, charged to the memory cgroup of the caller. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new() -> Result<Self> {
        // SAFETY: `LEN` times eight is at most `PCPU_MIN_UNIT_SIZE`: the product does not overflow,
        // and pcpu_alloc_noprof() accepts the size. The answer is null when there is no memory.
        let counters = unsafe { bindings::alloc_percpu_u64(Self::LEN) };
        let counters = NonNull::new(counters).ok_or(ENOMEM)?;
        // INVARIANT: `LEN` is `N`, and pcpu_alloc_noprof() clears the memory of each possible CPU.
        Ok(Self { counters })
    }

    /// Adds `n` to counter `index`; an index beyond `N` is ignored. Does not sleep.
    #[inline(always)]
    pub fn add(&self, index: usize, n: u64) {
        if index < N {
            // SAFETY: By the type invariants, and since `index` was just checked, this is the
            // per-CPU address of a `u64`.
            unsafe { bindings::this_cpu_add_u64(self.counters.as_ptr().wrapping_add(index), n) };
        }
    }

    /// Returns the sum of counter `index` over all CPUs; additions at the same time may be missed.
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
            // address of a `u64`; the CPU is possible, and so has a copy.
            let counter = unsafe { bindings::per_cpu_ptr_u64(counter, cpu) };
            // SAFETY: The address is valid for reads; the word may change meanwhile, which a
            // volatile read of one word stands as well as C's `READ_ONCE()` does.
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
