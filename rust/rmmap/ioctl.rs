// SPDX-License-Identifier: GPL-2.0

//! The ioctls. Each checks its arguments completely before it changes anything.

use crate::{
    contract::Contract,
    open_region::OpenRegion,
    policy::Policy,
    region::{
        Kind,
        Region,
        RegionRef, //
    },
    stats,
    trace, //
};
use kernel::{
    fs::{
        file::{
            flags,
            FileDescriptorReservation, //
        },
        File, //
    },
    page::PAGE_SIZE,
    prelude::*,
    uaccess::{
        UserPtr,
        UserSlice, //
    }, //
};
use kernel_mm::{
    cache::inode::{
        InodeData,
        InodeGuard, //
    },
    capability::{
        capable,
        Capability, //
    },
    compat,
    context::Unlocked,
    file::{
        allocate::{
            allocate,
            Size, //
        },
        ops::{
            Hook,
            OpenInode, //
        }, //
    }, //
};
use rmmap_uapi::*;
use zerocopy::{
    FromBytes,
    Immutable,
    IntoBytes, //
};

/// Dispatches an ioctl on a file of `region`. `F` opens the regions that it creates.
pub(crate) fn ioctl<F: OpenInode<Inode = Region>>(
    region: &OpenRegion,
    file: &File,
    unlocked: &mut Unlocked,
    cmd: u32,
    arg: usize,
) -> Result<isize> {
    match cmd {
        RMMAP_IOC_INFO => put(arg, &info(region)),
        RMMAP_IOC_CREATE => create::<F>(region, &get(arg)?, c"rmmap"),
        RMMAP_IOC_CREATE_NAMED => create_named::<F>(region, &get(arg)?),
        RMMAP_IOC_ADD_SEALS => add_seals(region, file, unlocked, &get(arg)?),
        RMMAP_IOC_GET_SEALS => put(arg, &seals(region)?),
        RMMAP_IOC_DISCARD => discard(region, file, unlocked, &get(arg)?),
        RMMAP_IOC_ALLOCATE => allocate_range(region, file, unlocked, &get(arg)?),
        RMMAP_IOC_POLICY => set_policy(region, file, &get(arg)?),
        // Zeroes would claim that nothing has happened.
        RMMAP_IOC_STATS if !stats::COUNTED => Err(compat::eopnotsupp()),
        RMMAP_IOC_STATS => put(
            arg,
            &RmmapStats {
                region: region.counters.read(),
                device: region.device.counters.read(),
            },
        ),
        _ => Err(ENOTTY),
    }
}

/// Copies an argument from userspace.
fn get<T: FromBytes + IntoBytes>(arg: usize) -> Result<T> {
    let mut value = T::new_zeroed();
    let bytes = value.as_mut_bytes();
    UserSlice::new(UserPtr::from_addr(arg), bytes.len())
        .reader()
        .read_slice(bytes)?;
    Ok(value)
}

/// Copies a result to userspace.
fn put<T: IntoBytes + Immutable>(arg: usize, value: &T) -> Result<isize> {
    let bytes = value.as_bytes();
    UserSlice::new(UserPtr::from_addr(arg), bytes.len())
        .writer()
        .write_slice(bytes)?;
    Ok(0)
}

fn info(region: &RegionRef) -> RmmapInfo {
    let device = &region.device;
    let mapping = region.mapping();
    RmmapInfo {
        abi_version: RMMAP_ABI_VERSION,
        hook: match device.hook {
            Hook::Mmap => RMMAP_HOOK_MMAP,
            Hook::MmapPrepare => RMMAP_HOOK_PREPARE,
        },
        kind: match region.kind {
            Kind::Device => RMMAP_KIND_DEVICE,
            Kind::Created => RMMAP_KIND_REGION,
        },
        policy: region.policy().to_abi(),
        size: mapping.size(),
        resident: (mapping.nr_pages() * PAGE_SIZE) as u64,
        capacity: device.limits.capacity,
        max_bytes: device.limits.max_bytes,
        used_bytes: device.used_bytes(),
        regions: device.regions(),
    }
}

/// Creates a region and returns its descriptor.
fn create<F: OpenInode<Inode = Region>>(
    region: &OpenRegion,
    arg: &RmmapCreate,
    name: &CStr,
) -> Result<isize> {
    if arg.flags & !RMMAP_CREATE_ALL != 0 || arg.pad != 0 {
        return Err(EINVAL);
    }
    let device = &region.device;
    let policy = match arg.flags & RMMAP_CREATE_POLICY {
        0 => device.policy.get(),
        RMMAP_CREATE_NEVER => Policy::Never,
        RMMAP_CREATE_ADAPTIVE => Policy::Adaptive,
        RMMAP_CREATE_ALWAYS => Policy::Always,
        _ => return Err(EINVAL),
    };
    if arg.size > device.limits.max_bytes {
        return Err(ENOMEM);
    }
    let fd_flags = if arg.flags & RMMAP_CREATE_CLOEXEC != 0 {
        flags::O_CLOEXEC
    } else {
        0
    };
    let contract = Contract::new(arg.flags)?;
    let executable = arg.flags & RMMAP_CREATE_NOEXEC == 0;
    let fd = FileDescriptorReservation::get_unused_fd_flags(fd_flags)?;
    let data = Region::new(device.clone(), Kind::Created, policy, contract)?;
    let (file, inode) = region.create_file::<F>(executable, name, arg.size, data)?;
    trace::create(inode.ino(), arg.size, arg.flags);
    let number = fd.reserved_fd();
    fd.fd_install(file);
    Ok(number as isize)
}

