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
    bindings,
    current,
    mm::{
        cache::{
            address_space::{
                AddressSpace,
                FaultedVma,
                InvalidateShared, //
            },
            folio::{
                LockedFolio,
                ZeroPage, //
            }, //
        },
        file_state::FileState,
        vm::{
            ops::VmOperations,
            pages::PageBlock,
            vma::{
                DriverVma,
                Pfn,
                Plain, //
            }, //
        }, //
    },
    pr_warn_once,
    prelude::*,
    types::NotThreadSafe, //
};
use core::marker::PhantomData;

/// Makes a type that holds it invariant in `'a`.
pub(crate) type Invariant<'a> = fn(&'a ()) -> &'a ();

/// A page fault that waits for its answer.
///
/// The per-VMA lock or the mmap lock is held for reading. The handler may sleep.
///
/// `'a` stands for the life of the file that is mapped, as in
/// [`NewVma`](crate::mm::vm::new_vma::NewVma).
///
/// # Invariants
///
/// `vmf` is valid until it is answered, and its VMA has the operations of `V`.
pub struct VmFault<'a, V: VmOperations> {
    vmf: *mut bindings::vm_fault,
    // Invariant in 'a, so that an answer cannot be passed off as that of another fault.
    _vmf: PhantomData<(Invariant<'a>, V)>,
    _nts: NotThreadSafe,
}

/// The answer to a page fault: the `vm_fault_t` for the core, with the page in its place.
#[must_use = "a page fault must be answered"]
pub struct Answer<'a> {
    ret: bindings::vm_fault_t,
    _vmf: PhantomData<Invariant<'a>>,
}

impl Answer<'_> {
    /// Makes an answer of what the core's functions or constants say.
    pub(crate) fn from_raw(ret: bindings::vm_fault_t) -> Self {
        Answer {
            ret,
            _vmf: PhantomData,
        }
    }

    pub(crate) fn into_raw(self) -> bindings::vm_fault_t {
        self.ret
    }

    /// Is the page table as it should be now (`VM_FAULT_NOPAGE`)?
    pub fn is_nopage(&self) -> bool {
        self.ret & bindings::vm_fault_reason_VM_FAULT_NOPAGE as bindings::vm_fault_t != 0
    }
}

impl<'a, V: VmOperations> VmFault<'a, V> {
    /// Wraps the fault that the core asks about.
    ///
    /// # Safety
    ///
    /// As the type invariants say; nobody else uses `vmf` meanwhile, and `'a` is not longer than
    /// the life of the file.
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
    pub fn vma(&self) -> &DriverVma<V> {
        // SAFETY: By the type invariants the VMA is valid and this driver's, and a lock that allows
        // to read it is held as long as the fault is not answered.
        unsafe { DriverVma::from_raw((*self.vmf).__bindgen_anon_1.vma) }
    }

