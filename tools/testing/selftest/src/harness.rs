// SPDX-License-Identifier: GPL-2.0

//! Runs tests, each in a child, and prints their results.

use crate::area::Kind;
use crate::args::{Args, Object};
use crate::case::{Case, On};
use crate::context::Context;
use crate::entry::{pick, Entry};
use crate::loader::{Loader, NAME};
use crate::message::{decode, encode};
use crate::order::order;
use crate::outcome::{both, errno, Stop};
use crate::report::Files;
use crate::results::{Record, Results};
use crate::skips::{self, Kernel};
use crate::sysctl::Settings;
use crate::table;
use rmmap_sys::rustix::event::{poll, PollFd, PollFlags, Timespec};
use rmmap_sys::rustix::process::{
    kill_process_group, setpgid, setrlimit, Resource, Rlimit, Signal,
};
use rmmap_sys::uapi::RmmapInfo;
use rmmap_sys::{fork, module, Channel, Child, Device, End, Errno};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Runs the selected tests. [`EXIT_STATUS`](crate::args::EXIT_STATUS) explains the exit status.
pub fn run(args: &Args) -> ExitCode {
    match list_or_run(args) {
        Ok(failed) => ExitCode::from(u8::from(failed)),
        Err(why) => {
            eprintln!("rmmap: {why}");
            ExitCode::from(2)
        }
    }
}

/// Lists or runs the tests. Returns whether a test failed, or why no test can run or be reported.
fn list_or_run(args: &Args) -> Result<bool, String> {
    let entries = pick(args);
    if args.list {
        return list(&entries, args).map(|()| false);
    }
    if entries.is_empty() {
        return Err("no test matches: see the names with --list".into());
    }
    // A file that cannot be written is named before the tests, not after an hour.
    let files = Files::create(args)?;
    let context = prepare(args)?;
    let cannot = |e| format!("cannot print results: {e}");
    let results = if args.json_is_on_stdout() {
        run_all(&entries, context, args, &mut io::stderr())
    } else {
        run_all(&entries, context, args, &mut io::stdout())
    };
    let results = results.map_err(cannot)?;
    files.write(&results)?;
    Ok(results.failed > 0)
}

/// Prints names, rows and descriptions, or the tests of rows as JSON.
fn list(entries: &[Entry], args: &Args) -> Result<(), String> {
    if args.json.is_some() {
        return Files::create(args)?.write_json(&table::tests());
    }
    for entry in entries {
        let rows = entry.rows().join(" ");
        println!("{:40} {rows:14} {}", entry.name(), entry.about());
    }
    Ok(())
}

/// Checks that the object exists, after loading the module if the user named one.
fn prepare(args: &Args) -> Result<Context, String> {
    let load = |file: &PathBuf| Loader::new(file, &args.param);
    let loader = args.module.as_ref().map(load).transpose()?;
    if let Some(loader) = loader.as_ref().filter(|_| args.object == Object::Rmmap) {
        // Reload it even if it is loaded: its parameters may differ.
        loader.restore()?;
    }
    let info = match args.object {
        Object::Memfd => None,
        Object::Rmmap => Some(ask_device()?),
    };
    Ok(Context {
        kind: Kind::Region,
        time_scale: args.time_scale,
        cycles: args.cycles,
        loader,
        info,
    })
}

/// Returns the device's INFO, or a message with the cause of the failure and a remedy.
fn ask_device() -> Result<RmmapInfo, String> {
    let device = Device::open().map_err(|e| match e {
        Errno::NOENT if !module::is_loaded(NAME) => {
            "the module is not loaded: load it with insmod, or give --module FILE.ko".to_owned()
        }
        Errno::NOENT => "/dev/rmmap is missing: is devtmpfs mounted on /dev?".to_owned(),
        Errno::ACCESS | Errno::PERM => {
            "no permission to open /dev/rmmap: run it as root".to_owned()
        }
        e => format!("cannot open /dev/rmmap: {}", errno(e)),
    })?;
    device
        .info()
        .map_err(|e| format!("/dev/rmmap does not answer INFO: {}", errno(e)))
}

