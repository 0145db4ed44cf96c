// SPDX-License-Identifier: GPL-2.0

//! mmap_region() inserts the breakpoints of uprobes into mapped code.

use crate::context::{Context, P};
use crate::outcome::{Result, Stop};
use crate::view::{check_flags, kb, smap};
use crate::{cases, check_eq, tracing};
use rmmap_sys::rustix::fs::{memfd_create, MemfdFlags};
use rmmap_sys::rustix::io::pwrite;
use rmmap_sys::rustix::mm::ProtFlags;
use rmmap_sys::uapi::RMMAP_DEVICE;
use rmmap_sys::{Errno, MapOptions};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

cases! {
    Rmmap uprobes_enter_private_code ["MR-38"] "control: a uprobe is in a private r-x mapping at once, in no shared or writable one; one on the device is EINVAL";
}

/// `int3`: the breakpoint of a uprobe.
const BREAKPOINT: u8 = match cfg!(target_arch = "x86_64") {
    true => 0xcc,
    false => 0xa0,
};

/// `nop`: the original instruction.
const NOP: u8 = 0x90;

/// Offset of the probe: `touch_read` loads the page's first byte.
const PAGE: usize = 1;

/// An enabled uprobe, removed on drop.
struct Uprobe {
    tracing: PathBuf,
    name: String,
}

impl Uprobe {
    /// Creates one at an offset of a file.
    fn new(tracing: &Path, file: &str, offset: usize) -> std::io::Result<Self> {
        let name = format!("rmmap_selftest/row_{}", std::process::id());
        let probe = Self {
            tracing: tracing.to_owned(),
            name,
        };
        probe.command(&format!("p:{} {file}:{offset:#x}", probe.name))?;
        probe.switch("1")?;
        Ok(probe)
    }

    fn command(&self, line: &str) -> std::io::Result<()> {
        let path = self.tracing.join("uprobe_events");
        let mut file = OpenOptions::new().append(true).open(path)?;
        file.write_all(format!("{line}\n").as_bytes())
    }

    fn switch(&self, value: &str) -> std::io::Result<()> {
        fs::write(
            self.tracing.join("events").join(&self.name).join("enable"),
            value,
        )
    }
}

impl Drop for Uprobe {
    fn drop(&mut self) {
        // A probe that was not created needs no removal.
        let _ = self.switch("0");
        let _ = self.command(&format!("-:{}", self.name));
    }
}

fn uprobes_enter_private_code(_: &Context) -> Result {
    let tracing = tracing::folder("uprobe_events", "UPROBE_EVENTS")?;
    let file = memfd_create("rmmap-selftest", MemfdFlags::CLOEXEC)?;
    check_eq!(pwrite(&file, &[NOP; 2 * P], 0)?, 2 * P);
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let code = MapOptions::new(2 * P).prot(ProtFlags::READ | ProtFlags::EXEC);
    let early = code.private().map(&file)?;

    let probe = Uprobe::new(&tracing, &path, PAGE * P)?;
    check_eq!(
        early.touch_read(PAGE)?,
        BREAKPOINT,
        "code that was mapped before"
    );
    let private = code.private().map(&file)?;
    let anonymous = smap(&private)?.kb("Anonymous");
    check_eq!(
        anonymous,
        kb(1),
        "kB of {path} that mmap copied for the breakpoint"
    );
    check_eq!(
        (private.touch_read(PAGE)?, private.touch_read(0)?),
        (BREAKPOINT, NOP)
    );
    let shared = code.map(&file)?;
    check_flags(&shared, &["ex", "sh"], &["wr"])?;
    check_eq!(shared.touch_read(PAGE)?, NOP, "shared code");
    let all = ProtFlags::READ | ProtFlags::WRITE | ProtFlags::EXEC;
    let writable = code.prot(all).private().map(&file)?;
    check_eq!(writable.touch_read(PAGE)?, NOP, "private writable code");
    let data = code.prot(ProtFlags::READ).private().map(&file)?;
    check_eq!(
        data.touch_read(PAGE)?,
        BREAKPOINT,
        "a mapping that may become executable"
    );

    drop(probe);
    check_eq!(
        code.private().map(&file)?.touch_read(PAGE)?,
        NOP,
        "code after the probe"
    );
    check_eq!(
        private.touch_read(PAGE)?,
        NOP,
        "code that was mapped with the probe"
    );

    let Err(e) = Uprobe::new(&tracing, RMMAP_DEVICE, 0) else {
        return Err(Stop::fail("a uprobe on the device is accepted"));
    };
    check_eq!(e.raw_os_error(), Some(Errno::INVAL.raw_os_error()));
    Ok(())
}
