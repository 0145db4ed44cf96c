// SPDX-License-Identifier: GPL-2.0

//! The system call's entry and exit, around hooks that fail or block.

use crate::context::{Context, P};
use crate::ctl::Ctl;
use crate::outcome::Result;
use crate::tracing::SyscallExits;
use crate::{cases, check, check_eq, check_err};
use rmmap_sys::process::SYS_MMAP;
use rmmap_sys::rustix::mm::{mlockall, MlockAllFlags};
use rmmap_sys::rustix::process::{Pid, Signal};
use rmmap_sys::rustix::thread::CapabilitySet;
use rmmap_sys::{fork, End, Errno, MapOptions};
use std::fs::read_to_string;
use std::time::{Duration, Instant};

cases! {
    With("rmmap_ctl") ctl_mapping_keeps_the_file ["KS-10"] "a mapping holds the file after close; after a failed mmap close alone releases it";
    With("rmmap_ctl") ctl_killed_while_it_waits ["VM-03"] "SIGKILL while mmap waits for the mmap lock, which another thread holds in its hook: EINTR", 60;
}

fn ctl_mapping_keeps_the_file(_: &Context) -> Result {
    let observer = Ctl::open("lazy")?;
    let ctl = Ctl::open("lazy")?;
    let m = ctl.pages(4).map(&ctl)?;
    drop(ctl);
    m.touch_write(2, 9)?;
    check_eq!(m.read_u64(2 * P)?, 9);
    check_eq!(observer.counts(["cached", "release"])?, [1, 0]);
    drop(m);
    check_eq!(observer.get("release")?, 1);

    for name in ["fail", "fail-prep"] {
        let observer = Ctl::open(name)?;
        let ctl = Ctl::open(name)?;
        check_err!(ctl.pages(4).map(&ctl), Errno::IO);
        check_eq!(observer.counts(["hook", "release"])?, [1, 0]);
        drop(ctl);
        check_eq!(observer.get("release")?, 1, "releases of {name}");
    }
    Ok(())
}

/// The length of the mapping that blocks: no other call of the process uses it.
const LEN: usize = 7 * P;

fn ctl_killed_while_it_waits(cx: &Context) -> Result {
    cx.needs(CapabilitySet::IPC_LOCK, "CAP_IPC_LOCK")?;
    let (slow, dev) = (Ctl::open("slow")?, cx.region(LEN / P)?);
    let exits = SyscallExits::of(SYS_MMAP)?;
    let mut child = fork(|channel| {
        // Lock all pages: a page fault of this thread's code would also wait for the mmap lock,
        // before mmap does.
        if mlockall(MlockAllFlags::CURRENT).is_err() {
            return 1;
        }
        std::thread::scope(|scope| {
            scope.spawn(|| slow.pages(1).map(&slow));
            // The parent waits until the first thread is in its hook.
            let _ = channel.receive();
            let _ = MapOptions::new(LEN).map(&dev);
        });
        0
    })?;
    let pid = child.pid();
    wait_until(cx, "the hook is entered", || Ok(slow.get("hook")? == 1))?;
    child.channel().send(&[])?;
    wait_for_mmap(cx, pid)?;
    child.signal(Signal::KILL)?;
    check_eq!(child.wait()?, End::Killed(Signal::KILL.as_raw()));
    let returned = exits.returned(pid.as_raw_nonzero().get())?;
    let last = returned.last().copied();
    let interrupted = -i64::from(Errno::INTR.raw_os_error());
    check_eq!(last, Some(interrupted), "the last result of mmap");
    Ok(())
}

/// Waits until the thread blocks in the system call with these arguments.
fn wait_for_mmap(cx: &Context, pid: Pid) -> Result {
    let path = format!("/proc/{}/syscall", pid.as_raw_nonzero());
    let wanted = format!("{SYS_MMAP} 0x0 {LEN:#x} ");
    let end = Instant::now() + Duration::from_secs(4).mul_f64(cx.time_scale);
    let mut seen = Vec::new();
    loop {
        let call = read_to_string(&path)?;
        if call.starts_with(&wanted) {
            return Ok(());
        }
        check!(
            Instant::now() < end,
            "mmap of the region does not wait; the system calls were {seen:?}"
        );
        if seen.last() != Some(&call) {
            seen.push(call);
        }
    }
}

fn wait_until(cx: &Context, what: &str, is: impl Fn() -> Result<bool>) -> Result {
    let end = Instant::now() + Duration::from_secs(10).mul_f64(cx.time_scale);
    while !is()? {
        check!(Instant::now() < end, "timed out; expected: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}
