// SPDX-License-Identifier: GPL-2.0

//! The kernel calls the hooks of security modules for a region as for a memfd; khugepaged leaves
//! regions alone.

use crate::context::{needs_large_folios, Context, P, PMD};
use crate::outcome::{Result, Stop};
use crate::tracing::folder;
use crate::undo::Undo;
use crate::view::smap;
use crate::{cases, check, check_eq, check_err};
use rmmap_sys::rustix::fs::{fchmod, fchown, memfd_create, MemfdFlags, Mode};
use rmmap_sys::rustix::mm::Advice;
use rmmap_sys::rustix::process::Uid;
use rmmap_sys::uapi::{RMMAP_CREATE_EXEC, RMMAP_CREATE_NEVER, RMMAP_CREATE_NOEXEC};
use rmmap_sys::{Device, Errno, MapOptions, Mapping};
use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

cases! {
    Rmmap security_modules_are_asked [] "fchmod and fchown of a region call the security modules, as those of a memfd do (S_PRIVATE is not set)";
    Rmmap khugepaged_leaves_regions_alone [] "MADV_COLLAPSE makes no huge page of a region's pages, with MADV_HUGEPAGE either";
}

/// Probes at hooks of AppArmor, Debian's security module: the kernel calls them for each file that
/// is not private (`IS_PRIVATE()` in security/security.c).
struct Probes {
    instance: PathBuf,
    _undo: Undo,
}

/// The event group of the probes.
const GROUP: &str = "rmmap_lsm";
/// System calls, and the hooks that the kernel calls for them.
const HOOKS: [(&str, &str); 2] = [
    ("chmod", "apparmor_path_chmod"),
    ("chown", "apparmor_path_chown"),
];

impl Probes {
    fn new() -> Result<Self> {
        let path = Path::new("/sys/kernel/security");
        if !path.exists() {
            return Err(Stop::skip("this kernel has no securityfs"));
        }
        let modules = fs::read_to_string(path.join("lsm")).or_else(|_| {
            let options = rmmap_sys::rustix::mount::MountFlags::empty();
            rmmap_sys::rustix::mount::mount("securityfs", path, "securityfs", options, None)?;
            fs::read_to_string(path.join("lsm"))
        })?;
        if !modules.split(',').any(|module| module.trim() == "apparmor") {
            return Err(Stop::skip(format_args!("no AppArmor, only {modules}")));
        }
        let tracing = folder("kprobe_events", "KPROBE_EVENTS")?;
        let instance = tracing.join("instances").join(GROUP);
        let (end, events) = (instance.clone(), tracing.join("kprobe_events"));
        let undo = Undo::new(move || {
            let _ = fs::write(end.join("events").join(GROUP).join("enable"), "0");
            let _ = fs::remove_dir(&end);
            for (name, _) in HOOKS {
                let _ = append(&events, &format!("-:{GROUP}/{name}"));
            }
        })?;
        for (name, hook) in HOOKS {
            append(
                &tracing.join("kprobe_events"),
                &format!("p:{GROUP}/{name} {hook}"),
            )?;
        }
        fs::create_dir(&instance)?;
        let probes = Self {
            instance,
            _undo: undo,
        };
        probes.set("set_event_pid", &std::process::id().to_string())?;
        probes.set(&format!("events/{GROUP}/enable"), "1")?;
        Ok(probes)
    }

    fn set(&self, file: &str, value: &str) -> Result {
        Ok(fs::write(self.instance.join(file), value)?)
    }

    /// Returns the hooks that the kernel calls during `f`.
    fn asked(&self, f: impl FnOnce() -> Result) -> Result<Vec<&'static str>> {
        self.set("trace", "")?;
        f()?;
        let trace = fs::read_to_string(self.instance.join("trace"))?;
        let seen = |name: &str| trace.contains(&format!(": {name}: "));
        Ok(HOOKS
            .map(|hook| hook.0)
            .into_iter()
            .filter(|name| seen(name))
            .collect())
    }
}

/// Appends a line to a file that takes commands.
fn append(path: &Path, line: &str) -> std::io::Result<()> {
    use std::io::Write;
    let mut file = fs::OpenOptions::new().append(true).open(path)?;
    file.write_all(line.as_bytes())
}

/// Returns the hooks that the kernel calls for system calls on a file.
fn asked_about(probes: &Probes, file: impl AsFd) -> Result<Vec<&'static str>> {
    probes.asked(|| {
        fchmod(&file, Mode::RUSR | Mode::WUSR)?;
        Ok(fchown(&file, Some(Uid::ROOT), None)?)
    })
}

fn security_modules_are_asked(cx: &Context) -> Result {
    let probes = Probes::new()?;
    let memfd = memfd_create("rmmap-selftest", MemfdFlags::CLOEXEC)?;
    let all = HOOKS.map(|hook| hook.0);
    check_eq!(asked_about(&probes, &memfd)?, all, "for a memfd");
    let region: Device = cx.device()?.create(P as u64, 0)?;
    check_eq!(asked_about(&probes, &region)?, all, "for a region");
    Ok(())
}

/// Returns `THPeligible` of the first VMA of a mapping (smaps).
fn eligible(m: &Mapping) -> Result<String> {
    let smaps = fs::read_to_string("/proc/self/smaps")?;
    let start = format!("{:x}-", m.address());
    let mut lines = smaps.lines().skip_while(|line| !line.starts_with(&start));
    lines
        .find_map(|line| Some(line.strip_prefix("THPeligible:")?.trim().to_owned()))
        .ok_or_else(|| Stop::fail("smaps has no THPeligible for the mapping"))
}

fn khugepaged_leaves_regions_alone(cx: &Context) -> Result {
    needs_large_folios()?;
    // The setting allows huge pages on request, or everywhere.
    let setting = fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled")?;
    check!(!setting.contains("[never]"), "THP is {setting}");
    let anonymous = MapOptions::new(2 * PMD).private().map_anonymous()?;
    anonymous.advise(0, 2 * PMD, Advice::LinuxHugepage)?;
    check_eq!(eligible(&anonymous)?, "1", "of anonymous memory");
    let device = cx.device()?;
    let region = device.create(2 * PMD as u64, RMMAP_CREATE_NOEXEC)?;
    let m = MapOptions::new(2 * PMD).map(&region)?;
    m.advise(0, 2 * PMD, Advice::LinuxHugepage)?;
    // smaps counts every mapping with huge_fault as eligible (vma_can_map_huge_file()); only
    // MADV_COLLAPSE shows whether khugepaged may collapse it.
    check_eq!(eligible(&m)?, "1", "of a region");
    check_err!(m.collapse(0, 2 * PMD), Errno::INVAL);
    // khugepaged scans an executable file and skips it: its pages are dirty.
    let region = device.create(2 * PMD as u64, RMMAP_CREATE_EXEC | RMMAP_CREATE_NEVER)?;
    let m = MapOptions::new(2 * PMD).map(&region)?;
    m.advise(0, 2 * PMD, Advice::LinuxHugepage)?;
    (0..2 * PMD / P).try_for_each(|page| m.touch_write(page, 1))?;
    check_err!(m.collapse(0, 2 * PMD), Errno::AGAIN);
    check_eq!(smap(&m)?.kb("FilePmdMapped"), 0);
    Ok(())
}
