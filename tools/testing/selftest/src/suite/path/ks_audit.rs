// SPDX-License-Identifier: GPL-2.0

//! `ksys_mmap_pgoff()`: the audit record has the descriptor.

use crate::audit::{Record, Rule, AUDIT_MMAP};
use crate::context::{Context, P};
use crate::outcome::{Result, Stop};
use crate::{cases, check_eq};
use rmmap_sys::process::SYS_MMAP;
use rmmap_sys::rustix::process::Pid;
use rmmap_sys::rustix::thread::CapabilitySet;
use rmmap_sys::{fork, End, MapOptions};
use std::os::fd::{AsFd, AsRawFd};

cases! {
    Rmmap mmap_is_audited ["KS-03"] "with an audit rule, mmap of the device leaves a record of descriptor and flags";
}

fn mmap_is_audited(cx: &Context) -> Result {
    cx.needs(CapabilitySet::AUDIT_CONTROL, "CAP_AUDIT_CONTROL")?;
    let area = cx.area(2)?;
    let fd = area.as_fd().as_raw_fd().to_string();
    // The search for an address also maps: the child's would be recorded if the rule were faster.
    let whole = area.whole();
    let mut rule = Rule::prepare()?;
    // Only a process forked while auditing is on has an audit context.
    let mut child = fork(|channel| {
        let map = || -> Result {
            channel.receive_u64()?;
            drop(whole.map(&area)?);
            drop(whole.private().map(&area)?);
            drop(MapOptions::new(P).private().map_anonymous()?);
            Ok(())
        };
        i32::from(map().is_err())
    })?;
    rule.watch(SYS_MMAP, child.pid())?;
    child.channel().send_u64(0)?;
    check_eq!(child.wait()?, End::Exited(0));

    for flags in ["0x1", "0x2"] {
        let event = of_mapping(&rule, child.pid())?;
        let record = event.iter().find(|record| record.kind == AUDIT_MMAP);
        let Some(record) = record else {
            return Err(Stop::fail(format_args!("no record of mmap in {event:?}")));
        };
        check_eq!(
            (record.get("fd"), record.get("flags")),
            (Some(fd.as_str()), Some(flags))
        );
    }
    let event = of_mapping(&rule, child.pid())?;
    check_eq!(
        event.iter().any(|record| record.kind == AUDIT_MMAP),
        false,
        "a record of a descriptor where there is none"
    );
    Ok(())
}

/// Returns the next event, a successful mmap of the child.
fn of_mapping(rule: &Rule, pid: Pid) -> Result<Vec<Record>> {
    let event = rule.event(pid)?;
    let call = &event[0];
    check_eq!(
        (call.get("syscall"), call.get("success")),
        (Some(&*SYS_MMAP.to_string()), Some("yes")),
        "the system call"
    );
    Ok(event)
}
