// SPDX-License-Identifier: GPL-2.0

//! The cases of the demo: the four kinds of the seed, and the ways of allocating.

use rmmap_sys::rustix::mm::MapFlags;
use serde::Serialize;

/// `MAP_NONBLOCK` of `asm-generic/mman.h`, which rustix does not name.
const NONBLOCK: MapFlags = MapFlags::from_bits_retain(0x1_0000);

/// A kind of mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// `MAP_PRIVATE` of the device.
    PrivateFile,
    /// `MAP_SHARED` of the device.
    SharedFile,
    /// `MAP_PRIVATE | MAP_ANONYMOUS`, a control that never reaches the device.
    PrivateAnonymous,
    /// `MAP_SHARED | MAP_ANONYMOUS`, a control that never reaches the device.
    SharedAnonymous,
}

impl Kind {
    /// All of them, in the order of the seed.
    pub const ALL: [Kind; 4] = [
        Kind::PrivateFile,
        Kind::SharedFile,
        Kind::PrivateAnonymous,
        Kind::SharedAnonymous,
    ];

    /// Returns whether the device is mapped.
    pub fn is_file(self) -> bool {
        matches!(self, Kind::PrivateFile | Kind::SharedFile)
    }

    /// Returns whether stores are shared.
    pub fn is_shared(self) -> bool {
        matches!(self, Kind::SharedFile | Kind::SharedAnonymous)
    }

    /// Returns its heading, with the seed's words.
    pub fn title(self) -> &'static str {
        match self {
            Kind::PrivateFile => "Private file mapping (私有文件映射)",
            Kind::SharedFile => "Shared file mapping (共享文件映射)",
            Kind::PrivateAnonymous => "Private anonymous mapping (私有匿名映射)",
            Kind::SharedAnonymous => "Shared anonymous mapping (共享匿名映射)",
        }
    }

    /// Returns its distinguishing property, in a line.
    pub fn explanation(self) -> &'static str {
        match self {
            Kind::PrivateFile => {
                "A store copies: the handler answers with its zero page, the process gets a copy."
            }
            Kind::SharedFile => {
                "A store changes the device: the handler allocates a page, all mappings share it."
            }
            Kind::PrivateAnonymous => "For comparison: no file; the core answers the faults.",
            Kind::SharedAnonymous => {
                "For comparison: the kernel makes a hidden file /dev/zero; shmem answers the faults."
            }
        }
    }
}

/// A way of allocating the memory of a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// No flag: a page fault allocates each page at its first touch.
    Lazy,
    /// `MAP_POPULATE`.
    Populate,
    /// `MAP_POPULATE | MAP_NONBLOCK`, which does not populate.
    PopulateNonblock,
    /// `MAP_LOCKED`.
    Locked,
    /// A lazy mapping, then `mlockall(MCL_CURRENT)`.
    LockallCurrent,
    /// `mlockall(MCL_FUTURE)`, then a mapping without flags.
    LockallFuture,
}

impl Way {
    /// All of them, in the order of the table.
    pub const ALL: [Way; 6] = [
        Way::Lazy,
        Way::Populate,
        Way::PopulateNonblock,
        Way::Locked,
        Way::LockallCurrent,
        Way::LockallFuture,
    ];

    /// Returns its name in the table.
    pub fn label(self) -> &'static str {
        match self {
            Way::Lazy => "lazy",
            Way::Populate => "MAP_POPULATE",
            Way::PopulateNonblock => "POPULATE|NONBLOCK",
            Way::Locked => "MAP_LOCKED",
            Way::LockallCurrent => "mlockall(CURRENT)",
            Way::LockallFuture => "mlockall(FUTURE)",
        }
    }

    /// Returns the flags that it adds to mmap(2).
    pub fn flags(self) -> MapFlags {
        match self {
            Way::Populate => MapFlags::POPULATE,
            Way::PopulateNonblock => MapFlags::POPULATE.union(NONBLOCK),
            Way::Locked => MapFlags::LOCKED,
            Way::Lazy | Way::LockallCurrent | Way::LockallFuture => MapFlags::empty(),
        }
    }
}

/// A row of the demo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    /// What is mapped.
    pub kind: Kind,
    /// How its memory is allocated.
    pub way: Way,
}

impl Case {
    /// Returns all rows, by kind.
    pub fn all() -> impl Iterator<Item = Case> {
        Kind::ALL
            .into_iter()
            .flat_map(|kind| Way::ALL.into_iter().map(move |way| Case { kind, way }))
    }
}
