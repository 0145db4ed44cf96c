// SPDX-License-Identifier: GPL-2.0

//! Page faults: the question ([`VmFault`]) and its one answer ([`Answer`]).
//!
//! A handler gets the question by value and turns it into an answer; every method that makes an
//! answer consumes the question. So a handler gives exactly one answer, cannot keep the question
//! beyond the call, and cannot touch a folio that it has handed over.
//!
//! C header: [`include/linux/mm.h`](srctree/include/linux/mm.h) (`struct vm_fault`,
//! `vm_fault_t`); C source: [`mm/memory.c`](srctree/mm/memory.c)

use crate::{
    ffi,
    file_ops::FileState,
    folio::{
        Folio,
        LockedFolio, //
    },
    page_cache::AddressSpace,
    vm_ops::VmOperations, //
};
use core::{
    marker::PhantomData,
    mem::ManuallyDrop, //
};
use kernel::{
    bindings,
    mm::virt::VmaRef,
    pr_warn_once,
    sync::aref::ARef,
    types::NotThreadSafe, //
};

/// A page fault that waits for its answer.
///
/// The per-VMA lock or the mmap lock is held for reading. The handler may sleep.
///
/// # Invariants
///
/// `vmf` is valid for `'a`, and its VMA belongs to a file whose private data is a
/// `FileState<V::Data>`.
pub struct VmFault<'a, V: VmOperations> {
    vmf: *mut bindings::vm_fault,
    // Invariant in 'a, so that an answer cannot be passed off as that of another fault.
    _vmf: PhantomData<(fn(&'a ()) -> &'a (), V)>,
    _nts: NotThreadSafe,
}

/// The answer to a page fault: the `vm_fault_t` for the core, with the page in its place.
#[must_use = "a page fault must be answered"]
pub struct Answer<'a> {
    ret: bindings::vm_fault_t,
    _vmf: PhantomData<fn(&'a ()) -> &'a ()>,
}

impl Answer<'_> {
    pub(crate) fn into_raw(self) -> bindings::vm_fault_t {
        self.ret
    }
}

impl<'a, V: VmOperations> VmFault<'a, V> {
    /// Wraps the fault that the core asks about.
    ///
    /// # Safety
    ///
    /// As the type invariants say, for all of `'a`; nobody else uses `vmf` meanwhile.
    pub(crate) unsafe fn from_raw(vmf: *mut bindings::vm_fault) -> Self {
        // INVARIANT: By the contract of this function.
        Self {
            vmf,
            _vmf: PhantomData,
            _nts: NotThreadSafe,
        }
    }

    /// Returns the page of the file that is wanted (its index, in pages).
    pub fn pgoff(&self) -> usize {
        // SAFETY: By the type invariants.
        unsafe { (*self.vmf).__bindgen_anon_1.pgoff }
    }

    /// Returns the address that faulted, rounded down to its page.
    pub fn address(&self) -> usize {
        // SAFETY: By the type invariants.
        unsafe { (*self.vmf).__bindgen_anon_1.address }
    }

