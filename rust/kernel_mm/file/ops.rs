// SPDX-License-Identifier: GPL-2.0

//! What a driver does for its files: `struct file_operations`, beyond what upstream's
//! [`MiscDevice`](crate::miscdevice::MiscDevice) offers.
//!
//! The same implementation serves a misc device ([`miscdevice`]), the descriptors of a pseudo file
//! system ([`pseudo_fs`]) and those of an anonymous inode ([`anon_inode`]); how a file that is
//! opened by path comes to its data is said by [`OpenMisc`] and [`OpenInode`].
//!
//! [`miscdevice`]: crate::mm::file::miscdevice
//! [`pseudo_fs`]: crate::mm::file::pseudo_fs
//! [`anon_inode`]: crate::mm::file::anon_inode
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use crate::{
    bindings,
    build_error,
    error::VTABLE_DEFAULT_ERROR,
    fs::{
        File,
        Kiocb, //
    },
    iov::{
        IovIterDest,
        IovIterSource, //
    },
    mm::{
        cache::inode::{
            Inode,
            InodeData, //
        },
        context::Unlocked,
        file::allocate::Size,
        file_state::{
            FileState,
            MappedInode, //
        },
        values,
        vm::{
            new_vma::NewVma,
            ops::VmOperations,
            vm_area_desc::VmAreaDesc, //
        }, //
    },
    prelude::*,
    seq_file::SeqFile,
    sync::{
        aref::ARef,
        poll::PollTable, //
    }, //
};

// The names that differ without huge pages: `thp_get_unmapped_area()` is a macro for NULL then.
#[cfg(not(CONFIG_TRANSPARENT_HUGEPAGE))]
use bindings::mm_get_unmapped_area as unmapped_area;
#[cfg(CONFIG_TRANSPARENT_HUGEPAGE)]
use bindings::thp_get_unmapped_area as unmapped_area;

/// A `struct kiocb` of a file that carries `D`.
pub type FileKiocb<'a, D> = Kiocb<'a, KBox<FileState<D>>>;

/// Which of the two hooks a file offers to mmap(2); a file may not offer both.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// `file_operations.mmap`: called when the VMA exists, not called when it merges.
    Mmap,
    /// `file_operations.mmap_prepare`: called for each mmap(2), before the VMA exists.
    MmapPrepare,
}

/// Operations for which the kernel's own functions do.
pub struct GenericOps {
    /// `llseek`: as `shmem_file_llseek()`, within the size of the mapped inode; `SEEK_HOLE` and
    /// `SEEK_DATA` take pages that the page cache lacks for holes.
    pub llseek: bool,
    /// `fsync`: `noop_fsync()`, for files that exist in memory only.
    pub fsync: bool,
    /// `splice_read`: `copy_splice_read()`, over `read_iter`, if that is implemented.
    pub splice_read: bool,
    /// `splice_write`: `iter_file_splice_write()`, over `write_iter`.
    pub splice_write: bool,
    /// `get_unmapped_area`: `thp_get_unmapped_area()`, so that huge pages fit.
    pub thp_unmapped_area: bool,
}

impl GenericOps {
    /// None of them.
    pub const NONE: Self = Self {
        llseek: false,
        fsync: false,
        splice_read: false,
        splice_write: false,
        thp_unmapped_area: false,
    };
}

