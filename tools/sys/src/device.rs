// SPDX-License-Identifier: GPL-2.0

//! `/dev/rmmap` and the regions that it creates.

use crate::{Errno, Mapping, Result};
use rmmap_uapi as uapi;
use rustix::fs::{Mode, OFlags};
use rustix::ioctl::{self, Ioctl, IoctlOutput, Opcode};
use std::ffi::c_void;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::ptr;

/// A descriptor of the device or of a region.
#[derive(Debug)]
pub struct Device(OwnedFd);

impl Device {
    /// Opens `/dev/rmmap` for reading and writing.
    pub fn open() -> Result<Self> {
        Self::open_with(OFlags::RDWR)
    }

    /// Opens `/dev/rmmap`.
    pub fn open_with(flags: OFlags) -> Result<Self> {
        Self::open_path(uapi::RMMAP_DEVICE, flags)
    }

    /// Opens the device under another name, or a region through `/proc/self/fd`.
    pub fn open_path(path: impl AsRef<Path>, flags: OFlags) -> Result<Self> {
        rustix::fs::open(path.as_ref(), flags | OFlags::CLOEXEC, Mode::empty()).map(Self)
    }

    /// Returns the properties of the device and of the descriptor's region.
    pub fn info(&self) -> Result<uapi::RmmapInfo> {
        self.get::<{ uapi::RMMAP_IOC_INFO }, _>()
    }

    /// Reads the counters of the descriptor's region and of all regions together.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP`: the module was built without them (`STATS=n`).
    pub fn stats(&self) -> Result<uapi::RmmapStats> {
        self.get::<{ uapi::RMMAP_IOC_STATS }, _>()
    }

