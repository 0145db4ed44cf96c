// SPDX-License-Identifier: GPL-2.0

//! A memory cgroup's limit: an error for the one who asks, not the OOM killer.

use crate::area::Area;
use crate::context::{Context, P};
use crate::outcome::{Result, Stop};
use crate::{cases, check, check_eq, check_err};
use rmmap_sys::rustix::io::pwrite;
use rmmap_sys::rustix::mm::{mlockall, Advice, MapFlags, MlockAllFlags};
use rmmap_sys::rustix::mount::{mount, MountFlags};
use rmmap_sys::{fork, End, Errno};
use std::fs;
use std::path::{Path, PathBuf};

cases! {
    Each memcg_limit_is_sigbus_on_touch [] "touching beyond the cgroup's limit: SIGBUS, no OOM kill, and memory is charged and given back";
    Each memcg_limit_is_enomem_on_populate [] "MADV_POPULATE_WRITE and write beyond the limit: ENOMEM; MAP_POPULATE succeeds partly";
}

/// The limit, bytes.
const LIMIT: usize = 16 << 20;

/// Pages that do not fit.
const PAGES: usize = 2 * LIMIT / P;

/// A memory cgroup with a limit; removed when dropped.
struct Cgroup(PathBuf);

impl Cgroup {
    /// Makes one, or tells why that is not possible here.
    fn new() -> Result<Self> {
        let top = top_folder()?;
        // What cannot be enabled is missing below, which the reason tells.
        let _ = fs::write(top.join("cgroup.subtree_control"), "+memory");
        let path = top.join(format!("rmmap-selftest-{}", std::process::id()));
        let skip = |e| Stop::skip(format_args!("cannot make a memory cgroup: {e}"));
        fs::create_dir(&path).map_err(skip)?;
        let group = Self(path);
        fs::write(group.0.join("memory.max"), LIMIT.to_string()).map_err(skip)?;
        Ok(group)
    }

    /// Moves the calling process into it.
    fn enter(&self) -> std::io::Result<()> {
        fs::write(self.0.join("cgroup.procs"), "0")
    }

    /// A number of one of its files, or of a line `name N` in it.
    fn number(&self, file: &str, name: &str) -> Result<u64> {
        let text = fs::read_to_string(self.0.join(file))?;
        let mut words = text
            .split_whitespace()
            .skip_while(|w| !name.is_empty() && *w != name);
        let word = if name.is_empty() {
            words.next()
        } else {
            words.nth(1)
        };
        let number = word.and_then(|w| w.parse().ok());
        number.ok_or_else(|| Stop::fail(format_args!("{file} has no number {name:?}: {text}")))
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // It is empty by now; if not, it stays, and its name says whose it is.
        let _ = fs::remove_dir(&self.0);
    }
}

/// Where cgroup2 is mounted; mounts it if it is not.
fn top_folder() -> Result<PathBuf> {
    let is_top = |path: &Path| path.join("cgroup.subtree_control").exists();
    for path in ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"] {
        if is_top(Path::new(path)) {
            return Ok(path.into());
        }
    }
    let path = PathBuf::from("/sys/fs/cgroup");
    let none = MountFlags::empty();
    match mount("cgroup2", &path, "cgroup2", none, None) {
        Ok(()) if is_top(&path) => Ok(path),
        Ok(()) => Err(Stop::skip("cgroup2 has no controllers here")),
        Err(e) => Err(Stop::skip(format_args!(
            "cgroup2 is not mounted and cannot be: {e}"
        ))),
    }
}

