// SPDX-License-Identifier: GPL-2.0

//! The `struct file_operations` of a [`FileOperations`]: callbacks that only convert arguments and
//! results.

use crate::{
    bindings,
    error::from_result,
    fs::{
        File,
        Kiocb, //
    },
    iov::{
        IovIterDest,
        IovIterSource, //
    },
    mm::{
        context::Unlocked,
        file::{
            allocate::Size,
            ops::{
                FileOperations,
                Hook,
                Placement, //
            },
            seek, //
        },
        file_state::FileState,
        owner,
        vm::{
            new_vma::NewVma,
            ops::VmOperations,
            table::VmTable,
            vm_area_desc::VmAreaDesc,
            vm_private,
            vma::Kind, //
        }, //
    },
    prelude::*,
    seq_file::SeqFile,
    sync::poll::PollTable, //
};
use core::marker::PhantomData;

/// The `open` callback of a file, which creates its data.
///
/// # Safety
///
/// `open` stores a `KBox<FileState<F::Data>>` in `private_data` when it succeeds.
pub(crate) unsafe trait Opener<F: FileOperations> {
    /// Opens `file`: the `open` callback.
    ///
    /// # Safety
    ///
    /// `file` is being opened on `inode`, with a table made for this opener.
    unsafe extern "C" fn open(inode: *mut bindings::inode, file: *mut bindings::file) -> c_int;
}

/// Returns the file that a system call works on, other than read(2), write(2) and lseek(2).
///
/// # Safety
///
/// `file` is open for all of `'a`, and this thread is in a system call that found it by descriptor
/// or mapping, and that is not between `fdget_pos()` and `fdput_pos()` of this file.
unsafe fn file_of_call<'a>(file: *mut bindings::file) -> &'a File {
    // SAFETY: By the contract of this function the file is open. `File` also requires that no
    // thread is between `fdget_pos()` and `fdput_pos()` of it without `f_pos_lock`. This thread is
    // not, by the contract. Another thread omits the lock in two cases (`file_needs_f_pos_lock()`).
    // Either it had the only reference, in a descriptor table of its own: then this thread, with a
    // descriptor or a mapping, is that thread. (pidfd_getfd(2) is the exception, as for upstream's
    // `File::fget`.) Or the file is not a regular one: then `f_pos` has no lock in C either, and
    // `File` has no method that uses it.
    unsafe { File::from_raw_file(file) }
}

/// Returns `flag` if `has` is true, otherwise 0.
const fn flag(has: bool, flag: bindings::fop_flags_t) -> bindings::fop_flags_t {
    if has {
        flag
    } else {
        0
    }
}

/// The kind of the VMAs of `F`.
type KindOf<F> = <<F as FileOperations>::Vm as VmOperations>::Kind;

/// The tables for files of `F` that are opened by `O`: one for each hook.
pub(crate) struct FileTable<F, O>(PhantomData<(F, O)>);

impl<F: FileOperations, O: Opener<F>> FileTable<F, O> {
    /// The table with [`Hook::Mmap`].
    pub(crate) const MMAP: bindings::file_operations = bindings::file_operations {
        mmap: if F::HAS_MMAP { Some(Self::mmap) } else { None },
        ..Self::COMMON
    };

    /// The table with [`Hook::MmapPrepare`].
    pub(crate) const PREPARE: bindings::file_operations = bindings::file_operations {
        mmap_prepare: if F::HAS_MMAP_PREPARE {
            Some(Self::mmap_prepare)
        } else {
            None
        },
        ..Self::COMMON
    };

    const FLAGS: bindings::fop_flags_t = flag(F::MMAP_SYNC, bindings::FOP_MMAP_SYNC)
        | flag(F::UNSIGNED_OFFSET, bindings::FOP_UNSIGNED_OFFSET);

