// SPDX-License-Identifier: GPL-2.0

//! The cause of a failed mmap(2), in a sentence: the part of the request that the kernel refuses.

use rmmap_sys::{Errno, PAGE_SIZE};

use super::flags::{
    MAP_DROPPABLE, MAP_FIXED, MAP_FIXED_NOREPLACE, MAP_GROWSDOWN, MAP_HUGETLB, MAP_LOCKED,
    MAP_SHARED_VALIDATE, MAP_TYPE,
};
use super::request::Request;

/// Returns the cause, as far as the request shows it.
pub fn why(request: &Request, errno: Errno) -> &'static str {
    match errno {
        Errno::INVAL => invalid(request),
        Errno::NOMEM if request.length.checked_add(PAGE_SIZE - 1).is_none() => {
            "the length, rounded up to pages, does not fit into 64 bits"
        }
        Errno::NOMEM => {
            "the address space, a limit (RLIMIT_AS, RLIMIT_DATA, vm.max_map_count), the huge page \
             pool or the commit limit (vm.overcommit_memory) is exhausted"
        }
        Errno::AGAIN => "the process would lock more than RLIMIT_MEMLOCK allows",
        Errno::PERM if request.flags & MAP_LOCKED != 0 => {
            "RLIMIT_MEMLOCK is 0 and CAP_IPC_LOCK is missing, or the file is on a noexec mount"
        }
        Errno::PERM => {
            "the address is below vm.mmap_min_addr, the file is on a noexec mount, a seal of the \
             memfd or of a mapping in the range forbids it, or a fanotify listener denied it"
        }
        Errno::ACCESS => {
            "the descriptor is not open for this access (a shared writable mapping needs O_RDWR, any \
             mapping needs reading), the file is append-only, or a security module refuses"
        }
        Errno::BADF => "the descriptor is not open, or was opened with O_PATH",
        Errno::EXIST => {
            "the range is in use, and MAP_FIXED_NOREPLACE replaces no mapping"
        }
        Errno::NODEV => "objects of this kind cannot be mapped",
        Errno::OPNOTSUPP => {
            "with MAP_SHARED_VALIDATE the kernel refuses flags that it or this object does not support \
             (MAP_SYNC needs DAX)"
        }
        Errno::OVERFLOW => "offset and length exceed the largest size of this kind of file",
        Errno::NXIO => {
            "the range reaches past the end of the object: the device's capacity limits it"
        }
        Errno::TXTBSY => "the file is in use for swapping",
        Errno::NFILE => "the system cannot open more files (fs.file-max)",
        _ => "the object's own mmap method refuses it",
    }
}

fn invalid(request: &Request) -> &'static str {
    let kind = request.flags & MAP_TYPE;
    let is_fixed = request.flags & (MAP_FIXED | MAP_FIXED_NOREPLACE) != 0;
    if request.length == 0 {
        "the length is 0"
    } else if request.offset % PAGE_SIZE as u64 != 0 {
        "the offset is not a multiple of the page size"
    } else if is_fixed && request.address % PAGE_SIZE != 0 {
        "the fixed address is not a multiple of the page size"
    } else if request.flags & MAP_HUGETLB != 0 && !request.is_anonymous {
        "MAP_HUGETLB is for anonymous memory and for files of hugetlbfs"
    } else if request.flags & MAP_HUGETLB != 0 {
        "the kernel has no huge pages of this size, or this mapping cannot use them"
    } else if kind == MAP_DROPPABLE && !request.is_anonymous {
        "MAP_DROPPABLE is for anonymous memory"
    } else if kind == MAP_DROPPABLE {
        "droppable memory can neither be locked nor grow"
    } else if request.flags & MAP_GROWSDOWN != 0 {
        "only private anonymous memory can grow down"
    } else if kind == MAP_SHARED_VALIDATE && request.is_anonymous {
        "MAP_SHARED_VALIDATE is for files: use MAP_SHARED"
    } else if !(1..=3).contains(&kind) {
        "the flags name no type: shared, private, shared-validate or droppable"
    } else {
        "the object's own mmap method refuses it, or the address does not suit it"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(change: impl FnOnce(&mut Request)) -> Request {
        let mut request = Request {
            address: 0,
            length: PAGE_SIZE,
            prot: 3,
            flags: 1,
            offset: 0,
            is_anonymous: false,
        };
        change(&mut request);
        request
    }

    #[test]
    fn what_is_wrong_with_the_request_is_named() {
        let cases: [(Request, &str); 7] = [
            (request(|r| r.length = 0), "length"),
            (request(|r| r.offset = 1), "offset"),
            (
                request(|r| (r.address, r.flags) = (1, 1 | MAP_FIXED)),
                "fixed address",
            ),
            (request(|r| r.flags = 1 | MAP_HUGETLB), "hugetlbfs"),
            (request(|r| r.flags = 0), "no type"),
            (request(|r| r.flags = MAP_DROPPABLE), "anonymous"),
            (request(|r| r.flags = 1 | MAP_GROWSDOWN), "grow down"),
        ];
        for (request, word) in cases {
            let text = why(&request, Errno::INVAL);
            assert!(text.contains(word), "{request:?}: {text}");
        }
    }

    #[test]
    fn other_errors_have_their_sentences() {
        let plain = request(|_| ());
        assert!(why(&plain, Errno::NXIO).contains("capacity"));
        assert!(why(&plain, Errno::EXIST).contains("NOREPLACE"));
        let endless = request(|r| r.length = usize::MAX);
        assert!(why(&endless, Errno::NOMEM).contains("64 bits"));
        assert!(why(&plain, Errno::IO).contains("own mmap method"));
    }
}
