// SPDX-License-Identifier: GPL-2.0

//! The audit subsystem: a rule, and its records.
//!
//! The protocol is that of `linux/audit.h`: requests over netlink, records to a multicast group.

use crate::outcome::{errno, lacks, Result, Stop};
use crate::undo::Undo;
use rmmap_sys::process::AUDIT_ARCH;
use rmmap_sys::rustix::event::{poll, PollFd, PollFlags, Timespec};
use rmmap_sys::rustix::net::netlink::{SocketAddrNetlink, AUDIT};
use rmmap_sys::rustix::net::{
    bind, recv, send, socket_with, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType,
};
use rmmap_sys::rustix::process::Pid;
use rmmap_sys::Errno;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

const AUDIT_GET: u16 = 1000;
const AUDIT_SET: u16 = 1001;
const AUDIT_ADD_RULE: u16 = 1011;
const AUDIT_DEL_RULE: u16 = 1012;
/// The record type of a system call.
pub const AUDIT_SYSCALL: u16 = 1300;
/// The last record of one system call.
const AUDIT_EOE: u16 = 1320;
/// The descriptor and the flags of an mmap.
pub const AUDIT_MMAP: u16 = 1323;

/// The size of `struct nlmsghdr`.
const HEADER: usize = 16;
const NLMSG_ERROR: u16 = 2;

/// A record.
#[derive(Clone, Debug)]
pub struct Record {
    /// `AUDIT_*`.
    pub kind: u16,
    /// `audit(TIME:SERIAL): NAME=VALUE ...`.
    pub text: String,
}

impl Record {
    /// Returns the value of a field.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut fields = self.text.split_whitespace();
        fields.find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
    }

    /// Returns the event that it belongs to: `audit(TIME:SERIAL):`.
    pub fn event(&self) -> &str {
        self.text.split_whitespace().next().unwrap_or_default()
    }
}

/// A rule that records a system call of one process. When this is dropped, or the test killed, the
/// rule is removed, and auditing returns to its former state.
#[derive(Debug)]
pub struct Rule {
    records: OwnedFd,
    control: Control,
    /// Fields are dropped in this order: the rule first.
    rule: Option<Undo>,
    #[expect(dead_code, reason = "dropped for its effect")]
    switch: Option<Undo>,
}

impl Rule {
    /// Switches auditing on, or returns the reason to skip the test. Processes forked from now on
    /// can be audited. There is no rule yet.
    pub fn prepare() -> Result<Self> {
        // Without CONFIG_AUDIT `socket_create()` does not know the protocol; in another namespace
        // `audit_netlink_ok()` returns ECONNREFUSED.
        let missing = [Errno::PROTONOSUPPORT, Errno::CONNREFUSED];
        let skip = |e| lacks("audit", e, &missing);
        // Group AUDIT_NLGRP_READLOG receives every record, with or without an auditd.
        let records = socket(1).map_err(skip)?;
        let control = Control(socket(0).map_err(skip)?);
        let switch = match control.enabled().map_err(skip)? {
            0 => {
                let undo = Control::at_the_end(|control| control.enable(0))?;
                control.enable(1).map_err(skip)?;
                Some(undo)
            }
            1 => None,
            _ => return Err(Stop::skip("the rules for auditing are locked until reboot")),
        };
        Ok(Self {
            records,
            control,
            rule: None,
            switch,
        })
    }

    /// Records a system call by number of a process from now on.
    pub fn watch(&mut self, syscall: u32, pid: Pid) -> Result {
        let rule = rule(syscall, pid.as_raw_nonzero().get() as u32);
        let gone = rule.clone();
        let undo = move |control: &Control| control.request(AUDIT_DEL_RULE, &gone);
        self.rule = Some(Control::at_the_end(undo)?);
        let added = self.control.request(AUDIT_ADD_RULE, &rule);
        added.map_err(|e| match e {
            Errno::INVAL => Stop::skip("this kernel cannot audit system calls"),
            e => Stop::fail(format_args!("AUDIT_ADD_RULE: {}", errno(e))),
        })
    }

    /// Waits for the records of one event of a process, the one of the system call first.
    pub fn event(&self, pid: Pid) -> Result<Vec<Record>> {
        let pid = pid.as_raw_nonzero().to_string();
        let end = Instant::now() + Duration::from_secs(20);
        let mut event: Vec<Record> = Vec::new();
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let Some(record) = receive(&self.records, left)? else {
                return Err(Stop::fail(format_args!(
                    "no end of an event after {event:?}"
                )));
            };
            let (kind, text) = record;
            let text = String::from_utf8_lossy(&text);
            let text = text.trim_end_matches('\0').to_owned();
            let record = Record { kind, text };
            match (event.first(), kind) {
                // Calls of other processes are recorded, too: changing the rules is one.
                (None, AUDIT_SYSCALL) if record.get("pid") == Some(&pid) => event.push(record),
                (Some(first), _) if first.event() == record.event() => {
                    if kind == AUDIT_EOE {
                        return Ok(event);
                    }
                    event.push(record);
                }
                _ => {}
            }
        }
    }
}

/// Opens a socket of the audit subsystem that is a member of these multicast groups.
fn socket(groups: u32) -> rmmap_sys::Result<OwnedFd> {
    let (family, kind) = (AddressFamily::NETLINK, SocketType::RAW);
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC, Some(AUDIT))?;
    bind(&socket, &SocketAddrNetlink::new(0, groups))?;
    Ok(socket)
}

/// A socket for requests.
#[derive(Debug)]
struct Control(OwnedFd);

