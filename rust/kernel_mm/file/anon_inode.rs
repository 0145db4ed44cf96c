// SPDX-License-Identifier: GPL-2.0

//! Files without a path: descriptors on the kernel's anonymous inode.
//!
//! They have no page cache of their own (all of the kernel shares the inode), so they map the
//! driver's own pages or frames. For files with a page cache see [`crate::mm::file::pseudo_fs`].
//!
//! C source: [`fs/anon_inodes.c`](srctree/fs/anon_inodes.c)

use crate::{
    bindings,
    error::from_err_ptr,
    fs::File,
    mm::file::{
        ops::{
            FileOperations,
            Hook,
            Opened, //
        },
        table::{
            FileTable,
            Opener, //
        }, //
    },
    prelude::*,
    sync::aref::ARef, //
};
use core::ptr::NonNull;

/// The opener of files that are created with their data and cannot be opened.
struct FromNobody;

// SAFETY: `open` never succeeds. (Nor is it called: the anonymous inode's own `i_fop` is
// `no_open_fops`, so that opening `/proc/PID/fd/N` fails with `ENXIO`.)
unsafe impl<F: FileOperations> Opener<F> for FromNobody {
    unsafe extern "C" fn open(_inode: *mut bindings::inode, _file: *mut bindings::file) -> c_int {
        ENXIO.to_errno()
    }
}

/// Creates a file with `data`, open for reading and writing. May sleep.
///
/// `name` is what `/proc/PID/fd` and `/proc/PID/maps` show, as `anon_inode:NAME`.
///
/// # Errors
///
/// `ENOMEM`, `ENFILE`.
pub fn create_file<F: FileOperations>(
    name: &CStr,
    hook: Hook,
    data: F::Data,
) -> Result<ARef<File>> {
    let state = KBox::new(Opened::new(data).into_state::<F>(), GFP_KERNEL_ACCOUNT)?;
    let state = KBox::into_raw(state);
    let flags = (bindings::O_RDWR | bindings::O_CLOEXEC) as c_int;
    // SAFETY: The name is a string, which is copied. The table is static and made for files with
    // such a state, and its owner is a module that runs this code: `anon_inode_getfile()` takes the
    // module reference that `__fput()` drops.
    let file = from_err_ptr(unsafe {
        bindings::anon_inode_getfile(
            name.as_char_ptr(),
            FileTable::<F, FromNobody>::get(hook),
            state.cast(),
            flags,
        )
    });
    let file = match file {
        Ok(file) => file,
        Err(e) => {
            // SAFETY: Made above by `KBox::into_raw()`; a call that failed has not stored it.
            drop(unsafe { KBox::from_raw(state) });
            return Err(e);
        }
    };
    // SAFETY: A new file with one reference, which is ours.
    Ok(unsafe { ARef::from_raw(NonNull::new_unchecked(file.cast())) })
}
