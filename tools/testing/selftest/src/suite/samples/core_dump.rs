// SPDX-License-Identifier: GPL-2.0

//! Core dumps of this process, and their contents for a mapping.

use crate::context::Context;
use crate::folder::Folder;
use crate::outcome::{Result, Stop};
use crate::{check, check_eq};
use elf::abi::PT_LOAD;
use elf::endian::NativeEndian;
use elf::ElfBytes;
use rmmap_sys::rustix::process::{getpid, kill_process, setrlimit, Resource, Rlimit, Signal};
use rmmap_sys::rustix::thread::CapabilitySet;
use rmmap_sys::{fork, End};
use std::fs;
use std::path::Path;

/// The contents of a core file.
#[derive(Debug)]
pub struct Dump(Vec<u8>);

impl Dump {
    /// Returns the bytes of the VMA that begins at `address`: none if the dump has its size only.
    /// Fails if the dump lacks the VMA.
    #[track_caller]
    pub fn bytes_of(&self, address: usize) -> Result<&[u8]> {
        let bad = |e| Stop::fail(format_args!("the core file cannot be read: {e}"));
        let file = ElfBytes::<NativeEndian>::minimal_parse(&self.0).map_err(bad)?;
        let segments = file.segments().into_iter().flatten();
        let mut of_vma = segments.filter(|s| s.p_type == PT_LOAD && s.p_vaddr == address as u64);
        let Some(segment) = of_vma.next() else {
            return Err(Stop::fail(format_args!("no segment of {address:#x}")));
        };
        file.segment_data(&segment).map_err(bad)
    }
}

/// The kernel's `core_pattern`, restored on drop.
struct Pattern(String);

const PATTERN: &str = "/proc/sys/kernel/core_pattern";

impl Pattern {
    fn set(path: &Path) -> Result<Self> {
        let before = Self(fs::read_to_string(PATTERN)?);
        fs::write(PATTERN, path.as_os_str().as_encoded_bytes())?;
        Ok(before)
    }
}

impl Drop for Pattern {
    fn drop(&mut self) {
        if let Err(e) = fs::write(PATTERN, &self.0) {
            eprintln!("rmmap: cannot restore {PATTERN} to {:?}: {e}", self.0);
        }
    }
}

/// Forks a child that dumps core, with this `coredump_filter`.
pub fn dump(cx: &Context, filter: u32) -> Result<Dump> {
    cx.needs(CapabilitySet::SYS_ADMIN, "CAP_SYS_ADMIN")?;
    let folder = Folder::new("core")?;
    let pattern = Pattern::set(&folder.path().join("core"))?;
    let mut child = fork(|_| die(filter).map_or(1, |()| 2))?;
    let end = child.wait()?;
    drop(pattern);
    check_eq!(end, End::Killed(Signal::QUIT.as_raw()));
    // The kernel may add the process id to the name (`core_uses_pid`).
    let mut files = fs::read_dir(folder.path())?;
    let file = files
        .next()
        .ok_or_else(|| Stop::fail("no core was dumped"))?;
    let bytes = fs::read(file?.path())?;
    check!(!bytes.is_empty(), "the core file is empty");
    Ok(Dump(bytes))
}

/// Dies with a core dump.
fn die(filter: u32) -> std::io::Result<()> {
    fs::write("/proc/self/coredump_filter", format!("{filter:#x}"))?;
    let unlimited = Rlimit {
        current: None,
        maximum: None,
    };
    setrlimit(Resource::Core, unlimited)?;
    kill_process(getpid(), Signal::QUIT)?;
    Ok(())
}
