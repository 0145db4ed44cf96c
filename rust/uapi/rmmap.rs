// SPDX-License-Identifier: GPL-2.0

//! The ABI of `/dev/rmmap`: ioctl numbers, their arguments and their flags.
//!
//! The driver and Rust programs use this crate, C programs the header `rmmap.h` beside it. A test,
//! `tests/c_header.rs`, has the C compiler compare each number, size and offset of both.
//!
//! Every struct has the same layout for 32- and 64-bit programs: fields are fixed-width, sorted so
//! that no implicit padding arises, and explicit padding must be zero on input. All lengths and
//! offsets are in bytes unless a name says otherwise.

use zerocopy_derive::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Version of this ABI, in [`RmmapInfo::abi_version`]. It grows when a field or a call is added.
pub const RMMAP_ABI_VERSION: u32 = 4;

/// Path of the device node.
pub const RMMAP_DEVICE: &str = "/dev/rmmap";

/// Number of folio orders that the counters tell apart. The largest folios have order 9 with pages
/// of 4 KiB, 11 with 16 KiB and 13 with 64 KiB.
pub const RMMAP_NR_ORDERS: usize = 16;

/// The ioctl type byte. It is not listed in `Documentation/userspace-api/ioctl/ioctl-number.rst`.
pub const RMMAP_IOC_MAGIC: u32 = 0xBE;

/// Describes the device and the region of this descriptor: [`RmmapInfo`].
pub const RMMAP_IOC_INFO: u32 = ioc::<RmmapInfo>(IOC_READ, 0);

/// Creates a region and returns a descriptor of it: [`RmmapCreate`].
pub const RMMAP_IOC_CREATE: u32 = ioc::<RmmapCreate>(IOC_WRITE, 1);

/// Frees the memory of a range; the next access finds zeroes: [`RmmapRange`].
pub const RMMAP_IOC_DISCARD: u32 = ioc::<RmmapRange>(IOC_WRITE, 2);

/// Reads the counters of this region and of the whole device: [`RmmapStats`].
pub const RMMAP_IOC_STATS: u32 = ioc::<RmmapStats>(IOC_READ, 3);

/// Sets the folio policy of the region of this descriptor: [`RmmapPolicy`].
pub const RMMAP_IOC_POLICY: u32 = ioc::<RmmapPolicy>(IOC_WRITE, 4);

/// Allocates the memory that a range lacks, all of it or none: [`RmmapRange`].
pub const RMMAP_IOC_ALLOCATE: u32 = ioc::<RmmapRange>(IOC_WRITE, 5);

/// Adds seals to the region of this descriptor, as `F_ADD_SEALS` does to a memfd: [`RmmapSeals`].
pub const RMMAP_IOC_ADD_SEALS: u32 = ioc::<RmmapSeals>(IOC_WRITE, 6);

/// Returns the seals of the region of this descriptor: [`RmmapSeals`].
pub const RMMAP_IOC_GET_SEALS: u32 = ioc::<RmmapSeals>(IOC_READ, 7);

/// Creates a region with a name and returns a descriptor of it: [`RmmapCreateNamed`].
pub const RMMAP_IOC_CREATE_NAMED: u32 = ioc::<RmmapCreateNamed>(IOC_WRITE, 8);

/// [`RmmapCreate::flags`]: close the new descriptor on `execve(2)`.
pub const RMMAP_CREATE_CLOEXEC: u32 = 1 << 0;

/// [`RmmapCreate::flags`]: the region has the policy [`RMMAP_POLICY_NEVER`]; without a policy flag
/// it inherits the device's current policy.
pub const RMMAP_CREATE_NEVER: u32 = 1 << 1;

/// [`RmmapCreate::flags`]: the region has the policy [`RMMAP_POLICY_ADAPTIVE`].
pub const RMMAP_CREATE_ADAPTIVE: u32 = 1 << 2;

