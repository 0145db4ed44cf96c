// SPDX-License-Identifier: GPL-2.0

//! A program that uses memfds, for tests of `rmmap exec`. Under `rmmap exec` it prints the same as
//! without, except for the prefix of the memfds' names.

#![forbid(unsafe_code)]

use rmmap_sys::rustix::fs::{
    fcntl_add_seals, fcntl_get_seals, fstat, ftruncate, memfd_create, MemfdFlags, SealFlags,
};
use rmmap_sys::rustix::io::{fcntl_getfd, pread, pwrite};
use rmmap_sys::rustix::process::{getpid, kill_process, setrlimit, Resource, Rlimit, Signal};
use rmmap_sys::rustix::thread::gettid;
use rmmap_sys::{fork, MapOptions, PAGE_SIZE};
use std::error::Error;
use std::fs::{read_link, read_to_string};
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::thread;

type Result<T = (), E = Box<dyn Error>> = std::result::Result<T, E>;

const USAGE: &str = "facts | privileges | one | crowd THREADS MEMFDS | exit STATUS | kill SIGNAL | wait | outlive | stay";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["facts"] => facts(),
        ["privileges"] => privileges(),
        ["one"] => work("executed"),
        ["crowd", threads, memfds] => crowd(threads, memfds),
        ["exit", status] => match status.parse::<u8>() {
            Ok(status) => return ExitCode::from(status),
            Err(error) => Err(error.into()),
        },
        ["kill", signal] => kill(signal),
        ["wait"] => wait(),
        ["outlive"] => outlive(),
        ["stay"] => stay(),
        _ => Err(format!("usage: rmmap-memfd {USAGE}").into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rmmap-memfd: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints a line at once: the reader may be waiting for it.
fn say(text: impl AsRef<str>) -> Result {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", text.as_ref())?;
    Ok(out.flush()?)
}

fn link(fd: impl AsFd) -> Result<String> {
    let link = read_link(format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd()))?;
    Ok(link.to_string_lossy().into_owned())
}

/// Prints the results of memfd_create(2) and of sealing for all kinds of arguments.
fn facts() -> Result {
    for flags in 0..0x40 {
        let flags = MemfdFlags::from_bits_retain(flags);
        let made = about(memfd_create("some name", flags))?;
        // The kernel itself creates memfds of huge pages, also under `rmmap exec`.
        let huge = if flags.contains(MemfdFlags::HUGETLB) {
            "huge "
        } else {
            ""
        };
        say(format!("{huge}flags {:#x}: {made}", flags.bits()))?;
    }
    for length in [0, 1, 249, 250, 300, 4000] {
        let name = "n".repeat(length);
        say(format!(
            "name of {length}: {}",
            about(memfd_create(name, MemfdFlags::empty()))?
        ))?;
    }
    sealing()?;
    let (pipe, _end) = rmmap_sys::rustix::pipe::pipe()?;
    say(format!("seals of a pipe: {:?}", fcntl_get_seals(&pipe)))?;
    say(format!(
        "sealing a pipe: {:?}",
        fcntl_add_seals(&pipe, SealFlags::GROW)
    ))?;
    full_table()
}

/// Prints whether execve(2) may still give this process privileges.
fn privileges() -> Result {
    let status = read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("NoNewPrivs"));
    say(line.ok_or("no NoNewPrivs in /proc/self/status")?)?;
    work("unprivileged")?;
    say(link(memfd_create("own", MemfdFlags::empty())?)?)
}

/// Describes a new file, or the error.
fn about(made: rmmap_sys::Result<OwnedFd>) -> Result<String> {
    let file = match made {
        Ok(file) => file,
        Err(errno) => return Ok(format!("{errno:?}")),
    };
    let stat = fstat(&file)?;
    Ok(format!(
        "{} mode {:o} links {} uid {} gid {} size {} fd {:?} seals {:?}",
        link(&file)?,
        stat.st_mode,
        stat.st_nlink,
        stat.st_uid,
        stat.st_gid,
        stat.st_size,
        fcntl_getfd(&file)?,
        fcntl_get_seals(&file),
    ))
}

fn sealing() -> Result {
    let file = memfd_create("sealed", MemfdFlags::ALLOW_SEALING | MemfdFlags::EXEC)?;
    ftruncate(&file, 2 * PAGE_SIZE as u64)?;
    pwrite(&file, b"contents", 0)?;
    let m = MapOptions::new(2 * PAGE_SIZE).map(&file)?;
    m.touch_write(1, 1)?;
    let unknown = SealFlags::from_bits_retain(0x400);
    let add = |seals| fcntl_add_seals(&file, seals);
    say(format!("unknown seal: {:?}", add(unknown)))?;
    say(format!("GROW: {:?}", add(SealFlags::GROW)))?;
    say(format!("growing: {:?}", ftruncate(&file, 1 << 20)))?;
    say(format!("WRITE, mapped: {:?}", add(SealFlags::WRITE)))?;
    drop(m);
    say(format!(
        "WRITE: {:?}",
        add(SealFlags::WRITE | SealFlags::SEAL)
    ))?;
    say(format!("writing: {:?}", pwrite(&file, b"x", 0)))?;
    say(format!("SHRINK: {:?}", add(SealFlags::SHRINK)))?;
    say(format!("seals: {:?}", fcntl_get_seals(&file)))
}