/// Runs `work` in a child in a cgroup and returns what it failed with.
///
/// In a full cgroup every other page that is needed is the end: one of the stack, one of the
/// program that was not read from its file yet. So all of the process is made resident before, and
/// `work` must free what it took before it does anything that takes memory.
fn in_cgroup(group: &Cgroup, work: impl FnOnce() -> Result) -> Result<Option<String>> {
    let mut child = fork(|channel| {
        let ready = mlockall(MlockAllFlags::CURRENT).map_err(Stop::from);
        let ready = ready.and_then(|()| Ok(group.enter()?));
        let result = ready.and_then(|()| work());
        let text = result.err().map(|e| format!("{e:?}")).unwrap_or_default();
        i32::from(channel.send(text.as_bytes()).is_err())
    })?;
    let text = child.channel().receive();
    check_eq!(
        child.wait()?,
        End::Exited(0),
        "the end of the process in the cgroup"
    );
    let text = String::from_utf8_lossy(&text?).into_owned();
    Ok(Some(text).filter(|text| !text.is_empty()))
}

/// Fails if the OOM killer was there, or the limit was not met at all.
fn check_events(group: &Cgroup) -> Result {
    check_eq!(group.number("memory.events", "oom_kill")?, 0);
    check!(
        group.number("memory.events", "max")? > 0,
        "the limit was never met"
    );
    Ok(())
}

fn memcg_limit_is_sigbus_on_touch(cx: &Context) -> Result {
    let group = Cgroup::new()?;
    let area = cx.area(PAGES)?;
    if !area.is_rmmap() {
        return Err(Stop::skip("memfd is charged as the OOM killer likes it"));
    }
    let failed = in_cgroup(&group, || {
        let m = area.map()?;
        let result = (0..PAGES)
            .map(|page| (page, m.touch_write(page, 1)))
            .find(|t| t.1.is_err());
        area.discard(0, PAGES)?;
        let Some((page, Err(fault))) = result else {
            return Err(Stop::fail("all pages were given beyond the limit"));
        };
        check!(fault.is_beyond_end(), "page {page}: {fault}");
        check_eq!(fault.address, m.address_of(page * P));
        check!(
            page > PAGES / 4,
            "the limit of {} pages was met at page {page}",
            LIMIT / P
        );
        // There is room again.
        m.touch_write(PAGES - 1, 1)?;
        Ok(())
    })?;
    check_eq!(failed, None);
    check_eq!(
        (area.held_pages()?, area.read((PAGES - 1) * P, 1)?[0]),
        (1, 1)
    );
    area.discard(0, PAGES)?;
    check_events(&group)?;
    let peak = group.number("memory.peak", "")? as usize;
    check!(
        (LIMIT - (1 << 20)..=LIMIT + P).contains(&peak),
        "at most {peak} bytes were charged"
    );
    let left = group.number("memory.current", "")?;
    check!(left < LIMIT as u64 / 4, "{left} bytes are still charged");
    Ok(())
}

fn memcg_limit_is_enomem_on_populate(cx: &Context) -> Result {
    let group = Cgroup::new()?;
    let area = cx.area(PAGES)?;
    if !area.is_rmmap() {
        return Err(Stop::skip("memfd is charged as the OOM killer likes it"));
    }
    let work = || -> Result {
        let m = area.map()?;
        let populate = m.advise(0, m.len(), Advice::LinuxPopulateWrite);
        area.discard(0, PAGES)?;
        check_err!(populate, Errno::NOMEM);

        let mapped = area.whole().flags(MapFlags::POPULATE).map(&area);
        let held = held_then_freed(&area)?;
        drop(mapped?);
        check!(
            held > PAGES / 4 && held < PAGES,
            "MAP_POPULATE made {held} of {PAGES} pages"
        );

        let chunk = [1; 16 * P];
        let mut offset = area.base();
        let result = loop {
            match pwrite(&area, &chunk, offset) {
                Ok(n) => offset += n as u64,
                Err(e) => break e,
            }
        };
        let written = (offset - area.base()) as usize / P;
        let held = held_then_freed(&area)?;
        check_eq!((result, written), (Errno::NOMEM, held));
        Ok(())
    };
    check_eq!(in_cgroup(&group, work)?, None);
    check_events(&group)
}

/// How many pages an area held, which it does not any more.
fn held_then_freed(area: &Area) -> Result<usize> {
    let held = area.held_pages();
    area.discard(0, area.pages())?;
    held
}
