// SPDX-License-Identifier: GPL-2.0

//! The files of both worlds, as the process sees them that compares them.

use crate::actor::{MEMFD, RMMAP, WORLDS};
use crate::episode::Setting;
use crate::model::{Kind, Model};
use crate::op::DESCS;
use crate::predict::Effects;
use anyhow::{Context, Result};
use rmmap_sys::rustix::fs::{self, MemfdFlags, OFlags};
use rmmap_sys::rustix::io::{pread, pwrite};
use rmmap_sys::uapi::{RmmapCounters, RMMAP_CREATE_ALLOW_SEALING};
use rmmap_sys::{Device, MapOptions, PAGE_SIZE};
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// How often everything is compared, in steps.
const EVERYTHING: usize = 256;

/// The most that is read at once to compare it, bytes.
const CHUNK: usize = 1 << 18;

/// A result of a comparison.
pub enum Checked {
    /// As it should be.
    Well,
    /// Which check failed, and how.
    Wrong(&'static str, String),
}

/// All files.
pub struct Files {
    /// The files, of both worlds.
    files: [Vec<Device>; WORLDS],
    /// Pages of an arena.
    pages: usize,
    /// The pipes that keep pages.
    held: [(OwnedFd, OwnedFd); WORLDS],
    /// The device; `None` where both worlds have memfds.
    device: Option<Device>,
    /// Memory that other users of the device hold, and their number.
    before: (u64, u64),
    /// The size of the device.
    pub capacity: u64,
}

/// Where a write begins that let a file grow.
#[derive(Clone, Copy, Debug)]
pub enum Begins {
    /// At this byte of the file.
    At(u64),
    /// This number of bytes before the new EOF: the descriptor may append.
    BeforeEnd(u64),
}

impl Files {
    /// Makes the files.
    pub fn new(setting: &Setting, with_memfds_only: bool) -> Result<Self> {
        let device = match with_memfds_only {
            true => None,
            false => Some(Device::open().context("cannot open /dev/rmmap: is the module loaded?")?),
        };
        let mut capacity = 0;
        let mut before = (0, 0);
        if let Some(device) = &device {
            capacity = device.info()?.capacity;
            device.discard(0, capacity)?;
            let info = device.info()?;
            before = (info.used_bytes, info.regions);
        }
        let mut files = [Vec::new(), Vec::new()];
        for (number, given) in setting.files.iter().enumerate() {
            let size = match (given.device, &device) {
                (true, Some(_)) => capacity,
                _ => given.size,
            };
            let own = match &device {
                None => memfd(number, size)?,
                Some(device) if given.device => {
                    device.set_policy(given.policy)?;
                    Device::open()?
                }
                Some(device) => {
                    let flags = (2 << given.policy) | RMMAP_CREATE_ALLOW_SEALING;
                    device.create(size, flags)?
                }
            };
            files[RMMAP].push(own);
            files[MEMFD].push(memfd(number, size)?);
        }
        Ok(Self {
            files,
            pages: setting.pages,
            held: [crate::actor::pipe()?, crate::actor::pipe()?],
            device,
            before,
            capacity,
        })
    }

    /// The descriptors of a world's files for a new actor.
    pub fn descriptors(&self, world: usize) -> Result<Vec<[Device; DESCS]>> {
        let all = |file: &Device| {
            let path = format!("/proc/self/fd/{}", file.as_fd().as_raw_fd());
            anyhow::Ok([
                Device::from(file.as_fd().try_clone_to_owned()?),
                Device::open_path(&path, OFlags::RDONLY)?,
                Device::open_path(&path, OFlags::RDWR)?,
            ])
        };
        self.files[world].iter().map(all).collect()
    }

    /// The pipe of a world that keeps pages.
    pub fn pipe(&self, world: usize) -> Result<(OwnedFd, OwnedFd)> {
        let (from, to) = &self.held[world];
        Ok((from.try_clone()?, to.try_clone()?))
    }

