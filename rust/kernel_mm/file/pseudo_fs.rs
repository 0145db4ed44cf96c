// SPDX-License-Identifier: GPL-2.0

//! A file system that userspace never mounts. Its regular files exist in memory only, and userspace
//! gets them as descriptors.
//!
//! The difficulty is the end of a file's life. `__fput()` drops the module reference of
//! `f_op->owner` first, and the inode only then, so that the module could be unloaded while its
//! inode is being evicted. A file system whose `owner` is the module closes that gap: the
//! superblock, which every file holds, keeps the module loaded until core code frees it. But such a
//! file system cannot have a mount that lasts as long as the module, or the module would pin
//! itself. Hence two kinds:
//!
//! - [`PseudoFs::new`]: owned by the module, and mounted while a pin exists ([`PseudoFs::pin`],
//!   `simple_pin_fs()`). Each file keeps the mount on which it was created.
//! - [`PseudoFs::unowned`]: for inodes that the module itself keeps and drops ([`InternalMount`]).
//!   It has no files.
//!
//! C header: [`include/linux/pseudo_fs.h`](srctree/include/linux/pseudo_fs.h); C source:
//! [`fs/libfs.c`](srctree/fs/libfs.c)

use crate::{
    bindings,
    error::{
        from_err_ptr,
        from_result,
        to_result, //
    },
    fs::File,
    mm::{
        cache::inode::{
            Inode,
            InodeData, //
        },
        file::{
            ops::{
                Hook,
                OpenInode,
                Opened, //
            },
            table::{
                FileTable,
                Opener, //
            }, //
        },
        owner,
        values, //
    },
    prelude::*,
    str::as_char_ptr_in_const_context,
    sync::aref::ARef,
    types::Opaque,
    ModuleMetadata, //
};
use core::{
    cell::UnsafeCell,
    marker::PhantomData,
    ptr::NonNull, //
};

/// The type of a pseudo file system; a `static` of the driver.
///
/// # Invariants
///
/// `mount` and `pins` are accessed by `simple_pin_fs()` and `simple_release_fs()` only.
pub struct PseudoFs<D> {
    fs_type: Opaque<bindings::file_system_type>,
    mount: UnsafeCell<*mut bindings::vfsmount>,
    pins: UnsafeCell<c_int>,
    /// Whether a superblock holds the module, so that files may outlive their creator.
    gives_files: bool,
    _data: PhantomData<fn() -> D>,
}

// SAFETY: The kernel changes only `fs_supers` of the type, under `sb_lock`; `mount` and `pins` are
// protected by `pin_fs_lock` (`simple_pin_fs()`, `simple_release_fs()`). The rest is constant.
unsafe impl<D> Sync for PseudoFs<D> {}

impl<D: InodeData> PseudoFs<D> {
    /// Creates a file system with files; its superblocks pin module `M`.
    pub const fn new<M: ModuleMetadata>(name: &'static CStr) -> Self {
        let owner = owner::module::<M>();
        Self::with_owner(name, owner, true, Self::init_fs_context)
    }

    /// Creates a file system as [`PseudoFs::new`] does, but its files may be executed, and mapped
    /// with `PROT_EXEC`, as memfds may. Without this the superblock forbids both (`SB_I_NOEXEC`),
    /// whatever the mode of the file says.
    pub const fn executable<M: ModuleMetadata>(name: &'static CStr) -> Self {
        let owner = owner::module::<M>();
        Self::with_owner(name, owner, true, Self::init_fs_context_exec)
    }

    /// Creates a file system for inodes that only the module uses; it pins nothing.
    pub const fn unowned(name: &'static CStr) -> Self {
        let owner = core::ptr::null_mut();
        Self::with_owner(name, owner, false, Self::init_fs_context)
    }