/// Prints the error of memfd_create(2) when no descriptor is left.
fn full_table() -> Result {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    setrlimit(Resource::Nofile, none)?;
    let full = memfd_create("full", MemfdFlags::empty());
    say(format!("no descriptor left: {:?}", full.map(drop)))
}

/// Creates memfds in many threads at once and in a child, which executes this program again.
fn crowd(threads: &str, memfds: &str) -> Result {
    let (threads, memfds) = (threads.parse::<u32>()?, memfds.parse::<u32>()?);
    let me = std::env::current_exe()?;
    let mut child = fork(|_| match work("forked") {
        // exec returns if it fails.
        Ok(()) => Command::new(me)
            .arg("one")
            .exec()
            .raw_os_error()
            .unwrap_or(1),
        Err(_) => 1,
    })?;
    let begin = |thread| {
        let work = move |n| work(&format!("{thread}-{n}")).map_err(|error| error.to_string());
        thread::spawn(move || (0..memfds).try_for_each(work))
    };
    let workers: Vec<_> = (0..threads).map(begin).collect();
    for worker in workers {
        worker.join().map_err(|_| "a thread panicked")??;
    }
    say(format!("child: {:?}", child.wait()?))
}

/// Writes, maps, seals and reads a memfd.
fn work(name: &str) -> Result {
    let file = memfd_create(name, MemfdFlags::ALLOW_SEALING | MemfdFlags::CLOEXEC)?;
    let shown = link(&file)?;
    if !shown.ends_with(&format!(":{name} (deleted)")) {
        return Err(format!("{name} is shown as {shown} to {:?}", gettid()).into());
    }
    ftruncate(&file, PAGE_SIZE as u64)?;
    let m = MapOptions::new(PAGE_SIZE).map(&file)?;
    m.write(0, name.as_bytes())?;
    drop(m);
    fcntl_add_seals(&file, SealFlags::WRITE)?;
    let mut read = vec![0; name.len()];
    pread(&file, &mut read, 0)?;
    match read == name.as_bytes() && fcntl_get_seals(&file)?.contains(SealFlags::WRITE) {
        true => Ok(()),
        false => Err(format!("{name} differs from the bytes written").into()),
    }
}

/// Ends this process by a signal.
fn kill(signal: &str) -> Result {
    let signal = Signal::from_named_raw(signal.parse()?).ok_or("no such signal")?;
    kill_process(getpid(), signal)?;
    Err("the signal did not end the process".into())
}

/// Waits for a signal, or for the end of its standard input.
fn wait() -> Result {
    say("waiting")?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Leaves a child that waits for the end of `rmmap exec`.
fn outlive() -> Result {
    leave(|| {
        say("waiting")?;
        // As long as memfd_create(2) succeeds, the file must have a name.
        while let Ok(file) = memfd_create("outlive", MemfdFlags::empty()) {
            link(&file)?;
            thread::sleep(std::time::Duration::from_millis(10));
        }
        let answer = memfd_create("outlive", MemfdFlags::empty()).map(drop);
        say(format!("unanswered: {answer:?}"))
    })?;
    // Wait for SIGKILL, which the kernel sends when the parent ends.
    loop {
        thread::park();
    }
}

/// Leaves a child that creates a memfd when its standard input ends, and exits before that.
fn stay() -> Result {
    leave(|| {
        std::io::stdin().read_to_end(&mut Vec::new())?;
        let file = memfd_create("stay", MemfdFlags::ALLOW_SEALING)?;
        let sealed = fcntl_add_seals(&file, SealFlags::GROW);
        say(format!(
            "{} {sealed:?} {:?}",
            link(&file)?,
            fcntl_get_seals(&file)
        ))
    })
}

/// Runs `work` in a child that outlives this process. The child executes this program again: a
/// child of `fork` would end with its parent.
fn leave(work: impl FnOnce() -> Result) -> Result {
    const CHILD: &str = "RMMAP_MEMFD_CHILD";
    if std::env::var_os(CHILD).is_some() {
        work()?;
        std::process::exit(0);
    }
    let words = std::env::args_os().skip(1);
    let mut again = Command::new(std::env::current_exe()?);
    again.args(words).env(CHILD, "1").spawn()?;
    Ok(())
}
