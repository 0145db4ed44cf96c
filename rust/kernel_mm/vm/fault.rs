// SPDX-License-Identifier: GPL-2.0

//! Page faults: the fault ([`VmFault`]) and its one answer ([`Answer`]).
//!
//! A handler gets the fault by value and turns it into an answer; every method that makes an answer
//! consumes the fault. So a handler gives exactly one answer, cannot keep the fault beyond the
//! call, and cannot touch a folio that it has passed to the core.
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
            folio::LockedFolio,
            zero_page::ZeroPage, //
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

/// A marker that makes the type holding it invariant in `'a`.
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
/// `vmf` is valid until the fault is answered, and its VMA has the operations of `V`.
pub struct VmFault<'a, V: VmOperations> {
    vmf: *mut bindings::vm_fault,
    // Invariant in 'a, so that the answer to one fault cannot be returned for another.
    _vmf: PhantomData<(Invariant<'a>, V)>,
    _nts: NotThreadSafe,
}

/// The answer to a page fault: a `vm_fault_t` for the core, with `vmf->page` set where that code
/// requires it.
#[must_use = "a page fault must be answered"]
pub struct Answer<'a> {
    ret: bindings::vm_fault_t,
    _vmf: PhantomData<Invariant<'a>>,
}

impl Answer<'_> {
    /// Wraps a `vm_fault_t` from one of the core's functions or constants.
    pub(crate) fn from_raw(ret: bindings::vm_fault_t) -> Self {
        Answer {
            ret,
            _vmf: PhantomData,
        }
    }

    #[inline]
    pub(crate) fn into_raw(self) -> bindings::vm_fault_t {
        self.ret
    }

    /// Checks whether the core has nothing left to map (`VM_FAULT_NOPAGE`).
    #[inline]
    pub fn is_nopage(&self) -> bool {
        self.ret & bindings::vm_fault_reason_VM_FAULT_NOPAGE as bindings::vm_fault_t != 0
    }
}

impl<'a, V: VmOperations> VmFault<'a, V> {
    /// Wraps the fault that the core passes to a handler.
    ///
    /// # Safety
    ///
    /// The type invariants hold, nobody else uses `vmf` meanwhile, and `'a` is not longer than the
    /// life of the file.
    pub(crate) unsafe fn from_raw(vmf: *mut bindings::vm_fault) -> Self {
        // INVARIANT: By the contract of this function.
        Self {
            vmf,
            _vmf: PhantomData,
            _nts: NotThreadSafe,
        }
    }

    /// Returns the index of the faulting page within the file.
    #[inline]
    pub fn pgoff(&self) -> usize {
        // SAFETY: By the type invariants.
        unsafe { (*self.vmf).__bindgen_anon_1.pgoff }
    }

    /// Returns the address that faulted, rounded down to its page.
    #[inline]
    pub fn address(&self) -> usize {
        // SAFETY: By the type invariants.
        unsafe { (*self.vmf).__bindgen_anon_1.address }
    }

    /// Returns the VMA that the address lies in.
    #[inline]
    pub fn vma(&self) -> &DriverVma<V> {
        // SAFETY: By the type invariants the VMA is valid and has the operations of `V`; the core
        // holds the mmap lock or the VMA's lock until the fault is answered.
        unsafe { DriverVma::from_raw((*self.vmf).__bindgen_anon_1.vma) }
    }