    /// Creates a region of `size` bytes; it lives as long as a descriptor or a mapping of it.
    pub fn create(&self, size: u64, flags: u32) -> Result<Self> {
        let mut argument = uapi::RmmapCreate {
            size,
            flags,
            pad: 0,
        };
        let number = uapi::RMMAP_IOC_CREATE;
        // SAFETY: The ioctl reads a `RmmapCreate`; on any other device the number is unknown.
        let fd = unsafe { self.call(number, (&raw mut argument).cast()) }?;
        // SAFETY: The ioctl succeeded, so it returned a new descriptor that nobody else knows.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Creates a region with a name, which mappings and descriptors show.
    ///
    /// # Errors
    ///
    /// Those of the call, and `EINVAL` for a name that does not fit.
    pub fn create_named(&self, size: u64, flags: u32, name: &[u8]) -> Result<Self> {
        let mut argument = uapi::RmmapCreateNamed::default();
        argument.create.size = size;
        argument.create.flags = flags;
        let room = argument.name.get_mut(..name.len());
        room.ok_or(Errno::INVAL)?.copy_from_slice(name);
        let number = uapi::RMMAP_IOC_CREATE_NAMED;
        // SAFETY: The ioctl reads a `RmmapCreateNamed`; on any other device the number is unknown.
        let fd = unsafe { self.call(number, (&raw mut argument).cast()) }?;
        // SAFETY: The ioctl succeeded, so it returned a new descriptor that nobody else knows.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Adds seals, `RMMAP_SEAL_*`.
    pub fn add_seals(&self, seals: u32) -> Result<()> {
        let mut argument = uapi::RmmapSeals { seals, pad: 0 };
        let number = uapi::RMMAP_IOC_ADD_SEALS;
        // SAFETY: The ioctl reads a `RmmapSeals`; on any other device the number is unknown.
        unsafe { self.call(number, (&raw mut argument).cast()) }.map(drop)
    }

    /// Returns the seals, `RMMAP_SEAL_*`.
    pub fn seals(&self) -> Result<u32> {
        let answer: uapi::RmmapSeals = self.get::<{ uapi::RMMAP_IOC_GET_SEALS }, _>()?;
        Ok(answer.seals)
    }

    /// Sets the folio policy of this region, `RMMAP_POLICY_*`.
    pub fn set_policy(&self, policy: u32) -> Result<()> {
        let mut argument = uapi::RmmapPolicy { policy, pad: 0 };
        let number = uapi::RMMAP_IOC_POLICY;
        // SAFETY: The ioctl reads a `RmmapPolicy`; on any other device the number is unknown.
        unsafe { self.call(number, (&raw mut argument).cast()) }.map(drop)
    }

    /// Frees the memory of a range; the next access finds zeroes.
    pub fn discard(&self, offset: u64, len: u64) -> Result<()> {
        let mut argument = uapi::RmmapRange { offset, len };
        let number = uapi::RMMAP_IOC_DISCARD;
        // SAFETY: The ioctl reads a `RmmapRange`; on any other device the number is unknown.
        unsafe { self.call(number, (&raw mut argument).cast()) }.map(drop)
    }

    /// Allocates the missing memory of a range, all of it or none.
    pub fn allocate(&self, offset: u64, len: u64) -> Result<()> {
        let mut argument = uapi::RmmapRange { offset, len };
        let number = uapi::RMMAP_IOC_ALLOCATE;
        // SAFETY: The ioctl reads a `RmmapRange`; on any other device the number is unknown.
        unsafe { self.call(number, (&raw mut argument).cast()) }.map(drop)
    }

    /// Calls an ioctl with any number and any bytes, for tests of bad input.
    ///
    /// `data` is both the argument and, if the call succeeded, the answer. Its meaning is up to the
    /// caller: a returned descriptor is not closed.
    ///
    /// # Errors
    ///
    /// Those of the call, and `ENOTSUP` for `FS_IOC_FIEMAP`, whose answer has no fixed size.
    pub fn raw_ioctl(&self, number: u32, data: &mut [u8]) -> Result<i32> {
        /// Larger than any size that an ioctl number can carry, and than any fixed answer.
        const ROOM: usize = 1 << 16;
        const FS_IOC_FIEMAP: u32 = 0xc020_660b;
        if number == FS_IOC_FIEMAP {
            return Err(Errno::NOTSUP);
        }
        // Words, so that the buffer is aligned for any struct of the kernel.
        let mut buffer = vec![0u64; ROOM / size_of::<u64>()];
        let bytes = zerocopy::IntoBytes::as_mut_bytes(buffer.as_mut_slice());
        bytes[..data.len()].copy_from_slice(data);
        // SAFETY: The kernel writes at most the size in the number, or a structure of fixed size
        // where the number has none (FIEMAP was refused): the buffer is larger than both.
        let answer = unsafe { self.call(number, bytes.as_mut_ptr().cast()) }?;
        data.copy_from_slice(&bytes[..data.len()]);
        Ok(answer)
    }

    /// Calls one of rmmap's ioctls with an argument in a mapping, which may be protected.
    pub fn raw_ioctl_at(&self, number: u32, mapping: &Mapping, offset: usize) -> Result<i32> {
        if (number >> 8) & 0xff != uapi::RMMAP_IOC_MAGIC {
            return Err(Errno::NOTSUP);
        }
        let start = mapping
            .range(offset, (number as usize >> 16) & 0x3fff)
            .start;
        // SAFETY: rmmap's ioctls access only as many bytes as the number says, and all of them are
        // in the mapping, where the kernel may write.
        unsafe { self.call(number, ptr::with_exposed_provenance_mut(start)) }
    }

    /// Calls an ioctl with an argument at an address that no program can have.
    pub fn raw_ioctl_bad_pointer(&self, number: u32, pointer: BadPointer) -> Result<i32> {
        let address = match pointer {
            BadPointer::Null => 0,
            BadPointer::Kernel => 0xffff_8880_0000_0000,
            BadPointer::NonCanonical => 0x8000_0000_0000_0000,
            BadPointer::Last => usize::MAX - 7,
        };
        // SAFETY: Userspace has no memory there: `access_ok` or the copy fails.
        unsafe { self.call(number, ptr::without_provenance_mut(address)) }
    }

    /// Runs an ioctl that returns a `T`.
    fn get<const NUMBER: u32, T: zerocopy::FromBytes>(&self) -> Result<T> {
        // SAFETY: The number says that the kernel writes a `T`, whose every bit pattern is valid,
        // and on any other device it is unknown.
        unsafe { ioctl::ioctl(&self.0, ioctl::Getter::<NUMBER, T>::new()) }
    }

    /// Runs an ioctl.
    ///
    /// # Safety
    ///
    /// What the kernel reads and writes through `argument` for this number is valid for it.
    unsafe fn call(&self, number: u32, argument: *mut c_void) -> Result<IoctlOutput> {
        // SAFETY: By this function's contract.
        unsafe { ioctl::ioctl(&self.0, Call { number, argument }) }
    }
}

impl AsFd for Device {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for Device {
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

impl From<Device> for OwnedFd {
    fn from(device: Device) -> Self {
        device.0
    }
}

/// An address where no program has memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadPointer {
    /// The null pointer (`vm.mmap_min_addr` keeps the page free).
    Null,
    /// An address of the kernel.
    Kernel,
    /// An address that is not canonical.
    NonCanonical,
    /// An address so near the end of the address space that adding the size wraps around.
    Last,
}

/// Any ioctl, with the number that the kernel returns.
struct Call {
    number: Opcode,
    argument: *mut c_void,
}

// SAFETY: `Device::call`, the only user, passes its contract on. `IS_MUTATING` is true.
unsafe impl Ioctl for Call {
    type Output = IoctlOutput;

    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        self.number
    }

    fn as_ptr(&mut self) -> *mut c_void {
        self.argument
    }

    unsafe fn output_from_ptr(out: IoctlOutput, _: *mut c_void) -> Result<Self::Output> {
        Ok(out)
    }
}
