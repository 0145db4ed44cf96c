// SPDX-License-Identifier: GPL-2.0

//! The command `rmmap exec`: a program's memfds are regions, and the program ends as it would
//! without `rmmap exec`.

use super::commands::program;
use crate::apart::in_child;
use crate::context::Context;
use crate::outcome::{Result, Stop};
use crate::undo::Undo;
use crate::{cases, check, check_eq};
use rmmap_sys::rustix::fs::{chmod, Mode};
use rmmap_sys::rustix::io::{fcntl_setfd, FdFlags};
use rmmap_sys::rustix::process::{
    kill_process, set_dumpable_behavior, DumpableBehavior, Gid, Pid, Signal, Uid,
};
use rmmap_sys::rustix::thread::{set_thread_res_gid, set_thread_res_uid, CapabilitySet};
use rmmap_sys::uapi::RMMAP_DEVICE;
use std::fs::{read_to_string, File};
use std::io::{BufRead, BufReader, Read};
use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Output, Stdio};

cases! {
    Rmmap exec_answers_as_the_kernel [] "rmmap exec: modes, owners, seals, names and errors of memfds are those that the kernel gives them, and they are regions", 120;
    Rmmap exec_serves_threads_and_children [] "rmmap exec: threads, a forked and an executed child get a region for each memfd, with its own name", 120;
    Rmmap exec_ends_as_the_program [] "rmmap exec: exit status, 128 + n for signal n, 127 and 126 for programs that cannot be run", 120;
    Rmmap exec_passes_signals_on [] "rmmap exec: a signal sent to it reaches the program", 120;
    Rmmap exec_serves_who_stays [] "rmmap exec: a process that outlives the program still gets regions", 120;
    Rmmap exec_that_is_killed_takes_the_program_along [] "rmmap exec: its death by SIGKILL kills the program, and a process that the program leaves gets ENOSYS", 120;
    Rmmap exec_refuses_to_nest [] "rmmap exec in rmmap exec: one line and status 2, since seccomp allows one listener", 120;
    Rmmap exec_needs_the_node_alone [] "rmmap exec: a user who may open the node needs no privileges, and the program need not open it", 120;
    Rmmap exec_passes_the_tests_of_memfd [] "rmmap exec: tests of a memfd's seals, size, holes, mode and times pass", 120;
}

const CLIENT: &str = "rmmap-memfd";

/// Skips the test on a kernel without seccomp filters.
pub fn needs_seccomp() -> Result {
    match read_to_string("/proc/self/status")?.contains("\nSeccomp_filters:") {
        true => Ok(()),
        false => Err(Stop::skip("this kernel has no seccomp filters")),
    }
}

/// Returns a command that runs [`CLIENT`] with these arguments under `rmmap exec` with these
/// options.
fn exec(options: &str, arguments: &str) -> Result<Command> {
    needs_seccomp()?;
    let mut command = program("rmmap", "exec")?;
    command.args(options.split_whitespace());
    command.arg("--").arg(program(CLIENT, "")?.get_program());
    command.args(arguments.split_whitespace());
    Ok(command)
}