    const fn with_owner(
        name: &'static CStr,
        owner: *mut bindings::module,
        gives_files: bool,
        init_fs_context: unsafe extern "C" fn(*mut bindings::fs_context) -> c_int,
    ) -> Self {
        Self {
            fs_type: Opaque::new(bindings::file_system_type {
                name: as_char_ptr_in_const_context(name),
                init_fs_context: Some(init_fs_context),
                kill_sb: Some(bindings::kill_anon_super),
                owner,
                ..pin_init::zeroed()
            }),
            mount: UnsafeCell::new(core::ptr::null_mut()),
            pins: UnsafeCell::new(0),
            gives_files,
            _data: PhantomData,
        }
    }

    /// The type that fstatfs(2) reports: "rmfs" in ASCII, a number that is otherwise unused.
    const MAGIC: c_ulong = 0x726d_6673;

    /// # Safety
    ///
    /// `fc` is a new file system context.
    unsafe extern "C" fn init_fs_context(fc: *mut bindings::fs_context) -> c_int {
        // SAFETY: The context is valid, the table is never freed.
        unsafe { bindings::init_pseudo(fc, Self::MAGIC, &Inode::<D>::SUPER_OPS) }
    }

    /// # Safety
    ///
    /// `fc` is a new file system context.
    unsafe extern "C" fn init_fs_context_exec(fc: *mut bindings::fs_context) -> c_int {
        // SAFETY: By the contract of this function.
        let ret = unsafe { Self::init_fs_context(fc) };
        if ret == 0 {
            // SAFETY: As above; the superblock takes its flags from the context later.
            unsafe { bindings::fc_allow_exec(fc) };
        }
        ret
    }

    /// Creates an inode of `size` bytes on superblock `sb`, whose files are opened with `fops`.
    ///
    /// # Safety
    ///
    /// `sb` is a live superblock of this file system; `fops` expects such inodes.
    unsafe fn inode(
        sb: *mut bindings::super_block,
        size: u64,
        data: KBox<D>,
        fops: Option<&'static bindings::file_operations>,
    ) -> Result<ARef<Inode<D>>> {
        let size = bindings::loff_t::try_from(size).map_err(|_| EFBIG)?;
        // SAFETY: The superblock is live.
        let inode = from_err_ptr(unsafe { bindings::alloc_anon_inode(sb) })?;
        let mode = bindings::S_IFREG | u32::from(data.mode()) & 0o777;
        // SAFETY: The superblock is live, and this flag of it does not change.
        let noexec = unsafe { (*sb).s_iflags } & bindings::SB_I_NOEXEC as c_ulong != 0;
        // SAFETY: The inode is new, no other code uses it. A regular file has a size. As in
        // memfd_secret(2) it keeps `S_ANON_INODE`: khugepaged checks that flag
        // (`file_thp_enabled()`), and without it would try to collapse folios whose order the
        // driver has chosen. But an inode with that flag must not be executable (`path_noexec()`).
        // khugepaged scans executable ones, but does not collapse their pages, which are dirty
        // (`collapse_file()`).
        unsafe {
            (*inode).i_mode = mode as bindings::umode_t;
            if !noexec {
                (*inode).i_flags &= !bindings::S_ANON_INODE;
            }
            (*inode).i_op = &Inode::<D>::INODE_OPS;
            (*inode).i_private = KBox::into_raw(data).cast();
            match fops {
                Some(fops) => (*inode).__bindgen_anon_3.i_fop = fops,
                // Its times are not visible: do not read the clock at the first write to a page.
                None => (*inode).i_flags |= bindings::S_NOCMTIME,
            }
        }
        // SAFETY: As above.
        let mapping = unsafe { (*inode).i_mapping };
        // SAFETY: As above, for its page cache. Allocations reclaim other memory, page cache above
        // all, and then fail instead of calling the OOM killer: the caller gets `ENOMEM`
        // (`__alloc_pages_may_oom()`, `try_charge_memcg()`). The pages have no backing store, so
        // reclaim must skip them.
        unsafe {
            (*mapping).a_ops = &Inode::<D>::ADDRESS_SPACE_OPS;
            let gfp = bindings::mapping_gfp_mask(mapping);
            bindings::mapping_set_gfp_mask(mapping, gfp | values::GFP_MAYFAIL);
            bindings::mapping_set_unevictable(mapping);
            bindings::mapping_set_large_folios(mapping);
            bindings::i_size_write(inode, size);
        }
        if fops.is_some() {
            // SAFETY: The inode is new, no other code uses it; the superblock is live.
            if let Err(error) = unsafe { Self::make_public(inode, sb) } {
                // SAFETY: The only reference. `evict()` frees the data.
                unsafe { bindings::iput(inode) };
                return Err(error);
            }
        }
        // SAFETY: The superblock is live, and stays so by this reference.
        unsafe { bindings::sb_hold_active(sb) };
        // SAFETY: We own the only references, and the inode satisfies the type invariants.
        Ok(unsafe { ARef::from_raw(NonNull::new_unchecked(inode.cast())) })
    }

