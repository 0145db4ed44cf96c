// SPDX-License-Identifier: GPL-2.0

//! Copies the counters of the coverage kernel and of its modules out of the guest.
//!
//! The kernel's files are C; gcov exports their counters in debugfs. The module is Rust; its
//! counters are in a section of the module, which the guest reads from the kernel's memory.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{bail, Context, Result};
use object::elf::{FileHeader64, PT_LOAD};
use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, Object, ObjectSection, ReadCache};
use serde::{Deserialize, Serialize};

use crate::insmod;
use crate::plan::Setting;
use crate::profraw::{Profile, COUNTERS, DATA, NAMES};
use crate::protocol::GUEST_DIR;

const GCOV: &str = "/sys/kernel/debug/gcov";
const KCORE: &str = "/proc/kcore";

/// The code whose execution is counted.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Counted {
    /// The folder in which the kernel was built; gcov exports its counters below this path.
    pub kdir: PathBuf,
    /// The kernel's files, as `mm/mmap.c`.
    pub files: Vec<String>,
}

impl Counted {
    /// Sets the kernel's counters to 0, because code that ran at boot belongs to no test.
    pub fn reset(&self) -> Result<()> {
        let reset = Path::new(GCOV).join("reset");
        fs::write(&reset, "0").with_context(|| format!("cannot write {}", reset.display()))
    }

    /// Copies the kernel's counters to `folder`, as `gcov/mm/mmap.gcda`.
    pub fn save(&self, folder: &Path) -> Result<()> {
        let inside = self.kdir.strip_prefix("/").unwrap_or(&self.kdir);
        for file in &self.files {
            let file = Path::new(file).with_extension("gcda");
            let from = Path::new(GCOV).join(inside).join(&file);
            let to = folder.join("gcov").join(&file);
            fs::create_dir_all(to.parent().unwrap_or(folder))?;
            // These files report no size before they are read, so the code must not rely on it.
            let bytes =
                fs::read(&from).with_context(|| format!("cannot read {}", from.display()))?;
            fs::write(&to, bytes)?;
        }
        Ok(())
    }
}

/// The counters of a module over several loads of it.
pub struct ModuleCounters {
    name: String,
    sizes: [usize; 3],
    /// The counts of former loads when they were last read.
    former: Option<Profile>,
    /// The counts of the present load when they were last read.
    last: Option<Profile>,
}

impl ModuleCounters {
    /// Makes the counters of the module in `file`, which was compiled to count.
    pub fn new(file: &Path) -> Result<Self> {
        let bytes = fs::read(file)?;
        let elf = object::File::parse(&*bytes)
            .with_context(|| format!("{} is not a kernel module", file.display()))?;
        let size = |name| elf.section_by_name(name).map(|section| section.size());
        let sizes = [DATA, COUNTERS, NAMES].map(|name| size(name).unwrap_or(0) as usize);
        if sizes.contains(&0) {
            bail!("{} was not compiled to count", file.display());
        }
        Ok(Self {
            name: insmod::name(file),
            sizes,
            former: None,
            last: None,
        })
    }

    /// Reads the counters. A test may unload the module at any time, which loses them. So the guest
    /// calls this after each test, and a read that fails is no error.
    pub fn look(&mut self) {
        let Some(now) = self.read() else { return };
        let is_another_load = self.last.as_ref().is_some_and(|last| now.began_after(last));
        if is_another_load {
            self.keep_last();
        }
        self.last = Some(now);
    }

    /// Writes all counts to `folder`, as `module-mmap-never.profraw`.
    pub fn save(mut self, folder: &Path, setting: Setting) -> Result<()> {
        self.keep_last();
        let Some(profile) = self.former else {
            bail!("the counters of {} were never read", self.name);
        };
        let file = folder.join(format!("module-{}.profraw", setting.file_name()));
        Ok(fs::write(file, profile.to_raw())?)
    }

    fn keep_last(&mut self) {
        let Some(mut last) = self.last.take() else {
            return;
        };
        if let Some(former) = &self.former {
            last.add(former);
        }
        self.former = Some(last);
    }

    fn read(&self) -> Option<Profile> {
        let addresses = self.addresses()?;
        let mut parts = [DATA, COUNTERS, NAMES].map(|_| Vec::new());
        for (part, (address, size)) in parts.iter_mut().zip(addresses.iter().zip(self.sizes)) {
            *part = read_kernel(*address, size).ok()?;
        }
        // The module was unloaded meanwhile: the data may be anything.
        if self.addresses()? != addresses {
            return None;
        }
        let [data, counters, names] = parts;
        Profile::new(addresses, data, &counters, names)
    }

    /// Returns the addresses of the sections, while the module is loaded.
    fn addresses(&self) -> Option<[u64; 3]> {
        let mut addresses = [0; 3];
        for (address, section) in addresses.iter_mut().zip([DATA, COUNTERS, NAMES]) {
            let file = format!("/sys/module/{}/sections/{section}", self.name);
            let text = fs::read_to_string(file).ok()?;
            *address = u64::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok()?;
        }
        Some(addresses)
    }
}

/// Writes the counts of a module that is about to be unloaded, as `module-PID.profraw`.
pub fn save_present(module: &Path) -> Result<()> {
    if let Some(profile) = ModuleCounters::new(module)?.read() {
        let file = format!("{GUEST_DIR}/module-{}.profraw", std::process::id());
        fs::write(file, profile.to_raw())?;
    }
    Ok(())
}

/// Reads the kernel's memory.
fn read_kernel(address: u64, size: usize) -> Result<Vec<u8>> {
    let file = File::open(KCORE).context("cannot open /proc/kcore: is CONFIG_PROC_KCORE set?")?;
    let cache = ReadCache::new(file.try_clone()?);
    let header = FileHeader64::<Endianness>::parse(&cache)?;
    let endian = header.endian()?;
    for segment in header.program_headers(endian, &cache)? {
        let (start, length) = (segment.p_vaddr(endian), segment.p_memsz(endian));
        let is_here = segment.p_type(endian) == PT_LOAD
            && start <= address
            && address - start < length.saturating_sub(size as u64);
        if is_here {
            let mut bytes = vec![0; size];
            file.read_exact_at(&mut bytes, segment.p_offset(endian) + (address - start))?;
            return Ok(bytes);
        }
    }
    bail!("{KCORE} has nothing at {address:#x}")
}