/// [`RmmapCreate::flags`]: the region has the policy [`RMMAP_POLICY_ALWAYS`].
pub const RMMAP_CREATE_ALWAYS: u32 = 1 << 3;

/// [`RmmapCreate::flags`]: the policy flags, of which at most one may be set.
pub const RMMAP_CREATE_POLICY: u32 =
    RMMAP_CREATE_NEVER | RMMAP_CREATE_ADAPTIVE | RMMAP_CREATE_ALWAYS;

/// [`RmmapCreate::flags`]: the region may be executed, as a memfd with `MFD_EXEC`: its mode is
/// 0777. Without an execution flag `vm.memfd_noexec` chooses this or [`RMMAP_CREATE_NOEXEC_SEAL`].
pub const RMMAP_CREATE_EXEC: u32 = 1 << 4;

/// [`RmmapCreate::flags`]: as a memfd with `MFD_NOEXEC_SEAL`: the mode is 0666, and the region has
/// [`RMMAP_SEAL_EXEC`] and may get other seals.
pub const RMMAP_CREATE_NOEXEC_SEAL: u32 = 1 << 5;

/// [`RmmapCreate::flags`]: as [`RMMAP_CREATE_NOEXEC_SEAL`], and `PROT_EXEC` is forbidden as well.
pub const RMMAP_CREATE_NOEXEC: u32 = 1 << 6;

/// [`RmmapCreate::flags`]: the execution flags, of which at most one may be set.
pub const RMMAP_CREATE_EXECUTION: u32 = 7 << 4;

/// [`RmmapCreate::flags`]: the region may get seals, as a memfd with `MFD_ALLOW_SEALING`. Without
/// this flag and those that imply it, a region has [`RMMAP_SEAL_SEAL`].
pub const RMMAP_CREATE_ALLOW_SEALING: u32 = 1 << 7;

/// [`RmmapCreate::flags`]: all flags that this version knows.
pub const RMMAP_CREATE_ALL: u32 = 0xff;

/// [`RmmapCreateNamed::name`]: the largest number of bytes before the first zero.
pub const RMMAP_NAME_MAX: usize = 249;

/// Size of [`RmmapCreateNamed::name`], bytes.
pub const RMMAP_NAME_SIZE: usize = 256;

/// [`RmmapSeals::seals`]: no more seals, `F_SEAL_SEAL`.
pub const RMMAP_SEAL_SEAL: u32 = 0x01;

/// [`RmmapSeals::seals`]: the region does not shrink, `F_SEAL_SHRINK`.
pub const RMMAP_SEAL_SHRINK: u32 = 0x02;

/// [`RmmapSeals::seals`]: the region does not grow, `F_SEAL_GROW`.
pub const RMMAP_SEAL_GROW: u32 = 0x04;

/// [`RmmapSeals::seals`]: the contents do not change, `F_SEAL_WRITE`.
pub const RMMAP_SEAL_WRITE: u32 = 0x08;

/// [`RmmapSeals::seals`]: only mappings that exist change the contents, `F_SEAL_FUTURE_WRITE`.
pub const RMMAP_SEAL_FUTURE_WRITE: u32 = 0x10;

/// [`RmmapSeals::seals`]: the execute bits of the mode do not change, `F_SEAL_EXEC`.
pub const RMMAP_SEAL_EXEC: u32 = 0x20;

/// Folio policy: no folio is larger than a page. Sequential accesses add several at once.
pub const RMMAP_POLICY_NEVER: u32 = 0;

/// Folio policy, the default: the order of new folios follows the access pattern.
pub const RMMAP_POLICY_ADAPTIVE: u32 = 1;

/// Folio policy: the first access adds the largest folio that fits.
pub const RMMAP_POLICY_ALWAYS: u32 = 2;

/// [`RmmapInfo::hook`]: mmap(2) calls `file_operations.mmap`.
pub const RMMAP_HOOK_MMAP: u32 = 0;

