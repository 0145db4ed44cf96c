// SPDX-License-Identifier: GPL-2.0

//! Answers the calls of the program. What cannot be answered as the kernel would is left to the kernel:
//! the program then has a memfd.

use std::{fs, os::fd::RawFd};

use anyhow::Context;
use rmmap_sys::{
    remote::read_string,
    rustix::{
        fs::{fchown, fstat, FileType, Gid, MemfdFlags, Uid},
        io::Errno,
        process::{pidfd_getfd, pidfd_open, Pid, PidfdFlags, PidfdGetfdFlags},
    },
    seccomp::{Call, Listener, Request},
    Device,
};
use rmmap_uapi::{
    RMMAP_CREATE_ALLOW_SEALING, RMMAP_CREATE_CLOEXEC, RMMAP_CREATE_EXEC, RMMAP_CREATE_NOEXEC_SEAL,
    RMMAP_KIND_REGION, RMMAP_NAME_MAX,
};

/// `PIDFD_THREAD`: a descriptor of a thread, whose table of descriptors may be its own.
const PIDFD_THREAD: PidfdFlags = PidfdFlags::from_bits_retain(0o200);

/// What was answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Regions that the program got.
    pub regions: u64,
    /// Calls for seals of regions.
    pub seals: u64,
    /// Calls that the kernel answered.
    pub left: u64,
}

/// Makes regions and seals them.
pub struct Server {
    /// The device.
    pub device: Device,
    /// What was answered so far.
    pub tally: Tally,
    /// The flag for the policy.
    policy: u32,
    /// Who owns what this process makes.
    me: (u32, u32),
}

/// How a call is answered.
enum Answer {
    /// By a new region, and whether exec closes it.
    Region(Device, bool),
    /// By a number or an error.
    Number(Result<u32, Errno>),
    /// By the kernel.
    Kernel,
}

impl Server {
    /// Prepares to make regions with the policy that this flag of `RMMAP_IOC_CREATE` chooses.
    pub fn new(device: Device, policy: u32) -> anyhow::Result<Self> {
        let me = owner("self").context("cannot read /proc/self/status")?;
        Ok(Self {
            device,
            tally: Tally::default(),
            policy,
            me,
        })
    }

    /// Answers the next call. Whether its caller still waits is no concern: it may be killed at any time.
    pub fn serve(&mut self, listener: &Listener) -> anyhow::Result<()> {
        match self.answer_next(listener) {
            Ok(()) | Err(Errno::NOENT | Errno::INTR) => Ok(()),
            Err(errno) => Err(errno).context("cannot answer a system call"),
        }
    }

    fn answer_next(&mut self, listener: &Listener) -> Result<(), Errno> {
        let call = listener.receive()?;
        match self.answer(listener, &call)? {
            Answer::Region(region, cloexec) => {
                match listener.answer_with_fd(&call, &region, cloexec) {
                    Ok(()) => self.tally.regions += 1,
                    Err(Errno::NOENT) => return Err(Errno::NOENT),
                    // The program has no room for a descriptor, for instance.
                    Err(errno) => listener.answer(&call, Err(errno))?,
                }
            }
            Answer::Number(number) => listener.answer(&call, number)?,
            Answer::Kernel => {
                listener.leave_to_kernel(&call)?;
                self.tally.left += 1;
            }
        }
        Ok(())
    }

    fn answer(&mut self, listener: &Listener, call: &Call) -> Result<Answer, Errno> {
        let fd = match call.request {
            Request::Create { name, flags } => return self.create(listener, call, name, flags),
            Request::AddSeals { fd, .. } | Request::GetSeals { fd } => fd,
        };
        let Some(region) = Self::region(listener, call, fd) else {
            return Ok(Answer::Kernel);
        };
        self.tally.seals += 1;
        Ok(Answer::Number(match call.request {
            Request::AddSeals { seals, .. } => region.add_seals(seals).map(|()| 0),
            _ => region.seals(),
        }))
    }

