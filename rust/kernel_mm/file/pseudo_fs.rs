// SPDX-License-Identifier: GPL-2.0

//! A file system that is never mounted by userspace and gives regular files which exist in memory
//! only, as descriptors.
//!
//! The difficulty is the end of a file's life. `__fput()` drops the module reference of
//! `f_op->owner` first, and the inode only then, so that the module could be unloaded while its
//! inode is being evicted. A file system whose `owner` is the module closes that gap: the
//! superblock, which every file holds, keeps the module until core code frees it. But such a file
//! system cannot have a mount that lasts as long as the module, or the module would hold itself.
//! Hence two kinds:
//!
//! - [`PseudoFs::new`]: owned by the module, mounted while somebody keeps it mounted
//!   ([`PseudoFs::pin`], `simple_pin_fs()`). Each file keeps the mount on which it was made.
//! - [`PseudoFs::unowned`]: for inodes that the module itself keeps and drops
//!   ([`InternalMount`]). It gives no files.
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
    /// Does a superblock hold the module, so that files may outlive their makers?
    gives_files: bool,
    _data: PhantomData<fn() -> D>,
}

// SAFETY: The kernel changes only `fs_supers` of the type, under `sb_lock`; `mount` and `pins` are
// protected by `pin_fs_lock` (`simple_pin_fs()`, `simple_release_fs()`). The rest is constant.
unsafe impl<D> Sync for PseudoFs<D> {}

impl<D: InodeData> PseudoFs<D> {
    /// Makes a file system that gives files; its superblocks pin module `M`.
    pub const fn new<M: ModuleMetadata>(name: &'static CStr) -> Self {
        let owner = owner::module::<M>();
        Self::with_owner(name, owner, true, Self::init_fs_context)
    }

    /// As [`PseudoFs::new`]; the files may be executed, and mapped with `PROT_EXEC`, as memfds may.
    /// The file system of others forbids both (`SB_I_NOEXEC`), whatever the mode of the file says.
    pub const fn executable<M: ModuleMetadata>(name: &'static CStr) -> Self {
        let owner = owner::module::<M>();
        Self::with_owner(name, owner, true, Self::init_fs_context_exec)
    }

    /// Makes a file system for inodes that the module keeps to itself; it pins nothing.
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

    /// Shown by fstatfs(2): "rmfs" in ASCII, as good as any other number that nobody uses.
    const MAGIC: c_ulong = 0x726d_6673;

    /// # Safety
    ///
    /// `fc` is a new file system context.
    unsafe extern "C" fn init_fs_context(fc: *mut bindings::fs_context) -> c_int {
        // SAFETY: The context is valid, the table lives for ever.
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

    /// Makes an inode of `size` bytes on superblock `sb`. `fops` is for those who open it.
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
        // SAFETY: The superblock is live, and what it says of execution does not change.
        let noexec = unsafe { (*sb).s_iflags } & bindings::SB_I_NOEXEC as c_ulong != 0;
        // SAFETY: The inode is new, nobody else uses it. A regular file has a size. As in
        // memfd_secret(2) it stays `S_ANON_INODE`: khugepaged looks at that (`file_thp_enabled()`)
        // and would else try to collapse what a driver has decided upon. But such an inode must not
        // be executable (`path_noexec()`): those that are khugepaged looks at, and leaves them
        // alone since their pages are dirty (`collapse_file()`).
        unsafe {
            (*inode).i_mode = mode as bindings::umode_t;
            if !noexec {
                (*inode).i_flags &= !bindings::S_ANON_INODE;
            }
            (*inode).i_op = &Inode::<D>::INODE_OPS;
            (*inode).i_private = KBox::into_raw(data).cast();
            match fops {
                Some(fops) => (*inode).__bindgen_anon_3.i_fop = fops,
                // Nobody can ask for its times: no first write to a page looks at the clock.
                None => (*inode).i_flags |= bindings::S_NOCMTIME,
            }
        }
        // SAFETY: As above.
        let mapping = unsafe { (*inode).i_mapping };
        // SAFETY: As above, for its page cache. Allocations reclaim other memory, page cache above
        // all, and then fail instead of calling the OOM killer: the caller gets `ENOMEM`
        // (`__alloc_pages_may_oom()`, `try_charge_memcg()`). The pages cannot be written anywhere,
        // so reclaim must leave them alone.
        unsafe {
            (*mapping).a_ops = &Inode::<D>::ADDRESS_SPACE_OPS;
            let gfp = bindings::mapping_gfp_mask(mapping);
            bindings::mapping_set_gfp_mask(mapping, gfp | values::GFP_MAYFAIL);
            bindings::mapping_set_unevictable(mapping);
            bindings::mapping_set_large_folios(mapping);
            bindings::i_size_write(inode, size);
        }
        if fops.is_some() {
            // SAFETY: The inode is new, nobody else uses it; the superblock is live.
            if let Err(error) = unsafe { Self::make_public(inode, sb) } {
                // SAFETY: The only reference. `evict()` frees the data.
                unsafe { bindings::iput(inode) };
                return Err(error);
            }
        }
        // SAFETY: The superblock is live, and stays so by this reference.
        unsafe { bindings::sb_hold_active(sb) };
        // SAFETY: We own the only references, and the inode is as the type's invariants say.
        Ok(unsafe { ARef::from_raw(NonNull::new_unchecked(inode.cast())) })
    }

