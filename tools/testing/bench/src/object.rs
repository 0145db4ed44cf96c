// SPDX-License-Identifier: GPL-2.0

//! The objects that are mapped.

use crate::setting::Setting;
use crate::workload::Workload;
use anyhow::{bail, Context, Result};
use clap::ValueEnum;
use rmmap_sys::rustix::fs::{
    fcntl_add_seals, ftruncate, memfd_create, open, unlink, MemfdFlags, Mode, OFlags, SealFlags,
};
use rmmap_sys::rustix::mm::{Advice, MapFlags, ProtFlags};
use rmmap_sys::rustix::mount::{mount, unmount, MountFlags, UnmountFlags};
use rmmap_sys::secret::memfd_secret;
use rmmap_sys::{uapi, udmabuf, Device, MapOptions, Mapping};
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};

/// Size of a huge page, bytes.
pub const HUGE: usize = 2 << 20;

/// The mount point of file systems, in a mount namespace of this process.
const MOUNTED: &str = "/mnt";

/// A kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Object {
    /// A region of rmmap, policy adaptive
    Rmmap,
    /// A region of rmmap, policy never
    RmmapNever,
    /// A region of rmmap, policy always
    RmmapAlways,
    /// A memfd
    Memfd,
    /// A memfd with shmem_enabled=always
    MemfdHuge,
    /// A memfd with shmem_enabled=within_size
    MemfdWithin,
    /// A memfd with shmem_enabled=advise and MADV_HUGEPAGE
    MemfdAdvise,
    /// A memfd with hugepages-64kB/shmem_enabled=always, mapped where such folios fit
    #[value(name = "memfd-64k")]
    Memfd64k,
    /// A memfd_secret(2): the kernel itself does not map its pages
    MemfdSecret,
    /// Shared anonymous memory
    SharedAnon,
    /// A memfd of huge pages (MFD_HUGETLB)
    Hugetlb,
    /// A file on tmpfs
    Tmpfs,
    /// A file on ramfs
    Ramfs,
    /// Private anonymous memory without transparent huge pages
    Anon,
    /// Private anonymous memory with transparent huge pages
    AnonHuge,
    /// A dma-buf of a memfd (/dev/udmabuf)
    Udmabuf,
}

/// A factory of objects of one kind: the system settings that the kind needs are in place.
#[derive(Debug)]
pub struct Prepared {
    object: Object,
    size: usize,
    device: Option<Device>,
    mounted: Option<Mounted>,
    /// The address hint of its mappings.
    hint: usize,
    _settings: Vec<Setting>,
}

/// A created object.
#[derive(Debug)]
pub enum Made {
    /// An object with a descriptor.
    File(OwnedFd),
    /// Anonymous memory, which mmap(2) creates.
    Anonymous,
}

#[derive(Debug)]
struct Mounted;

impl Object {
    /// Returns its name: on the command line, in results.
    pub fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Returns its description, one line.
    pub fn text(self) -> String {
        let help = self
            .to_possible_value()
            .and_then(|value| value.get_help().cloned());
        help.map_or_else(String::new, |help| help.to_string())
    }

    /// Returns whether rmmap's module implements it.
    pub fn is_ours(self) -> bool {
        self.flags().is_some()
    }

    /// Returns whether it is mapped shared.
    pub fn is_file(self) -> bool {
        !matches!(self, Self::Anon | Self::AnonHuge)
    }

    /// Returns the kinds of files that rmmap is compared with. The pages of hugetlb come from a
    /// pool, so workloads that allocate or free memory leave it out.
    pub fn peers(workload: Workload) -> impl Iterator<Item = Self> {
        use Workload::{Fork, Mremap, Munmap, ReadCall, SecondMap};
        let pool = matches!(workload, Fork | Mremap | Munmap | ReadCall | SecondMap);
        let all = Self::value_variants().iter().copied();
        all.filter(move |object| {
            object.is_file() && !object.is_ours() && (pool || *object != Self::Hugetlb)
        })
    }