    const COMMON: bindings::file_operations = bindings::file_operations {
        fop_flags: Self::FLAGS,
        owner: owner::module_of!(F),
        open: Some(O::open),
        release: Some(Self::release),
        read_iter: if F::HAS_READ_ITER {
            Some(Self::read_iter)
        } else {
            None
        },
        write_iter: if F::HAS_WRITE_ITER {
            Some(Self::write_iter)
        } else {
            None
        },
        unlocked_ioctl: if F::HAS_IOCTL {
            Some(Self::ioctl)
        } else {
            None
        },
        #[cfg(CONFIG_COMPAT)]
        compat_ioctl: if F::HAS_COMPAT_IOCTL {
            Some(Self::compat_ioctl)
        } else if F::HAS_IOCTL {
            bindings::compat_ptr_ioctl
        } else {
            None
        },
        fallocate: if F::HAS_ALLOCATE || F::HAS_PUNCH_HOLE {
            Some(Self::fallocate)
        } else {
            None
        },
        show_fdinfo: if F::HAS_SHOW_FDINFO {
            Some(Self::show_fdinfo)
        } else {
            None
        },
        llseek: if F::GENERIC.llseek {
            Some(seek::llseek)
        } else {
            None
        },
        fsync: if F::GENERIC.fsync {
            Some(bindings::noop_fsync)
        } else {
            None
        },
        // `copy_splice_read()` calls `read_iter` without checking that there is one.
        splice_read: if F::GENERIC.splice_read && F::HAS_READ_ITER {
            Some(bindings::copy_splice_read)
        } else {
            None
        },
        splice_write: if F::GENERIC.splice_write {
            Some(bindings::iter_file_splice_write)
        } else {
            None
        },
        poll: if F::HAS_POLL { Some(Self::poll) } else { None },
        get_unmapped_area: if F::HAS_GET_UNMAPPED_AREA {
            Some(Self::get_unmapped_area)
        } else if F::GENERIC.thp_unmapped_area {
            // NULL without huge pages: the core chooses the address.
            #[cfg(CONFIG_TRANSPARENT_HUGEPAGE)]
            {
                Some(bindings::thp_get_unmapped_area)
            }
            #[cfg(not(CONFIG_TRANSPARENT_HUGEPAGE))]
            {
                None
            }
        } else {
            None
        },
        ..pin_init::zeroed()
    };