    /// Makes `inode` what userspace gets as a file: no folder links it (`__shmem_file_setup()`),
    /// and security modules look after it, as shmem lets them (`__shmem_get_inode()`). Without
    /// `S_PRIVATE` their hooks are called, and one that labels inodes labels it as a file which the
    /// task creates in the file system's root.
    ///
    /// # Safety
    ///
    /// `inode` is a new inode of `sb`, which is live; nobody else uses it.
    unsafe fn make_public(inode: *mut bindings::inode, sb: *mut bindings::super_block) -> Result {
        // SAFETY: By the contract of this function.
        unsafe { bindings::clear_nlink(inode) };
        // SAFETY: As above.
        unsafe { (*inode).i_flags &= !bindings::S_PRIVATE };
        // SAFETY: A live superblock has a root, and that an inode.
        let root = unsafe { (*(*sb).s_root).d_inode };
        // SAFETY: Both inodes are valid. There is no name, as for O_TMPFILE, and without a callback
        // the label is stored in the inode's own blob alone.
        to_result(unsafe { bindings::security_inode_init_nameless(inode, root) })
    }

    /// Mounts the file system, or finds it mounted, and keeps it so. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, and `EINVAL` for a [`PseudoFs::unowned`].
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

/// A pin: while there is one, its [`PseudoFs`] stays mounted, and all files are made on one mount.
///
/// To mount a file system costs several times what a file costs, and each mount has a superblock of
/// its own. Who makes files keeps a pin meanwhile, best with an open file of the module's: the
/// mount holds the module, which cannot be unloaded as long as there is a pin.
///
/// # Invariants
///
/// One pin of the file system is owned.
pub struct Pin<D: 'static>(&'static PseudoFs<D>);

impl<D> Pin<D> {
    fn mount(&self) -> *mut bindings::vfsmount {
        // SAFETY: While a pin is owned, the field is set and does not change.
        unsafe { *self.0.mount.get() }
    }
}

impl<D: InodeData> Pin<D> {
    /// Makes a region of `size` bytes and a file of it, open for reading and writing. May sleep.
    ///
    /// `name` is what `/proc/PID/maps` shows, after a `/` and before ` (deleted)`. The reference to
    /// the file's inode keeps the module loaded, as the file does.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, `ENFILE`, `EFBIG`, and what `F::open` says.
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

        // SAFETY: `fput()` will drop this reference of the owner; `alloc_file_pseudo()`, other than
        // open(2), does not take it. The calling code belongs to the module, which is alive.
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
                // SAFETY: Taken above, and not used up by a call that failed.
                unsafe { bindings::iput(inode.as_raw()) };
                // SAFETY: Taken above.
                unsafe { bindings::module_put(fops.owner) };
                return Err(e);
            }
        };
        // SAFETY: Nobody else knows the file yet. Without these bits pread(2) and lseek(2) fail, as
        // `__shmem_file_setup()`'s callers know, too.
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
        // SAFETY: By the type invariants a pin is owned, which this gives back.
        unsafe { bindings::simple_release_fs(self.0.mount.get(), self.0.pins.get()) };
    }
}

/// A mount of a [`PseudoFs::unowned`] file system that the module keeps.
///
/// # The driver's duty
///
/// The mount must be dropped before the module is unloaded, and after all references to inodes made
/// on it: keep it in a field of the module after theirs. Rust's types cannot ask for that, since a
/// value may be forgotten or put into a `static`, and nothing can pin the module meanwhile:
/// unloading drops the mount, and could not begin if the mount held the module.
///
/// - A mount that is never dropped leaves its superblock on the kernel's list with operations that
///   are gone: the next sync(2) or reclaim after the unloading uses them.
/// - When a reference to an inode is left as the mount is dropped, the kernel warns, and the
///   superblock is leaked with operations of the kernel's own. Who uses that reference after the
///   module is unloaded uses freed memory.
///
/// # Invariants
///
/// `mount` is a live mount made by `kern_mount()`.
pub struct InternalMount<D> {
    mount: NonNull<bindings::vfsmount>,
    /// What a superblock that must be leaked is left with. Nothing can fail when that is found.
    leaked_ops: Option<KBox<bindings::super_operations>>,
    _data: PhantomData<fn() -> D>,
}

// SAFETY: `kern_unmount()` may run on any thread; the mount is bound to none.
unsafe impl<D> Send for InternalMount<D> {}
// SAFETY: A shared reference offers `create_inode()` only: it reads the superblock's pointer, which
// does not change, and makes an inode that nobody else knows.
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
        // The functions are the kernel's own. An inode that is evicted after all frees its pages
        // (`evict()` in fs/inode.c does so without `evict_inode`) and leaks its data.
        let leaked_ops = KBox::new(
            bindings::super_operations {
                statfs: Some(bindings::simple_statfs),
                ..pin_init::zeroed()
            },
            GFP_KERNEL,
        )?;
        // SAFETY: The type is a `static` of the module; the mount is undone before the module goes,
        // which is the driver's duty.
        let mount = from_err_ptr(unsafe { bindings::kern_mount(fs.fs_type.get()) })?;
        // INVARIANT: Just made.
        Ok(Self {
            // SAFETY: Not an error, hence a mount.
            mount: unsafe { NonNull::new_unchecked(mount) },
            leaked_ops: Some(leaked_ops),
            _data: PhantomData,
        })
    }

    /// Makes a region of `size` bytes that no path leads to. May sleep.
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
        // One reference is the mount's, and each of the library's references to an inode has one.
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

/// Files are opened on an inode of a [`PseudoFs`].
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
            // SAFETY: The file is being opened, nobody else uses it.
            unsafe { (*file).private_data = KBox::into_raw(state).cast() };
            Ok(0)
        })
    }
}
