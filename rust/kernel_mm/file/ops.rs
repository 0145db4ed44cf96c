// SPDX-License-Identifier: GPL-2.0

//! The operations of a driver's files: `struct file_operations`, beyond what upstream's
//! [`MiscDevice`](crate::miscdevice::MiscDevice) offers.
//!
//! The same implementation serves a misc device ([`miscdevice`]), the descriptors of a pseudo file
//! system ([`pseudo_fs`]) and those of an anonymous inode ([`anon_inode`]). [`OpenMisc`] and
//! [`OpenInode`] create the data of files that are opened by path.
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

// Without huge pages `thp_get_unmapped_area()` is a macro for NULL.
#[cfg(not(CONFIG_TRANSPARENT_HUGEPAGE))]
use bindings::mm_get_unmapped_area as unmapped_area;
#[cfg(CONFIG_TRANSPARENT_HUGEPAGE)]
use bindings::thp_get_unmapped_area as unmapped_area;

/// A `struct kiocb` of a file with data of type `D`.
pub type FileKiocb<'a, D> = Kiocb<'a, KBox<FileState<D>>>;

/// The hook that a file offers to mmap(2); a file must not offer both.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// `file_operations.mmap`: called when the VMA exists, but not when the mapping merges.
    Mmap,
    /// `file_operations.mmap_prepare`: called for each mmap(2), before the VMA exists.
    MmapPrepare,
}

/// The operations that the kernel's own functions implement.
pub struct GenericOps {
    /// `llseek`: as `shmem_file_llseek()`, within the size of the mapped inode; for `SEEK_HOLE` and
    /// `SEEK_DATA` pages that the page cache lacks are holes.
    pub llseek: bool,
    /// `fsync`: `noop_fsync()`, for files that exist in memory only.
    pub fsync: bool,
    /// `splice_read`: `copy_splice_read()`, by `read_iter`, if that is implemented.
    pub splice_read: bool,
    /// `splice_write`: `iter_file_splice_write()`, by `write_iter`.
    pub splice_write: bool,
    /// `get_unmapped_area`: `thp_get_unmapped_area()`, which aligns mappings for huge pages.
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

/// The operations of a driver's files.
///
/// All methods may sleep. The kernel's table lacks methods that are not implemented.
///
/// # Examples
///
/// A file of 16 pages, which mmap(2) refuses to map past its end:
///
/// ```
/// use kernel::{
///     fs::File,
///     mm::{
///         file::ops::FileOperations,
///         vm::vm_area_desc::VmAreaDesc, //
///     }, //
/// };
/// # use kernel::mm::vm::{
/// #     fault::{
/// #         Answer,
/// #         VmFault, //
/// #     },
/// #     ops::VmOperations,
/// #     vma::Plain, //
/// # };
///
/// # struct ExampleVm;
/// #
/// # #[vtable]
/// # impl VmOperations for ExampleVm {
/// #     type Data = ();
/// #     type Private = ();
/// #     type Kind = Plain;
/// #     type Atomic = ();
/// #
/// #     fn atomic(data: &()) -> &() {
/// #         data
/// #     }
/// #
/// #     fn fault(vmf: VmFault<'_, Self>) -> Answer<'_> {
/// #         vmf.sigbus()
/// #     }
/// # }
/// #
/// struct ExampleFile;
///
/// #[vtable]
/// impl FileOperations for ExampleFile {
///     type Data = ();
///     type Vm = ExampleVm;
///
///     fn mmap_prepare(_file: &File, desc: &mut VmAreaDesc<'_, ExampleVm>) -> Result {
///         match desc.pgoff().checked_add(desc.pages()) {
///             Some(end) if end <= 16 => Ok(()),
///             _ => Err(ENXIO),
///         }
///     }
/// }
/// ```
#[vtable]
pub trait FileOperations: Sized + 'static {
    /// The data of an open file.
    type Data: Send + Sync + 'static;

    /// The operations of mappings of the file.
    type Vm: VmOperations<Data = Self::Data>;

    /// The operations that the kernel's own functions implement.
    const GENERIC: GenericOps = GenericOps::NONE;

    /// Whether memory of the file survives a loss of power without fsync(2). Only then a program
    /// may use `MAP_SYNC` (`FOP_MMAP_SYNC`).
    const MMAP_SYNC: bool = false;

    /// Whether offsets are unsigned, so that the file may be mapped up to 2^64
    /// (`FOP_UNSIGNED_OFFSET`). The methods then get negative positions.
    const UNSIGNED_OFFSET: bool = false;