    /// Returns the page cache of the file that is mapped, which may be anybody's: the drivers' way
    /// to theirs is the inode in their data.
    pub(crate) fn mapping(&self) -> &'a AddressSpace {
        // SAFETY: The VMA holds its file, whose `f_mapping` is set when it is opened, to the page
        // cache of an inode that the file holds: its own, or that of its `FileState`.
        unsafe { AddressSpace::from_raw((*self.file()).f_mapping) }
    }

    /// Returns the data of the file that is mapped, for the life of the file.
    pub fn data(&self) -> &'a V::Data {
        // SAFETY: By the type invariants; the file lives as long as the VMA.
        unsafe { FileState::borrow(self.file()) }
    }

    fn file(&self) -> *mut bindings::file {
        // SAFETY: By the type invariants the VMA is valid and has a file.
        unsafe { (*(*self.vmf).__bindgen_anon_1.vma).vm_file }
    }

    /// Returns the `FAULT_FLAG_*` bits, for those who show them; handlers ask the methods below.
    pub fn flags(&self) -> u32 {
        // SAFETY: By the type invariants.
        unsafe { (*self.vmf).flags }
    }

    fn has(&self, flag: bindings::fault_flag) -> bool {
        self.flags() & flag != 0
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
    /// Otherwise the kernel gets the page for itself, with neither `FAULT_FLAG_USER` nor
    /// `FAULT_FLAG_INTERRUPTIBLE`: for MAP_POPULATE, MAP_LOCKED, mlock(2) or MADV_POPULATE_*, but
    /// also for direct I/O and every other `get_user_pages()`. So this is no proof of a populate;
    /// see [`VmFault::is_populate`].
    pub fn is_access(&self) -> bool {
        self.has(bindings::fault_flag_FAULT_FLAG_USER)
            || self.has(bindings::fault_flag_FAULT_FLAG_INTERRUPTIBLE)
    }

    /// Takes the invalidate lock of `mapping` shared: truncation and hole punching wait. May sleep.
    ///
    /// Folios that are added under it lie on the NUMA nodes that the policy of the VMA allows
    /// (mbind(2)).
    ///
    /// Page faults alone can do so. Truncation takes the lock exclusively, with the inode locked,
    /// which no page fault can have locked: so that nobody waits for a lock of its own. The
    /// driver's duty is to take it once: a thread that holds it already would wait for
    /// a truncation that waits for that thread.
    pub fn invalidate_lock_shared<'m>(&self, mapping: &'m AddressSpace) -> InvalidateShared<'m>
    where
        'a: 'm,
    {
        // SAFETY: By the type invariants. The lock of the VMA is given back when the handler has
        // returned (`give_lock_back()`), and `'m` ends by then: a handler takes a fault of any
        // `'a`, so that there is no place outside of its call where it could keep what has `'m`.
        let vma = unsafe { FaultedVma::new((*self.vmf).__bindgen_anon_1.vma) };
        mapping.invalidate_lock_shared().for_fault(vma)
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

    /// Was the fault answered with [`VmFault::retry`] before (`FAULT_FLAG_TRIED`)? A populate never
    /// says so.
    pub fn was_retried(&self) -> bool {
        self.has(bindings::fault_flag_FAULT_FLAG_TRIED)
    }

    /// Answers that the lock was given back while the handler did what it had to do, and that the
    /// fault is to be repeated (`VM_FAULT_RETRY`); or gives the fault back, where the core wants an
    /// answer now, or a kernel thread took it. The lock is given back when the handler has
    /// returned.
    ///
    /// A handler must have made progress: a populate repeats the fault until it is answered in
    /// another way, or the process is killed.
    pub fn retry(self) -> core::result::Result<Answer<'a>, Self> {
        // With NOWAIT the core keeps the lock over this answer.
        if self.has(bindings::fault_flag_FAULT_FLAG_ALLOW_RETRY)
            && !self.has(bindings::fault_flag_FAULT_FLAG_RETRY_NOWAIT)
            && !self.was_retried()
            && !is_kernel_thread()
        {
            Ok(self.answer(bindings::vm_fault_reason_VM_FAULT_RETRY))
        } else {
            Err(self)
        }
    }

    /// Answers that there is no such page: `SIGBUS` for a touch, `EFAULT` for a populate.
    pub fn sigbus(self) -> Answer<'a> {
        self.answer(bindings::vm_fault_reason_VM_FAULT_SIGBUS)
    }

    /// Answers that there is no memory for the page.
    ///
    /// A populate gets `VM_FAULT_OOM`, which its caller sees as `ENOMEM` or `EAGAIN`. A touch
    /// gets `SIGBUS`: the core repeats a touch that is answered with `VM_FAULT_OOM` for ever
    /// (`pagefault_out_of_memory()` frees nothing when the handler's own limit is the cause).
    pub fn no_memory(self) -> Answer<'a> {
        if self.is_access() {
            self.sigbus()
        } else {
            self.answer(bindings::vm_fault_reason_VM_FAULT_OOM)
        }
    }

    /// Answers with what `error` stands for, as `vmf_error()` does in include/linux/mm_types.h:
    /// [`VmFault::no_memory`] for `ENOMEM`; [`VmFault::nopage`] for `EEXIST`, since the page is
    /// there by now, and for `EINTR`, since the process is being killed; [`VmFault::sigbus`] for
    /// all others, `ENXIO` past EOF among them.
    pub fn error(self, error: Error) -> Answer<'a> {
        if error == ENOMEM {
            self.no_memory()
        } else if error == EEXIST || error == EINTR {
            self.nopage()
        } else {
            self.sigbus()
        }
    }

    pub(crate) fn answer(self, reason: bindings::vm_fault_reason) -> Answer<'a> {
        Answer::from_raw(reason as bindings::vm_fault_t)
    }

    pub(crate) fn as_raw(&self) -> *mut bindings::vm_fault {
        self.vmf
    }
}

