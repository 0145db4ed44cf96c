// SPDX-License-Identifier: GPL-2.0

//! The declared differences: where a region or the device may answer unlike a memfd, and why.
//!
//! Everything else that differs is a failure. Documentation/abi.rst has the reasons at length.

mod judge;

use self::judge::{
    end_of_write, first_is_device, is_device, is_opaque, may_be_device, may_merge, only,
    range_of_ioctl,
};
use crate::model::Model;
use crate::op::{Call, Op, RO};
use crate::predict::libc_advice;
use rmmap_sys::{Errno, PAGE_SIZE};

const SIZE: u64 = PAGE_SIZE as u64;
const PROT_READ: i32 = 1;
const PROT_WRITE: i32 = 2;
const PROT_EXEC: i32 = 4;
/// `F_SEAL_FUTURE_WRITE`.
const SEAL_FUTURE_WRITE: u32 = 0x10;

/// How the worlds may differ in one operation.
#[derive(Debug, PartialEq)]
pub enum Verdict {
    /// Only rmmap is asked, and must answer this: a number, or an errno below 0.
    Only(i64),
    /// Memfds get this instead.
    Instead(Call),
    /// rmmap may answer with this errno; then memfds are not asked.
    Unless(i32),
    /// rmmap must not succeed; when it answers with this errno, memfds are not asked.
    Refused(i32),
    /// What the calls return is not compared; what they do to files is.
    Free,
    /// The calls may return different values; if so, the sequence ends.
    MayEnd,
    /// Nobody is asked.
    Skip,
}

/// A declared difference.
#[derive(Debug)]
pub struct Difference {
    /// Its name.
    pub name: &'static str,
    /// Why it is legitimate.
    pub reason: &'static str,
    /// The verdict for an operation that it is about.
    pub judge: fn(&Model, &Op) -> Option<Verdict>,
}

