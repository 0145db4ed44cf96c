// SPDX-License-Identifier: GPL-2.0

//! A device that fails on request: `/dev/rust_mm_fail`.
//!
//! A word written to an open file chooses where its mappings fail: `hook` (mmap(2) fails with
//! `EIO`), `mapped` (with `ENOSPC`, after the VMA was made), `split` (with `EBUSY`), `mremap`
//! (`EXDEV`), `mprotect` (`EPERM`), `fault` (`SIGBUS`), `mkwrite` (`SIGBUS` when a readable page is
//! written), `access` (a debugger reads nothing), or `none`. It serves to test programs that map
//! devices.

#![forbid(unsafe_code)]

use core::ops::Range;
use kernel::{
    fs::File,
    iov::IovIterSource,
    mm::virt::vm_flags_t,
    page::PAGE_SIZE,
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
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
            Opened, //
        }, //
    },
    vm::{
        fault::{
            Answer,
            VmFault, //
        },
        mkwrite::PfnMkwriteFault,
        ops::{
            Access,
            Mapped,
            VmOperations, //
        },
        pages::PageBlock,
        vm_area_desc::VmAreaDesc,
        vma::{
            DriverVma,
            Pfn, //
        }, //
    }, //
};

module! {
    type: Failing,
    name: "rust_mm_fail",
    authors: ["rmmap developers"],
    description: "Sample: a device whose mappings fail on request",
    license: "GPL",
}

/// The places where a mapping can fail: the words that write(2) accepts.
const PLACES: [&[u8]; 9] = [
    b"none",
    b"hook",
    b"mapped",
    b"split",
    b"mremap",
    b"mprotect",
    b"fault",
    b"mkwrite",
    b"access",
];

/// The data of an open file: one page, and the number of the place that fails.
struct State {
    page: PageBlock,
    place: Atomic<usize>,
}

impl State {
    /// Fails with `error` if `place` was chosen.
    fn fail_at(&self, place: &[u8], error: Error) -> Result {
        if PLACES.get(self.place.load(Relaxed)) == Some(&place) {
            return Err(error);
        }
        Ok(())
    }
}

/// An open file.
struct FailFile;

#[vtable]
impl FileOperations for FailFile {
    type Data = State;
    type Vm = FailVm;

    fn mmap_prepare(_file: &File, desc: &mut VmAreaDesc<'_, FailVm>) -> Result {
        desc.file_data().fail_at(b"hook", EIO)
    }

    fn write_iter(kiocb: FileKiocb<'_, State>, iov: &mut IovIterSource<'_>) -> Result<usize> {
        let mut word = [0; 16];
        let len = iov.copy_from_iter(&mut word);
        let word = word[..len].trim_ascii_end();
        let place = PLACES.iter().position(|place| *place == word);
        kiocb.file().place.store(place.ok_or(EINVAL)?, Relaxed);
        Ok(len)
    }
}

impl OpenMisc for FailFile {
    type Context = ();

    fn open(_context: &()) -> Result<Opened<State>> {
        Ok(Opened::new(State {
            page: PageBlock::new(0)?,
            place: Atomic::new(0),
        }))
    }
}

/// Its mappings: every address maps the same page.
struct FailVm;

#[vtable]
impl VmOperations for FailVm {
    type Data = State;
    type Private = ();
    type Kind = Pfn;
    type Atomic = State;

    fn atomic(state: &State) -> &State {
        state
    }

    fn mapped(state: &State, _mapped: Mapped) -> Result {
        state.fail_at(b"mapped", ENOSPC)
    }

    fn may_split(vma: &DriverVma<Self>, _address: usize) -> Result {
        vma.data().fail_at(b"split", EBUSY)
    }

    fn mremap(vma: &DriverVma<Self>) -> Result {
        vma.data().fail_at(b"mremap", EXDEV)
    }

    fn mprotect(vma: &DriverVma<Self>, _range: Range<usize>, _flags: vm_flags_t) -> Result {
        vma.data().fail_at(b"mprotect", EPERM)
    }

    fn fault(vmf: VmFault<'_, Self>) -> Answer<'_> {
        let state = vmf.data();
        match state.fail_at(b"fault", EIO) {
            Ok(()) => vmf.insert_pfn(&state.page, 0),
            Err(_) => vmf.sigbus(),
        }
    }

    fn pfn_mkwrite(vmf: PfnMkwriteFault<'_, Self>) -> Answer<'_> {
        match vmf.data().fail_at(b"mkwrite", EIO) {
            Ok(()) => vmf.allow(),
            Err(_) => vmf.refuse(),
        }
    }

    fn access(vma: &DriverVma<Self>, address: usize, access: Access<'_>) -> Result<usize> {
        vma.data().fail_at(b"access", EIO)?;
        let offset = address % PAGE_SIZE;
        let len = access.len().min(PAGE_SIZE - offset);
        match access {
            Access::Read(buffer) => vma.data().page.read(offset, &mut buffer[..len])?,
            Access::Write(bytes) => vma.data().page.write(offset, &bytes[..len])?,
        }
        Ok(len)
    }
}

/// The module.
#[pin_data]
struct Failing {
    #[pin]
    _misc: MiscRegistration<FailFile>,
}

impl kernel::InPlaceModule for Failing {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            _misc <- MiscRegistration::register(c"rust_mm_fail", Hook::MmapPrepare, ()),
        })
    }
}
