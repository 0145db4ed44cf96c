// SPDX-License-Identifier: GPL-2.0

//! The harness tells every way in which a test can end, and goes on after each.

use rmmap_selftest::area::Kind;
use rmmap_selftest::case::{Case, On};
use rmmap_selftest::context::Context;
use rmmap_selftest::harness::run_one;
use rmmap_selftest::outcome::{Result, Stop};
use rmmap_sys::rustix::process::{getpid, kill_process, test_kill_process, Signal};
use rmmap_sys::{fork, Errno};
use std::thread::sleep;
use std::time::{Duration, Instant};

fn main() {
    assert_eq!(ended(|_| Ok(())), Ok(()));
    assert_eq!(
        ended(|_| Err(Stop::skip("no cgroup"))),
        Err(Stop::Skip("no cgroup".into()))
    );
    assert_eq!(
        failure(|_| Err(Stop::Fail("two\nlines".into()))),
        "two\nlines"
    );
    let killed = failure(|_| {
        kill_process(getpid(), Signal::KILL)?;
        Ok(())
    });
    assert!(killed.starts_with("killed by signal 9"), "{killed}");
    let alarm = failure(|_| Ok(kill_process(getpid(), Signal::ALARM)?));
    assert_eq!(alarm, "killed by signal 14 (SIGALRM)");
    let panicked = failure(|_| panic!("on purpose: this line belongs to a passing test"));
    assert!(
        panicked.contains("status 101") || panicked.contains("SIGABRT"),
        "{panicked}"
    );
    endless_test_is_ended();
    grandchild_is_ended();
    println!("every end was reported");
}

/// Runs a test with a limit that no machine needs.
fn ended(run: fn(&Context) -> Result) -> Result {
    ended_within(60.0, run)
}

/// Runs a test with a limit in seconds.
fn ended_within(time_scale: f64, run: fn(&Context) -> Result) -> Result {
    let case = Case {
        name: "x",
        rows: &[],
        about: "",
        on: On::File,
        seconds: 1,
        run,
    };
    let kind = Kind::Memfd;
    run_one(
        &case,
        &Context {
            kind,
            time_scale,
            cycles: 1,
            loader: None,
            info: None,
        },
    )
}

fn failure(run: fn(&Context) -> Result) -> String {
    match ended(run) {
        Err(Stop::Fail(text)) => text,
        other => panic!("it ended with {other:?}"),
    }
}

fn endless_test_is_ended() {
    let start = Instant::now();
    let result = ended_within(0.2, |_| loop {
        sleep(Duration::from_secs(1));
    });
    assert_eq!(result, Err(Stop::Fail("no end within 0.2 s".into())));
    assert!(start.elapsed() < Duration::from_secs(10));
}

fn grandchild_is_ended() {
    let text = failure(|_| {
        let child = fork(|_| loop {
            sleep(Duration::from_secs(1));
        })?;
        // Its id is the message; it is not killed by the test, which forgets it.
        let pid = child.pid();
        std::mem::forget(child);
        Err(Stop::Fail(pid.as_raw_nonzero().to_string()))
    });
    let pid = rmmap_sys::rustix::process::Pid::from_raw(text.parse().unwrap()).unwrap();
    for _ in 0..100 {
        if test_kill_process(pid) == Err(Errno::SRCH) {
            return;
        }
        sleep(Duration::from_millis(20));
    }
    // A zombie that nobody reaps still has its id.
    let state = std::fs::read_to_string(format!("/proc/{text}/stat")).unwrap();
    assert!(state.contains(") Z "), "the grandchild lives: {state}");
}
