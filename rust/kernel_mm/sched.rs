// SPDX-License-Identifier: GPL-2.0

//! What loops that may run for long ask between two rounds.
//!
//! C header: [`include/linux/sched/signal.h`](srctree/include/linux/sched/signal.h)

use crate::bindings;

/// Returns whether the current task is being killed, so that a long operation should end.
pub(crate) fn fatal_signal_pending() -> bool {
    // SAFETY: Asks about the current task.
    unsafe { bindings::fatal_signal_pending() }
}

/// Lets other tasks run when it is time. The caller holds no spinlock and no RCU read lock.
pub(crate) fn cond_resched() {
    // SAFETY: `cond_resched()` has no requirement but that the caller may sleep; one that may not
    // gets a warning from `CONFIG_DEBUG_ATOMIC_SLEEP`, and on other kernels a late grace period.
    unsafe { bindings::cond_resched() };
}