    /// Prepares `inode` for userspace: no directory links to it (`__shmem_file_setup()`), and
    /// security modules control it as they control shmem's (`__shmem_get_inode()`). Without
    /// `S_PRIVATE` their hooks are called, and a module that labels inodes labels it like a file
    /// that the task creates in the file system's root.
    ///
    /// # Safety
    ///
    /// `inode` is a new inode of `sb`, which is live; no other code uses it.
    unsafe fn make_public(inode: *mut bindings::inode, sb: *mut bindings::super_block) -> Result {
        // SAFETY: By the contract of this function.
        unsafe { bindings::clear_nlink(inode) };
        // SAFETY: As above.
        unsafe { (*inode).i_flags &= !bindings::S_PRIVATE };
        // SAFETY: A live superblock has a root, and the root has an inode.
        let root = unsafe { (*(*sb).s_root).d_inode };
        // SAFETY: Both inodes are valid. There is no name, as for O_TMPFILE, and without a callback
        // the label is stored in the inode's own blob only.
        to_result(unsafe { bindings::security_inode_init_nameless(inode, root) })
    }

    /// Mounts the file system unless it is mounted, and keeps it mounted. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, and `EINVAL` for a file system made by [`PseudoFs::unowned`].
    pub fn pin(&'static self) -> Result<Pin<D>> {
        if !self.gives_files {
            return Err(EINVAL);
        }
        // SAFETY: The type is `'static`, and its owner is the module. By the type invariants the
        // two fields are used by simple_pin_fs() and simple_release_fs() only, which take
        // `pin_fs_lock`.
        to_result(unsafe {
            bindings::simple_pin_fs(self.fs_type.get(), self.mount.get(), self.pins.get())
        })?;
        // INVARIANT: Just pinned.
        Ok(Pin(self))
    }
}

/// A pin: while one exists, its [`PseudoFs`] stays mounted, and all files are created on one mount.
///
/// Mounting a file system costs several times as much as creating a file, and each mount has a
/// superblock of its own. So keep a pin while creating files, best in an open file of the module:
/// the mount holds the module, which cannot be unloaded while a pin exists.
///
/// # Invariants
///
/// The value owns one pin of the file system.
pub struct Pin<D: 'static>(&'static PseudoFs<D>);

impl<D> Pin<D> {
    fn mount(&self) -> *mut bindings::vfsmount {
        // SAFETY: While a pin exists, the field is set and does not change.
        unsafe { *self.0.mount.get() }
    }
}

