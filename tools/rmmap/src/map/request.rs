// SPDX-License-Identifier: GPL-2.0

//! One call of mmap(2): its arguments, and making it.

use std::fmt;

use rmmap_sys::rustix::mm::{MapFlags, ProtFlags};
use rmmap_sys::{Errno, MapOptions, Mapping};

use super::flags::{show_flags, show_prot, MAP_FIXED, MAP_FIXED_NOREPLACE, MAP_HUGETLB};
use super::object::Object;

/// The arguments, all but the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Address, 0 for none.
    pub address: usize,
    /// Length in bytes, as it is passed on.
    pub length: usize,
    /// Protection.
    pub prot: u32,
    /// Flags.
    pub flags: u32,
    /// Offset in bytes.
    pub offset: u64,
    /// Whether there is no object.
    pub is_anonymous: bool,
}

/// Why there is no mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The kernel refused.
    #[error("mmap failed")]
    Kernel(Errno),
    /// The call was not made.
    #[error(
        "MAP_FIXED would replace memory of this program: choose an unused address, such as \
         0x100000000000"
    )]
    Occupied,
    /// The call was not made.
    #[error("MAP_FIXED of huge pages is not offered: use noreplace, or an address without fixed")]
    FixedHuge,
}

impl Request {
    /// Makes the call.
    ///
    /// `MAP_FIXED` replaces existing mappings, which must not be this program's own: it reserves
    /// the range first, without replacing anything. That call already reports an impossible
    /// address.
    pub fn map(&self, object: &Object) -> Result<Mapping, Refusal> {
        let is_fixed = self.flags & (MAP_FIXED | MAP_FIXED_NOREPLACE) == MAP_FIXED;
        if !is_fixed {
            let options = self.options(self.flags & !MAP_FIXED);
            let mapped = match object.fd() {
                Some(fd) => options.map(fd),
                None => options.map_anonymous(),
            };
            return mapped.map_err(Refusal::Kernel);
        }
        if self.flags & MAP_HUGETLB != 0 {
            return Err(Refusal::FixedHuge);
        }
        let reserve = MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::FIXED_NOREPLACE;
        let mut place = MapOptions::new(self.length)
            .prot(ProtFlags::empty())
            .only_flags(reserve)
            .hint(self.address)
            .map_anonymous()
            .map_err(|errno| match errno {
                Errno::EXIST => Refusal::Occupied,
                errno => Refusal::Kernel(errno),
            })?;
        place
            .map_over(0, &self.options(self.flags & !MAP_FIXED), object.fd())
            .map_err(Refusal::Kernel)?;
        Ok(place)
    }

    fn options(&self, flags: u32) -> MapOptions {
        let flags = match self.is_anonymous {
            true => flags | MapFlags::from_bits_retain(0x20).bits(),
            false => flags,
        };
        MapOptions::new(self.length)
            .prot(ProtFlags::from_bits_retain(self.prot))
            .only_flags(MapFlags::from_bits_retain(flags))
            .offset(self.offset)
            .hint(self.address)
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            0 => write!(f, "mmap(NULL")?,
            address => write!(f, "mmap({address:#x}")?,
        }
        let flags = match self.is_anonymous {
            true => format!("{}|MAP_ANONYMOUS", show_flags(self.flags & !0x20)),
            false => show_flags(self.flags),
        };
        let fd = if self.is_anonymous { "-1" } else { "fd" };
        let prot = show_prot(self.prot);
        write!(
            f,
            ", {}, {prot}, {flags}, {fd}, {})",
            self.length, self.offset
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::object::{Access, Choice};
    use super::*;
    use rmmap_sys::PAGE_SIZE;

    fn anonymous(address: usize, flags: u32) -> Result<Mapping, Refusal> {
        let object = Choice::Anonymous.open(Access::Rdwr).unwrap();
        let request = Request {
            address,
            length: 2 * PAGE_SIZE,
            prot: 3,
            flags,
            offset: 0,
            is_anonymous: true,
        };
        request.map(&object)
    }

    #[test]
    fn the_call_is_shown_as_c_has_it() {
        let request = Request {
            address: 0x1000,
            length: 5,
            prot: 1,
            flags: 0x8001,
            offset: 4096,
            is_anonymous: false,
        };
        assert_eq!(
            request.to_string(),
            "mmap(0x1000, 5, PROT_READ, MAP_SHARED|MAP_POPULATE, fd, 4096)"
        );
    }

    #[test]
    fn fixed_gives_the_address_and_replaces_nothing_of_the_programs() {
        let free = 0x1000_0000_0000;
        let mapping = anonymous(free, 2 | MAP_FIXED).unwrap();
        assert_eq!(mapping.address(), free);
        mapping.touch_write(1, 1).unwrap();
        assert_eq!(
            anonymous(free, 2 | MAP_FIXED).unwrap_err(),
            Refusal::Occupied
        );
        let again = anonymous(free, 2 | MAP_FIXED_NOREPLACE).unwrap_err();
        assert_eq!(again, Refusal::Kernel(Errno::EXIST));
        assert_eq!(mapping.touch_read(1), Ok(1));
        drop(mapping);
        let both = anonymous(free, 2 | MAP_FIXED | MAP_FIXED_NOREPLACE).unwrap();
        assert_eq!(both.address(), free);
    }

    #[test]
    fn an_address_that_cannot_be_is_refused_by_the_kernel() {
        let error = anonymous(0x1000_0000_0001, 2 | MAP_FIXED).unwrap_err();
        assert_eq!(error, Refusal::Kernel(Errno::INVAL));
        let error = anonymous(1 << 63, 2 | MAP_FIXED).unwrap_err();
        assert_eq!(error, Refusal::Kernel(Errno::NOMEM));
    }
}
