// SPDX-License-Identifier: GPL-2.0

//! `seccomp(2)`: another process answers memfd_create(2) and the fcntl(2) calls for seals.
//!
//! The filter is fixed. An arbitrary one might answer mmap(2) wrongly, and nothing that this crate
//! promises of memory would hold. This one makes some calls wait for a supervisor, whose answer is a
//! number that the caller takes for a descriptor or for seals, and lets all others pass.

use crate::mapping::last_error;
use crate::process::AUDIT_ARCH;
use crate::{Errno, Result};
use rustix::fs::MemfdFlags;
use rustix::ioctl::{ioctl, Opcode, Updater};
use std::mem::offset_of;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// `fcntl(2)`: adds seals.
pub const F_ADD_SEALS: u32 = libc::F_ADD_SEALS as u32;

/// `fcntl(2)`: returns the seals.
pub const F_GET_SEALS: u32 = libc::F_GET_SEALS as u32;

/// The flags of memfd_create(2) that a supervisor is asked about. With others, `MFD_HUGETLB` among
/// them, the kernel alone answers.
pub const MEMFD_FLAGS: MemfdFlags = MemfdFlags::CLOEXEC
    .union(MemfdFlags::ALLOW_SEALING)
    .union(MemfdFlags::NOEXEC_SEAL)
    .union(MemfdFlags::EXEC);

const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const IF_EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
const IF_ANY: u32 = libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K;
const RETURN: u32 = libc::BPF_RET | libc::BPF_K;

/// Where the lower half of an argument is: the kernel takes no more of it for these calls.
const fn argument(index: usize) -> u32 {
    (offset_of!(libc::seccomp_data, args) + 8 * index) as u32
}

const fn step(code: u32, k: u32) -> libc::sock_filter {
    jump(code, k, 0, 0)
}

/// Skips `jt` steps if the condition holds, else `jf`.
const fn jump(code: u32, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    libc::sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    }
}

/// Which calls wait for the supervisor.
const FILTER: [libc::sock_filter; 12] = [
    step(LOAD, offset_of!(libc::seccomp_data, arch) as u32),
    // The entry of 64-bit programs. Calls of the x32 ABI have it, too, and other numbers.
    jump(IF_EQUAL, AUDIT_ARCH, 0, 9),
    step(LOAD, offset_of!(libc::seccomp_data, nr) as u32),
    jump(IF_EQUAL, libc::SYS_fcntl as u32, 3, 0),
    jump(IF_EQUAL, libc::SYS_memfd_create as u32, 0, 6),
    step(LOAD, argument(1)),
    jump(IF_ANY, !MEMFD_FLAGS.bits(), 4, 3),
    step(LOAD, argument(1)),
    jump(IF_EQUAL, F_ADD_SEALS, 1, 0),
    jump(IF_EQUAL, F_GET_SEALS, 0, 1),
    step(RETURN, libc::SECCOMP_RET_USER_NOTIF),
    step(RETURN, libc::SECCOMP_RET_ALLOW),
];

/// Makes the calling thread, and what it forks and executes, wait for the returned listener's
/// answers. Without `CAP_SYS_ADMIN` the thread gives up gaining privileges by execve(2), too
/// (`no_new_privs`).
///
/// A call waits for its answer until the process is killed; other signals interrupt it only before
/// the listener receives it.
///
/// # Errors
///
/// `EBUSY` if another listener answers this thread already; `EINVAL` or `ENOSYS` if the kernel has no
/// such filters.
pub fn listen() -> Result<Listener> {
    match install() {
        Err(Errno::ACCESS) => {
            rustix::thread::set_no_new_privs(true)?;
            install()
        }
        done => done,
    }
}

fn install() -> Result<Listener> {
    let mut steps = FILTER;
    let program = libc::sock_fprog {
        len: steps.len() as u16,
        filter: steps.as_mut_ptr(),
    };
    let flags =
        libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    let operation = libc::SECCOMP_SET_MODE_FILTER;
    // SAFETY: The kernel reads the program and its steps, which outlive the call. See the file's
    // comment for what the filter does to later calls.
    match unsafe { libc::syscall(libc::SYS_seccomp, operation, flags, &raw const program) } {
        -1 => Err(last_error()),
        // SAFETY: The call succeeded, so it returned a new descriptor that nobody else knows.
        fd => Ok(Listener(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })),
    }
}

/// A call that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// Names the call to the listener.
    pub id: u64,
    /// The thread that calls.
    pub thread: i32,
    /// What it calls.
    pub request: Request,
}

/// What is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// `memfd_create(2)`.
    Create {
        /// Where the name is, in the memory of the caller.
        name: u64,
        /// The flags, of [`MEMFD_FLAGS`].
        flags: MemfdFlags,
    },
    /// `fcntl(2)` with `F_ADD_SEALS`.
    AddSeals {
        /// The descriptor, one of the caller's.
        fd: RawFd,
        /// The seals.
        seals: u32,
    },
    /// `fcntl(2)` with `F_GET_SEALS`.
    GetSeals {
        /// The descriptor, one of the caller's.
        fd: RawFd,
    },
}