impl<D: InodeData> Pin<D> {
    /// Creates a region of `size` bytes and a file of it, open for reading and writing. May sleep.
    ///
    /// `name` is what `/proc/PID/maps` shows, after a `/` and before ` (deleted)`. The reference to
    /// the file's inode keeps the module loaded, as the file does.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, `ENFILE`, `EFBIG`, and those of `F::open`.
    pub fn create_file<F: OpenInode<Inode = D>>(
        &self,
        name: &CStr,
        hook: Hook,
        size: u64,
        data: KBox<D>,
    ) -> Result<(ARef<File>, ARef<Inode<D>>)> {
        let fops = FileTable::<F, FromInode>::get(hook);
        let mount = self.mount();
        // SAFETY: The mount is live while `self` is; the table is made for inodes with `F::Inode`.
        let inode = unsafe { PseudoFs::inode((*mount).mnt_sb, size, data, Some(fops)) }?;
        let state = KBox::new(
            Opened::new(F::open(&inode)?).into_state::<F>(),
            GFP_KERNEL_ACCOUNT,
        )?;
        let flags = (bindings::O_RDWR | bindings::O_LARGEFILE) as c_int;

        // SAFETY: `fput()` will drop this reference to the owner; `alloc_file_pseudo()`, unlike
        // open(2), does not take it. The calling code belongs to the module, which is loaded.
        if !unsafe { bindings::try_module_get(fops.owner) } {
            return Err(ENODEV);
        }
        // SAFETY: We own a reference; this one is for the file.
        unsafe { bindings::ihold(inode.as_raw()) };
        // SAFETY: The inode and the mount are live, the name is a string, and the table is static
        // in a module that is held. The function takes over the inode's reference if it succeeds.
        let file = from_err_ptr(unsafe {
            bindings::alloc_file_pseudo(inode.as_raw(), mount, name.as_char_ptr(), flags, fops)
        });
        let file = match file {
            Ok(file) => file,
            Err(e) => {
                // SAFETY: Taken above; a call that failed does not consume it.
                unsafe { bindings::iput(inode.as_raw()) };
                // SAFETY: Taken above.
                unsafe { bindings::module_put(fops.owner) };
                return Err(e);
            }
        };
        // SAFETY: No other code can see the file yet. Without these bits pread(2) and lseek(2)
        // fail, so callers of `__shmem_file_setup()` set them, too.
        unsafe {
            (*file).f_mode |=
                bindings::FMODE_LSEEK | bindings::FMODE_PREAD | bindings::FMODE_PWRITE;
            (*file).private_data = KBox::into_raw(state).cast();
        }
        // SAFETY: A new file with one reference, which is ours.
        let file = unsafe { ARef::from_raw(NonNull::new_unchecked(file.cast())) };
        Ok((file, inode))
    }
}

impl<D> Drop for Pin<D> {
    fn drop(&mut self) {
        // SAFETY: By the type invariants this value owns a pin, which the call releases.
        unsafe { bindings::simple_release_fs(self.0.mount.get(), self.0.pins.get()) };
    }
}

/// A mount of a [`PseudoFs::unowned`] file system, for the module itself.
///
/// # The driver's duty
///
/// The mount must be dropped before the module is unloaded, and after all references to inodes
/// created on it: keep it in a field of the module after theirs. Rust's types cannot enforce that,
/// since a value may be forgotten or stored in a `static`. Nor can the mount pin the module:
/// unloading drops the mount, and could not begin while the mount held the module.
///
/// - A mount that is never dropped leaves its superblock on the kernel's list with freed
///   operations: the next sync(2) or reclaim after unloading uses them.
/// - If a reference to an inode remains when the mount is dropped, the kernel warns, and the
///   superblock is leaked with operations of the kernel's own. Using that reference after the
///   module is unloaded uses freed memory.
///
/// # Invariants
///
/// `mount` is a live mount made by `kern_mount()`.
///
/// # Examples
///
/// ```
/// use kernel::{
///     mm::{
///         cache::inode::InodeData,
///         file::pseudo_fs::{
///             InternalMount,
///             PseudoFs, //
///         }, //
///     },
///     page::PAGE_SIZE, //
/// };
///
/// struct Memory;
///
/// impl InodeData for Memory {
///     fn may_resize(&self, _size: u64) -> Result {
///         Ok(())
///     }
///
///     fn pages_removed(&self, _pages: usize) {}
/// }
///
/// static FS: PseudoFs<Memory> = PseudoFs::unowned(c"example");
///
/// let mount = InternalMount::new(&FS)?;
/// let inode = mount.create_inode(3 * PAGE_SIZE as u64, KBox::new(Memory, GFP_KERNEL)?)?;
/// assert_eq!(inode.mapping().size_pages(), 3);
/// assert!(inode.mapping().lock_folio(0).is_none());
/// // The references to its inodes are dropped before the mount.
/// drop(inode);
/// drop(mount);
/// # Ok::<(), Error>(())
/// ```
pub struct InternalMount<D> {
    mount: NonNull<bindings::vfsmount>,
    /// The operations for a superblock that must be leaked, allocated up front because nothing may
    /// fail then.
    leaked_ops: Option<KBox<bindings::super_operations>>,
    _data: PhantomData<fn() -> D>,
}