/// All of them. The first that is about an operation decides.
pub const DIFFERENCES: &[Difference] = &[
    Difference {
        name: "device-size",
        reason: "a device has a fixed size: ftruncate(2) refuses what is no regular file \
                 (do_ftruncate() in fs/open.c)",
        judge: |model, op| match op.call {
            Call::Truncate { fd, .. } if is_device(model, fd) => only(Errno::INVAL),
            _ => None,
        },
    },
    Difference {
        name: "device-fallocate",
        reason: "fallocate(2) refuses a device (vfs_fallocate() in fs/open.c)",
        judge: |model, op| match op.call {
            Call::Fallocate { fd, .. } if is_device(model, fd) => only(match fd.desc {
                RO => Errno::BADF,
                _ => Errno::NODEV,
            }),
            _ => None,
        },
    },
    Difference {
        name: "device-seals",
        reason: "the device has no seals",
        judge: |model, op| match op.call {
            Call::Seal { fd, .. } if is_device(model, fd) => only(match fd.desc {
                RO => Errno::PERM,
                _ => Errno::INVAL,
            }),
            _ => None,
        },
    },
    Difference {
        name: "splice-copies",
        reason: "splice(2) and sendfile(2) from a region copy its bytes (copy_splice_read()), \
                 from a memfd they pass its pages, in which later writes show \
                 (shmem_file_splice_read() in mm/shmem.c): only from a file to itself do they \
                 overlap",
        judge: |model, op| match op.call {
            Call::SendFile { from, off, to, len } if from.file == to.file => {
                let pos = model.position.filter(|_| !op.may_append(model));
                let (len, page) = (len as u64, SIZE);
                let apart = |pos: u64| pos >= off + len + page || off >= pos + len + page;
                (!pos.is_some_and(apart)).then_some(Verdict::Skip)
            }
            _ => None,
        },
    },
    Difference {
        name: "device-end-of-write",
        reason: "the device does not grow: write(2) at its end is ENOSPC, across it is short",
        judge: end_of_write,
    },
    Difference {
        name: "device-exec",
        reason: "/dev is mounted noexec: no PROT_EXEC (do_mmap() in mm/mmap.c: path_noexec())",
        judge: |model, op| match op.call {
            Call::Map { fd, prot, .. } if is_device(model, fd) && prot & PROT_EXEC != 0 => {
                Some(Verdict::Unless(Errno::PERM.raw_os_error()))
            }
            // mprotect(2) begins with the first mapping; what follows a part of the range that is
            // no device would be changed in one world only.
            Call::Protect { page, pages, prot } if prot & PROT_EXEC != 0 => {
                match first_is_device(model, op.actor, page) {
                    Some(_) => only(Errno::ACCESS),
                    None if may_be_device(model, op.actor, page, pages) => Some(Verdict::Skip),
                    None => None,
                }
            }
            _ => None,
        },
    },
    Difference {
        name: "device-end-of-mapping",
        reason: "mmap(2) past the end of the device is ENXIO, unless the mapping merges with a \
                 neighbour (__mmap_region() in mm/vma.c does not ask the hook `mmap` then)",
        judge: |model, op| match op.call {
            Call::Map {
                fd, pgoff, pages, ..
            } if is_device(model, fd) && pgoff + pages > model.files[fd.file].size_pages() => {
                let errno = Errno::NXIO.raw_os_error();
                Some(match may_merge(model, op) {
                    true => Verdict::Unless(errno),
                    false => Verdict::Refused(errno),
                })
            }
            _ => None,
        },
    },
    Difference {
        name: "failed-write-past-end",
        reason: "a write(2) past EOF whose source faults at once is EFAULT; a memfd grows to the \
                 offset (shmem_write_end() in mm/shmem.c: pos + copied, with nothing copied)",
        judge: |model, op| match op.call {
            Call::WriteFrom { fd, off, .. } if off > model.files[fd.file].size => {
                Some(Verdict::Unless(Errno::FAULT.raw_os_error()))
            }
            _ => None,
        },
    },
    Difference {
        name: "range-of-ioctl",
        reason: "RMMAP_IOC_DISCARD and RMMAP_IOC_ALLOCATE want whole pages before EOF",
        judge: range_of_ioctl,
    },
    Difference {
        name: "seek",
        reason: "folios are larger than what was touched, and pages that were allocated and not \
                 used are data; what lseek(2) says is compared to what is resident",
        judge: |_, op| match op.call {
            Call::Seek { whence: 3.., .. } => Some(Verdict::Free),
            _ => None,
        },
    },
    Difference {
        name: "collapse",
        reason: "MADV_COLLAPSE takes only clean pages of files (mm/khugepaged.c), and shmem's",
        judge: |_, op| match op.call {
            Call::Advise {
                advice: libc_advice::COLLAPSE,
                ..
            } => Some(Verdict::Free),
            _ => None,
        },
    },
    Difference {
        name: "device-remove",
        reason: "MADV_REMOVE is fallocate(2), which refuses a device",
        judge: |model, op| match op.call {
            Call::Advise {
                advice: libc_advice::REMOVE,
                page,
                pages,
            } => match first_is_device(model, op.actor, page) {
                // EINVAL where it is locked (madvise_remove() in mm/madvise.c).
                Some(_) if model.is_locking(op.actor) => Some(Verdict::Skip),
                Some(mapped) if !mapped.shared => only(Errno::ACCESS),
                Some(mapped) if mapped.prot & PROT_WRITE != 0 => only(Errno::NODEV),
                _ if may_be_device(model, op.actor, page, pages) => Some(Verdict::Skip),
                _ => None,
            },
            _ => None,
        },
    },
    Difference {
        name: "truncation-of-held-pages",
        reason: "a large folio that a pipe holds cannot be split: ftruncate(2) is EBUSY and \
                 changes nothing, as no folio may reach past EOF",
        judge: |model, op| {
            let (file, size) = match op.call {
                Call::Truncate { fd, size } => (fd.file, size),
                Call::Reopen { file, .. } => (file, 0),
                _ => return None,
            };
            let file = &model.files[file];
            (file.held && size < file.size).then_some(Verdict::Unless(Errno::BUSY.raw_os_error()))
        },
    },
    Difference {
        name: "hole-in-held-pages",
        reason:
            "a hole in a large folio that a pipe holds zeroes its pages, which the pipe shows; \
                 of a memfd of single pages the pipe keeps the old ones \
                 (truncate_inode_partial_folio() in mm/truncate.c)",
        judge: |model, op| match op.call {
            Call::Release {} => {
                let torn = model.files.iter().any(|file| file.torn);
                torn.then_some(Verdict::Free)
            }
            _ => None,
        },
    },
    Difference {
        name: "splice-of-unreadable-memory",
        reason: "vmsplice(2) from a mapping with PROT_WRITE or PROT_EXEC and without PROT_READ is \
                 EFAULT, but for pages that a page table shows already (check_vma_flags() and \
                 gup_fast_pte_range() in mm/gup.c): which those are depends on the folios",
        judge: |model, op| match op.call {
            Call::Vmsplice { at, len } if is_opaque(model, op.actor, at, len) => {
                Some(Verdict::Free)
            }
            // The pipes would keep different pages.
            Call::Hold { at, len } if is_opaque(model, op.actor, at, len) => Some(Verdict::Skip),
            _ => None,
        },
    },
    Difference {
        name: "policy",
        reason: "a memfd has no folio policy",
        judge: |_, op| match op.call {
            Call::Policy { fd, .. } if fd.desc == RO => only(Errno::BADF),
            Call::Policy { .. } => Some(Verdict::Only(0)),
            _ => None,
        },
    },
    Difference {
        name: "device-copies",
        reason: "copy_file_range(2) refuses a device (generic_file_rw_checks() in \
                 fs/read_write.c)",
        judge: |model, op| match op.call {
            Call::CopyRange { from, to, .. } if is_device(model, from) || is_device(model, to) => {
                only(Errno::INVAL)
            }
            _ => None,
        },
    },
    Difference {
        name: "store-past-end",
        reason: "bytes that a mapping stores past EOF are zero when a region grows; a memfd shows \
                 them (nothing in mm/shmem.c zeroes them): the fuzzer zeroes them there",
        judge: |_, _| None,
    },
    Difference {
        name: "sealed-mapping-leaves-a-gap",
        reason: "mmap(2) over other mappings that a seal refuses unmaps them: the hook `mmap` \
                 refuses after they are gone (vms_abort_munmap_vmas() in mm/vma.c), a memfd in \
                 do_mmap(); the fuzzer unmaps what a refused mmap(2) leaves",
        judge: |_, _| None,
    },
    Difference {
        name: "private-write-to-a-hole",
        reason: "a private mapping's write to a hole copies a page of zeroes and adds none to a \
                 region; a memfd gets one: residency is compared to the model, not to the memfd's",
        judge: |_, _| None,
    },
    Difference {
        name: "copies-between-regions",
        reason: "regions may be on different mounts: copy_file_range(2) between those is EXDEV \
                 (generic_copy_file_checks() in fs/read_write.c); those of an episode are created \
                 through one open file, and on one mount",
        judge: |_, _| None,
    },
    Difference {
        name: "sealed-mapping-merges",
        reason: "a mapping that merges with one made before F_SEAL_FUTURE_WRITE does not reach \
                 the hook `mmap` (__mmap_region() in mm/vma.c)",
        judge: |model, op| match op.call {
            Call::Map { fd, prot, .. } if prot & 2 != 0 => {
                let sealed = model.files[fd.file].seals & SEAL_FUTURE_WRITE != 0;
                (sealed && may_merge(model, op)).then_some(Verdict::MayEnd)
            }
            _ => None,
        },
    },
];

