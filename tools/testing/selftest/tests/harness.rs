// SPDX-License-Identifier: GPL-2.0

//! The harness reports every way in which a test can end, and continues after each.

use rmmap_selftest::area::Kind;
use rmmap_selftest::case::{Case, On};
use rmmap_selftest::context::Context;
use rmmap_selftest::entry::Entry;
use rmmap_selftest::harness::{run_all, run_one};
use rmmap_selftest::outcome::{Result, Stop};
use rmmap_selftest::report::junit;
use rmmap_selftest::results::Results;
use rmmap_selftest::Args;
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
    every_end_is_in_the_reports();
    a_failure_stops_the_rest_if_asked();
    a_shuffled_run_repeats();
    println!("every end was reported");
}

/// Runs a test with a time limit that no machine reaches.
fn ended(run: fn(&Context) -> Result) -> Result {
    ended_within(60.0, run)
}

/// Runs a test with a limit in seconds.
fn ended_within(time_scale: f64, run: fn(&Context) -> Result) -> Result {
    run_one(&case("x", run), &context(time_scale))
}

fn case(name: &'static str, run: fn(&Context) -> Result) -> Case {
    Case {
        name,
        rows: &["MK-05"],
        about: "",
        on: On::File,
        seconds: 1,
        run,
    }
}

fn context(time_scale: f64) -> Context {
    Context {
        kind: Kind::Memfd,
        time_scale,
        cycles: 1,
        loader: None,
        info: None,
    }
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
    assert_eq!(result, Err(Stop::Fail("did not end within 0.2 s".into())));
    assert!(start.elapsed() < Duration::from_secs(10));
}

fn grandchild_is_ended() {
    let text = failure(|_| {
        let child = fork(|_| loop {
            sleep(Duration::from_secs(1));
        })?;
        // Its id is the message. The test forgets the child, so that dropping it does not kill it.
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

/// Runs four tests, of which the second panics and the third is skipped. Returns their results, and
/// the KTAP.
fn run_samples(words: Args) -> (Results, String) {
    let cases: &'static [Case] = Box::leak(Box::new([
        case("passes", |_| Ok(())),
        case("panics", |_| {
            panic!("on purpose: this line belongs to a passing test")
        }),
        case("skips", |_| Err(Stop::skip("no cgroup"))),
        case("fails", |_| Err(Stop::fail("a is 1, expected 2"))),
    ]));
    let entries: Vec<Entry> = cases
        .iter()
        .map(|case| Entry::Test(case, Kind::Memfd))
        .collect();
    let mut ktap = Vec::new();
    let results = run_all(&entries, context(60.0), &words, &mut ktap).unwrap();
    (results, String::from_utf8(ktap).unwrap())
}

fn names(results: &Results) -> Vec<&str> {
    results.tests.iter().map(|test| &*test.name).collect()
}

fn every_end_is_in_the_reports() {
    let (results, ktap) = run_samples(Args::default());
    assert_eq!((results.passed, results.failed, results.skipped), (1, 2, 1));
    assert_eq!(names(&results), ["passes", "panics", "skips", "fails"]);
    for line in [
        "1..4",
        "ok 1 passes",
        "not ok 2 panics",
        "ok 3 skips # SKIP no cgroup",
        "not ok 4 fails",
    ] {
        assert!(ktap.lines().any(|is| is == line), "{line}: {ktap}");
    }
    let report = junit(&results);
    assert_eq!((report.tests, report.failures), (4, 2));
    let xml = report.to_string().unwrap();
    assert!(xml.contains("a is 1, expected 2"), "{xml}");
}

fn a_failure_stops_the_rest_if_asked() {
    let (results, ktap) = run_samples(Args {
        fail_fast: true,
        repeat: 2,
        ..Args::default()
    });
    assert_eq!((results.passed, results.failed, results.skipped), (1, 1, 6));
    let last = results.tests.last().unwrap();
    assert_eq!((&*last.name, last.round), ("fails@2", 2));
    assert_eq!(
        last.message,
        "not run: panics@1 failed, and --fail-fast was given"
    );
    // A KTAP reader gets as many results as the plan says.
    assert!(ktap.contains("\n1..8\n") && ktap.contains("\nok 8 fails@2 # SKIP not run: panics@1 "));
}

fn a_shuffled_run_repeats() {
    let shuffled = |seed| {
        let args = Args {
            repeat: 3,
            shuffle: Some(seed),
            ..Args::default()
        };
        let (results, _) = run_samples(args);
        assert_eq!((results.passed, results.failed, results.skipped), (3, 6, 3));
        names(&results).join(" ")
    };
    assert_eq!(shuffled(1), shuffled(1));
    assert_ne!(shuffled(1), shuffled(2));
}
