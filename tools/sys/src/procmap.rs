// SPDX-License-Identifier: GPL-2.0

//! `PROCMAP_QUERY`: asks the kernel for one VMA, with details that `maps` lacks.

use crate::{Errno, Result};
use rustix::ioctl::{self, opcode, Updater};
use std::fs::File;
use std::ops::Range;

/// The kernel's description of a VMA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vma {
    /// Its addresses.
    pub range: Range<usize>,
    /// `PROCMAP_QUERY_VMA_*`: readable 1, writable 2, executable 4, shared 8.
    pub flags: u64,
    /// Size of the mapped object's pages, bytes.
    pub page_size: usize,
    /// Offset in the file, bytes.
    pub offset: u64,
    /// Inode of the file, 0 without a file.
    pub inode: u64,
    /// Name of the file or of the mapping, `None` for anonymous memory.
    pub name: Option<String>,
}

/// `struct procmap_query` of `linux/fs.h`.
#[repr(C)]
#[derive(Default)]
struct Query {
    size: u64,
    query_flags: u64,
    query_addr: u64,
    vma_start: u64,
    vma_end: u64,
    vma_flags: u64,
    vma_page_size: u64,
    vma_offset: u64,
    inode: u64,
    dev_major: u32,
    dev_minor: u32,
    vma_name_size: u32,
    build_id_size: u32,
    vma_name_addr: u64,
    build_id_addr: u64,
}

const _: () = assert!(size_of::<Query>() == 104);

/// Returns the VMA of this process that covers an address.
///
/// # Errors
///
/// Those of the calls: `ENOENT` when nothing is mapped there, `ENOTTY` from a kernel before 6.11.
pub fn query(address: usize) -> Result<Vma> {
    /// The longest possible name, a path.
    const NAME: usize = 4096;
    let maps = File::open("/proc/self/maps");
    let maps = maps.map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))?;
    let mut name = vec![0u8; NAME];
    let mut query = Query {
        size: size_of::<Query>() as u64,
        query_addr: address as u64,
        vma_name_size: NAME as u32,
        vma_name_addr: name.as_mut_ptr().expose_provenance() as u64,
        ..Query::default()
    };
    // SAFETY: The ioctl reads and writes a `struct procmap_query`, and at most `vma_name_size`
    // bytes of `name`.
    unsafe {
        let call = Updater::<{ opcode::read_write::<Query>(b'f', 17) }, Query>::new(&mut query);
        ioctl::ioctl(&maps, call)
    }?;
    // The size counts the zero at the end, and is 0 without a name.
    let len = (query.vma_name_size as usize).saturating_sub(1);
    let name = (len > 0).then(|| String::from_utf8_lossy(&name[..len]).into_owned());
    Ok(Vma {
        range: query.vma_start as usize..query.vma_end as usize,
        flags: query.vma_flags,
        page_size: query.vma_page_size as usize,
        offset: query.vma_offset,
        inode: query.inode,
        name,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_lies_in_an_executable_mapping_of_a_file() {
        let address = query as usize;
        match query(address) {
            Ok(vma) => {
                assert!(vma.range.contains(&address));
                assert_eq!((vma.flags, vma.page_size), (1 | 4, 4096));
                assert!(vma.inode != 0 && vma.name.is_some_and(|name| name.starts_with('/')));
            }
            // The kernel of this machine may be older than the interface.
            Err(e) => assert_eq!(e, Errno::NOTTY),
        }
    }

    #[test]
    fn nothing_is_mapped_at_zero() {
        assert!(matches!(query(0), Err(Errno::NOENT | Errno::NOTTY)));
    }
}