/// Returns the output of a program, which must have exited with this status.
fn printed(output: Output, status: i32) -> Result<String> {
    let said = String::from_utf8_lossy(&output.stderr);
    check_eq!(output.status.code(), Some(status), "exit status ({said})");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn exec_answers_as_the_kernel(_: &Context) -> Result {
    let alone = printed(program(CLIENT, "facts")?.output()?, 0)?;
    let output = exec("--stat --policy always", "facts")?.output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let served = printed(output, 0)?;
    let wanted = alone.lines().map(|line| match line.starts_with("huge") {
        true => line.to_owned(),
        false => line.replace("/memfd:", "/rmmap:"),
    });
    let wanted: Vec<String> = wanted.collect();
    for (served, wanted) in served.lines().zip(&wanted) {
        check_eq!(served, wanted);
    }
    check_eq!(served.lines().count(), wanted.len());
    let regions = served.matches("/rmmap:").count();
    check!(regions > 10, "{served}");
    // The program sealed one more region and did not print it.
    let counted = format!("regions {}, calls for their seals ", regions + 1);
    check!(said.contains(&counted), "no {counted:?} in {said:?}");
    Ok(())
}

fn exec_serves_threads_and_children(_: &Context) -> Result {
    let output = exec("--stat", "crowd 4 25")?.output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    check_eq!(printed(output, 0)?, "child: Exited(0)\n");
    let counted = "regions 102, calls for their seals 204, calls left to the kernel 0";
    check!(said.contains(counted), "{said}");
    Ok(())
}

fn exec_ends_as_the_program(_: &Context) -> Result {
    for (arguments, status) in [
        ("exit 0", 0),
        ("exit 7", 7),
        ("kill 15", 143),
        ("kill 9", 137),
    ] {
        printed(exec("", arguments)?.output()?, status)?;
    }
    for (path, status) in [("/no/such/program", 127), ("/", 126)] {
        let output = program("rmmap", &format!("exec {path}"))?.output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        check_eq!(output.status.code(), Some(status), "{path}: {said}");
        check!(said.contains(path) && said.lines().count() == 1, "{said}");
    }
    Ok(())
}

/// Starts the client under `rmmap exec`, with pipes to it.
fn start(arguments: &str) -> Result<(Child, BufReader<impl Read>)> {
    let mut command = exec("", arguments)?;
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let output = child.stdout.take().ok_or_else(|| Stop::fail("no pipe"))?;
    Ok((child, BufReader::new(output)))
}

fn line(output: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    output.read_line(&mut line)?;
    Ok(line)
}

fn exec_passes_signals_on(_: &Context) -> Result {
    for signal in [Signal::TERM, Signal::HUP, Signal::USR1, Signal::INT] {
        let (mut child, mut output) = start("wait")?;
        check_eq!(line(&mut output)?, "waiting\n");
        // `wait` would close the pipe, at whose end the program exits.
        let _input = child.stdin.take();
        kill_process(Pid::from_child(&child), signal)?;
        check_eq!(child.wait()?.code(), Some(128 + signal.as_raw()));
        check_eq!(line(&mut output)?, "", "the program lives on");
    }
    Ok(())
}

fn exec_serves_who_stays(_: &Context) -> Result {
    let (mut child, mut output) = start("stay")?;
    // `wait` would close the pipe that the process waits for.
    let input = child.stdin.take();
    check_eq!(child.wait()?.code(), Some(0));
    drop(input);
    let wanted = "/rmmap:stay (deleted) Ok(()) Ok(SealFlags(GROW))\n";
    check_eq!(line(&mut output)?, wanted);
    check_eq!(line(&mut output)?, "", "more was printed");
    Ok(())
}

fn exec_that_is_killed_takes_the_program_along(_: &Context) -> Result {
    let (mut child, mut output) = start("outlive")?;
    check_eq!(line(&mut output)?, "waiting\n");
    child.kill()?;
    check_eq!(child.wait()?.signal(), Some(Signal::KILL.as_raw()));
    let answer = line(&mut output)?;
    check!(answer.starts_with("unanswered: Err("), "{answer:?}");
    // ENOSYS, by number or by name.
    check!(
        answer.contains("38") || answer.contains("NOSYS"),
        "{answer:?}"
    );
    // EOF on the pipe: the program, which would park forever, has ended, too.
    check_eq!(line(&mut output)?, "");
    Ok(())
}

fn exec_refuses_to_nest(_: &Context) -> Result {
    needs_seccomp()?;
    let inner = program("rmmap", "")?;
    let mut outer = program("rmmap", "exec")?;
    outer.arg(inner.get_program()).args(["exec", "true"]);
    let output = outer.output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    check_eq!(output.status.code(), Some(2), "{said}");
    check!(
        said.contains("already") && said.lines().count() == 1,
        "{said}"
    );
    Ok(())
}

fn exec_needs_the_node_alone(cx: &Context) -> Result {
    needs_seccomp()?;
    cx.needs(CapabilitySet::SETUID, "CAP_SETUID")?;
    // Another user may lack access to the folder of the programs.
    let open = |name| -> Result<File> {
        let file = File::open(program(name, "")?.get_program())?;
        fcntl_setfd(&file, FdFlags::empty())?;
        Ok(file)
    };
    let (rmmap, client) = (open("rmmap")?, open(CLIENT)?);
    let link = |file: &File| format!("/proc/self/fd/{}", file.as_raw_fd());
    let _undo = Undo::new(|| {
        let _ = chmod(RMMAP_DEVICE, Mode::from_raw_mode(0o600));
    })?;
    let run = |mode| -> Result {
        chmod(RMMAP_DEVICE, Mode::from_raw_mode(mode))?;
        in_child(|| {
            let nobody = (Uid::from_raw(65534), Gid::from_raw(65534));
            set_thread_res_gid(nobody.1, nobody.1, nobody.1)?;
            set_thread_res_uid(nobody.0, nobody.0, nobody.0)?;
            // Without this /proc/self belongs to root.
            set_dumpable_behavior(DumpableBehavior::Dumpable)?;
            let mut command = Command::new(link(&rmmap));
            command.args(["exec", "--", &link(&client), "privileges"]);
            let output = command.stdin(Stdio::null()).output()?;
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            if mode == 0o600 {
                check_eq!(output.status.code(), Some(2), "{said}");
                check!(said.contains("no permission"), "{said}");
                return Ok(());
            }
            check_eq!(
                printed(output, 0)?,
                "NoNewPrivs:\t1\n/rmmap:own (deleted)\n"
            );
            Ok(())
        })
    };
    run(0o600)?;
    run(0o666)?;
    // A process with CAP_SYS_ADMIN may install filters without `no_new_privs`.
    let output = printed(exec("", "privileges")?.output()?, 0)?;
    check_eq!(output, "NoNewPrivs:\t0\n/rmmap:own (deleted)\n");
    Ok(())
}

fn exec_passes_the_tests_of_memfd(_: &Context) -> Result {
    const TESTS: [&str; 10] = [
        "seals_are_added",
        "seals_keep_the_size",
        "seal_write_keeps_the_contents",
        "seal_exec_keeps_the_mode",
        "mode_is_that_of_memfd",
        "noexec_seal_keeps_mode",
        "memory_is_executable",
        "fallocate_keeps_size",
        "seek_ends_with_the_file",
        "changes_set_the_times",
    ];
    needs_seccomp()?;
    let mut command = program("rmmap", "exec")?;
    command.arg(program("rmmap-selftest", "")?.get_program());
    command.args(["--object", "memfd"]);
    command.args(TESTS.iter().flat_map(|test| ["-t", test]));
    let report = printed(command.output()?, 0)?;
    let totals = format!("# Totals: pass:{} fail:0 ", TESTS.len());
    check!(report.contains(&totals), "{report}");
    Ok(())
}
