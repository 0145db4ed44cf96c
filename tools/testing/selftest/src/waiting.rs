// SPDX-License-Identifier: GPL-2.0

//! Waits for a state, because a fixed time would be too short on one machine and too long on
//! another.

use crate::context::Context;
use crate::outcome::{Result, Stop};
use std::fs::read_to_string;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The numbers of poll(2) and ppoll(2); arm64 has the second alone.
pub const POLL: &[u32] = match cfg!(target_arch = "x86_64") {
    true => &[7, 271],
    false => &[73],
};

/// Waits until `is` holds; `what` names the state in a failure.
#[track_caller]
pub fn until(cx: &Context, what: &str, mut is: impl FnMut() -> Result<bool>) -> Result {
    let end = Instant::now() + Duration::from_secs(10).mul_f64(cx.time_scale);
    while !is()? {
        if Instant::now() > end {
            return Err(Stop::fail(format_args!("timed out; expected: {what}")));
        }
        sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Waits until a thread sleeps in one of these system calls; `thread` is its folder in `/proc`.
///
/// The kernel shows the number of a call only while a thread sleeps in it (`proc_pid_syscall()` in
/// fs/proc/base.c, `wait_task_inactive()`): otherwise the file has `running`.
#[track_caller]
pub fn until_blocked(cx: &Context, thread: &str, calls: &[u32]) -> Result {
    let path = format!("{thread}/syscall");
    let what = format!("{thread} sleeps in one of the system calls {calls:?}");
    until(cx, &what, || Ok(is_in(&read_to_string(&path)?, calls)))
}

/// Returns whether the text of a `syscall` file names one of these calls.
fn is_in(text: &str, calls: &[u32]) -> bool {
    let number = text.split_whitespace().next().and_then(|n| n.parse().ok());
    number.is_some_and(|number: u32| calls.contains(&number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_told_by_its_number() {
        assert!(is_in("271 0x7ffd 0x1 0x0 0x7ffd 0x7f1b\n", POLL));
        assert!(!is_in("27 0x7ffd\n", POLL));
        assert!(!is_in("running\n", POLL));
        assert!(!is_in("-1 0x7ffd 0x7f1b\n", POLL));
        assert!(!is_in("", POLL));
    }
}