    /// Returns the page cache of the mapped file. It may belong to any inode; a driver reaches its
    /// own page cache through the inode in its data.
    #[inline]
    pub(crate) fn mapping(&self) -> &'a AddressSpace {
        // SAFETY: The VMA holds its file, whose `f_mapping` is set when it is opened, to the page
        // cache of an inode that the file holds: its own, or that of its `FileState`.
        unsafe { AddressSpace::from_raw((*self.file()).f_mapping) }
    }

    /// Returns the data of the file that is mapped, for the life of the file.
    #[inline]
    pub fn data(&self) -> &'a V::Data {
        // SAFETY: By the type invariants; the file lives as long as the VMA.
        unsafe { FileState::borrow(self.file()) }
    }

    fn file(&self) -> *mut bindings::file {
        // SAFETY: By the type invariants the VMA is valid and has a file.
        unsafe { (*(*self.vmf).__bindgen_anon_1.vma).vm_file }
    }

    /// Returns the `FAULT_FLAG_*` bits, to print or trace them; handlers use the methods below.
    #[inline]
    pub fn flags(&self) -> u32 {
        // SAFETY: By the type invariants.
        unsafe { (*self.vmf).flags }
    }

    fn has(&self, flag: bindings::fault_flag) -> bool {
        self.flags() & flag != 0
    }

    /// Returns whether the access is a write (`FAULT_FLAG_WRITE`).
    #[inline]
    pub fn is_write(&self) -> bool {
        self.has(bindings::fault_flag_FAULT_FLAG_WRITE)
    }

    /// Returns whether the access is a write through a private mapping, for which the core copies
    /// the page of the answer.
    #[inline]
    pub fn is_cow(&self) -> bool {
        // SAFETY: By the type invariants.
        unsafe { !(*self.vmf).cow_page.is_null() }
    }

    /// Returns whether userspace made the access, or the kernel on its behalf (`copy_to_user()`).
    ///
    /// Otherwise the kernel gets the page for itself, with neither `FAULT_FLAG_USER` nor
    /// `FAULT_FLAG_INTERRUPTIBLE`: for MAP_POPULATE, MAP_LOCKED, mlock(2) or MADV_POPULATE_*, but
    /// also for direct I/O and every other `get_user_pages()`. So a fault without an access need
    /// not be a populate; see [`VmFault::is_populate`].
    #[inline]
    pub fn is_access(&self) -> bool {
        self.has(bindings::fault_flag_FAULT_FLAG_USER)
            || self.has(bindings::fault_flag_FAULT_FLAG_INTERRUPTIBLE)
    }

    /// Takes the invalidate lock of `mapping` shared, which excludes truncation and hole punching.
    /// May sleep.
    ///
    /// Folios added under the lock are allocated on the NUMA nodes that the policy of the VMA
    /// allows (mbind(2)).
    ///
    /// Only page faults can take the lock shared. Truncation takes it exclusively, after the inode
    /// lock; a handler that holds it cannot lock an inode, so the two cannot deadlock. The driver
    /// must take it only once: on a second attempt the thread would wait for a truncation that
    /// waits for this thread.
    #[inline]
    pub fn invalidate_lock_shared<'m>(&self, mapping: &'m AddressSpace) -> InvalidateShared<'m>
    where
        'a: 'm,
    {
        // SAFETY: By the type invariants. The VMA's lock is released only after the handler has
        // returned (`give_lock_back()`), and `'m` has ended by then: a handler is generic over
        // `'a`, so it has no place outside its call to store anything with `'m`.
        let vma = unsafe { FaultedVma::new((*self.vmf).__bindgen_anon_1.vma) };
        mapping.invalidate_lock_shared().for_fault(vma)
    }

    /// Turns the fault into one that may be answered with a page to copy from. Returns it unchanged
    /// when the core maps the page itself.
    pub fn into_cow(self) -> core::result::Result<CowFault<'a, V>, Self> {
        if self.is_cow() {
            // INVARIANT: Just checked; only `do_cow_fault()` sets it.
            Ok(CowFault(self))
        } else {
            Err(self)
        }
    }

    /// Answers that the page table is already set up, or that the access is to be retried
    /// (`VM_FAULT_NOPAGE`).
    #[inline]
    pub fn nopage(self) -> Answer<'a> {
        self.answer(bindings::vm_fault_reason_VM_FAULT_NOPAGE)
    }

    /// Returns whether [`VmFault::retry`] answered this fault before (`FAULT_FLAG_TRIED`). A
    /// populate never sets the flag.
    #[inline]
    pub fn was_retried(&self) -> bool {
        self.has(bindings::fault_flag_FAULT_FLAG_TRIED)
    }

    /// Answers that the fault is to be repeated (`VM_FAULT_RETRY`); the lock is released once the
    /// handler has returned. Returns the fault unchanged where the core does not accept this
    /// answer, or where a kernel thread took the fault.
    ///
    /// A handler must have made progress: a populate repeats the fault until it gets another
    /// answer, or the process is killed.
    pub fn retry(self) -> core::result::Result<Answer<'a>, Self> {
        // With RETRY_NOWAIT the core keeps the lock held over this answer.
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

    /// Answers that there is no such page: `SIGBUS` for an access, `EFAULT` for a populate.
    #[inline]
    pub fn sigbus(self) -> Answer<'a> {
        self.answer(bindings::vm_fault_reason_VM_FAULT_SIGBUS)
    }

    /// Answers that there is no memory for the page.
    ///
    /// A populate gets `VM_FAULT_OOM`, which its caller sees as `ENOMEM` or `EAGAIN`. An access
    /// gets `SIGBUS`: the core repeats an access that is answered with `VM_FAULT_OOM` forever
    /// (`pagefault_out_of_memory()` frees nothing when the handler's own limit is the cause).
    pub fn no_memory(self) -> Answer<'a> {
        if self.is_access() {
            self.sigbus()
        } else {
            self.answer(bindings::vm_fault_reason_VM_FAULT_OOM)
        }
    }

    /// Answers with the code for `error`, as `vmf_error()` does in include/linux/mm_types.h:
    /// [`VmFault::no_memory`] for `ENOMEM`; [`VmFault::nopage`] for `EEXIST`, since another thread
    /// has added the page, and for `EINTR`, since the process is being killed; [`VmFault::sigbus`]
    /// for all others, including `ENXIO` past EOF.
    pub fn error(self, error: Error) -> Answer<'a> {
        if error == ENOMEM {
            self.no_memory()
        } else if error == EEXIST || error == EINTR {
            self.nopage()
        } else {
            self.sigbus()
        }
    }

    #[inline]
    pub(crate) fn answer(self, reason: bindings::vm_fault_reason) -> Answer<'a> {
        Answer::from_raw(reason as bindings::vm_fault_t)
    }

    #[inline]
    pub(crate) fn as_raw(&self) -> *mut bindings::vm_fault {
        self.vmf
    }
}

