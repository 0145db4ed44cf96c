// SPDX-License-Identifier: GPL-2.0

//! The kernel's bindings, with what this crate adds to them: C wrappers of `rust/helpers/`, and
//! values that bindgen does not see.
//!
//! This is the only file of the library that the kernel's tree does not need: there,
//! `rust/bindings/bindings_helper.h` and `rust/helpers/` provide the same names with the same
//! types. `rust/helpers/bindings.c` checks the values against the C headers.

// Not `expect`: the type in question, `struct lock_class_key`, has fields when lockdep is on.
#![allow(
    improper_ctypes,
    reason = "the kernel's own bindings have structs without fields"
)]

use kernel::{
    bindings,
    ffi, //
};

pub(crate) use kernel::bindings::*;

/// `FMODE_LSEEK` of `include/linux/fs.h`.
pub(crate) const FMODE_LSEEK: bindings::fmode_t = 1 << 2;
/// `FMODE_PREAD` of `include/linux/fs.h`.
pub(crate) const FMODE_PREAD: bindings::fmode_t = 1 << 3;
/// `FMODE_PWRITE` of `include/linux/fs.h`.
pub(crate) const FMODE_PWRITE: bindings::fmode_t = 1 << 4;
/// `FOP_MMAP_SYNC` of `include/linux/fs.h`.
pub(crate) const FOP_MMAP_SYNC: bindings::fop_flags_t = 1 << 2;
/// `PCPU_MIN_UNIT_SIZE` of `include/linux/percpu.h`.
pub(crate) const PCPU_MIN_UNIT_SIZE: usize = 32 << 10;
/// `PMD_ORDER` of `include/linux/pgtable.h`: a page table has one page, of eight bytes an entry.
/// bindgen evaluates it where it is a sum of numbers, as on x86, and not on arm64.
pub(crate) const PMD_ORDER: u32 = bindings::PAGE_SHIFT - 3;
/// `PUD_ORDER` of `include/linux/pgtable.h`.
pub(crate) const PUD_ORDER: u32 = 2 * PMD_ORDER;
/// `SEEK_DATA` of `include/uapi/linux/fs.h`.
pub(crate) const SEEK_DATA: u32 = 3;
/// `SEEK_HOLE` of `include/uapi/linux/fs.h`.
pub(crate) const SEEK_HOLE: u32 = 4;
/// `MEMFD_NOEXEC_SCOPE_NOEXEC_SEAL` of `include/linux/pid_namespace.h`.
pub(crate) const MEMFD_NOEXEC_SCOPE_NOEXEC_SEAL: i32 = 1;
/// `MEMFD_NOEXEC_SCOPE_NOEXEC_ENFORCED` of `include/linux/pid_namespace.h`.
pub(crate) const MEMFD_NOEXEC_SCOPE_NOEXEC_ENFORCED: i32 = 2;
/// `FALLOC_FL_KEEP_SIZE` of `include/uapi/linux/falloc.h`.
pub(crate) const FALLOC_FL_KEEP_SIZE: u32 = 1;
/// `FALLOC_FL_PUNCH_HOLE` of `include/uapi/linux/falloc.h`.
pub(crate) const FALLOC_FL_PUNCH_HOLE: u32 = 2;
/// `__GFP_RETRY_MAYFAIL` of `include/linux/gfp_types.h`.
pub(crate) const __GFP_RETRY_MAYFAIL: bindings::gfp_t = 1 << bindings::___GFP_RETRY_MAYFAIL_BIT;
/// `__GFP_NORETRY` of `include/linux/gfp_types.h`.
pub(crate) const __GFP_NORETRY: bindings::gfp_t = 1 << bindings::___GFP_NORETRY_BIT;
/// `__GFP_NOMEMALLOC` of `include/linux/gfp_types.h`.
pub(crate) const __GFP_NOMEMALLOC: bindings::gfp_t = 1 << bindings::___GFP_NOMEMALLOC_BIT;
/// `__GFP_RECLAIM` of `include/linux/gfp_types.h`.
pub(crate) const __GFP_RECLAIM: bindings::gfp_t =
    1 << bindings::___GFP_DIRECT_RECLAIM_BIT | 1 << bindings::___GFP_KSWAPD_RECLAIM_BIT;