// SAFETY: `kern_unmount()` may run on any thread; the mount is bound to none.
unsafe impl<D> Send for InternalMount<D> {}
// SAFETY: A shared reference offers `create_inode()` only: it reads the superblock's pointer, which
// does not change, and creates an inode that no other code can see.
unsafe impl<D> Sync for InternalMount<D> {}

impl<D: InodeData> InternalMount<D> {
    /// Mounts `fs`. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; `EINVAL` for a file system that pins its module, which could never be unloaded.
    pub fn new(fs: &'static PseudoFs<D>) -> Result<Self> {
        if fs.gives_files {
            return Err(EINVAL);
        }
        // The functions are the kernel's own. If an inode is evicted later, its pages are freed
        // (`evict()` in fs/inode.c does so without `evict_inode`) and its data is leaked.
        let leaked_ops = KBox::new(
            bindings::super_operations {
                statfs: Some(bindings::simple_statfs),
                ..pin_init::zeroed()
            },
            GFP_KERNEL,
        )?;
        // SAFETY: The type is a `static` of the module; the mount is dropped before the module is
        // unloaded, which is the driver's duty.
        let mount = from_err_ptr(unsafe { bindings::kern_mount(fs.fs_type.get()) })?;
        // INVARIANT: Just made.
        Ok(Self {
            // SAFETY: Not an error, hence a mount.
            mount: unsafe { NonNull::new_unchecked(mount) },
            leaked_ops: Some(leaked_ops),
            _data: PhantomData,
        })
    }

    /// Creates a region of `size` bytes that has no path. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, `EFBIG`.
    pub fn create_inode(&self, size: u64, data: KBox<D>) -> Result<ARef<Inode<D>>> {
        // SAFETY: By the type invariants the mount, and with it the superblock, is live.
        unsafe { PseudoFs::<D>::inode((*self.mount.as_ptr()).mnt_sb, size, data, None) }
    }
}

impl<D> Drop for InternalMount<D> {
    fn drop(&mut self) {
        // SAFETY: By the type invariants the mount and its superblock are live.
        let sb = unsafe { (*self.mount.as_ptr()).mnt_sb };
        // The mount holds one active reference, and each of the library's references to an inode
        // holds one.
        // SAFETY: The superblock is live, as above.
        let active = unsafe { bindings::sb_active(sb) };
        if crate::warn_on!(active != 1) {
            pr_err!("an inode outlives its mount: both are leaked\n");
            if let Some(ops) = self.leaked_ops.take() {
                // SAFETY: As above. The kernel reads the pointer without a lock; both tables are
                // valid now, and the new one is never freed.
                unsafe { (&raw mut (*sb).s_op).write_volatile(KBox::into_raw(ops)) };
            }
            return;
        }
        // SAFETY: By the type invariants the mount is ours, and it is not used again.
        unsafe { bindings::kern_unmount(self.mount.as_ptr()) };
    }
}

/// The opener of files on an inode of a [`PseudoFs`].
struct FromInode;

// SAFETY: `open` stores a `KBox<FileState<F::Data>>` when it succeeds.
unsafe impl<F: OpenInode> Opener<F> for FromInode {
    unsafe extern "C" fn open(inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        from_result(|| {
            // SAFETY: The VFS passes the inode and the file that is being opened on it.
            to_result(unsafe { bindings::generic_file_open(inode, file) })?;
            // SAFETY: Only `PseudoFs<F::Inode>::inode()` puts this table into an inode.
            let inode = unsafe { Inode::<F::Inode>::from_raw(inode) };
            let state = KBox::new(
                Opened::new(F::open(inode)?).into_state::<F>(),
                GFP_KERNEL_ACCOUNT,
            )?;
            // SAFETY: The file is being opened, no other code uses it.
            unsafe { (*file).private_data = KBox::into_raw(state).cast() };
            Ok(0)
        })
    }
}
