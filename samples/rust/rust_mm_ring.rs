// SPDX-License-Identifier: GPL-2.0

//! A ring buffer that the kernel writes and userspace reads through one mapping:
//! `/dev/rust_mm_ring`.
//!
//! Page 0 holds two words: `head`, the number of bytes that the kernel has written, and `tail`, the
//! number that the reader has consumed; both only grow, and wrap around at 2^32. Pages 1 to 4 hold
//! the bytes, byte `n` at `n % 16384`. Data from write(2) stand for those of a real device; poll(2)
//! waits for them.

#![forbid(unsafe_code)]

use kernel::{
    fs::File,
    iov::IovIterSource,
    new_mutex,
    new_poll_condvar,
    page::PAGE_SIZE,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Release, //
        },
        poll::{
            PollCondVar,
            PollTable, //
        },
        Arc,
        Mutex, //
    }, //
};
use kernel_mm::{
    file::{
        miscdevice::MiscRegistration,
        ops::{
            FileKiocb,
            FileOperations,
            Hook,
            OpenMisc,
            Opened,
            Ready, //
        }, //
    },
    vm::{
        ops::VmOperations,
        pages::PageList,
        vm_area_desc::VmAreaDesc,
        vma::Mixed, //
    }, //
};

module! {
    type: RingModule,
    name: "rust_mm_ring",
    authors: ["rmmap developers"],
    description: "Sample: a ring buffer read through a mapping",
    license: "GPL",
}

/// The number of bytes that the ring holds; a power of two.
const SIZE: usize = 4 * PAGE_SIZE;
/// The offset of `head`, in bytes.
const HEAD: usize = 0;
/// The offset of `tail`, in a cache line of its own.
const TAIL: usize = 64;

/// The ring of one open file.
#[pin_data]
struct Ring {
    pages: PageList,
    /// The kernel's own copy of `head`: userspace can write to the page, but not to this.
    #[pin]
    head: Mutex<u32>,
    #[pin]
    wait: PollCondVar,
}

impl Ring {
    fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            try_pin_init!(Self {
                pages: PageList::new(1 + SIZE / PAGE_SIZE)?,
                head <- new_mutex!(0),
                wait <- new_poll_condvar!("rust_mm_ring"),
            }),
            GFP_KERNEL,
        )
    }

    /// Returns the number of bytes that the reader has not consumed; an invalid `tail` counts as a
    /// full ring.
    fn used(&self, head: u32) -> Result<usize> {
        let tail = self.pages.word(TAIL)?.load(Acquire);
        Ok((head.wrapping_sub(tail) as usize).min(SIZE))
    }

    /// Appends as many of `bytes` as fit, and returns their number.
    fn push(&self, bytes: &[u8]) -> Result<usize> {
        let mut head = self.head.lock();
        let count = bytes.len().min(SIZE - self.used(*head)?);
        let at = *head as usize % SIZE;
        let first = count.min(SIZE - at);
        self.pages.write(PAGE_SIZE + at, &bytes[..first])?;
        self.pages.write(PAGE_SIZE, &bytes[first..count])?;
        *head = head.wrapping_add(count as u32);
        // Release: the reader that sees the new head sees the bytes.
        self.pages.word(HEAD)?.store(*head, Release);
        drop(head);
        self.wait.notify_all();
        Ok(count)
    }
}

/// An open file.
struct RingFile;

#[vtable]
impl FileOperations for RingFile {
    type Data = Arc<Ring>;
    type Vm = RingVm;

    fn mmap_prepare(_file: &File, desc: &mut VmAreaDesc<'_, RingVm>) -> Result {
        // A private mapping might hold copies, which later data do not change.
        if desc.pgoff() != 0 || !desc.is_shared() {
            return Err(EINVAL);
        }
        desc.map_pages_full(&desc.file_data().pages)
    }

    fn write_iter(kiocb: FileKiocb<'_, Arc<Ring>>, iov: &mut IovIterSource<'_>) -> Result<usize> {
        let mut bytes = KVec::new();
        let wanted = iov.len().min(SIZE);
        bytes.resize(wanted, 0, GFP_KERNEL)?;
        let got = iov.copy_from_iter(&mut bytes);
        if got < wanted {
            return Err(EFAULT);
        }
        match kiocb.file().push(&bytes)? {
            0 if wanted > 0 => Err(EAGAIN),
            count => Ok(count),
        }
    }

    fn poll(ring: &Arc<Ring>, file: &File, table: PollTable<'_>) -> Ready {
        table.register_wait(file, &ring.wait);
        let head = *ring.head.lock();
        match ring.used(head) {
            Ok(0) => Ready::WRITABLE,
            Ok(SIZE) => Ready::READABLE,
            _ => Ready::READABLE | Ready::WRITABLE,
        }
    }
}

impl OpenMisc for RingFile {
    type Context = ();

    fn open(_context: &()) -> Result<Opened<Arc<Ring>>> {
        Ok(Opened::new(Ring::new()?))
    }
}

/// Its mappings.
struct RingVm;

#[vtable]
impl VmOperations for RingVm {
    type Data = Arc<Ring>;
    type Private = ();
    type Kind = Mixed;
    type Atomic = Ring;

    fn atomic(ring: &Arc<Ring>) -> &Ring {
        ring
    }
}

/// The module.
#[pin_data]
struct RingModule {
    #[pin]
    _misc: MiscRegistration<RingFile>,
}

impl kernel::InPlaceModule for RingModule {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            _misc <- MiscRegistration::register(c"rust_mm_ring", Hook::MmapPrepare, ()),
        })
    }
}