/// What can be done with a file.
///
/// All methods may sleep. An operation that is not implemented is absent for the kernel, too.
#[vtable]
pub trait FileOperations: Sized + 'static {
    /// What each open file carries.
    type Data: Send + Sync + 'static;

    /// What happens in mappings of the file.
    type Vm: VmOperations<Data = Self::Data>;

    /// Which operations are the kernel's own.
    const GENERIC: GenericOps = GenericOps::NONE;

    /// Does memory of the file survive a loss of power without fsync(2)? Only then `MAP_SYNC` may
    /// be asked for (`FOP_MMAP_SYNC`).
    const MMAP_SYNC: bool = false;

    /// Are offsets unsigned, so that the file may be mapped up to 2^64 (`FOP_UNSIGNED_OFFSET`)? The
    /// methods get negative positions then.
    const UNSIGNED_OFFSET: bool = false;

    /// Offers both hooks, whatever [`Hook`] is chosen. This is for tests: the kernel warns, once,
    /// and refuses every mapping with `ENODEV` (`can_mmap_file()`).
    const BOTH_HOOKS: bool = false;

    /// The hook of mmap(2) when [`Hook::Mmap`] is chosen. The mmap write lock is held. Returns the
    /// data of the VMA, `()` for most.
    ///
    /// # Errors
    ///
    /// mmap(2) fails with the error; what MAP_FIXED was to replace is gone already.
    fn mmap(_file: &File, _vma: NewVma<'_, Self::Vm>) -> Result<PrivateOf<Self>> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// The hook of mmap(2) when [`Hook::MmapPrepare`] is chosen. The mmap write lock is held.
    ///
    /// The mapping may yet merge with a neighbour, or fail: what belongs to a VMA is made in
    /// [`VmOperations::mapped`].
    ///
    /// # Errors
    ///
    /// As for [`FileOperations::mmap`].
    fn mmap_prepare(_file: &File, _desc: &mut VmAreaDesc<'_, Self::Vm>) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// read(2) and its relatives. Returns the number of bytes read, and advances `ki_pos`.
    fn read_iter(_kiocb: FileKiocb<'_, Self::Data>, _iov: &mut IovIterDest<'_>) -> Result<usize> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// write(2) and its relatives. Returns the number of bytes written, and advances `ki_pos`.
    fn write_iter(
        _kiocb: FileKiocb<'_, Self::Data>,
        _iov: &mut IovIterSource<'_>,
    ) -> Result<usize> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// ioctl(2); a 32-bit program's arrives here, too, with its pointer converted.
    ///
    /// # Errors
    ///
    /// `ENOTTY` is the answer to an unknown `cmd`.
    fn ioctl(
        _data: &Self::Data,
        _file: &File,
        _unlocked: &mut Unlocked,
        _cmd: u32,
        _arg: usize,
    ) -> Result<isize> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// As [`FileOperations::ioctl`], for 32-bit programs, when structs differ there.
    ///
    /// # Errors
    ///
    /// As for [`FileOperations::ioctl`].
    #[cfg(CONFIG_COMPAT)]
    fn compat_ioctl(
        _data: &Self::Data,
        _file: &File,
        _unlocked: &mut Unlocked,
        _cmd: u32,
        _arg: usize,
    ) -> Result<isize> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// poll(2), select(2), epoll: registers with `table` to be woken, and returns what is ready
    /// now.
    fn poll(_data: &Self::Data, _file: &File, _table: PollTable<'_>) -> Ready {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Chooses the address of a mapping, with the mmap write lock held. It is asked for `MAP_FIXED`
    /// as well. [`Placement::default_address`] is the kernel's choice.
    ///
    /// # Errors
    ///
    /// mmap(2) fails with the error.
    fn get_unmapped_area(_data: &Self::Data, _place: Placement<'_>) -> Result<usize> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// The last descriptor and the last mapping are gone; the data is dropped next.
    ///
    /// There is no [`File`] any more: a reference taken now would be to a file that is
    /// freed.
    fn release(_data: &Self::Data) {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// fallocate(2) without a mode, or with `FALLOC_FL_KEEP_SIZE`: allocates memory for `len` bytes
    /// at `offset`, for instance by [`allocate`](crate::mm::file::allocate::allocate). Modes that
    /// neither this nor [`FileOperations::punch_hole`] is for are answered with `EOPNOTSUPP`. The
    /// VFS asks for regular files only.
    fn allocate(
        _data: &Self::Data,
        _file: &File,
        _unlocked: &mut Unlocked,
        _offset: u64,
        _len: u64,
        _size: Size,
    ) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// fallocate(2) with `FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE`, and madvise(2) with
    /// `MADV_REMOVE`: frees `len` bytes at `offset`. The VFS asks for regular files only.
    fn punch_hole(
        _data: &Self::Data,
        _file: &File,
        _unlocked: &mut Unlocked,
        _offset: u64,
        _len: u64,
    ) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Prints lines of `/proc/PID/fdinfo/FD`.
    ///
    /// There is no [`File`]: the reader is another task than the file's owner, who may be
    /// in read(2) without `f_pos_lock`, since the descriptor was its alone.
    fn show_fdinfo(_data: &Self::Data, _m: &SeqFile) {
        build_error!(VTABLE_DEFAULT_ERROR)
    }
}

/// The data of a VMA of files of `F`.
pub type PrivateOf<F> = <<F as FileOperations>::Vm as VmOperations>::Private;

/// What [`FileOperations::poll`] finds ready: bits of poll(2).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Ready(pub(crate) u32);

impl Ready {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Reading does not wait (`EPOLLIN | EPOLLRDNORM`).
    pub const READABLE: Self = Self(bindings::POLLIN | bindings::POLLRDNORM);
    /// Writing does not wait (`EPOLLOUT | EPOLLWRNORM`).
    pub const WRITABLE: Self = Self(bindings::POLLOUT | bindings::POLLWRNORM);
}

impl core::ops::BitOr for Ready {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What mmap(2) asks for: where shall it be?
pub struct Placement<'a> {
    pub(crate) file: &'a File,
    /// The address that the caller named, or 0.
    pub hint: usize,
    /// The length, in bytes.
    pub len: usize,
    /// The offset within the file, in pages.
    pub pgoff: usize,
    /// The flags of mmap(2), `MAP_*`.
    pub flags: usize,
}

impl Placement<'_> {
    /// Returns what the kernel would choose, aligned for huge pages if the kernel has any
    /// (`thp_get_unmapped_area()`).
    ///
    /// # Errors
    ///
    /// `ENOMEM` when there is no room.
    pub fn default_address(&self) -> Result<usize> {
        // SAFETY: Only the table's `get_unmapped_area()` makes a `Placement`, which lives no longer
        // than that call: the file is valid, and the mmap write lock is held. The other fields are
        // public, so they may be anything: the function compares `len` with the address space, and
        // `__get_unmapped_area()` checks the address that it returns.
        let address = unsafe {
            unmapped_area(
                self.file.as_ptr(),
                self.hint,
                self.len,
                self.pgoff,
                self.flags,
            )
        };
        values::from_err_value(address)
    }
}

/// A file whose data was made.
pub struct Opened<D> {
    data: D,
    mapping: Option<MappedInode>,
}

impl<D> Opened<D> {
    /// The file carries `data`, and its mappings show the file's own inode.
    pub fn new(data: D) -> Self {
        Self {
            data,
            mapping: None,
        }
    }

    /// The file carries `data`, and what it maps, reads and writes is `inode`, as if that were
    /// opened. This is how a device node shows memory that other files show as well.
    pub fn onto<I: InodeData>(data: D, inode: ARef<Inode<I>>) -> Self {
        Self {
            data,
            mapping: Some(MappedInode::new(inode)),
        }
    }

    pub(crate) fn into_state<F: FileOperations<Data = D>>(self) -> FileState<D> {
        FileState::new::<F::Vm>(self.data, self.mapping)
    }
}

/// Files that are opened through a misc device.
pub trait OpenMisc: FileOperations {
    /// What the device is registered with.
    type Context: Send + Sync + 'static;

    /// Makes the data of a file that is being opened.
    ///
    /// # Errors
    ///
    /// open(2) fails with the error.
    fn open(context: &Self::Context) -> Result<Opened<Self::Data>>;
}

/// Files that are opened on an inode of a pseudo file system.
pub trait OpenInode: FileOperations {
    /// The data of these inodes.
    type Inode: InodeData;

    /// Makes the data of a file that is being opened, also through `/proc/PID/fd`.
    ///
    /// # Errors
    ///
    /// open(2) fails with the error.
    fn open(inode: &Inode<Self::Inode>) -> Result<Self::Data>;
}