    /// Makes a region as memfd_create(2) makes a memfd.
    fn create(
        &self,
        listener: &Listener,
        call: &Call,
        name: u64,
        flags: MemfdFlags,
    ) -> Result<Answer, Errno> {
        // The kernel has the error for flags or a name that are none, and may look into a program
        // that this process must not look into.
        let Some(create) = create_flags(flags) else {
            return Ok(Answer::Kernel);
        };
        let name = read_string(call.thread, name, RMMAP_NAME_MAX);
        let (Ok(Some(name)), Some(owner)) = (name, owner(&call.thread.to_string())) else {
            return Ok(Answer::Kernel);
        };
        // Else another process may have got its id before they were read.
        if !listener.is_waiting(call) {
            return Err(Errno::NOENT);
        }
        let create = create | self.policy | RMMAP_CREATE_CLOEXEC;
        let region = match self.device.create_named(0, create, &name) {
            Ok(region) => region,
            Err(errno) => return Ok(Answer::Number(Err(errno))),
        };
        if owner != self.me {
            let (uid, gid) = (Uid::from_raw(owner.0), Gid::from_raw(owner.1));
            if fchown(&region, Some(uid), Some(gid)).is_err() {
                return Ok(Answer::Kernel);
            }
        }
        Ok(Answer::Region(region, flags.contains(MemfdFlags::CLOEXEC)))
    }

    /// Returns the region behind a descriptor of the caller, if it is one.
    fn region(listener: &Listener, call: &Call, fd: RawFd) -> Option<Device> {
        let pidfd = pidfd_open(Pid::from_raw(call.thread)?, PIDFD_THREAD).ok()?;
        // Then it is of the caller, not of a later thread with its id.
        if !listener.is_waiting(call) {
            return None;
        }
        let file = pidfd_getfd(&pidfd, fd, PidfdGetfdFlags::empty()).ok()?;
        // No other file is asked what a device might take for something else.
        if FileType::from_raw_mode(fstat(&file).ok()?.st_mode) != FileType::RegularFile {
            return None;
        }
        let file = Device::from(file);
        let is_region = file.info().is_ok_and(|info| info.kind == RMMAP_KIND_REGION);
        is_region.then_some(file)
    }
}

/// The flags of `RMMAP_IOC_CREATE` that ask for the same; `None` for flags that exclude each other.
fn create_flags(flags: MemfdFlags) -> Option<u32> {
    if flags.contains(MemfdFlags::EXEC | MemfdFlags::NOEXEC_SEAL) {
        return None;
    }
    let same = [
        (MemfdFlags::ALLOW_SEALING, RMMAP_CREATE_ALLOW_SEALING),
        (MemfdFlags::NOEXEC_SEAL, RMMAP_CREATE_NOEXEC_SEAL),
        (MemfdFlags::EXEC, RMMAP_CREATE_EXEC),
    ];
    let wanted = same.iter().filter(|(flag, _)| flags.contains(*flag));
    Some(wanted.fold(0, |all, (_, flag)| all | flag))
}

/// User and group that own what a thread creates.
fn owner(thread: &str) -> Option<(u32, u32)> {
    ids(&fs::read_to_string(format!("/proc/{thread}/status")).ok()?)
}

/// Reads the last of the four numbers after `Uid:` and `Gid:`, those for file systems.
fn ids(status: &str) -> Option<(u32, u32)> {
    let id = |word| {
        let mut lines = status.lines();
        let line = lines.find_map(|line| line.strip_prefix(word))?;
        line.split_whitespace().nth(3)?.parse().ok()
    };
    Some((id("Uid:")?, id("Gid:")?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rmmap_sys::seccomp::MEMFD_FLAGS;

    #[test]
    fn every_flag_of_memfd_create_asks_for_the_same_of_a_region() {
        let flags = |flags| create_flags(flags);
        let none = MemfdFlags::empty();
        assert_eq!(flags(none), Some(0));
        // Of the caller's descriptor, not of the region.
        assert_eq!(flags(MemfdFlags::CLOEXEC), Some(0));
        let seal = Some(RMMAP_CREATE_ALLOW_SEALING);
        assert_eq!(flags(MemfdFlags::ALLOW_SEALING), seal);
        let noexec = Some(RMMAP_CREATE_NOEXEC_SEAL);
        assert_eq!(flags(MemfdFlags::NOEXEC_SEAL), noexec);
        assert_eq!(flags(MemfdFlags::EXEC), Some(RMMAP_CREATE_EXEC));
        let both = MemfdFlags::EXEC | MemfdFlags::ALLOW_SEALING;
        let wanted = RMMAP_CREATE_EXEC | RMMAP_CREATE_ALLOW_SEALING;
        assert_eq!(flags(both), Some(wanted));
        assert_eq!(flags(MEMFD_FLAGS), None);
    }

    #[test]
    fn the_owner_is_whom_the_file_system_asks_for() {
        let status = "Name:\tx\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nFDSize:\t64\n";
        assert_eq!(ids(status), Some((4, 8)));
        assert_eq!(ids("Uid:\t1\t2\n"), None);
        assert!(owner("self").is_some());
    }
}