impl Request {
    fn new(data: &libc::seccomp_data) -> Option<Self> {
        // The halves that the kernel takes; see `SYSCALL_DEFINE3(fcntl, ...)` and `do_fcntl()`.
        let [first, second, third] = [0, 1, 2].map(|index| data.args[index] as u32);
        match (i64::from(data.nr), second) {
            (libc::SYS_memfd_create, flags) => Some(Self::Create {
                name: data.args[0],
                flags: MemfdFlags::from_bits_retain(flags),
            }),
            (libc::SYS_fcntl, F_ADD_SEALS) => Some(Self::AddSeals {
                fd: first as RawFd,
                seals: third,
            }),
            (libc::SYS_fcntl, F_GET_SEALS) => Some(Self::GetSeals { fd: first as RawFd }),
            _ => None,
        }
    }
}

/// Where calls arrive and are answered. When it is closed, calls that wait, and later ones, fail with
/// `ENOSYS`.
#[derive(Debug)]
pub struct Listener(OwnedFd);

/// `SECCOMP_IOCTL_NOTIF_RECV` and the others; those of the crate `libc` are of another type.
const RECEIVE: Opcode = libc::SECCOMP_IOCTL_NOTIF_RECV as Opcode;
const SEND: Opcode = libc::SECCOMP_IOCTL_NOTIF_SEND as Opcode;
const ID_VALID: Opcode = libc::SECCOMP_IOCTL_NOTIF_ID_VALID as Opcode;
const ADD_FD: Opcode = libc::SECCOMP_IOCTL_NOTIF_ADDFD as Opcode;

/// What `SECCOMP_IOCTL_NOTIF_RECV` writes, with room for what later kernels may add: they write as much
/// as they know, whatever the number says.
#[repr(C)]
struct Received {
    known: libc::seccomp_notif,
    room: [u64; 256],
}

impl Listener {
    /// Receives a call. Call it when poll(2) says that there is one.
    ///
    /// # Errors
    ///
    /// `ENOENT` if the caller was interrupted meanwhile.
    pub fn receive(&self) -> Result<Call> {
        let known = libc::seccomp_notif {
            id: 0,
            pid: 0,
            flags: 0,
            data: libc::seccomp_data {
                nr: 0,
                arch: 0,
                instruction_pointer: 0,
                args: [0; 6],
            },
        };
        let mut received = Received {
            known,
            room: [0; 256],
        };
        // SAFETY: The ioctl writes a `seccomp_notif`, integers only, for which there is room.
        unsafe { ioctl(&self.0, Updater::<RECEIVE, _>::new(&mut received)) }?;
        let known = received.known;
        Ok(Call {
            id: known.id,
            thread: known.pid as i32,
            // The filter has nobody wait with another one.
            request: Request::new(&known.data).ok_or(Errno::NOSYS)?,
        })
    }

    /// Returns whether the caller still waits. If so, [`Call::thread`] was its id until now, not that of
    /// a later thread.
    pub fn is_waiting(&self, call: &Call) -> bool {
        let mut id = call.id;
        // SAFETY: The ioctl reads a number of 64 bits.
        unsafe { ioctl(&self.0, Updater::<ID_VALID, _>::new(&mut id)) }.is_ok()
    }

    /// Has the call return this number or error.
    ///
    /// # Errors
    ///
    /// `ENOENT` if the caller no longer waits.
    pub fn answer(&self, call: &Call, answer: Result<u32>) -> Result<()> {
        self.send(libc::seccomp_notif_resp {
            id: call.id,
            val: answer.unwrap_or(0).into(),
            error: answer.map_or_else(|errno| -errno.raw_os_error(), |_| 0),
            flags: 0,
        })
    }

    /// Has the kernel answer the call as it does without a listener.
    ///
    /// # Errors
    ///
    /// `ENOENT` if the caller no longer waits.
    pub fn leave_to_kernel(&self, call: &Call) -> Result<()> {
        self.send(libc::seccomp_notif_resp {
            id: call.id,
            val: 0,
            error: 0,
            flags: libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32,
        })
    }

    fn send(&self, mut answer: libc::seccomp_notif_resp) -> Result<()> {
        // SAFETY: The ioctl reads a `seccomp_notif_resp`.
        unsafe { ioctl(&self.0, Updater::<SEND, _>::new(&mut answer)) }
    }