    /// Frees everything and tells what is left.
    pub fn end(self) -> Result<Option<String>> {
        let Self {
            files,
            held,
            device,
            before,
            capacity,
            ..
        } = self;
        drop((files, held));
        let Some(device) = device else {
            return Ok(None);
        };
        device.discard(0, capacity)?;
        let info = device.info()?;
        let after = (info.used_bytes, info.regions);
        Ok((after != before).then(|| {
            format!(
                "{} bytes in {} regions are left, it was {} in {}",
                after.0, after.1, before.0, before.1
            )
        }))
    }

    /// Zeroes in a memfd what mappings had stored past EOF, `before`, as the file grew by a write:
    /// rmmap does that, a memfd does not. Returns `false` where a seal prevents it.
    pub fn mend(&self, model: &Model, file: usize, before: u64, begins: Begins) -> Result<bool> {
        let end = before.next_multiple_of(PAGE_SIZE as u64);
        let mut worlds = vec![MEMFD];
        if model.only_memfds {
            worlds.push(RMMAP);
        }
        for world in worlds {
            let fd = &self.files[world][file];
            let size = fs::fstat(fd)?.st_size as u64;
            if size <= before || end <= before {
                continue;
            }
            if size < end {
                // It truncates to the size that the file has (shmem_setattr() in mm/shmem.c).
                fs::ftruncate(fd, size)?;
            }
            let from = match begins {
                Begins::At(from) => from,
                Begins::BeforeEnd(written) => size.saturating_sub(written),
            };
            let end = end.min(size).min(from);
            let zeroes = vec![0; end.saturating_sub(before) as usize];
            if !zeroes.is_empty() && pwrite(fd, &zeroes, before).is_err() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Zeroes in a memfd what mappings had stored past EOF, as a write to rmmap did that failed
    /// before the file grew.
    pub fn empty_tail(&self, file: usize) -> Result<()> {
        let fd = &self.files[MEMFD][file];
        // It truncates to the size that the file has (shmem_setattr() in mm/shmem.c).
        Ok(fs::ftruncate(fd, fs::fstat(fd)?.st_size as u64)?)
    }

    /// What `SEEK_DATA` or `SEEK_HOLE` has to say of a file of rmmap.
    pub fn seek(&self, model: &Model, file: usize, whence: u32, off: i64) -> Result<i64> {
        const ENXIO: i64 = -6;
        const DATA: u32 = 3;
        let fd = &self.files[RMMAP][file];
        let size = match self.device.is_some() {
            true => fd.info()?.size,
            false => fs::fstat(fd)?.st_size as u64,
        };
        let Ok(from) = u64::try_from(off) else {
            return Ok(ENXIO);
        };
        if from >= size {
            return Ok(ENXIO);
        }
        let resident = self.resident(model, file)?;
        let pages = size.div_ceil(PAGE_SIZE as u64) as usize;
        let first = (from / PAGE_SIZE as u64) as usize;
        let wanted = whence == DATA;
        let is = |page: usize| resident.get(page).copied().unwrap_or(false) == wanted;
        let found = (first..pages).find(|page| is(*page));
        Ok(match (found, wanted) {
            (Some(page), _) => (page as u64 * PAGE_SIZE as u64).max(from) as i64,
            (None, true) => ENXIO,
            (None, false) => size as i64,
        })
    }

    /// Which pages of a file of rmmap are in memory, up to the last that any operation can have
    /// added.
    fn resident(&self, model: &Model, file: usize) -> Result<Vec<bool>> {
        let of = &model.files[file];
        let pages = match of.kind {
            Kind::Device => of.size_pages(),
            Kind::Region => of.touched.len().max(of.size_pages()).max(self.pages) + 1,
        };
        let options = MapOptions::new(pages * PAGE_SIZE).private().read_only();
        let view = options.map(&self.files[RMMAP][file])?;
        Ok(view.mincore(0, view.len())?)
    }

    /// Compares after a step.
    pub fn check(&self, model: &mut Model, effects: &Effects, step: usize) -> Result<Checked> {
        for file in 0..model.files.len() {
            let learn = effects.learn.contains(&file);
            if !learn && step % EVERYTHING != 0 {
                continue;
            }
            if let Some(wrong) = self.compare_whole(model, file, learn)? {
                return Ok(wrong);
            }
        }
        for (file, off, len) in &effects.check {
            if let Some(wrong) = self.compare(model, *file, *off, *len)? {
                return Ok(wrong);
            }
        }
        if let Some(wrong) = self.accounts(model, effects)? {
            return Ok(wrong);
        }
        Ok(Checked::Well)
    }

    /// Compares everything.
    pub fn check_all(&self, model: &mut Model) -> Result<Checked> {
        self.check(model, &Effects::default(), 0)
    }

    fn compare_whole(
        &self,
        model: &mut Model,
        file: usize,
        learn: bool,
    ) -> Result<Option<Checked>> {
        if !learn {
            let len = model.files[file].size as usize + 1;
            return self.compare(model, file, 0, len);
        }
        let size = fs::fstat(&self.files[MEMFD][file])?.st_size as usize;
        let bytes = [RMMAP, MEMFD].map(|world| read(&self.files[world][file], 0, size + 1));
        let [own, other] = bytes;
        let (own, other) = (own?, other?);
        if own != other {
            return Ok(Some(differs(file, 0, "rmmap", &own, "memfd", &other)));
        }
        model.learn(file, &other);
        Ok(None)
    }

    /// Compares bytes of a file with the model, in both worlds.
    fn compare(&self, model: &Model, file: usize, off: u64, len: usize) -> Result<Option<Checked>> {
        let mut done = 0;
        while done < len {
            let n = CHUNK.min(len - done);
            let from = off + done as u64;
            let expected = &model.files[file];
            let expected = expected.bytes(from, expected.readable(from, n));
            for (world, name) in [(RMMAP, "rmmap"), (MEMFD, "memfd")] {
                let got = read(&self.files[world][file], from, n)?;
                if got != expected {
                    return Ok(Some(differs(file, from, name, &got, "model", &expected)));
                }
            }
            done += n;
        }
        Ok(None)
    }

    /// Compares sizes, residency and counters.
    fn accounts(&self, model: &Model, effects: &Effects) -> Result<Option<Checked>> {
        let mut held = 0;
        for (number, file) in model.files.iter().enumerate() {
            let wrong = |text: String| Some(Checked::Wrong("accounts", text));
            let size = fs::fstat(&self.files[MEMFD][number])?.st_size as u64;
            if size != file.size {
                return Ok(wrong(format!(
                    "memfd {number} has {size} bytes, in the model {}",
                    file.size
                )));
            }
            let own = &self.files[RMMAP][number];
            if self.device.is_none() {
                let size = fs::fstat(own)?.st_size as u64;
                if size != file.size {
                    let text = format!("file {number} has {size} bytes, not {}", file.size);
                    return Ok(wrong(text));
                }
                continue;
            }
            let info = own.info()?;
            if info.size != file.size {
                return Ok(wrong(format!(
                    "file {number} of rmmap has {} bytes, in the model {}",
                    info.size, file.size
                )));
            }
            held += info.resident;
            if file.kind == Kind::Region {
                let stat = fs::fstat(own)?;
                let (size, blocks) = (stat.st_size as u64, stat.st_blocks as u64 * 512);
                if size != file.size || blocks != info.resident {
                    return Ok(wrong(format!(
                        "file {number} has {size} bytes and {blocks} in blocks, {} and {} by ioctl",
                        info.size, info.resident
                    )));
                }
            }
            if !touched(effects, number) {
                continue;
            }
            let counters = own.stats()?.region;
            let added = added(&counters);
            if added - counters.discarded != info.resident {
                return Ok(wrong(format!(
                    "file {number}: {added} bytes were added, {} discarded, but {} are there",
                    counters.discarded, info.resident
                )));
            }
            let faults = counters.fault_read + counters.fault_write + counters.fault_cow;
            let answers = counters.answer_cached
                + counters.answer_new
                + counters.answer_zero
                + counters.answer_sigbus
                + counters.answer_oom
                + counters.answer_retry;
            if faults != answers {
                return Ok(wrong(format!(
                    "file {number}: {faults} faults, {answers} answers"
                )));
            }
            if let Some(text) = self.residency(model, number, effects, info.resident)? {
                return Ok(Some(Checked::Wrong("residency", text)));
            }
        }
        let Some(device) = &self.device else {
            return Ok(None);
        };
        let info = device.info()?;
        if model.files.iter().all(|file| file.kind == Kind::Region) {
            held += self.before.0;
        }
        Ok((info.used_bytes != held).then(|| {
            let text = format!("{} bytes are charged, {held} are there", info.used_bytes);
            Checked::Wrong("accounts", text)
        }))
    }

    /// Compares which pages are resident.
    fn residency(
        &self,
        model: &Model,
        number: usize,
        effects: &Effects,
        bytes: u64,
    ) -> Result<Option<String>> {
        let file = &model.files[number];
        let resident = self.resident(model, number)?;
        let is = |page: usize| resident.get(page).copied();
        let count = resident.iter().filter(|is| **is).count() as u64 * PAGE_SIZE as u64;
        if count != bytes {
            return Ok(Some(format!(
                "mincore finds {count} bytes, the device counts {bytes}"
            )));
        }
        for (page, touched) in file.touched.iter().enumerate() {
            if *touched && is(page) == Some(false) {
                return Ok(Some(format!(
                    "page {page} of file {number} is not in memory"
                )));
            }
        }
        for (which, pages) in &effects.absent {
            let range: Range<usize> = pages.start..pages.end.min(resident.len());
            // A hole leaves pages of a large folio that a pipe holds, a truncation does not.
            if *which != number || (file.held && pages.end != usize::MAX) {
                continue;
            }
            // A page may be mapped twice in a range, and be filled again.
            let filled = |page: usize| file.touched.get(page).copied().unwrap_or(false);
            for page in range {
                if is(page) == Some(true) && !filled(page) {
                    return Ok(Some(format!(
                        "page {page} of file {number} is still in memory"
                    )));
                }
            }
        }
        Ok(None)
    }
}

/// Whether an operation was about a file.
fn touched(effects: &Effects, file: usize) -> bool {
    effects.learn.contains(&file)
        || effects.check.iter().any(|(which, ..)| *which == file)
        || effects.absent.iter().any(|(which, _)| *which == file)
}

/// The bytes of all folios that were added.
fn added(counters: &RmmapCounters) -> u64 {
    let bytes = |(order, n): (usize, &u64)| (n << order) * PAGE_SIZE as u64;
    counters.folios.iter().enumerate().map(bytes).sum()
}

/// A memfd of this size.
fn memfd(number: usize, size: u64) -> Result<Device> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let fd = fs::memfd_create(format!("fuzz-{number}"), flags)?;
    fs::ftruncate(&fd, size)?;
    Ok(Device::from(fd))
}

/// Reads up to `len` bytes.
fn read(fd: &Device, off: u64, len: usize) -> Result<Vec<u8>> {
    let mut buffer = vec![0; len];
    let mut done = 0;
    while done < len {
        match pread(fd, &mut buffer[done..], off + done as u64)? {
            0 => break,
            n => done += n,
        }
    }
    buffer.truncate(done);
    Ok(buffer)
}

fn differs(file: usize, off: u64, a: &str, one: &[u8], b: &str, two: &[u8]) -> Checked {
    let at = one.iter().zip(two).position(|(x, y)| x != y);
    let at = at.unwrap_or(one.len().min(two.len()));
    let show = |bytes: &[u8]| {
        let end = bytes.len().min(at + 8);
        format!("{:02x?}", &bytes[at.min(end)..end])
    };
    let text = format!(
        "byte {:#x} of file {file}: {a} has {} ({} bytes), {b} has {} ({} bytes)",
        off + at as u64,
        show(one),
        one.len(),
        show(two),
        two.len()
    );
    Checked::Wrong("bytes", text)
}