impl Control {
    /// Sends a request when the return value is dropped, or when the test is killed.
    fn at_the_end<F>(request: F) -> Result<Undo>
    where
        F: FnOnce(&Self) -> rmmap_sys::Result<()>,
    {
        // On another socket: the test reads the answers on this one.
        let control = Self(socket(0)?);
        Undo::new(move || {
            // Ignore errors: the rule may never have been added.
            let _ = request(&control);
        })
    }

    fn enabled(&self) -> rmmap_sys::Result<u32> {
        let status = self.ask(AUDIT_GET, &[])?;
        let word = status.get(4..8).and_then(|b| b.try_into().ok());
        word.map(u32::from_ne_bytes).ok_or(Errno::PROTO)
    }

    fn enable(&self, value: u32) -> rmmap_sys::Result<()> {
        // `struct audit_status`: a mask of the valid fields (AUDIT_STATUS_ENABLED), and the fields.
        let mut status = [0; 44];
        status[0] = 1;
        status[4..8].copy_from_slice(&value.to_ne_bytes());
        self.request(AUDIT_SET, &status)
    }

    /// Sends a request, and waits for its acknowledgment.
    fn request(&self, kind: u16, data: &[u8]) -> rmmap_sys::Result<()> {
        self.send(kind, data, 4)?;
        self.answer(NLMSG_ERROR).map(drop)
    }

    /// Sends a request, and returns the answer, a message of the same type.
    fn ask(&self, kind: u16, data: &[u8]) -> rmmap_sys::Result<Vec<u8>> {
        self.send(kind, data, 0)?;
        self.answer(kind)
    }

    fn send(&self, kind: u16, data: &[u8], flags: u16) -> rmmap_sys::Result<()> {
        const NLM_F_REQUEST: u16 = 1;
        let mut message = Vec::with_capacity(HEADER + data.len());
        message.extend(((HEADER + data.len()) as u32).to_ne_bytes());
        message.extend(kind.to_ne_bytes());
        message.extend((flags | NLM_F_REQUEST).to_ne_bytes());
        message.extend([0; 8]);
        message.extend(data);
        send(&self.0, &message, SendFlags::empty()).map(drop)
    }

    fn answer(&self, wanted: u16) -> rmmap_sys::Result<Vec<u8>> {
        loop {
            let got = receive(&self.0, Duration::from_secs(10));
            let (kind, data) = got?.ok_or(Errno::TIMEDOUT)?;
            if kind == NLMSG_ERROR {
                let error = data.get(..4).and_then(|b| b.try_into().ok());
                match error.map_or(-1, i32::from_ne_bytes) {
                    0 if wanted == NLMSG_ERROR => return Ok(data),
                    0 => {}
                    error => return Err(Errno::from_raw_os_error(-error)),
                }
            } else if kind == wanted {
                return Ok(data);
            }
        }
    }
}

/// Waits for a message; returns its type and data, or `None` if none arrives.
fn receive(socket: &OwnedFd, limit: Duration) -> rmmap_sys::Result<Option<(u16, Vec<u8>)>> {
    let limit = Timespec {
        tv_sec: limit.as_secs() as i64,
        tv_nsec: limit.subsec_nanos().into(),
    };
    if poll(&mut [PollFd::new(socket, PollFlags::IN)], Some(&limit))? == 0 {
        return Ok(None);
    }
    // MAX_AUDIT_MESSAGE_LENGTH, and room for the header.
    let mut buffer = vec![0; 16 << 10];
    let (_, len) = recv(socket, buffer.as_mut_slice(), RecvFlags::empty())?;
    let kind = buffer.get(4..6).and_then(|b| b.try_into().ok());
    let kind = kind.map(u16::from_ne_bytes).ok_or(Errno::PROTO)?;
    let data = buffer.get(HEADER..len).ok_or(Errno::PROTO)?;
    Ok(Some((kind, data.to_vec())))
}

/// Returns a `struct audit_rule_data`: always record this call of this process at its exit.
fn rule(syscall: u32, pid: u32) -> Vec<u8> {
    const FILTER_EXIT: u32 = 4;
    const ALWAYS: u32 = 2;
    const ARCH: u32 = 11;
    const PID: u32 = 0;
    const EQUAL: u32 = 0x4000_0000;
    let mut mask = [0u32; 64];
    mask[syscall as usize / 32] = 1 << (syscall % 32);
    let three = |a, b| {
        let mut words = [0u32; 64];
        (words[0], words[1]) = (a, b);
        words
    };
    let head = [FILTER_EXIT, ALWAYS, 2];
    let fields = [
        three(ARCH, PID),
        three(AUDIT_ARCH, pid),
        three(EQUAL, EQUAL),
    ];
    let words = head
        .into_iter()
        .chain(mask)
        .chain(fields.into_iter().flatten());
    // The last word is the length of the strings that follow: there are none.
    words.chain([0]).flat_map(u32::to_ne_bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_has_the_size_of_its_structure() {
        let rule = rule(9, 77);
        assert_eq!(rule.len(), 4 * (3 + 64 + 3 * 64 + 1));
        assert_eq!(rule[12..16], (1u32 << 9).to_ne_bytes());
    }

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let record = Record {
            kind: AUDIT_MMAP,
            text: "audit(1.2:3): ofd=4 fd=5 flags=0x1".into(),
        };
        assert_eq!(
            (record.get("fd"), record.get("flags")),
            (Some("5"), Some("0x1"))
        );
        assert_eq!((record.get("f"), record.event()), (None, "audit(1.2:3):"));
    }
}