    /// Returns the flags to create such a region; `None` if it is no region.
    fn flags(self) -> Option<u32> {
        match self {
            Self::Rmmap => Some(uapi::RMMAP_CREATE_ADAPTIVE),
            Self::RmmapNever => Some(uapi::RMMAP_CREATE_NEVER),
            Self::RmmapAlways => Some(uapi::RMMAP_CREATE_ALWAYS),
            _ => None,
        }
    }

    /// Changes the system settings that objects of `size` bytes of this kind need.
    pub fn prepare(self, size: usize) -> Result<Prepared> {
        const THP: &str = "/sys/kernel/mm/transparent_hugepage";
        let mut settings = Vec::new();
        let shmem = |value| Setting::set(format!("{THP}/shmem_enabled"), value);
        match self {
            Self::MemfdHuge => settings.push(shmem("always")?),
            Self::MemfdWithin => settings.push(shmem("within_size")?),
            Self::MemfdAdvise => settings.push(shmem("advise")?),
            Self::Memfd64k => settings.push(Setting::set(
                format!("{THP}/hugepages-64kB/shmem_enabled"),
                "always",
            )?),
            Self::Anon => settings.push(Setting::set(format!("{THP}/enabled"), "never")?),
            Self::AnonHuge => settings.push(Setting::set(format!("{THP}/enabled"), "always")?),
            Self::Hugetlb => settings.push(pool(2 * size)?),
            Self::Udmabuf => {
                let limit = "/sys/module/udmabuf/parameters/size_limit_mb";
                settings.push(Setting::set(limit, &(size >> 20).to_string())?);
            }
            _ => {}
        }
        let mounted = match self {
            Self::Tmpfs => Some(Mounted::new("tmpfs", "huge=never,size=100%")?),
            Self::Ramfs => Some(Mounted::new("ramfs", "")?),
            _ => None,
        };
        // The kernel does not align a memfd's mapping for folios of 64 KiB
        // (shmem_get_unmapped_area() in mm/shmem.c considers them for shared anonymous memory
        // only).
        let hint = match self {
            Self::Memfd64k => room(size)?,
            _ => 0,
        };
        let device = self.is_ours().then(Device::open).transpose();
        Ok(Prepared {
            object: self,
            size,
            device: device.with_context(|| {
                format!(
                    "{} cannot be opened: is the module loaded?",
                    uapi::RMMAP_DEVICE
                )
            })?,
            mounted,
            hint,
            _settings: settings,
        })
    }
}

impl Prepared {
    /// Creates an object. It has no memory yet; only a dma-buf has all of it.
    pub fn make(&self) -> Result<Made> {
        let size = self.size as u64;
        let sized = |fd: OwnedFd| ftruncate(&fd, size).map(|()| fd);
        let memfd =
            |flags| memfd_create("rmmap-bench", MemfdFlags::CLOEXEC | flags).and_then(sized);
        Ok(Made::File(match self.object {
            Object::Anon | Object::AnonHuge | Object::SharedAnon => return Ok(Made::Anonymous),
            Object::Memfd
            | Object::MemfdHuge
            | Object::MemfdWithin
            | Object::MemfdAdvise
            | Object::Memfd64k => memfd(MemfdFlags::empty())?,
            Object::MemfdSecret => memfd_secret().and_then(sized)?,
            Object::Hugetlb => memfd(MemfdFlags::HUGETLB | MemfdFlags::HUGE_2MB)?,
            Object::Tmpfs | Object::Ramfs => sized(
                self.mounted
                    .as_ref()
                    .context("nothing is mounted")?
                    .file()?,
            )?,
            Object::Udmabuf => {
                let file = memfd(MemfdFlags::ALLOW_SEALING)?;
                fcntl_add_seals(&file, SealFlags::SHRINK)?;
                udmabuf::create(&file, size)?
            }
            Object::Rmmap | Object::RmmapNever | Object::RmmapAlways => {
                let device = self.device.as_ref().context("the device is not open")?;
                let flags = self.object.flags().unwrap_or_default() | uapi::RMMAP_CREATE_CLOEXEC;
                device.create(size, flags)?.into()
            }
        }))
    }