    /// Returns the table with `hook`.
    pub(crate) fn get(hook: Hook) -> &'static bindings::file_operations {
        match hook {
            Hook::Mmap => &Self::MMAP,
            Hook::MmapPrepare => &Self::PREPARE,
        }
    }

    /// # Safety
    ///
    /// `file` is the last reference to a file that has one of these tables.
    unsafe extern "C" fn release(_inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        if F::HAS_RELEASE {
            // SAFETY: `O::open` stored the data.
            let data = unsafe { FileState::borrow(file) };
            F::release(data);
        }
        // SAFETY: `O::open` stored it, and the file is not used again.
        let state = unsafe { (*file).private_data }.cast::<FileState<F::Data>>();
        // SAFETY: As above; `open` made it with `KBox::into_raw()`.
        drop(unsafe { KBox::from_raw(state) });
        0
    }

    /// # Safety
    ///
    /// `file` has one of these tables, `vma` is being made for it.
    unsafe extern "C" fn mmap(
        file: *mut bindings::file,
        vma: *mut bindings::vm_area_struct,
    ) -> c_int {
        from_result(|| {
            // SAFETY: The VMA is being set up, so that its flags may be changed.
            unsafe { bindings::vm_flags_set(vma, KindOf::<F>::FLAGS) };
            if VmTable::<F::Vm>::HAS_ANY {
                // SAFETY: The VMA is not visible to other threads yet. Its file carries `F::Data`,
                // which is what `F::Vm` expects. The core resets `vm_ops` when this hook fails.
                unsafe { (*vma).vm_ops = VmTable::<F::Vm>::get() };
            }
            // SAFETY: As above; the lifetime ends with this call, during which mmap(2) holds the
            // file.
            let area = unsafe { NewVma::from_raw(vma) };
            // SAFETY: mmap(2) holds the file (`fget()`).
            let private = F::mmap(unsafe { file_of_call(file) }, area)?;
            let private = vm_private::make::<F::Vm>(private)?;
            // SAFETY: As above.
            unsafe { (*vma).vm_private_data = private };
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// `desc` describes a mapping of a file that has one of these tables.
    unsafe extern "C" fn mmap_prepare(desc: *mut bindings::vm_area_desc) -> c_int {
        from_result(|| {
            // SAFETY: The description is valid.
            let file = unsafe { (*desc).file };
            // SAFETY: The description is valid, no other code uses it during this call, and its
            // file carries `F::Data`.
            let mut area = unsafe { VmAreaDesc::from_raw(desc) };
            area.set(KindOf::<F>::FLAGS);
            // SAFETY: mmap(2) holds the file (`fget()`).
            F::mmap_prepare(unsafe { file_of_call(file) }, &mut area)?;
            if VmTable::<F::Vm>::HAS_ANY {
                // SAFETY: The description is valid. Its file carries `F::Data`, which is what
                // `F::Vm` expects.
                unsafe { (*desc).vm_ops = VmTable::<F::Vm>::get() };
            }
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// `kiocb` is of a file that has one of these tables, `iter` is a valid destination.
    unsafe extern "C" fn read_iter(
        kiocb: *mut bindings::kiocb,
        iter: *mut bindings::iov_iter,
    ) -> isize {
        // SAFETY: `O::open` stored a `KBox<FileState<F::Data>>`.
        let kiocb = unsafe { Kiocb::from_raw(kiocb) };
        // SAFETY: The caller passes a valid destination.
        let iov = unsafe { IovIterDest::from_raw(iter) };
        match F::read_iter(kiocb, iov) {
            Ok(n) => n as isize,
            Err(e) => e.to_errno() as isize,
        }
    }

    /// # Safety
    ///
    /// `kiocb` is of a file that has one of these tables, `iter` is a valid source.
    unsafe extern "C" fn write_iter(
        kiocb: *mut bindings::kiocb,
        iter: *mut bindings::iov_iter,
    ) -> isize {
        // SAFETY: `O::open` stored a `KBox<FileState<F::Data>>`.
        let kiocb = unsafe { Kiocb::from_raw(kiocb) };
        // SAFETY: The caller passes a valid source.
        let iov = unsafe { IovIterSource::from_raw(iter) };
        match F::write_iter(kiocb, iov) {
            Ok(n) => n as isize,
            Err(e) => e.to_errno() as isize,
        }
    }

    /// # Safety
    ///
    /// `file` has one of these tables.
    unsafe extern "C" fn ioctl(file: *mut bindings::file, cmd: c_uint, arg: c_ulong) -> c_long {
        // SAFETY: The file is open, and `O::open` stored its data.
        let data = unsafe { FileState::borrow(file) };
        // SAFETY: ioctl(2) holds the file (`fdget()`).
        let file = unsafe { file_of_call(file) };
        // `vfs_ioctl()` holds no lock.
        match F::ioctl(data, file, &mut Unlocked::new(), cmd, arg) {
            Ok(ret) => ret as c_long,
            Err(e) => e.to_errno() as c_long,
        }
    }

    /// # Safety
    ///
    /// `file` has one of these tables.
    #[cfg(CONFIG_COMPAT)]
    unsafe extern "C" fn compat_ioctl(
        file: *mut bindings::file,
        cmd: c_uint,
        arg: c_ulong,
    ) -> c_long {
        // SAFETY: The file is open, and `O::open` stored its data.
        let data = unsafe { FileState::borrow(file) };
        // SAFETY: ioctl(2) holds the file (`fdget()`).
        let file = unsafe { file_of_call(file) };
        // The system call holds no lock.
        match F::compat_ioctl(data, file, &mut Unlocked::new(), cmd, arg) {
            Ok(ret) => ret as c_long,
            Err(e) => e.to_errno() as c_long,
        }
    }

    /// # Safety
    ///
    /// `file` has one of these tables, `table` is valid or null.
    unsafe extern "C" fn poll(
        file: *mut bindings::file,
        table: *mut bindings::poll_table,
    ) -> bindings::__poll_t {
        // SAFETY: The file is open, and `O::open` stored its data.
        let data = unsafe { FileState::borrow(file) };
        // SAFETY: poll(2) holds the file (`fdget()`), and so does epoll (`epi_fget()`).
        let file = unsafe { file_of_call(file) };
        // SAFETY: The caller passes a valid table.
        F::poll(data, file, unsafe { PollTable::from_raw(table) }).0
    }

    /// # Safety
    ///
    /// `file` has one of these tables; the mmap write lock is held.
    unsafe extern "C" fn get_unmapped_area(
        file: *mut bindings::file,
        hint: c_ulong,
        len: c_ulong,
        pgoff: c_ulong,
        flags: c_ulong,
    ) -> c_ulong {
        // SAFETY: The file is open, and `O::open` stored its data.
        let data = unsafe { FileState::borrow(file) };
        // SAFETY: mmap(2) or mremap(2) holds the file.
        let file = unsafe { file_of_call(file) };
        let place = Placement {
            file,
            hint,
            len,
            pgoff,
            flags,
        };
        match F::get_unmapped_area(data, place) {
            Ok(address) => address,
            Err(e) => e.to_errno() as c_ulong,
        }
    }

    /// # Safety
    ///
    /// `file` has one of these tables; the VFS has checked that `offset` is not negative, `len` is
    /// positive and that their sum does not overflow (`vfs_fallocate()`).
    unsafe extern "C" fn fallocate(
        file: *mut bindings::file,
        mode: c_int,
        offset: bindings::loff_t,
        len: bindings::loff_t,
    ) -> c_long {
        const KEEP_SIZE: c_int = bindings::FALLOC_FL_KEEP_SIZE as c_int;
        const PUNCH_HOLE: c_int = bindings::FALLOC_FL_PUNCH_HOLE as c_int | KEEP_SIZE;
        // SAFETY: The file is open, and `O::open` stored its data.
        let data = unsafe { FileState::borrow(file) };
        // SAFETY: fallocate(2) or madvise(2) holds the file.
        let file = unsafe { file_of_call(file) };
        // `vfs_fallocate()` holds no lock but the superblock's freeze protection, and
        // `madvise_remove()` drops the mmap lock before it calls that.
        let mut unlocked = Unlocked::new();
        let (offset, len) = (offset as u64, len as u64);
        let done = match mode {
            0 if F::HAS_ALLOCATE => {
                F::allocate(data, file, &mut unlocked, offset, len, Size::Grows)
            }
            KEEP_SIZE if F::HAS_ALLOCATE => {
                F::allocate(data, file, &mut unlocked, offset, len, Size::Stays)
            }
            PUNCH_HOLE if F::HAS_PUNCH_HOLE => {
                F::punch_hole(data, file, &mut unlocked, offset, len)
            }
            _ => return -(bindings::EOPNOTSUPP as c_long),
        };
        match done {
            Ok(()) => 0,
            Err(e) => e.to_errno() as c_long,
        }
    }

    /// # Safety
    ///
    /// `file` has one of these tables, `m` is valid for writing.
    unsafe extern "C" fn show_fdinfo(m: *mut bindings::seq_file, file: *mut bindings::file) {
        // SAFETY: The file is open, and `O::open` stored its data.
        let data = unsafe { FileState::borrow(file) };
        // SAFETY: The caller passes a valid `struct seq_file`.
        F::show_fdinfo(data, unsafe { SeqFile::from_raw(m) });
    }
}