    /// Sets up a mapping: the hook of mmap(2) when [`Hook::Mmap`] is chosen. The mmap write lock is
    /// held. Returns the data of the VMA, which mostly is `()`.
    ///
    /// # Errors
    ///
    /// mmap(2) fails with the error. It has already unmapped the mappings that MAP_FIXED replaces.
    fn mmap(_file: &File, _vma: NewVma<'_, Self::Vm>) -> Result<PrivateOf<Self>> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Describes a mapping: the hook of mmap(2) when [`Hook::MmapPrepare`] is chosen. The mmap
    /// write lock is held.
    ///
    /// The mapping may still merge with a neighbour, or fail: create the data of a VMA in
    /// [`VmOperations::mapped`].
    ///
    /// # Errors
    ///
    /// As for [`FileOperations::mmap`].
    fn mmap_prepare(_file: &File, _desc: &mut VmAreaDesc<'_, Self::Vm>) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Reads, for read(2) and its relatives. Returns the number of bytes read, and advances
    /// `ki_pos`.
    fn read_iter(_kiocb: FileKiocb<'_, Self::Data>, _iov: &mut IovIterDest<'_>) -> Result<usize> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Writes, for write(2) and its relatives. Returns the number of bytes written, and advances
    /// `ki_pos`.
    fn write_iter(
        _kiocb: FileKiocb<'_, Self::Data>,
        _iov: &mut IovIterSource<'_>,
    ) -> Result<usize> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Handles ioctl(2), also of 32-bit programs, with their pointer converted.
    ///
    /// # Errors
    ///
    /// `ENOTTY` for an unknown `cmd`.
    fn ioctl(
        _data: &Self::Data,
        _file: &File,
        _unlocked: &mut Unlocked,
        _cmd: u32,
        _arg: usize,
    ) -> Result<isize> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Handles ioctl(2) of 32-bit programs, when their structs differ.
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

    /// Handles poll(2), select(2) and epoll: registers with `table` for wakeups, and returns the
    /// events that are ready now.
    fn poll(_data: &Self::Data, _file: &File, _table: PollTable<'_>) -> Ready {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Chooses the address of a mapping, with the mmap write lock held, also for `MAP_FIXED`.
    /// [`Placement::default_address`] is the kernel's choice.
    ///
    /// # Errors
    ///
    /// mmap(2) fails with the error.
    fn get_unmapped_area(_data: &Self::Data, _place: Placement<'_>) -> Result<usize> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Releases the file after the last descriptor and the last mapping are gone; the data is
    /// dropped next.
    ///
    /// It gets no [`File`]: a reference taken now would outlive the file.
    fn release(_data: &Self::Data) {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Allocates memory for `len` bytes at `offset`, for instance by
    /// [`allocate`](crate::mm::file::allocate::allocate): fallocate(2) without a mode, or with
    /// `FALLOC_FL_KEEP_SIZE`. Modes that neither this nor [`FileOperations::punch_hole`] handles
    /// fail with `EOPNOTSUPP`. The VFS calls it for regular files only.
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

    /// Frees `len` bytes at `offset`: madvise(2) with `MADV_REMOVE`, and fallocate(2) with the mode
    /// `FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE`. The VFS calls it for regular files only.
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
    /// It gets no [`File`]: the reader is another task, and the file's owner may be in read(2)
    /// without `f_pos_lock`, since it had the only reference.
    fn show_fdinfo(_data: &Self::Data, _m: &SeqFile) {
        build_error!(VTABLE_DEFAULT_ERROR)
    }
}

/// The data of a VMA of files of `F`.
pub type PrivateOf<F> = <<F as FileOperations>::Vm as VmOperations>::Private;

/// The events that [`FileOperations::poll`] finds ready: bits of poll(2).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Ready(pub(crate) u32);

impl Ready {
    /// No event.
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

/// The arguments of mmap(2) for which an address is chosen.
pub struct Placement<'a> {
    pub(crate) file: &'a File,
    /// The address that the caller requested, or 0.
    pub hint: usize,
    /// The length, in bytes.
    pub len: usize,
    /// The offset within the file, in pages.
    pub pgoff: usize,
    /// The flags of mmap(2), `MAP_*`.
    pub flags: usize,
}

impl Placement<'_> {
    /// Returns the address that the kernel would choose, aligned for huge pages if the kernel has
    /// any (`thp_get_unmapped_area()`).
    ///
    /// # Errors
    ///
    /// `ENOMEM` when no address range is free.
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

/// The data of a file that is being opened.
pub struct Opened<D> {
    data: D,
    mapping: Option<MappedInode>,
}

impl<D> Opened<D> {
    /// Returns the data of a file that maps, reads and writes its own inode.
    pub fn new(data: D) -> Self {
        Self {
            data,
            mapping: None,
        }
    }

    /// Returns the data of a file that maps, reads and writes `inode`, as if it were opened there.
    /// A device node shares memory with other files this way.
    pub fn onto<I: InodeData>(data: D, inode: ARef<Inode<I>>) -> Self {
        Self {
            data,
            mapping: Some(MappedInode::new(inode)),
        }
    }

    #[inline]
    pub(crate) fn into_state<F: FileOperations<Data = D>>(self) -> FileState<D> {
        FileState::new::<F::Vm>(self.data, self.mapping)
    }
}

/// Files that are opened through a misc device.
pub trait OpenMisc: FileOperations {
    /// The data with which the device is registered.
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