/// `VM_MAYSHARE` of `include/linux/mm.h`. `rust/bindings/bindings_helper.h` of Linux 7.2 takes
/// `VM_MAYEXEC` for it.
pub(crate) const VM_MAYSHARE: bindings::vm_flags_t = 1 << 7;
/// `VM_LOCKED` of `include/linux/mm.h`.
pub(crate) const VM_LOCKED: bindings::vm_flags_t = 1 << 13;
/// `VM_SEQ_READ` of `include/linux/mm.h`.
pub(crate) const VM_SEQ_READ: bindings::vm_flags_t = 1 << 15;
/// `VM_RAND_READ` of `include/linux/mm.h`.
pub(crate) const VM_RAND_READ: bindings::vm_flags_t = 1 << 16;
/// `PROT_READ` of `include/uapi/asm-generic/mman-common.h`.
#[cfg(CONFIG_KUNIT = "y")]
pub(crate) const PROT_READ: u32 = 1;
/// `PROT_WRITE` of `include/uapi/asm-generic/mman-common.h`.
#[cfg(CONFIG_KUNIT = "y")]
pub(crate) const PROT_WRITE: u32 = 2;
/// `MAP_SHARED` of `include/uapi/linux/mman.h`.
#[cfg(CONFIG_KUNIT = "y")]
pub(crate) const MAP_SHARED: u32 = 1;
/// `MAP_PRIVATE` of `include/uapi/linux/mman.h`.
#[cfg(CONFIG_KUNIT = "y")]
pub(crate) const MAP_PRIVATE: u32 = 2;
/// `MAP_POPULATE` of `include/uapi/asm-generic/mman-common.h`.
pub(crate) const MAP_POPULATE: u32 = 0x8000;
/// `MADV_POPULATE_READ` of `include/uapi/asm-generic/mman-common.h`.
pub(crate) const MADV_POPULATE_READ: u32 = 22;
/// `MADV_POPULATE_WRITE` of `include/uapi/asm-generic/mman-common.h`.
pub(crate) const MADV_POPULATE_WRITE: u32 = 23;