/// Creates a region with a name, which mappings and descriptors show.
fn create_named<F: OpenInode<Inode = Region>>(
    region: &OpenRegion,
    arg: &RmmapCreateNamed,
) -> Result<isize> {
    const PREFIX: &[u8] = b"rmmap:";
    let end = arg.name.iter().position(|byte| *byte == 0).ok_or(EINVAL)?;
    let (name, rest) = arg.name.split_at(end);
    if name.len() > RMMAP_NAME_MAX || rest.iter().any(|byte| *byte != 0) {
        return Err(EINVAL);
    }
    let mut full = KVec::with_capacity(PREFIX.len() + name.len() + 1, GFP_KERNEL)?;
    full.extend_from_slice(PREFIX, GFP_KERNEL)?;
    full.extend_from_slice(name, GFP_KERNEL)?;
    full.push(0, GFP_KERNEL)?;
    let full = CStr::from_bytes_with_nul(&full).map_err(|_| EINVAL)?;
    create::<F>(region, &arg.create, full)
}

/// Returns the seals of the region.
fn seals(region: &Region) -> Result<RmmapSeals> {
    let seals = region.seals().ok_or(EINVAL)?.get();
    Ok(RmmapSeals { seals, pad: 0 })
}

/// Adds seals.
fn add_seals(
    region: &RegionRef,
    file: &File,
    unlocked: &mut Unlocked,
    arg: &RmmapSeals,
) -> Result<isize> {
    // The checks of `memfd_add_seals()`, in the same order.
    may_change(file).map_err(|_| EPERM)?;
    if arg.pad != 0 {
        return Err(EINVAL);
    }
    region.lock(unlocked).add_seals(arg.seals)?;
    Ok(0)
}

/// Sets the folio policy of the region.
fn set_policy(region: &RegionRef, file: &File, arg: &RmmapPolicy) -> Result<isize> {
    // Only a task that may allocate a region's memory may decide how much it takes.
    may_change(file)?;
    if arg.pad != 0 {
        return Err(EINVAL);
    }
    let policy = Policy::from_abi(arg.policy)?;
    // All later regions, of any user, inherit the device's policy.
    if region.kind == Kind::Device && !capable(Capability::SysAdmin) {
        return Err(EPERM);
    }
    region.set_policy(policy);
    Ok(0)
}

/// Checks that `file` is open for writing, as fallocate(2) does. A device node does not offer that
/// call.
fn may_change(file: &File) -> Result {
    match file.flags() & flags::O_ACCMODE {
        flags::O_RDONLY => Err(EBADF),
        _ => Ok(()),
    }
}

/// Checks that `file` may change `range`, whole pages of the region, and locks the region's inode:
/// otherwise the region might shrink after the check.
fn lock_range<'a>(
    region: &'a RegionRef,
    file: &File,
    unlocked: &'a mut Unlocked,
    range: &RmmapRange,
) -> Result<InodeGuard<'a, Region>> {
    may_change(file)?;
    let page = PAGE_SIZE as u64;
    let end = range.offset.checked_add(range.len).ok_or(EINVAL)?;
    if range.len == 0 || range.offset % page != 0 || range.len % page != 0 {
        return Err(EINVAL);
    }
    let guard = region.lock(unlocked);
    if end > region.mapping().size().next_multiple_of(page) {
        return Err(EINVAL);
    }
    Ok(guard)
}

/// Frees the memory of a range.
fn discard(
    region: &RegionRef,
    file: &File,
    unlocked: &mut Unlocked,
    arg: &RmmapRange,
) -> Result<isize> {
    let guard = lock_range(region, file, unlocked, arg)?;
    guard.punch_hole(arg.offset, arg.len)?;
    guard.file_modified(file)?;
    Ok(0)
}

/// Allocates the memory of a range.
fn allocate_range(
    region: &RegionRef,
    file: &File,
    unlocked: &mut Unlocked,
    arg: &RmmapRange,
) -> Result<isize> {
    let guard = lock_range(region, file, unlocked, arg)?;
    // The region may cover its last page in part.
    let len = arg.len.min(region.mapping().size() - arg.offset);
    allocate(&guard, arg.offset, len, Size::Stays, region.inode_data())?;
    guard.file_modified(file)?;
    Ok(0)
}
