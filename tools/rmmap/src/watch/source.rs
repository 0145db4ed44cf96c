// SPDX-License-Identifier: GPL-2.0

//! The source of samples: the mapping of a process, or an object.

use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use anyhow::{bail, Context};
use rmmap_procfs::{Frames, Map, Process, Smap};
use rmmap_sys::{Device, MapOptions, Mapping, PAGE_SIZE};

use super::snapshot::{Page, Snapshot};
use crate::map::state::{maps_line, pages_of, HUGE};

/// The number of frames whose flags are read for one sample. More would make a sample slow.
const FRAMES: usize = 1 << 16;

/// The longest part of an object that is sampled: 16 GiB.
const LONGEST: u64 = 16 << 30;

/// The watched mapping or object.
#[derive(Debug)]
pub enum Source {
    /// The mapping of a process that contains this address.
    Mapping {
        /// The process.
        process: Process,
        /// The address.
        address: usize,
        /// Flags of page frames, if this user may read them.
        frames: Option<Frames>,
    },
    /// The pages that an object holds.
    Object {
        /// Its name.
        name: String,
        /// A mapping of it that nobody touches.
        mapping: Mapping,
    },
}

impl Source {
    /// Finds a mapping of the process `pid`: the one with `address`, or the only one of rmmap.
    pub fn process(pid: i32, address: Option<usize>) -> anyhow::Result<Self> {
        let process = Process::Pid(pid);
        let address = match address {
            Some(address) => address,
            None => only_one(pid, &process.maps()?)?,
        };
        Ok(Self::Mapping {
            process,
            address,
            frames: Frames::open().ok(),
        })
    }

    /// Opens the object of a path: the device, a region (`/proc/PID/fd/N`), a file.
    pub fn object(path: &PathBuf) -> anyhow::Result<Self> {
        let named = || format!("cannot open {}", path.display());
        // mincore(2) hides the page cache from a caller that may not write to the file.
        let file = OpenOptions::new().read(true).write(true).open(path);
        let file = match file {
            Ok(file) => file,
            Err(_) => File::open(path).with_context(named)?,
        };
        let size = size_of_object(&file).with_context(named)?;
        if size == 0 {
            bail!(
                "{} is empty, or has no size: it holds no pages to watch",
                path.display()
            );
        }
        let length = size.min(LONGEST) as usize;
        let mapping = MapOptions::new(length)
            .read_only()
            .map(&file)
            .with_context(|| format!("cannot map {}", path.display()))?;
        let name = match size > LONGEST {
            true => format!("the first {LONGEST} bytes of {}", path.display()),
            false => path.display().to_string(),
        };
        Ok(Self::Object { name, mapping })
    }

    /// Takes a sample; returns `None` if the mapping or process no longer exists.
    pub fn look(&self) -> anyhow::Result<Option<Snapshot>> {
        match self {
            Self::Object { name, mapping } => {
                let held = mapping
                    .mincore(0, mapping.len())
                    .context("mincore failed")?;
                Ok(Some(Snapshot {
                    title: name.clone(),
                    pages: held
                        .iter()
                        .map(|held| Page(0).with(Page::HELD, *held))
                        .collect(),
                    ..Snapshot::default()
                }))
            }
            Self::Mapping {
                process,
                address,
                frames,
            } => {
                let smaps = match process.smaps() {
                    Ok(smaps) => smaps,
                    // A process that has ended has no such file; that of an exiting one is empty.
                    Err(_) if !process.path("stat").exists() => return Ok(None),
                    Err(error) => return Err(error.into()),
                };
                let found = smaps.iter().find(|smap| smap.map.range.contains(address));
                found
                    .map(|smap| look_at(*process, smap, frames.as_ref()))
                    .transpose()
            }
        }
    }
}

/// Returns the size of the device or of a file.
fn size_of_object(file: &File) -> anyhow::Result<u64> {
    let device = Device::from(OwnedFd::from(file.try_clone()?));
    match device.info() {
        Ok(info) => Ok(info.size),
        Err(_) => Ok(rmmap_sys::rustix::fs::fstat(file.as_fd())?.st_size as u64),
    }
}

/// Returns the address of the only mapping of rmmap's.
fn only_one(pid: i32, maps: &[Map]) -> anyhow::Result<usize> {
    let is_ours = |map: &&Map| {
        map.name
            .as_deref()
            .is_some_and(|name| name.contains("rmmap"))
    };
    // The program `rmmap` itself is mapped from a file of that name.
    let ours = maps
        .iter()
        .filter(is_ours)
        .filter(|map| !map.perms.contains('x') && !is_program(maps, map));
    let ours: Vec<_> = ours.collect();
    match ours[..] {
        [one] => Ok(one.range.start),
        [] => bail!(
            "process {pid} maps neither /dev/rmmap nor a region: choose another mapping with --address; \
             /proc/{pid}/maps lists them"
        ),
        _ => {
            let lines: Vec<_> = ours
                .iter()
                .map(|map| format!("\n  {}", maps_line(map)))
                .collect();
            bail!(
                "process {pid} has {} mappings of /dev/rmmap or regions: choose one with --address:{}",
                ours.len(),
                lines.concat()
            )
        }
    }
}

/// Returns whether the file of a mapping is also mapped executable: then it is a program.
fn is_program(maps: &[Map], map: &Map) -> bool {
    maps.iter()
        .any(|other| other.name == map.name && other.perms.contains('x'))
}

