// SPDX-License-Identifier: GPL-2.0

//! The private data of a file: the driver's data, and the inode that the file maps.
//!
//! Mappings find the data of their file here, however the file was made, so this module is below
//! both [`crate::mm::vm`] and [`crate::mm::file`].

use crate::{
    bindings,
    mm::cache::inode::{
        self,
        Inode,
        InodeData, //
    },
    sync::aref::ARef, //
};
use core::{
    any::TypeId,
    ops::Deref, //
};

/// An inode reference without the type of the inode's data.
///
/// # Invariants
///
/// Owns a reference to the inode, as `inode::hold()` takes it.
pub(crate) struct MappedInode(*mut bindings::inode);

// SAFETY: `iput()` and `deactivate_super()` may run on any thread, and so may the drop of the
// inode's data, which `InodeData` requires to be `Send`.
unsafe impl Send for MappedInode {}
// SAFETY: It offers nothing through a shared reference but the pointer.
unsafe impl Sync for MappedInode {}

impl MappedInode {
    #[inline]
    pub(crate) fn new<I: InodeData>(inode: ARef<Inode<I>>) -> Self {
        // INVARIANT: The new object takes over the reference.
        Self(ARef::into_raw(inode).cast().as_ptr())
    }
}

impl Drop for MappedInode {
    fn drop(&mut self) {
        // SAFETY: By the type invariants the reference is ours, and it is not used again.
        unsafe { inode::release(self.0) };
    }
}

/// The private data of a file: the driver's data, and the inode that is mapped instead of the
/// file's own.
///
/// # Invariants
///
/// `vm` is the type of the `VmOperations` of the file's mappings. It is first in every `FileState`,
/// whatever `D` is.
#[repr(C)]
pub struct FileState<D> {
    vm: TypeId,
    data: D,
    mapping: Option<MappedInode>,
}

impl<D> FileState<D> {
    /// Makes the private data of a file whose mappings have the operations `V`. If `mapping` is
    /// given, the file maps that inode instead of its own.
    pub(crate) fn new<V: 'static>(data: D, mapping: Option<MappedInode>) -> Self {
        Self {
            // INVARIANT: The operations of the file's mappings.
            vm: TypeId::of::<V>(),
            data,
            mapping,
        }
    }

    /// Returns the data of `file`.
    ///
    /// # Safety
    ///
    /// `file` is open for all of `'a`, and its private data is a `FileState<D>`.
    #[inline]
    pub(crate) unsafe fn borrow<'a>(file: *const bindings::file) -> &'a D {
        // SAFETY: By the contract of this function it is a `FileState<D>`, which `release` frees
        // when the file is closed. Nobody has a mutable reference to it after it was stored.
        unsafe { &(*(*file).private_data.cast::<Self>()).data }
    }

    /// Checks whether the mappings of `file` have the operations `V`.
    ///
    /// # Safety
    ///
    /// `file` is open, and its private data is a `FileState`, with any data.
    #[inline]
    pub(crate) unsafe fn maps_with<V: 'static>(file: *const bindings::file) -> bool {
        // SAFETY: By the contract of this function; `vm` is first in every `FileState`.
        unsafe { *(*file).private_data.cast::<TypeId>() == TypeId::of::<V>() }
    }

    /// Returns the page cache to map instead of the file's own.
    #[inline]
    pub(crate) fn mapping(&self) -> Option<*mut bindings::address_space> {
        let inode = self.mapping.as_ref()?;
        // SAFETY: A reference to the inode is held.
        Some(unsafe { (*inode.0).i_mapping })
    }
}

impl<D> Deref for FileState<D> {
    type Target = D;

    fn deref(&self) -> &D {
        &self.data
    }
}
