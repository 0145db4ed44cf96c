// SPDX-License-Identifier: GPL-2.0

//! Threads that work against each other for a while.

use crate::context::Context;
use crate::outcome::{Result, Stop};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::scope;
use std::time::{Duration, Instant};

/// How long a race goes on.
fn duration(cx: &Context) -> Duration {
    Duration::from_millis(400).mul_f64(cx.time_scale.clamp(1.0, 5.0))
}

/// Runs `work` in `n` threads (it is given the number of its thread) while `meanwhile` runs here,
/// until the time is over; returns the first error.
pub fn race<F, M>(cx: &Context, n: usize, work: F, meanwhile: M) -> Result
where
    F: Fn(usize, &AtomicBool) -> Result + Sync,
    M: FnMut() -> Result,
{
    race_for(duration(cx), n, work, meanwhile)
}

/// As [`race`], for a time of the caller's choice.
pub fn race_for<F, M>(time: Duration, n: usize, work: F, mut meanwhile: M) -> Result
where
    F: Fn(usize, &AtomicBool) -> Result + Sync,
    M: FnMut() -> Result,
{
    let (stop, end) = (AtomicBool::new(false), Instant::now() + time);
    scope(|scope| {
        let start = |i| {
            scope.spawn({
                let (work, stop) = (&work, &stop);
                move || work(i, stop)
            })
        };
        let threads: Vec<_> = (0..n).map(start).collect();
        let mut result = Ok(());
        while result.is_ok() && Instant::now() < end {
            result = meanwhile();
        }
        stop.store(true, Ordering::Relaxed);
        for thread in threads {
            let joined = thread.join().map_err(|_| Stop::fail("a thread panicked"));
            result = result.and(joined.and_then(|r| r));
        }
        result
    })
}