impl<'a, V: VmOperations<Kind = Plain>> VmFault<'a, V> {
    /// Answers with a folio of the mapped file (`VM_FAULT_LOCKED`). The core maps the page that was
    /// asked for, and its neighbours in the folio, and unlocks the folio.
    ///
    /// A folio that does not hold that page of that file is answered with `SIGBUS` and a warning in
    /// the log instead: mapping it would show another file's memory.
    ///
    /// In VMAs of another kind there are no folios of the page cache. The core takes huge pages of
    /// a `VM_MIXEDMAP` or `VM_PFNMAP` VMA out without counting them, or giving their references
    /// back, when a part of them is unmapped (`vma_is_special_huge()` in
    /// `__split_huge_pmd_locked()`, mm/huge_memory.c).
    pub fn locked(self, folio: LockedFolio<'_>) -> Answer<'a> {
        let pgoff = self.pgoff();
        if folio.mapping() != self.mapping().as_raw() || !folio.contains(pgoff) {
            pr_warn_once!("page fault answered with a folio of another place\n");
            return self.sigbus();
        }
        if !folio.is_uptodate() {
            // It stands for a page whose memory has failed: see `poison`.
            return self.answer(bindings::vm_fault_reason_VM_FAULT_HWPOISON);
        }
        let folio = folio.into_raw();
        // SAFETY: `contains()` has just said, under the lock, that the folio holds that page.
        let page = unsafe { bindings::folio_file_page(folio, pgoff) };
        // SAFETY: By the type invariants. Lock and reference go to the core with the answer.
        unsafe { (*self.vmf).page = page };
        self.answer(bindings::vm_fault_reason_VM_FAULT_LOCKED)
    }
}

impl<'a, V: VmOperations<Kind = Pfn>> VmFault<'a, V> {
    /// Answers with page `index` of `block`, by its page frame (`vmf_insert_pfn()`).
    ///
    /// An index that the block does not have is `SIGBUS`. So is a private mapping that may be
    /// written: a page frame cannot be copied on write there (`vmf_insert_pfn_prot()` has a
    /// `BUG_ON()`); a driver refuses such mappings in its hook.
    pub fn insert_pfn(self, block: &'a PageBlock, index: usize) -> Answer<'a> {
        let Some(pfn) = block.pfn_of_range(index, 1) else {
            return self.sigbus();
        };
        if self.vma().is_cow() {
            return self.sigbus();
        }
        // SAFETY: The VMA is `VM_PFNMAP` and not copied on write, the address lies within it, and
        // the frame lives as long as the file, which the VMA holds.
        let ret = unsafe { bindings::vmf_insert_pfn(self.vma().as_raw(), self.address(), pfn) };
        Answer::from_raw(ret)
    }
}

/// A write through a private mapping: the core makes the process's own copy of the page.
///
/// # Invariants
///
/// `cow_page` of the fault is set.
pub struct CowFault<'a, V: VmOperations>(VmFault<'a, V>);

impl<'a, V: VmOperations> CowFault<'a, V> {
    /// Answers with zeroes to be copied. The core locks the page, copies, unlocks it and drops the
    /// reference; nobody ever maps it (`do_cow_fault()` in mm/memory.c).
    ///
    /// A page that the file has is answered with [`VmFault::locked`], of which the core makes the
    /// copy as well.
    pub fn copy_of(self, zeroes: ZeroPage) -> Answer<'a> {
        // SAFETY: By the type invariants. The core takes the reference over with the answer.
        unsafe { (*self.0.vmf).page = zeroes.into_page() };
        Answer::from_raw(0)
    }

    /// Answers that the process has its copy (`VM_FAULT_DONE_COW`), though it has none: the access
    /// is repeated for ever, or until the process is killed. This is for tests. To keep the promise
    /// takes `finish_fault()`, which modules cannot call.
    pub fn done_without_copy(self) -> Answer<'a> {
        let vmf = self.0.as_raw();
        // SAFETY: By the type invariants it is the first page of a folio.
        let folio = unsafe { bindings::page_folio((*vmf).cow_page) };
        // SAFETY: `do_cow_fault()` in mm/memory.c returns at once for this answer, without the
        // `folio_put()` of its other ways out. It has just allocated the folio, which nobody else
        // knows.
        unsafe { bindings::folio_put(folio) };
        // SAFETY: By the type invariants of the fault.
        unsafe { (*vmf).cow_page = core::ptr::null_mut() };
        self.0.answer(bindings::vm_fault_reason_VM_FAULT_DONE_COW)
    }

    /// Returns the fault, to look at.
    pub fn as_fault(&self) -> &VmFault<'a, V> {
        &self.0
    }

    /// Gives the fault back, to be answered like any other.
    pub fn into_fault(self) -> VmFault<'a, V> {
        self.0
    }
}

/// Does a kernel thread run here, in the address space of a process or for one (KVM's asynchronous
/// page faults, for example)?
fn is_kernel_thread() -> bool {
    // SAFETY: The current task is valid, and `PF_KTHREAD` is set before a task runs for good.
    unsafe { (*current!().as_ptr()).flags & bindings::PF_KTHREAD != 0 }
}

/// Gives the lock of a fault back, as `VM_FAULT_RETRY` promises.
///
/// # Safety
///
/// The fault is answered with [`VmFault::retry`], and `vmf` and its VMA are not used afterwards.
pub(crate) unsafe fn give_lock_back(vmf: *mut bindings::vm_fault) {
    // SAFETY: The VMA is valid until the lock is given back.
    let file = unsafe { (*(*vmf).__bindgen_anon_1.vma).vm_file };
    // Without the lock the mapping may go, and with its file, and the module's reference that the
    // file holds, the code that is running here.
    // SAFETY: The VMA holds its file.
    unsafe { bindings::get_file(file) };
    // SAFETY: By the contract of this function the fault holds the lock.
    unsafe { bindings::release_fault_lock(vmf) };
    // If this is the last reference, the file goes by the task work of this thread, on its way to
    // userspace, when the handler has long returned: `__fput_deferred()` in fs/file_table.c. That
    // would leave the file of a kernel thread (PF_KTHREAD), or of one that has run its last task
    // work, to a workqueue, which may release the module while this function runs. The first gets
    // no such answer from `VmFault::retry()`, the second no page faults: `do_exit()` calls
    // `exit_mm()` before `exit_task_work()`.
    // SAFETY: The reference is the one just taken.
    unsafe { bindings::fput(file) };
}