/// Runs the tests in the order that `args` says, and prints results as KTAP to `ktap`.
pub fn run_all(
    entries: &[Entry],
    mut context: Context,
    args: &Args,
    ktap: &mut dyn Write,
) -> io::Result<Results> {
    let order = order(entries, args.repeat, args.shuffle);
    let mut results = Results::new(args);
    let settings = Settings::read();
    let mut stopped = None;
    results.begin(order.len(), ktap)?;
    for (round, entry) in &order {
        let name = match args.repeat {
            1 => entry.name(),
            _ => format!("{}@{round}", entry.name()),
        };
        let start = Instant::now();
        let result = match &stopped {
            Some(why) => Err(Stop::skip(why)),
            None => judge(
                entry,
                args.kernel,
                run_entry(entry, &mut context, &settings),
            ),
        };
        if args.fail_fast && stopped.is_none() && matches!(result, Err(Stop::Fail(_))) {
            stopped = Some(format!("not run: {name} failed, and --fail-fast was given"));
        }
        let record = Record::new(name, *round, entry, result, start.elapsed());
        results.add(record, ktap)?;
    }
    results.end(ktap)?;
    Ok(results)
}

/// Turns an unexpected skip of a test into a failure, on a kernel of the lab. Rows that no program
/// can reach have their own reason.
fn judge(entry: &Entry, kernel: Option<Kernel>, result: Result<(), Stop>) -> Result<(), Stop> {
    match (entry, kernel) {
        (Entry::Test(case, _), Some(kernel)) => skips::judge(kernel, case.name, result),
        _ => result,
    }
}

/// Runs the test of an entry, if it has one. A setting that it left changed is a failure.
fn run_entry(entry: &Entry, context: &mut Context, settings: &Settings) -> Result<(), Stop> {
    let result = match entry {
        Entry::Test(case, kind) => {
            context.kind = *kind;
            run_and_tidy_up(case, context)
        }
        Entry::Unreachable(row) => Err(Stop::skip(&row.why)),
    };
    // Also after a failure.
    both(result, settings.restore())
}

/// Runs a test, and restores the state of the device.
fn run_and_tidy_up(case: &Case, context: &mut Context) -> Result<(), Stop> {
    let result = match case.on {
        On::With(module) => run_with(module, case, context),
        _ => run_one(case, context),
    };
    tidy_up(case, context, result)
}

/// Runs a test while another module is loaded. Unloading it afterwards is part of the test: it
/// proves that nothing is open or mapped any more.
fn run_with(module: &str, case: &Case, context: &Context) -> Result<(), Stop> {
    let loader = context.loader()?.sibling(module).map_err(Stop::Fail)?;
    let cannot = |verb: &str, e| Stop::Fail(format!("cannot {verb} {module}: {}", errno(e)));
    loader.unload().map_err(|e| cannot("unload", e))?;
    loader.load().map_err(|e| cannot("load", e))?;
    let result = run_one(case, context);
    both(result, loader.unload().map_err(|e| cannot("unload", e)))
}

/// Runs a test in a child with a time limit.
pub fn run_one(case: &Case, context: &Context) -> Result<(), Stop> {
    let limit = Duration::from_secs(case.seconds.into()).mul_f64(context.time_scale);
    let mut child = fork(|channel| i32::from(in_child(case, context, channel).is_err()))?;
    let pid = child.pid();
    let answer = wait_for_answer(&child, limit);
    // Kill the processes that it left. This fails if there are none.
    let _ = kill_process_group(pid, Signal::KILL);
    let answer = answer?;
    let end = child.wait()?;
    match (answer, end) {
        (None, _) => Err(Stop::Fail(format!(
            "did not end within {} s",
            limit.as_secs_f64()
        ))),
        (Some(message), _) if !message.is_empty() => decode(&message),
        (Some(_), End::Killed(signal)) => Err(Stop::Fail(format!(
            "killed by signal {signal}{}",
            signal_name(signal)
        ))),
        (Some(_), End::Exited(code)) => Err(Stop::Fail(format!(
            "ended with status {code} and without a result"
        ))),
    }
}

/// Waits for the child's message; returns `None` on a timeout, and an empty message if the child
/// ended without one.
fn wait_for_answer(child: &Child, limit: Duration) -> Result<Option<Vec<u8>>, Stop> {
    let end = Instant::now() + limit;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: left.subsec_nanos().into(),
        };
        match poll(
            &mut [PollFd::new(child.channel(), PollFlags::IN)],
            Some(&timeout),
        ) {
            Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
            Ok(0) => return Ok(None),
            Ok(_) => return Ok(Some(child.channel().receive().unwrap_or_default())),
        }
    }
}

