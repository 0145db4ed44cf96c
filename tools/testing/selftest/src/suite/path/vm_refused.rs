// SPDX-License-Identifier: GPL-2.0

//! `vm_mmap_pgoff()`: security modules and storage managers that refuse a mapping of a file.
//!
//! Neither is called for a character device, so these are files of a tmpfs and of a disk.

use crate::context::{Context, P};
use crate::disk;
use crate::mounts::Mounts;
use crate::outcome::{cannot, errno, Result, Stop};
use crate::{cases, check_eq, check_err};
use rmmap_sys::fanotify::PreContent;
use rmmap_sys::process::read_implies_exec;
use rmmap_sys::rustix::event::{poll, PollFd, PollFlags, Timespec};
use rmmap_sys::rustix::fs::{chown, Uid};
use rmmap_sys::rustix::mm::ProtFlags;
use rmmap_sys::rustix::mount::MountFlags;
use rmmap_sys::rustix::thread::CapabilitySet;
use rmmap_sys::{fork, procmap, run_in_child, uapi, Channel, End, Errno, MapOptions};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

cases! {
    Rmmap security_module_refuses ["VM-01"] "EACCES for executable mappings of an unsigned file that IMA appraises, readable ones are fine";
    Rmmap storage_manager_is_asked ["VM-02"] "fanotify's pre-content event has the range; refusing it is EPERM";
}

/// Owner of the files that IMA's policy appraises; no other file has this owner.
const OWNER: u32 = 424_242;

/// Creates a file of one page with this owner.
fn owned_file(mounts: &Mounts, owner: u32) -> Result<File> {
    let path = mounts.folder().join(format!("of-{owner}"));
    fs::write(&path, [7; P])?;
    chown(&path, Some(Uid::from_raw(owner)), None)?;
    // Reopen it: the process that created a file may execute it before it is signed.
    Ok(File::open(path)?)
}

/// Makes IMA appraise the files of [`OWNER`]. A kernel without `IMA_WRITE_POLICY` accepts rules
/// once and keeps them until reboot; they apply to no other file.
fn appraise(mounts: &Mounts) -> Result {
    let none = MountFlags::empty();
    let folder = mounts.mount("security", "securityfs", Path::new("securityfs"), none, "")?;
    let policy = folder.join("ima/policy");
    if !policy.exists() {
        return Err(Stop::skip(
            "this kernel has no IMA, or already has its rules",
        ));
    }
    let rule = format!("appraise func=MMAP_CHECK fowner={OWNER}\n");
    let write = || -> std::io::Result<()> {
        use std::io::Write;
        File::options()
            .write(true)
            .open(policy)?
            .write_all(rule.as_bytes())
    };
    write().map_err(|e| cannot("give IMA a rule", e))
}

fn security_module_refuses(cx: &Context) -> Result {
    cx.needs(CapabilitySet::SYS_ADMIN, "CAP_SYS_ADMIN")?;
    let mounts = Mounts::new()?;
    let (appraised, other) = (owned_file(&mounts, OWNER)?, owned_file(&mounts, OWNER + 1)?);
    let read = MapOptions::new(P).read_only().private();
    let exec = read.prot(ProtFlags::READ | ProtFlags::EXEC);
    // An earlier run on this kernel may have set the rule.
    if exec.map(&appraised).is_ok() {
        appraise(&mounts)?;
    }
    check_err!(exec.map(&appraised), Errno::ACCESS);
    let shared = MapOptions::new(P).prot(ProtFlags::READ | ProtFlags::EXEC);
    check_err!(shared.map(&appraised), Errno::ACCESS);
    let m = read.map(&appraised)?;
    check_eq!(
        (procmap::query(m.address())?.flags, m.touch_read(0)?),
        (1, 7)
    );
    let m = exec.map(&other)?;
    check_eq!(procmap::query(m.address())?.flags, 1 | 4);

    // The kernel calls the hook with the effective protection, not with the requested one.
    let (end, answer) = run_in_child(|| {
        let look = || -> Result<Vec<u8>> {
            read_implies_exec()?;
            check_err!(
                read.map(&appraised),
                Errno::ACCESS,
                "with READ_IMPLIES_EXEC"
            );
            let m = read.map(&other)?;
            check_eq!(procmap::query(m.address())?.flags, 1 | 4);
            Ok(b"fine".to_vec())
        };
        look().unwrap_or_else(|stop| format!("{stop:?}").into_bytes())
    })?;
    check_eq!(
        (end, String::from_utf8_lossy(&answer).as_ref()),
        (End::Exited(0), "fine")
    );
    Ok(())
}

/// Returns a listener for a file, or the reason to skip the test.
fn watch(path: &Path) -> Result<PreContent> {
    let skip = |e| Stop::skip(format_args!("no pre-content events: {}", errno(e)));
    let listener = PreContent::new().map_err(|e| match e {
        Errno::NOSYS | Errno::INVAL | Errno::PERM => skip(e),
        e => Stop::fail(format_args!("fanotify_init: {}", errno(e))),
    })?;
    listener.watch(path).map_err(|e| match e {
        Errno::INVAL => skip(e),
        e => Stop::fail(format_args!("fanotify_mark: {}", errno(e))),
    })?;
    Ok(listener)
}

/// Maps pages 1 and 2 of a file each time the parent asks, and sends the error number.
fn map_when_told(channel: &Channel, path: &PathBuf) -> Result {
    let file = File::open(path)?;
    while channel.receive_u64()? > 0 {
        let options = MapOptions::new(2 * P).offset(P as u64).read_only();
        let error = options.map(&file).map_or_else(|e| e.raw_os_error(), |_| 0);
        channel.send_u64(error as u64)?;
    }
    Ok(())
}

fn storage_manager_is_asked(cx: &Context) -> Result {
    cx.needs(CapabilitySet::SYS_ADMIN, "CAP_SYS_ADMIN")?;
    let mounts = Mounts::new()?;
    let path = disk::ext4(&mounts, 8)?.join("file");
    fs::write(&path, vec![7; 4 * P])?;
    let listener = watch(&path)?;
    // The kernel sends no such events for a character device.
    check_err!(
        listener.watch(Path::new(uapi::RMMAP_DEVICE)),
        Errno::OPNOTSUPP
    );

    // Open the file while it is watched: the kernel decides at open whether to send events.
    let mut child = fork(|channel| i32::from(map_when_told(channel, &path).is_err()))?;
    let pid = child.pid().as_raw_nonzero().get();
    for (allow, error) in [(true, 0), (false, Errno::PERM.raw_os_error()), (true, 0)] {
        child.channel().send_u64(1)?;
        let limit = Timespec {
            tv_sec: 20,
            tv_nsec: 0,
        };
        let asked = poll(&mut [PollFd::new(&listener, PollFlags::IN)], Some(&limit))?;
        check_eq!(asked, 1, "events before a mapping");
        let question = listener.next_question()?;
        check_eq!(
            (question.pid, question.range.clone()),
            (pid, Some(P as u64..3 * P as u64))
        );
        listener.answer(question, allow)?;
        check_eq!(
            child.channel().receive_u64()?,
            error as u64,
            "errno of mmap"
        );
    }
    child.channel().send_u64(0)?;
    check_eq!(child.wait()?, End::Exited(0));
    Ok(())
}
