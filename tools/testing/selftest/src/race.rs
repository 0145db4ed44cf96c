// SPDX-License-Identifier: GPL-2.0

//! Threads that work against each other for a while.

use crate::context::Context;
use crate::outcome::{Result, Stop};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::scope;
use std::time::{Duration, Instant};

/// Returns how long a race runs.
fn duration(cx: &Context) -> Duration {
    Duration::from_millis(400).mul_f64(cx.time_scale.clamp(1.0, 5.0))
}

/// The factor by which a race may run longer until both sides have met.
const PATIENCE: u32 = 40;

/// Runs `work` in `n` threads, each with its number, and `meanwhile` in this one, until the time is
/// up and `met` returns true: the two sides have met. Returns the first error. Fails if they do not
/// meet: such a race proves nothing.
pub fn race<F, M, T>(cx: &Context, n: usize, work: F, meanwhile: M, met: T) -> Result
where
    F: Fn(usize, &AtomicBool) -> Result + Sync,
    M: FnMut() -> Result,
    T: Fn() -> bool,
{
    race_for(duration(cx), n, work, meanwhile, met)
}

/// Runs a race like [`race`], for a time that the caller chooses.
pub fn race_for<F, M, T>(time: Duration, n: usize, work: F, mut meanwhile: M, met: T) -> Result
where
    F: Fn(usize, &AtomicBool) -> Result + Sync,
    M: FnMut() -> Result,
    T: Fn() -> bool,
{
    let start = Instant::now();
    let (stop, end) = (AtomicBool::new(false), start + time);
    let last = start + time * PATIENCE;
    scope(|scope| {
        let start = |i| {
            scope.spawn({
                let (work, stop) = (&work, &stop);
                move || work(i, stop)
            })
        };
        let threads: Vec<_> = (0..n).map(start).collect();
        let mut result = Ok(());
        while result.is_ok() && (Instant::now() < end || !met()) {
            result = meanwhile();
            if Instant::now() > last && !met() {
                result = result.and(Err(Stop::fail("the two sides never met")));
            }
            // A thread that ended early has failed; the error is reported below.
            if threads.iter().any(|thread| thread.is_finished()) {
                break;
            }
        }
        stop.store(true, Ordering::Relaxed);
        for thread in threads {
            let joined = thread.join().map_err(|_| Stop::fail("a thread panicked"));
            result = result.and(joined.and_then(|r| r));
        }
        result
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::area::Kind;
    use std::sync::atomic::AtomicUsize;

    fn context() -> Context {
        Context {
            kind: Kind::Memfd,
            time_scale: 1.0,
            cycles: 1,
            loader: None,
            info: None,
        }
    }

    fn spin(_: usize, stop: &AtomicBool) -> Result {
        while !stop.load(Ordering::Relaxed) {
            std::thread::yield_now();
        }
        Ok(())
    }

    #[test]
    fn a_race_goes_on_until_the_sides_met() {
        let turns = AtomicUsize::new(0);
        let turn = || {
            turns.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(100));
            Ok(())
        };
        let met = || turns.load(Ordering::Relaxed) >= 7;
        assert_eq!(race(&context(), 2, spin, turn, met), Ok(()));
        assert!(met());
    }

    #[test]
    fn a_race_whose_sides_never_met_is_a_failure() {
        match race(&context(), 2, spin, || Ok(()), || false) {
            Err(Stop::Fail(why)) => assert!(why.contains("never met"), "{why}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_thread_that_fails_ends_the_race() {
        let fail = |_: usize, _: &AtomicBool| Err(Stop::Fail("why".into()));
        let result = race(&context(), 2, fail, || Ok(()), || false);
        assert_eq!(result, Err(Stop::Fail("why".into())));
    }
}
