// SPDX-License-Identifier: GPL-2.0

//! Checks that long-running loops make in each round.
//!
//! C header: [`include/linux/sched/signal.h`](srctree/include/linux/sched/signal.h)

use crate::bindings;

/// Returns whether the current task is being killed, so that a long operation should end.
#[inline]
pub(crate) fn fatal_signal_pending() -> bool {
    // SAFETY: Reads state of the current task.
    unsafe { bindings::fatal_signal_pending() }
}

/// Reschedules if needed. The caller holds no spinlock and no RCU read lock.
#[inline]
pub(crate) fn cond_resched() {
    // SAFETY: `cond_resched()` requires only that the caller may sleep. Otherwise kernels with
    // `CONFIG_DEBUG_ATOMIC_SLEEP` warn, and on others a grace period ends late.
    unsafe { bindings::cond_resched() };
}
