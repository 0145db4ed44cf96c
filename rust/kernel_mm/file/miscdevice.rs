// SPDX-License-Identifier: GPL-2.0

//! Misc devices whose files offer everything that [`FileOperations`] does.
//!
//! Upstream's [`MiscDeviceRegistration`](crate::miscdevice::MiscDeviceRegistration) builds a table
//! without `mmap_prepare`, `llseek`, `splice_*` and `get_unmapped_area`, and has no data of the
//! device to pass to its files. This one registers a table of [`crate::mm::file::ops`] with a
//! context.
//!
//! C header: [`include/linux/miscdevice.h`](srctree/include/linux/miscdevice.h)
//!
//! [`FileOperations`]: crate::mm::file::ops::FileOperations

use crate::{
    bindings,
    error::{
        from_result,
        to_result, //
    },
    mm::file::{
        ops::{
            Hook,
            OpenMisc, //
        },
        table::{
            FileTable,
            Opener, //
        }, //
    },
    prelude::*,
    types::Opaque, //
};

/// A registered misc device, `/dev/NAME`, mode 0600.
///
/// # Invariants
///
/// `misc` is registered from the end of the initialisation until it is dropped; its table is made
/// for `FromMisc` and `F`.
#[repr(C)]
#[pin_data(PinnedDrop)]
pub struct MiscRegistration<F: OpenMisc> {
    // First, so that a pointer to it is a pointer to the registration.
    #[pin]
    misc: Opaque<bindings::miscdevice>,
    context: F::Context,
}

// SAFETY: `misc_deregister()` takes `misc_mtx` and may run on any thread; `OpenMisc` requires the
// context to be `Send`.
unsafe impl<F: OpenMisc> Send for MiscRegistration<F> {}
// SAFETY: There are no methods on `&self`. Opening a file shares the context alone, which
// `OpenMisc` requires to be `Sync`; `misc` is used by the misc core, which has a lock.
unsafe impl<F: OpenMisc> Sync for MiscRegistration<F> {}

impl<F: OpenMisc> MiscRegistration<F> {
    /// Registers `/dev/NAME`. Files may be opened before this returns.
    ///
    /// # Errors
    ///
    /// Those of `misc_register()`: `EBUSY` when there is no free minor, `EEXIST` when the name is
    /// taken.
    pub fn register(
        name: &'static CStr,
        hook: Hook,
        context: F::Context,
    ) -> impl PinInit<Self, Error> {
        // SAFETY: The table is one of `FileTable::<F, FromMisc>`.
        unsafe { Self::register_table(name, FileTable::<F, FromMisc>::get(hook), context) }
    }

    /// Registers `/dev/NAME` with the table `fops`.
    ///
    /// # Safety
    ///
    /// The entries of `fops` are those of tables of `FileTable::<F, FromMisc>`.
    pub(crate) unsafe fn register_table(
        name: &'static CStr,
        fops: &'static bindings::file_operations,
        context: F::Context,
    ) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            context,
            misc <- Opaque::try_ffi_init(move |slot: *mut bindings::miscdevice| {
                let misc = bindings::miscdevice {
                    minor: bindings::MISC_DYNAMIC_MINOR as c_int,
                    name: name.as_char_ptr(),
                    fops,
                    ..pin_init::zeroed()
                };
                // SAFETY: The slot is valid for writes.
                unsafe { slot.write(misc) };
                // INVARIANT: Registered from here on, with a table for `FromMisc` and `F` by the
                // contract of this function.
                // SAFETY: The slot is pinned until `drop` deregisters it. Fields are initialised in
                // the order in which they are written here, so the context is initialised before
                // `open` reads it. If this fails, the device was not opened: `misc_register()` adds
                // a device to `misc_list` only when nothing can fail any more, and holds `misc_mtx`
                // meanwhile.
                to_result(unsafe { bindings::misc_register(slot) })
            }),
        })
    }
}

#[pinned_drop]
impl<F: OpenMisc> PinnedDrop for MiscRegistration<F> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariants it is registered.
        unsafe { bindings::misc_deregister(self.misc.get()) };
    }
}

/// The opener of files of a [`MiscRegistration`].
pub(crate) struct FromMisc;

// SAFETY: `open` stores a `KBox<FileState<F::Data>>` when it succeeds.
unsafe impl<F: OpenMisc> Opener<F> for FromMisc {
    unsafe extern "C" fn open(_inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        from_result(|| {
            // SAFETY: The file is being opened, no other code uses it.
            let registration = unsafe { (*file).private_data }.cast::<MiscRegistration<F>>();
            // SAFETY: `misc_open()` stored the address of the `struct miscdevice` there, which is
            // the first field of a registration. It holds `misc_mtx` during this call;
            // `misc_deregister()` waits for that lock, and the context is dropped after it. The
            // registration may still be incomplete, inside `misc_register()`, so this makes no
            // reference to all of it. But its context is complete, and from then on is only read.
            let context = unsafe { &(*registration).context };
            let opened = F::open(context)?;
            let state = KBox::new(opened.into_state::<F>(), GFP_KERNEL_ACCOUNT)?;
            if let Some(mapping) = state.mapping() {
                // SAFETY: The file is being opened, no other code uses it. The state holds the
                // inode until `release`, after which `f_mapping` is not used.
                unsafe { (*file).f_mapping = mapping };
            }
            // SAFETY: The file is being opened, no other code uses it.
            unsafe { (*file).private_data = KBox::into_raw(state).cast() };
            Ok(0)
        })
    }
}