impl<'a, V: VmOperations<Kind = Plain>> VmFault<'a, V> {
    /// Answers with a folio of the mapped file (`VM_FAULT_LOCKED`). The core maps the faulting page
    /// and its neighbours in the folio, and unlocks the folio.
    ///
    /// A folio that does not hold this page of this file gets `SIGBUS` and a warning in the log
    /// instead: mapping it would show another file's memory.
    ///
    /// VMAs of another kind must not hold page cache folios: when the core unmaps a part of a huge
    /// page in a `VM_MIXEDMAP` or `VM_PFNMAP` VMA, it updates no counters and drops no references
    /// (`vma_is_special_huge()` in `__split_huge_pmd_locked()`, mm/huge_memory.c).
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
        // SAFETY: `contains()` has just checked, under the folio lock, that the folio holds the
        // page.
        let page = unsafe { bindings::folio_file_page(folio, pgoff) };
        // SAFETY: By the type invariants. The answer passes the lock and the reference to the core.
        unsafe { (*self.vmf).page = page };
        self.answer(bindings::vm_fault_reason_VM_FAULT_LOCKED)
    }
}

impl<'a, V: VmOperations<Kind = Pfn>> VmFault<'a, V> {
    /// Answers with page `index` of `block`, by its page frame (`vmf_insert_pfn()`).
    ///
    /// An index past the end of the block gets `SIGBUS`. So does a private mapping that may be
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

/// A write fault in a private mapping, for which the core makes the process's own copy of the page.
///
/// # Invariants
///
/// `cow_page` of the fault is set: it is the first page of the folio that `do_cow_fault()` in
/// mm/memory.c has allocated for the copy.
pub struct CowFault<'a, V: VmOperations>(VmFault<'a, V>);

impl<'a, V: VmOperations> CowFault<'a, V> {
    /// Answers with a page of zeroes to copy from. The core locks the page, copies it, unlocks it
    /// and drops the reference; nobody ever maps it (`do_cow_fault()` in mm/memory.c).
    ///
    /// When the file has the page, answer with [`VmFault::locked`] instead: the core copies that
    /// page as well.
    #[inline]
    pub fn copy_of(self, zeroes: ZeroPage) -> Answer<'a> {
        // SAFETY: By the type invariants. The answer passes the reference to the core.
        unsafe { (*self.0.vmf).page = zeroes.into_page() };
        Answer::from_raw(0)
    }

    /// Returns a reference to the fault.
    #[inline]
    pub fn as_fault(&self) -> &VmFault<'a, V> {
        &self.0
    }

    /// Turns it back into a plain fault, to be answered like any other.
    #[inline]
    pub fn into_fault(self) -> VmFault<'a, V> {
        self.0
    }
}

/// Checks whether the current task is a kernel thread: it may fault in the address space of a
/// process, or on its behalf (KVM's asynchronous page faults, for example).
fn is_kernel_thread() -> bool {
    let task = current!().as_ptr();
    // SAFETY: The current task is valid, and reading its flags races with nothing: `PF_KTHREAD` is
    // set before a task first runs, and later only the task itself writes its flags.
    unsafe { (*task).flags & bindings::PF_KTHREAD != 0 }
}

/// Releases the lock of a fault, as `VM_FAULT_RETRY` requires.
///
/// # Safety
///
/// [`VmFault::retry`] answered the fault, and `vmf` and its VMA are not used afterwards.
pub(crate) unsafe fn give_lock_back(vmf: *mut bindings::vm_fault) {
    // SAFETY: The VMA is valid until the lock is released.
    let file = unsafe { (*(*vmf).__bindgen_anon_1.vma).vm_file };
    // Without the lock another thread may unmap the VMA. That may drop the last reference to its
    // file, and with it the file's reference to the module whose code runs here.
    // SAFETY: The VMA holds its file.
    unsafe { bindings::get_file(file) };
    // SAFETY: By the contract of this function the fault holds the lock.
    unsafe { bindings::release_fault_lock(vmf) };
    // If this is the last reference, the task work of this thread releases the file on the way to
    // userspace, long after the handler has returned: `__fput_deferred()` in fs/file_table.c. For a
    // kernel thread (PF_KTHREAD), and for a thread that has run its last task work, it would leave
    // the file to a workqueue, which may release the module while this function runs.
    // `VmFault::retry()` gives no such answer to a kernel thread, and the other takes no page
    // faults: `do_exit()` calls `exit_mm()` before `exit_task_work()`.
    // SAFETY: The reference is the one just taken.
    unsafe { bindings::fput(file) };
}