    /// Has the call return a new descriptor of the file of `fd`, in one step.
    ///
    /// # Errors
    ///
    /// `ENOENT` if the caller no longer waits. Any other says why the caller cannot have the
    /// descriptor (`EMFILE`); it waits on.
    pub fn answer_with_fd(&self, call: &Call, fd: impl AsFd, cloexec: bool) -> Result<()> {
        let mut argument = libc::seccomp_notif_addfd {
            id: call.id,
            flags: libc::SECCOMP_ADDFD_FLAG_SEND as u32,
            srcfd: fd.as_fd().as_raw_fd() as u32,
            newfd: 0,
            newfd_flags: if cloexec { libc::O_CLOEXEC as u32 } else { 0 },
        };
        // SAFETY: The ioctl reads a `seccomp_notif_addfd`.
        unsafe { ioctl(&self.0, Updater::<ADD_FD, _>::new(&mut argument)) }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for Listener {
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

impl From<Listener> for OwnedFd {
    fn from(listener: Listener) -> Self {
        listener.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the filter as the kernel does.
    fn run(data: &libc::seccomp_data) -> u32 {
        let words = [data.nr as u32, data.arch, 0, 0].into_iter().chain(
            data.args
                .iter()
                .flat_map(|arg| [*arg as u32, (arg >> 32) as u32]),
        );
        let words: Vec<u32> = words.collect();
        let (mut at, mut value) = (0, 0);
        loop {
            let now = FILTER[at];
            at += 1;
            let mut branch = |is: bool| at += usize::from(if is { now.jt } else { now.jf });
            match u32::from(now.code) {
                LOAD => value = words[now.k as usize / 4],
                IF_EQUAL => branch(value == now.k),
                IF_ANY => branch(value & now.k != 0),
                RETURN => return now.k,
                code => panic!("unknown step {code}"),
            }
        }
    }

    fn waits(arch: u32, nr: i64, args: [u64; 6]) -> bool {
        let data = libc::seccomp_data {
            nr: nr as i32,
            arch,
            instruction_pointer: 0,
            args,
        };
        let answer = run(&data);
        assert!([libc::SECCOMP_RET_USER_NOTIF, libc::SECCOMP_RET_ALLOW].contains(&answer));
        let is = answer == libc::SECCOMP_RET_USER_NOTIF;
        // What waits is understood.
        assert!(!is || Request::new(&data).is_some());
        is
    }

    #[test]
    fn memfds_wait_unless_the_kernel_alone_can_make_them() {
        let create = |flags| {
            waits(
                AUDIT_ARCH,
                libc::SYS_memfd_create,
                [0x1000, flags, 9, 9, 9, 9],
            )
        };
        for flags in [0, 1, 2, 3, 8, 0x10, 0x1b, u64::from(MEMFD_FLAGS.bits())] {
            assert!(create(flags), "{flags:#x}");
        }
        // The kernel's prototype has an unsigned int.
        assert!(create(0xffff_ffff_0000_0001));
        for flags in [4, 5, 0x20, 4 | (21 << 26), 1 << 31] {
            assert!(!create(flags), "{flags:#x}");
        }
    }

    #[test]
    fn of_fcntl_only_seals_wait() {
        let fcntl = |command| waits(AUDIT_ARCH, libc::SYS_fcntl, [3, command, 0, 0, 0, 0]);
        let waiting: Vec<u64> = (0..2048).filter(|command| fcntl(*command)).collect();
        assert_eq!(waiting, [u64::from(F_ADD_SEALS), u64::from(F_GET_SEALS)]);
    }

    #[test]
    fn no_other_call_waits_nor_one_of_another_entry() {
        let args = [3, u64::from(F_GET_SEALS), 0, 0, 0, 0];
        let waiting: Vec<i64> = (0..1024)
            .filter(|nr| waits(AUDIT_ARCH, *nr, args))
            .collect();
        // 1034 as flags of memfd_create(2) has unknown ones.
        assert_eq!(waiting, [libc::SYS_fcntl]);
        const I386: u32 = 0x4000_0003;
        const X32: i64 = 0x4000_0000;
        for nr in [libc::SYS_fcntl, libc::SYS_memfd_create, 55, 221, 356] {
            assert!(!waits(I386, nr, [0; 6]) && !waits(I386, nr, args), "{nr}");
            assert!(
                !waits(AUDIT_ARCH, nr | X32, [0; 6]) && !waits(AUDIT_ARCH, nr | X32, args),
                "{nr}"
            );
        }
    }

    #[test]
    fn requests_are_read_as_the_kernel_reads_them() {
        let request = |nr: i64, args| {
            Request::new(&libc::seccomp_data {
                nr: nr as i32,
                arch: AUDIT_ARCH,
                instruction_pointer: 0,
                args,
            })
        };
        let high = 1 << 32;
        assert_eq!(
            request(libc::SYS_memfd_create, [high + 7, high + 3, 0, 0, 0, 0]),
            Some(Request::Create {
                name: high + 7,
                flags: MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING
            })
        );
        let add = u64::from(F_ADD_SEALS);
        assert_eq!(
            request(libc::SYS_fcntl, [high + 5, add, high + 8, 0, 0, 0]),
            Some(Request::AddSeals { fd: 5, seals: 8 })
        );
        let get = u64::from(F_GET_SEALS);
        assert_eq!(
            request(libc::SYS_fcntl, [0xffff_ffff, get, 1, 0, 0, 0]),
            Some(Request::GetSeals { fd: -1 })
        );
        assert_eq!(request(libc::SYS_fcntl, [5, 1, 0, 0, 0, 0]), None);
    }
}