macro_rules! helpers {
    ($(
        $(#[$meta:meta])*
        fn $c:literal $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)?;
    )*) => {
        unsafe extern "C" {
            $(
                $(#[$meta])*
                #[link_name = $c]
                pub(crate) fn $name($($arg: $ty),*) $(-> $ret)?;
            )*
        }
    };
}

helpers! {
    // anon_inodes.c
    fn "rust_helper_anon_inode_getfile" anon_inode_getfile(
        name: *const ffi::c_char, fops: *const bindings::file_operations, data: *mut ffi::c_void,
        flags: ffi::c_int,
    ) -> *mut bindings::file;
    // fs.c
    fn "rust_helper_i_size_read" i_size_read(inode: *const bindings::inode) -> bindings::loff_t;
    fn "rust_helper_i_size_write" i_size_write(inode: *mut bindings::inode, size: bindings::loff_t);
    fn "rust_helper_inode_lock" inode_lock(inode: *mut bindings::inode);
    fn "rust_helper_inode_unlock" inode_unlock(inode: *mut bindings::inode);
    fn "rust_helper_mapping_writably_mapped" mapping_writably_mapped(
        mapping: *mut bindings::address_space,
    ) -> bool;
    fn "rust_helper_sb_hold_active" sb_hold_active(sb: *mut bindings::super_block);
    fn "rust_helper_sb_active" sb_active(sb: *mut bindings::super_block) -> ffi::c_int;
    // mm.c
    fn "rust_helper_totalram_pages" totalram_pages() -> ffi::c_ulong;
    fn "rust_helper_folio_get" folio_get(folio: *mut bindings::folio);
    fn "rust_helper_folio_has_other_refs" folio_has_other_refs(
        folio: *const bindings::folio, held: ffi::c_int,
    ) -> bool;
    fn "rust_helper_folio_put" folio_put(folio: *mut bindings::folio);
    fn "rust_helper_folio_size" folio_size(folio: *const bindings::folio) -> usize;
    fn "rust_helper_folio_order" folio_order(folio: *const bindings::folio) -> ffi::c_uint;
    fn "rust_helper_folio_contain_hwpoisoned_page" folio_contain_hwpoisoned_page(
        folio: *mut bindings::folio,
    ) -> bool;
    fn "rust_helper_is_page_hwpoison" is_page_hwpoison(page: *const bindings::page) -> bool;
    fn "rust_helper_folio_page0" folio_page0(folio: *mut bindings::folio) -> *mut bindings::page;
    fn "rust_helper_vm_flags_set" vm_flags_set(
        vma: *mut bindings::vm_area_struct, flags: bindings::vm_flags_t,
    );
    fn "rust_helper_vm_flags_clear" vm_flags_clear(
        vma: *mut bindings::vm_area_struct, flags: bindings::vm_flags_t,
    );
    fn "rust_helper_page_address" page_address(page: *const bindings::page) -> *mut ffi::c_void;
    fn "rust_helper_get_free_pages" get_free_pages(
        gfp: bindings::gfp_t, order: ffi::c_uint,
    ) -> ffi::c_ulong;
    fn "rust_helper_vma_alloc_folio" vma_alloc_folio(
        gfp: bindings::gfp_t, order: ffi::c_int, vma: *mut bindings::vm_area_struct,
        addr: ffi::c_ulong,
    ) -> *mut bindings::folio;
    fn "rust_helper_virt_to_pfn" virt_to_pfn(address: *const ffi::c_void) -> ffi::c_ulong;
    fn "rust_helper_page_folio" page_folio(page: *mut bindings::page) -> *mut bindings::folio;
    fn "rust_helper_page_count" page_count(page: *const bindings::page) -> ffi::c_int;
    fn "rust_helper_release_fault_lock" release_fault_lock(vmf: *mut bindings::vm_fault);
    // module.c
    fn "rust_helper_try_module_get" try_module_get(module: *mut bindings::module) -> bool;
    fn "rust_helper_module_put" module_put(module: *mut bindings::module);
    // pagemap.c
    fn "rust_helper_mapping_gfp_mask" mapping_gfp_mask(
        mapping: *mut bindings::address_space,
    ) -> bindings::gfp_t;
    fn "rust_helper_mapping_set_gfp_mask" mapping_set_gfp_mask(
        mapping: *mut bindings::address_space, mask: bindings::gfp_t,
    );
    fn "rust_helper_mapping_set_unevictable" mapping_set_unevictable(
        mapping: *mut bindings::address_space,
    );
    fn "rust_helper_mapping_set_large_folios" mapping_set_large_folios(
        mapping: *mut bindings::address_space,
    );
    fn "rust_helper_mapping_max_folio_order" mapping_max_folio_order(
        mapping: *const bindings::address_space,
    ) -> ffi::c_uint;
    fn "rust_helper_filemap_invalidate_lock" filemap_invalidate_lock(
        mapping: *mut bindings::address_space,
    );
    fn "rust_helper_filemap_invalidate_unlock" filemap_invalidate_unlock(
        mapping: *mut bindings::address_space,
    );
    fn "rust_helper_filemap_invalidate_lock_shared" filemap_invalidate_lock_shared(
        mapping: *mut bindings::address_space,
    );
    fn "rust_helper_filemap_invalidate_unlock_shared" filemap_invalidate_unlock_shared(
        mapping: *mut bindings::address_space,
    );
    fn "rust_helper_filemap_lock_folio" filemap_lock_folio(
        mapping: *mut bindings::address_space, index: ffi::c_ulong,
    ) -> *mut bindings::folio;
    fn "rust_helper_filemap_get_folio" filemap_get_folio(
        mapping: *mut bindings::address_space, index: ffi::c_ulong,
    ) -> *mut bindings::folio;
    fn "rust_helper_folio_alloc" folio_alloc(
        gfp: bindings::gfp_t, order: ffi::c_uint,
    ) -> *mut bindings::folio;
    fn "rust_helper_folio_test_uptodate" folio_test_uptodate(folio: *const bindings::folio) -> bool;
    fn "rust_helper___folio_mark_uptodate" __folio_mark_uptodate(folio: *mut bindings::folio);
    fn "rust_helper_folio_set_dirty" folio_set_dirty(folio: *mut bindings::folio);
    fn "rust_helper_folio_file_page" folio_file_page(
        folio: *mut bindings::folio, index: ffi::c_ulong,
    ) -> *mut bindings::page;
    fn "rust_helper_folio_contains" folio_contains(
        folio: *mut bindings::folio, index: ffi::c_ulong,
    ) -> bool;
    fn "rust_helper_copy_folio_to_iter" copy_folio_to_iter(
        folio: *mut bindings::folio, offset: usize, bytes: usize, i: *mut bindings::iov_iter,
    ) -> usize;
    fn "rust_helper_copy_folio_from_iter" copy_folio_from_iter(
        folio: *mut bindings::folio, offset: usize, bytes: usize, i: *mut bindings::iov_iter,
    ) -> usize;
    fn "rust_helper_folio_zero_segments" folio_zero_segments(
        folio: *mut bindings::folio, start1: usize, xend1: usize, start2: usize, xend2: usize,
    );
    fn "rust_helper_flush_dcache_folio" flush_dcache_folio(folio: *mut bindings::folio);
    fn "rust_helper_iov_iter_truncate" iov_iter_truncate(i: *mut bindings::iov_iter, count: u64);
    fn "rust_helper_iov_iter_reexpand" iov_iter_reexpand(i: *mut bindings::iov_iter, count: usize);
    fn "rust_helper_folio_lock" folio_lock(folio: *mut bindings::folio);
    fn "rust_helper_xa_get_order" xa_get_order(
        xa: *mut bindings::xarray, index: ffi::c_ulong,
    ) -> ffi::c_int;
    // percpu.c
    fn "rust_helper_alloc_percpu_u64" alloc_percpu_u64(n: usize) -> *mut u64;
    fn "rust_helper_this_cpu_add_u64" this_cpu_add_u64(p: *mut u64, n: u64);
    fn "rust_helper_per_cpu_ptr_u64" per_cpu_ptr_u64(p: *mut u64, cpu: ffi::c_uint) -> *mut u64;
    fn "rust_helper_cpu_possible" cpu_possible(cpu: ffi::c_uint) -> bool;
    // pid_namespace.c
    fn "rust_helper_memfd_noexec_scope" memfd_noexec_scope() -> ffi::c_int;
    // pseudo_fs.c
    fn "rust_helper_fc_allow_exec" fc_allow_exec(fc: *mut bindings::fs_context);
    fn "rust_helper_init_pseudo" init_pseudo(
        fc: *mut bindings::fs_context, magic: ffi::c_ulong, ops: *const bindings::super_operations,
    ) -> ffi::c_int;
    // sched.c
    fn "rust_helper_fatal_signal_pending" fatal_signal_pending() -> bool;
    fn "rust_helper_cond_resched" cond_resched() -> ffi::c_int;
    // security.c
    fn "rust_helper_security_inode_init_nameless" security_inode_init_nameless(
        inode: *mut bindings::inode, dir: *mut bindings::inode,
    ) -> ffi::c_int;
    // syscall.c
    fn "rust_helper_in_compat_syscall" in_compat_syscall() -> bool;
    fn "rust_helper_current_syscall" current_syscall() -> ffi::c_int;
    fn "rust_helper_current_syscall_arguments" current_syscall_arguments(args: *mut ffi::c_ulong);
    // userfaultfd.c
    fn "rust_helper_uffd_disable_fault_around" uffd_disable_fault_around(
        vma: *mut bindings::vm_area_struct,
    ) -> bool;
}