    /// Sets the size of objects from now on, at most the size that it was prepared for.
    pub fn resize(&mut self, size: usize) {
        self.size = size;
    }

    /// Sets the address hint of mappings from now on.
    pub fn place(&mut self, hint: usize) {
        self.hint = hint;
    }

    /// Returns the size of an object, bytes.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Returns whether `/proc/meminfo` counts its memory: it does not count pages of a dma-buf.
    pub fn is_counted(&self) -> bool {
        self.object != Object::Udmabuf
    }

    /// Maps an object as its kind is mapped: files shared, everything else privately.
    pub fn map(&self, made: &Made, flags: MapFlags) -> Result<Mapping> {
        if !self.object.is_file() {
            return self.map_privately(made, flags);
        }
        if self.object != Object::MemfdAdvise {
            return made.map(MapOptions::new(self.size).hint(self.hint).flags(flags));
        }
        // The advice needs an existing mapping, so lock or populate after it.
        let mapping = made.map(MapOptions::new(self.size))?;
        mapping.advise(0, self.size, Advice::LinuxHugepage)?;
        if flags.contains(MapFlags::LOCKED) {
            mapping.lock(0, self.size)?;
        } else if flags.contains(MapFlags::POPULATE) {
            mapping.advise(0, self.size, Advice::LinuxPopulateWrite)?;
        }
        Ok(mapping)
    }

    /// Maps an object with `MAP_PRIVATE`.
    pub fn map_privately(&self, made: &Made, flags: MapFlags) -> Result<Mapping> {
        let options = MapOptions::new(self.size).private().hint(self.hint);
        made.map(options.flags(flags))
    }
}

impl Made {
    fn map(&self, options: MapOptions) -> Result<Mapping> {
        match self {
            Self::File(file) => options.map(file),
            Self::Anonymous => options.map_anonymous(),
        }
        .context("mmap failed")
    }

    /// Returns its descriptor, if it has one.
    pub fn file(&self) -> Option<impl AsFd + '_> {
        match self {
            Self::File(file) => Some(file.as_fd()),
            Self::Anonymous => None,
        }
    }
}

/// Returns the address of a free range of this many bytes, aligned to a page table's span.
pub fn room(bytes: usize) -> Result<usize> {
    let room = MapOptions::new(bytes + HUGE).private();
    let room = room.prot(ProtFlags::empty()).map_anonymous()?;
    Ok(room.address().next_multiple_of(HUGE))
}

/// Sets the size of the pool of huge pages to `bytes`.
fn pool(bytes: usize) -> Result<Setting> {
    let wanted = (bytes / HUGE).to_string();
    let pool = Setting::set("/proc/sys/vm/nr_hugepages", &wanted)?;
    let have = pool.value()?;
    if have != wanted {
        bail!("the system has memory for {have} of {wanted} huge pages");
    }
    Ok(pool)
}

impl Mounted {
    fn new(kind: &str, options: &str) -> Result<Self> {
        let data = CString::new(options)?;
        mount(
            "rmmap-bench",
            MOUNTED,
            kind,
            MountFlags::empty(),
            data.as_c_str(),
        )
        .with_context(|| format!("{kind} cannot be mounted on {MOUNTED}: run it as root"))?;
        Ok(Self)
    }

    /// Creates a file without a name.
    fn file(&self) -> Result<OwnedFd> {
        let path = format!("{MOUNTED}/object");
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = open(&path, flags, Mode::RUSR | Mode::WUSR)?;
        unlink(&path)?;
        Ok(file)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if let Err(error) = unmount(MOUNTED, UnmountFlags::DETACH) {
            eprintln!("rmmap: {MOUNTED} is still mounted: {error}");
        }
    }
}