    /// Returns the VMA that the address lies in.
    pub fn vma(&self) -> &'a VmaRef {
        // SAFETY: By the type invariants the VMA is valid, and a lock that allows to read it is
        // held, for 'a.
        unsafe { VmaRef::from_raw((*self.vmf).__bindgen_anon_1.vma) }
    }

    /// Returns the page cache of the file that is mapped.
    pub fn mapping(&self) -> &'a AddressSpace {
        // SAFETY: The VMA holds its file, and the file its page cache.
        unsafe { AddressSpace::from_raw((*self.file()).f_mapping) }
    }

    /// Returns the data of the file that is mapped.
    pub fn data(&self) -> &'a V::Data {
        // SAFETY: By the type invariants; the file lives as long as the VMA.
        unsafe { FileState::borrow(self.file()) }
    }

    fn file(&self) -> *mut bindings::file {
        // SAFETY: By the type invariants the VMA is valid and has a file.
        unsafe { (*(*self.vmf).__bindgen_anon_1.vma).vm_file }
    }

    fn has(&self, flag: bindings::fault_flag) -> bool {
        // SAFETY: By the type invariants.
        unsafe { (*self.vmf).flags & flag != 0 }
    }

    /// Is it a write access (`FAULT_FLAG_WRITE`)?
    pub fn is_write(&self) -> bool {
        self.has(bindings::fault_flag_FAULT_FLAG_WRITE)
    }

    /// Is it a write through a private mapping, so that the core copies the page that it is given?
    pub fn is_cow(&self) -> bool {
        // SAFETY: By the type invariants.
        unsafe { !(*self.vmf).cow_page.is_null() }
    }

    /// Did an access of userspace cause it, or of the kernel in its place (`copy_to_user()`)?
    ///
    /// Otherwise it is a populate: MAP_POPULATE, MAP_LOCKED, mlock(2), MADV_POPULATE_* or another
    /// `get_user_pages()`. Those set neither `FAULT_FLAG_USER` nor `FAULT_FLAG_INTERRUPTIBLE`.
    pub fn is_touch(&self) -> bool {
        self.has(bindings::fault_flag_FAULT_FLAG_USER)
            || self.has(bindings::fault_flag_FAULT_FLAG_INTERRUPTIBLE)
    }

    /// Answers with a folio of the mapped file (`VM_FAULT_LOCKED`). The core maps the page that was
    /// asked for, and its neighbours in the folio, and unlocks the folio.
    ///
    /// A folio that does not hold that page of that file is answered with `SIGBUS` and a warning in
    /// the log instead: mapping it would show another file's memory.
    pub fn locked(self, folio: LockedFolio) -> Answer<'a> {
        let pgoff = self.pgoff();
        if folio.mapping() != self.mapping().as_raw() || !folio.contains(pgoff) {
            pr_warn_once!("page fault answered with a folio of another place\n");
            return self.sigbus();
        }
        let folio = folio.into_raw();
        // SAFETY: The folio is locked and holds that page.
        let page = unsafe { ffi::folio_file_page(folio, pgoff) };
        // SAFETY: By the type invariants. Lock and reference go to the core with the answer.
        unsafe { (*self.vmf).page = page };
        self.answer(bindings::vm_fault_reason_VM_FAULT_LOCKED)
    }

    /// Turns the fault into one that may be answered with a page to copy from, or gives it back
    /// when the page is going to be mapped itself.
    pub fn into_cow(self) -> core::result::Result<CowFault<'a, V>, Self> {
        if self.is_cow() {
            // INVARIANT: Just checked.
            Ok(CowFault(self))
        } else {
            Err(self)
        }
    }

    /// Answers that the page table is as it should be, or that the access is to be tried again
    /// (`VM_FAULT_NOPAGE`).
    pub fn nopage(self) -> Answer<'a> {
        self.answer(bindings::vm_fault_reason_VM_FAULT_NOPAGE)
    }

    /// Answers that there is no such page: `SIGBUS` for a touch, `EFAULT` for a populate.
    pub fn sigbus(self) -> Answer<'a> {
        self.answer(bindings::vm_fault_reason_VM_FAULT_SIGBUS)
    }

    /// Answers that there is no memory for the page.
    ///
    /// A populate is told `VM_FAULT_OOM`, which its caller sees as `ENOMEM` or `EAGAIN`. A touch
    /// gets `SIGBUS`: the core repeats a touch that is answered with `VM_FAULT_OOM` for ever
    /// (`pagefault_out_of_memory()` frees nothing when the handler's own limit is the cause).
    pub fn no_memory(self) -> Answer<'a> {
        if self.is_touch() {
            self.sigbus()
        } else {
            self.answer(bindings::vm_fault_reason_VM_FAULT_OOM)
        }
    }

    fn answer(self, reason: bindings::vm_fault_reason) -> Answer<'a> {
        Answer {
            ret: reason as bindings::vm_fault_t,
            _vmf: PhantomData,
        }
    }
}

/// A write through a private mapping: the core makes the process's own copy of the page.
///
/// # Invariants
///
/// `cow_page` of the fault is set.
pub struct CowFault<'a, V: VmOperations>(VmFault<'a, V>);

impl<'a, V: VmOperations> CowFault<'a, V> {
    /// Answers with a page whose contents are copied, whatever file it is of, if any. The core
    /// locks it, copies, unlocks it and drops the reference; nobody ever maps it
    /// (`do_cow_fault()` in mm/memory.c).
    pub fn copy_of(self, folio: ARef<Folio>) -> Answer<'a> {
        let folio = ManuallyDrop::new(folio);
        // SAFETY: The folio is valid; its first page exists. The core takes the reference over.
        let page = unsafe { ffi::folio_page0(folio.as_raw()) };
        // SAFETY: By the type invariants.
        unsafe { (*self.0.vmf).page = page };
        self.0.answer(0)
    }

    /// Gives the fault back, to be answered like any other.
    pub fn into_fault(self) -> VmFault<'a, V> {
        self.0
    }
}

/// The chance to map pages that are resident already, before the handler is asked (`map_pages`).
///
/// The RCU read lock is held and sleeping is forbidden, so that this type offers nothing that
/// sleeps. Besides, the per-VMA lock or the mmap lock is held for reading.
///
/// # Invariants
///
/// As those of [`VmFault`].
pub struct MapPages<'a, V: VmOperations> {
    fault: VmFault<'a, V>,
    first: usize,
    last: usize,
}

impl<'a, V: VmOperations> MapPages<'a, V> {
    /// Wraps the arguments of `map_pages`.
    ///
    /// # Safety
    ///
    /// As for [`VmFault::from_raw`]; `first` and `last` are what the core passed.
    pub(crate) unsafe fn from_raw(vmf: *mut bindings::vm_fault, first: usize, last: usize) -> Self {
        Self {
            // SAFETY: By the contract of this function.
            fault: unsafe { VmFault::from_raw(vmf) },
            first,
            last,
        }
    }

    /// Returns the data of the file that is mapped.
    pub fn data(&self) -> &'a V::Data {
        self.fault.data()
    }

    /// Maps those pages of the window that the page cache holds, are unlocked and up to date
    /// (`filemap_map_pages()`).
    pub fn map_resident(self) -> Answer<'a> {
        // SAFETY: By the type invariants; the window is the one that the core asked for.
        let ret = unsafe { bindings::filemap_map_pages(self.fault.vmf, self.first, self.last) };
        Answer {
            ret,
            _vmf: PhantomData,
        }
    }

    /// Maps nothing; the fault handler is asked.
    pub fn nothing(self) -> Answer<'a> {
        self.fault.answer(0)
    }
}
