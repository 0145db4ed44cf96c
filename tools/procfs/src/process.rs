// SPDX-License-Identifier: GPL-2.0

//! The process whose files are read.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{maps, smaps, Error, Fields, Map, PageMap, Smap};

/// A process, by its folder in `/proc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Process {
    /// The calling process.
    Myself,
    /// The process with this id.
    Pid(i32),
}

impl Process {
    /// Returns the path of the file `name` of this process.
    pub fn path(self, name: &str) -> PathBuf {
        match self {
            Process::Myself => Path::new("/proc/self").join(name),
            Process::Pid(pid) => PathBuf::from(format!("/proc/{pid}/{name}")),
        }
    }

    /// Reads `status`: sizes of the process, for example `VmLck`.
    pub fn status(self) -> Result<Fields, Error> {
        let path = self.path("status");
        Ok(Fields::parse(&read(&path)?))
    }

    /// Reads `maps`: the mappings in the order of their addresses.
    pub fn maps(self) -> Result<Vec<Map>, Error> {
        let path = self.path("maps");
        maps::parse(&read(&path)?).map_err(|bad| bad.in_file(path))
    }

    /// Reads `smaps`: the mappings with the memory of each.
    pub fn smaps(self) -> Result<Vec<Smap>, Error> {
        let path = self.path("smaps");
        smaps::parse(&read(&path)?).map_err(|bad| bad.in_file(path))
    }

    /// Returns the entry of `smaps` for the mapping that contains `addr`.
    pub fn smap_at(self, addr: usize) -> Result<Smap, Error> {
        self.smaps()?
            .into_iter()
            .find(|smap| smap.map.range.contains(&addr))
            .ok_or_else(|| Error::NoMapping {
                path: self.path("smaps"),
                addr,
            })
    }

    /// Opens `pagemap`: one word for each page of the address space.
    pub fn pagemap(self) -> Result<PageMap, Error> {
        PageMap::open(self.path("pagemap"))
    }
}

/// Reads `/proc/meminfo`: the whole machine's memory, for example `Unevictable`.
pub fn meminfo() -> Result<Fields, Error> {
    Ok(Fields::parse(&read(Path::new("/proc/meminfo"))?))
}

/// Reads `/proc/vmstat`: counters of the memory management, for example `nr_file_pages`.
pub fn vmstat() -> Result<Fields, Error> {
    Ok(Fields::parse(&read(Path::new("/proc/vmstat"))?))
}

/// Reads a whole file; an error names it.
fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|source| read_error(path, source))
}

/// Makes an error that names the file that could not be read.
pub(crate) fn read_error(path: &Path, errno: io::Error) -> Error {
    Error::Read {
        path: path.to_owned(),
        errno,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_a_process() {
        assert_eq!(
            Process::Myself.path("maps"),
            PathBuf::from("/proc/self/maps")
        );
        assert_eq!(
            Process::Pid(7).path("smaps"),
            PathBuf::from("/proc/7/smaps")
        );
    }

    #[test]
    fn own_files_are_understood() {
        let me = Process::Myself;
        assert!(me.status().unwrap().get("VmRSS").unwrap() > 0);
        assert!(meminfo().unwrap().get("MemTotal").unwrap() > 0);
        assert!(vmstat().unwrap().get("nr_file_pages").is_some());

        // A value on the heap lies in a readable, writable and private mapping.
        let value = Box::new(0u8);
        let addr = &raw const *value as usize;
        let smap = me.smap_at(addr).unwrap();
        assert_eq!(smap.map.perms, "rw-p");
        assert!(smap.vm_flags.has("wr"));
        assert_eq!(me.pagemap().unwrap().resident(addr, 1).unwrap(), 1);
    }

    #[test]
    fn a_missing_process_is_named_with_a_remedy() {
        let text = Process::Pid(i32::MAX).maps().unwrap_err().to_string();
        assert!(text.contains("/proc/2147483647/maps"), "{text}");
        assert!(text.contains("does the process still run?"), "{text}");
    }

    #[test]
    fn no_mapping_at_page_zero() {
        assert!(matches!(
            Process::Myself.smap_at(0),
            Err(Error::NoMapping { addr: 0, .. })
        ));
    }
}