/// [`RmmapInfo::hook`]: mmap(2) calls `file_operations.mmap_prepare`.
pub const RMMAP_HOOK_PREPARE: u32 = 1;

/// [`RmmapInfo::kind`]: the descriptor belongs to the device's own region.
pub const RMMAP_KIND_DEVICE: u32 = 0;

/// [`RmmapInfo::kind`]: the descriptor belongs to a region created with [`RMMAP_IOC_CREATE`].
pub const RMMAP_KIND_REGION: u32 = 1;

/// Result of [`RMMAP_IOC_INFO`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, FromBytes, Immutable, IntoBytes, KnownLayout)]
pub struct RmmapInfo {
    /// [`RMMAP_ABI_VERSION`] of the loaded module.
    pub abi_version: u32,
    /// The hook that mmap(2) calls: [`RMMAP_HOOK_MMAP`] or [`RMMAP_HOOK_PREPARE`].
    pub hook: u32,
    /// The kind of this descriptor's region: [`RMMAP_KIND_DEVICE`] or [`RMMAP_KIND_REGION`].
    pub kind: u32,
    /// The folio policy of this region, `RMMAP_POLICY_*`.
    pub policy: u32,
    /// Size of this region, bytes.
    pub size: u64,
    /// Memory that this region holds now, bytes.
    pub resident: u64,
    /// Size of the device's own region, bytes (module parameter `capacity`).
    pub capacity: u64,
    /// Limit on the memory of all regions together, bytes (module parameter `max_bytes`).
    pub max_bytes: u64,
    /// Memory that all regions hold now, bytes.
    pub used_bytes: u64,
    /// Number of regions that exist now, the device's own included.
    pub regions: u64,
}

/// Argument of [`RMMAP_IOC_CREATE`]. The ioctl returns the new descriptor.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, FromBytes, Immutable, IntoBytes, KnownLayout)]
pub struct RmmapCreate {
    /// Size of the region, bytes; 0 is allowed, `ftruncate(2)` changes it later.
    pub size: u64,
    /// `RMMAP_CREATE_*`; an unknown flag fails with `EINVAL`.
    pub flags: u32,
    /// Must be zero.
    pub pad: u32,
}

/// Argument of [`RMMAP_IOC_CREATE_NAMED`]. The ioctl returns the new descriptor.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
pub struct RmmapCreateNamed {
    /// The region.
    pub create: RmmapCreate,
    /// Its name, at most [`RMMAP_NAME_MAX`] bytes, shown as `/rmmap:NAME` in `/proc/PID/maps` and
    /// by the links of `/proc/PID/fd`. All bytes after it are zero.
    pub name: [u8; RMMAP_NAME_SIZE],
}

/// Argument of [`RMMAP_IOC_ADD_SEALS`], result of [`RMMAP_IOC_GET_SEALS`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, FromBytes, Immutable, IntoBytes, KnownLayout)]
pub struct RmmapSeals {
    /// `RMMAP_SEAL_*`, the same numbers as `F_SEAL_*`.
    pub seals: u32,
    /// Must be zero.
    pub pad: u32,
}

/// Argument of [`RMMAP_IOC_DISCARD`] and [`RMMAP_IOC_ALLOCATE`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, FromBytes, Immutable, IntoBytes, KnownLayout)]
pub struct RmmapRange {
    /// First byte; a multiple of the page size.
    pub offset: u64,
    /// Length in bytes; a multiple of the page size, not zero, within the region.
    pub len: u64,
}

/// Argument of [`RMMAP_IOC_POLICY`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, FromBytes, Immutable, IntoBytes, KnownLayout)]
pub struct RmmapPolicy {
    /// `RMMAP_POLICY_*`; on a descriptor of the device it is the policy of the device's own region,
    /// and of regions that are created later without a policy flag. Existing folios do not change.
    pub policy: u32,
    /// Must be zero.
    pub pad: u32,
}