/// Runs a test in the child, and sends its result.
fn in_child(case: &Case, context: &Context, channel: &Channel) -> std::io::Result<()> {
    setpgid(None, None)?;
    // A test that is killed on purpose must not leave a core file.
    setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    )?;
    channel.send(&encode((case.run)(context)))
}

/// Returns the names of signals that commonly end tests.
fn signal_name(signal: i32) -> &'static str {
    const NAMES: [(Signal, &str); 5] = [
        (Signal::BUS, " (SIGBUS)"),
        (Signal::SEGV, " (SIGSEGV)"),
        (
            Signal::KILL,
            " (SIGKILL; the kernel log says whether it was the OOM killer)",
        ),
        (
            Signal::ABORT,
            " (SIGABRT, a panic: the message is on stderr)",
        ),
        (Signal::ALARM, " (SIGALRM)"),
    ];
    NAMES
        .iter()
        .find(|(s, _)| s.as_raw() == signal)
        .map_or("", |(_, name)| name)
}

/// Checks that no regions or memory of a test outlive its processes. The next test starts from the
/// current state, so that only this one is blamed.
fn leaves_nothing(context: &mut Context) -> Result<(), Stop> {
    let Some(info) = &mut context.info else {
        return Ok(());
    };
    let before = *info;
    let end = Instant::now() + Duration::from_secs(5).mul_f64(context.time_scale);
    loop {
        let device = Device::open()?;
        // The device's own region may keep its pages: discard them before the next test.
        device.discard(0, before.capacity)?;
        *info = device.info()?;
        if info.policy != before.policy {
            device.set_policy(before.policy)?;
            let left = info.policy;
            *info = device.info()?;
            return Err(Stop::Fail(format!(
                "left behind: policy {left}; before the test it was {}",
                before.policy
            )));
        }
        let is_more = info.regions > before.regions || info.used_bytes > before.used_bytes;
        if !is_more {
            return Ok(());
        }
        if Instant::now() > end {
            return Err(Stop::Fail(format!(
                "left behind: {} regions and {} bytes; before the test it was {} and {}",
                info.regions, info.used_bytes, before.regions, before.used_bytes
            )));
        }
        // A killed process frees its memory a little later.
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Restores the state before the test, and fails a test that left anything.
fn tidy_up(case: &Case, context: &mut Context, result: Result<(), Stop>) -> Result<(), Stop> {
    match &context.loader {
        Some(loader) if case.on == On::Reload => {
            // Unloading is the check: it fails while anything is left.
            let restored = loader.restore().map_err(Stop::Fail);
            both(result, restored)
        }
        _ => {
            // After a failure, this is for the next test.
            let left = leaves_nothing(context);
            both(result, left)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{self, Reach};

    fn context() -> Context {
        Context {
            kind: Kind::Memfd,
            time_scale: 1.0,
            cycles: 1,
            loader: None,
            info: None,
        }
    }

    #[test]
    fn a_failed_clean_up_after_a_skip_is_a_failure() {
        let row = rows::all().find(|row| row.reach == Reach::No).unwrap();
        let entry = Entry::Unreachable(row);
        let skipped = run_entry(&entry, &mut context(), &Settings::read());
        assert_eq!(skipped, Err(Stop::skip(&row.why)));
        let gone = Settings::of("vm/there-is-no-such", "1");
        match run_entry(&entry, &mut context(), &gone) {
            Err(Stop::Fail(why)) => assert!(why.contains("vm/there-is-no-such"), "{why}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn skips_of_tests_are_judged_and_those_of_rows_are_not() {
        let row = rows::all().find(|row| row.reach == Reach::No).unwrap();
        let skip = || Err(Stop::skip("no time"));
        let test = Entry::Test(crate::suite::all().next().unwrap(), Kind::Region);
        let stock = Some(Kernel::Stock);
        assert_eq!(judge(&Entry::Unreachable(row), stock, skip()), skip());
        assert_eq!(judge(&test, None, skip()), skip());
        let judged = judge(&test, stock, skip());
        assert!(matches!(judged, Err(Stop::Fail(_))), "{judged:?}");
    }

    #[test]
    fn nothing_is_left_of_no_module() {
        assert_eq!(leaves_nothing(&mut context()), Ok(()));
    }
}