fn look_at(process: Process, smap: &Smap, frames: Option<&Frames>) -> anyhow::Result<Snapshot> {
    let range = &smap.map.range;
    let count = range.len() / PAGE_SIZE;
    let entries = process.pagemap()?.pages(range.start, count)?;
    let resident: Vec<_> = entries.iter().filter(|entry| entry.is_present()).collect();
    let pfns: Vec<u64> = resident.iter().map(|entry| entry.pfn()).collect();
    let dirty = pages_of(smap, &["Shared_Dirty", "Private_Dirty"]) as usize;
    let (flags, note) = match frames {
        None => (None, Some("only root sees the flags of page frames")),
        Some(_) if pfns.contains(&0) => (None, Some("the numbers of page frames are hidden")),
        Some(_) if pfns.len() > FRAMES => (
            None,
            Some("too many pages to look at each page frame's flags"),
        ),
        Some(frames) => (Some(frames.flags(&pfns)?), None),
    };
    let (locks, is_huge) = (&smap.vm_flags, all_huge(smap, resident.len()));
    // The mapping's flags show a page that was locked before it was touched, also with `lf`.
    let is_locked = locks.has("lo");
    let mut next = 0;
    let pages = entries.iter().map(|entry| {
        let page = Page(0).with(Page::SWAPPED, entry.is_swapped());
        if !entry.is_present() {
            return page;
        }
        let frame = flags.as_ref().and_then(|flags| flags.get(next)).copied();
        next += 1;
        let frame = frame.unwrap_or_default();
        // All or none is certain. In between, a store that is only in the page table does not show.
        let is_dirty = match dirty {
            0 => false,
            dirty if dirty >= resident.len() => true,
            _ => frame.is_dirty(),
        };
        page.with(Page::RESIDENT, true)
            .with(Page::DIRTY, is_dirty)
            .with(Page::LOCKED, is_locked || frame.is_mlocked())
            .with(Page::HUGE, is_huge || frame.is_huge())
            .with(Page::SHARED, !entry.is_exclusive())
    });
    let pages = pages.collect();
    Ok(Snapshot {
        title: title(process, &smap.map),
        start: range.start,
        pages,
        vm_flags: Some(smap.vm_flags.clone()),
        dirty: Some(dirty),
        note: note.map(str::to_owned),
    })
}

/// Returns whether all resident pages are huge.
fn all_huge(smap: &Smap, resident: usize) -> bool {
    resident > 0 && pages_of(smap, HUGE) as usize >= resident
}

fn title(process: Process, map: &Map) -> String {
    match process {
        Process::Pid(pid) => format!("{} of process {pid}", maps_line(map)),
        Process::Myself => maps_line(map),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn me(address: Option<usize>) -> anyhow::Result<Source> {
        Source::process(std::process::id() as i32, address)
    }

    #[test]
    fn pages_of_a_mapping_are_seen_as_they_are_touched() {
        let mapping = MapOptions::new(16 * PAGE_SIZE)
            .private()
            .map_anonymous()
            .unwrap();
        // It may have merged with neighbours of the allocator, so pages are counted from its
        // address.
        let first = |snapshot: &Snapshot| (mapping.address() - snapshot.start) / PAGE_SIZE;
        let source = me(Some(mapping.address())).unwrap();
        let before = source.look().unwrap().unwrap();
        mapping.touch_write(3, 1).unwrap();
        let after = source.look().unwrap().unwrap();
        let at = first(&after) + 3;
        assert!(!before.pages[first(&before) + 3].has(Page::RESIDENT));
        assert!(after.pages[at].has(Page::RESIDENT));
        assert!(!after.pages[at].has(Page::SHARED));
        assert!(after.title.contains(" rw-p "), "{}", after.title);
        assert!(after.totals().dirty > 0);
    }

    #[test]
    fn an_object_is_seen_by_what_it_holds() {
        let path = std::env::temp_dir().join(format!("rmmap-watch-{}", std::process::id()));
        std::fs::write(&path, vec![1; 4 * PAGE_SIZE]).unwrap();
        let source = Source::object(&path).unwrap();
        let snapshot = source.look().unwrap().unwrap();
        std::fs::write(&path, b"").unwrap();
        let error = Source::object(&path);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(snapshot.totals().pages, 4);
        assert_eq!(snapshot.totals().held, 4);
        assert!(error.unwrap_err().to_string().contains("no size"));
    }

    #[test]
    fn a_mapping_is_chosen_when_it_is_the_only_one() {
        let maps = |text| rmmap_procfs::maps::parse(text).unwrap();
        let program = "1000-2000 r-xp 00000000 00:05 3 /bin/rmmap\n\
                       2000-3000 r--p 00000000 00:05 3 /bin/rmmap\n";
        let device = "3000-4000 rw-s 00000000 00:05 4 /dev/rmmap\n";
        let one = format!("{program}{device}");
        assert_eq!(only_one(7, &maps(&one)).unwrap(), 0x3000);
        let none = only_one(7, &maps(program)).unwrap_err().to_string();
        assert!(none.contains("--address"), "{none}");
        let two = format!("{one}5000-6000 rw-s 00001000 00:05 4 /dev/rmmap\n");
        let two = only_one(7, &maps(&two)).unwrap_err().to_string();
        assert!(
            two.contains("2 mappings") && two.contains("00005000-"),
            "{two}"
        );
    }

    #[test]
    fn what_is_gone_is_nothing() {
        let gone = Source::Mapping {
            process: Process::Pid(i32::MAX),
            address: 0x1000,
            frames: None,
        };
        assert!(gone.look().unwrap().is_none());
        assert!(me(Some(0)).unwrap().look().unwrap().is_none());
    }
}