/// Counts of events in a region since it was created, or in all regions.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, FromBytes, Immutable, IntoBytes, KnownLayout)]
pub struct RmmapCounters {
    /// Calls of the mmap(2) hook, `mmap` or `mmap_prepare`.
    pub mmap: u64,
    /// Calls of the fault handler for a read.
    pub fault_read: u64,
    /// Calls of the fault handler for a write through a shared mapping.
    pub fault_write: u64,
    /// Calls of the fault handler for a write through a private mapping (copy-on-write).
    pub fault_cow: u64,
    /// Of the three above, those for populate, mlock or another `get_user_pages()` (no user
    /// access).
    pub fault_populate: u64,
    /// Faults that mapped a folio which the region already held.
    pub answer_cached: u64,
    /// Faults that allocated a folio.
    pub answer_new: u64,
    /// Faults that copied the module's zero page (private write to a hole).
    pub answer_zero: u64,
    /// Faults that failed with `SIGBUS`: past EOF, or a user access without memory.
    pub answer_sigbus: u64,
    /// Faults that failed with `VM_FAULT_OOM`.
    pub answer_oom: u64,
    /// Faults that must be retried.
    pub answer_retry: u64,
    /// Calls of `map_pages`, which maps resident neighbours before the fault handler is called.
    pub map_pages: u64,
    /// Folios that were added, by faults or writes, by order.
    pub folios: [u64; RMMAP_NR_ORDERS],
    /// Folios of a smaller order than wanted.
    pub order_fallback: u64,
    /// Bytes freed by discard, hole punching and truncation.
    pub discarded: u64,
}

/// Result of [`RMMAP_IOC_STATS`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, FromBytes, Immutable, IntoBytes, KnownLayout)]
pub struct RmmapStats {
    /// The region of this descriptor.
    pub region: RmmapCounters,
    /// All regions together, including freed ones.
    pub device: RmmapCounters,
}

/// Userspace writes, the kernel reads the argument; as `_IOC_WRITE` of `asm-generic/ioctl.h`.
const IOC_WRITE: u32 = 1;

/// Userspace reads, the kernel writes the argument; as `_IOC_READ` of `asm-generic/ioctl.h`.
const IOC_READ: u32 = 2;

/// Builds an ioctl number as `_IOC()` of `asm-generic/ioctl.h` does.
const fn ioc<T>(dir: u32, nr: u32) -> u32 {
    let size = core::mem::size_of::<T>() as u32;
    assert!(size < 1 << 14);
    (dir << 30) | (size << 16) | (RMMAP_IOC_MAGIC << 8) | nr
}

// The layout is ABI: it must not change by accident.
const _: () = {
    use core::mem::size_of;
    assert!(size_of::<RmmapInfo>() == 64);
    assert!(size_of::<RmmapCreate>() == 16);
    assert!(
        RMMAP_CREATE_EXECUTION
            == RMMAP_CREATE_EXEC | RMMAP_CREATE_NOEXEC_SEAL | RMMAP_CREATE_NOEXEC
    );
    assert!(
        RMMAP_CREATE_ALL
            == RMMAP_CREATE_CLOEXEC
                | RMMAP_CREATE_POLICY
                | RMMAP_CREATE_EXECUTION
                | RMMAP_CREATE_ALLOW_SEALING
    );
    assert!(RMMAP_NAME_MAX < RMMAP_NAME_SIZE);
    assert!(size_of::<RmmapCreateNamed>() == 272);
    assert!(size_of::<RmmapSeals>() == 8);
    assert!(size_of::<RmmapRange>() == 16);
    assert!(size_of::<RmmapPolicy>() == 8);
    assert!(size_of::<RmmapCounters>() == 30 * 8);
    assert!(size_of::<RmmapStats>() == 2 * size_of::<RmmapCounters>());
};