/// The declared difference that is about an operation, by its place in the table.
pub fn of(model: &Model, op: &Op) -> Option<(usize, Verdict)> {
    if model.only_memfds {
        return None;
    }
    let mut all = DIFFERENCES.iter().enumerate();
    all.find_map(|(i, difference)| Some((i, (difference.judge)(model, op)?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{File, Kind, Mapped, Memory, Slot};
    use crate::op::{Fd, RW};

    /// A device of eight pages, of which page 2 shows page 6.
    fn model() -> Model {
        let mut slots = vec![Slot::Free; 8];
        slots[2] = Slot::File(Mapped {
            file: 0,
            page: 6,
            shared: true,
            prot: PROT_WRITE,
            copy: None,
            vague: false,
            no_fork: false,
        });
        Model {
            files: vec![File::new(Kind::Device, 8 * SIZE)],
            actors: vec![Some(Memory {
                slots,
                locks: false,
            })],
            only_memfds: false,
            position: None,
        }
    }

    fn verdict(model: &Model, call: Call) -> Option<Verdict> {
        of(model, &Op::new(0, call)).map(|(_, verdict)| verdict)
    }

    #[test]
    fn only_a_mapping_that_merges_may_reach_past_the_device() {
        let map = |page: usize, pgoff: usize| Call::Map {
            page,
            pages: 2,
            prot: 3,
            flags: 1,
            fd: Fd { file: 0, desc: RW },
            pgoff,
        };
        let nxio = Errno::NXIO.raw_os_error();
        let model = model();
        assert_eq!(verdict(&model, map(3, 7)), Some(Verdict::Unless(nxio)));
        assert_eq!(verdict(&model, map(4, 7)), Some(Verdict::Refused(nxio)));
        assert_eq!(verdict(&model, map(3, 6)), None);
    }

    #[test]
    fn memory_that_is_only_writable_may_be_spliced_or_not() {
        let model = model();
        let at = 2 * PAGE_SIZE + 1;
        let len = 9;
        assert_eq!(
            verdict(&model, Call::Vmsplice { at, len }),
            Some(Verdict::Free)
        );
        assert_eq!(verdict(&model, Call::Vmsplice { at: 9, len }), None);
    }

    #[test]
    fn a_write_at_the_position_ends_with_the_device() {
        let mut model = model();
        let fd = Fd { file: 0, desc: RW };
        let write = |lens: Vec<usize>| Call::Write {
            fd,
            off: None,
            lens,
            seed: 1,
        };
        assert_eq!(verdict(&model, write(vec![9])), Some(Verdict::Skip));
        model.position = Some(8 * SIZE - 9);
        assert_eq!(verdict(&model, write(vec![9])), None);
        let shorter = Verdict::Instead(write(vec![7, 2]));
        assert_eq!(verdict(&model, write(vec![7, 3])), Some(shorter));
        model.position = Some(8 * SIZE);
        assert_eq!(verdict(&model, write(vec![1])), only(Errno::NOSPC));
    }
}
