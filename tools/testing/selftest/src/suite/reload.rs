// SPDX-License-Identifier: GPL-2.0

//! Loading and unloading the module.

use crate::context::{Context, P};
use crate::counting::stats;
use crate::loader::NAME;
use crate::outcome::{lacks, Result, Stop};
use crate::{cases, check, check_eq, check_err};
use rmmap_procfs::process::{meminfo, vmstat};
use rmmap_sys::rustix::fs::OFlags;
use rmmap_sys::rustix::mm::MapFlags;
use rmmap_sys::uapi::{RMMAP_HOOK_MMAP, RMMAP_HOOK_PREPARE};
use rmmap_sys::{module, Device, Errno, MapOptions};
use std::io::Read;

cases! {
    Reload unload_is_refused_while_used [] "EWOULDBLOCK as long as a descriptor or a mapping of device or region is left";
    Reload parameters_are_taken [] "INFO reports capacity, max_bytes and prepare; the first two default to half of RAM";
    Reload bad_parameters_are_refused [] "an unusable parameter: EINVAL, one line in the kernel log that names it, nothing left";
    Reload hook_is_what_was_asked_for ["MR-14", "MR-15"] "prepare=0 and prepare=1: the number of calls for merging mappings shows which hook runs";
    Reload load_map_unload_cycles [] "load, map, touch, unload, again and again: no memory is lost", 300;
}

fn unload_is_refused_while_used(cx: &Context) -> Result {
    let loader = cx.loader()?;
    let refused = |what: &str| -> Result {
        check_err!(
            module::unload(NAME),
            Errno::WOULDBLOCK,
            "unloading with {what}"
        );
        check!(module::is_loaded(NAME), "it was unloaded with {what}");
        Ok(())
    };
    let device = cx.device()?;
    refused("the device open")?;
    let m = MapOptions::new(4 * P).map(&device)?;
    drop(device);
    refused("the device mapped and not touched")?;
    m.touch_write(1, 1)?;
    refused("the device mapped")?;
    let private = MapOptions::new(4 * P).private().map(cx.device()?)?;
    drop(m);
    private.touch_write(0, 1)?;
    refused("the device mapped privately")?;
    drop(private);

    let region = cx.region(4)?;
    refused("a region open")?;
    let m = MapOptions::new(4 * P).map(&region)?;
    m.touch_write(1, 1)?;
    drop(region);
    refused("a region mapped")?;
    drop(m);
    loader.unload()?;
    check!(!module::is_loaded(NAME), "it is still loaded");
    check_err!(Device::open(), Errno::NOENT);
    Ok(())
}

fn parameters_are_taken(cx: &Context) -> Result {
    let loader = cx.loader()?;
    let size = 3 * P as u64;
    let capacity = format!("capacity={size}");
    loader.reload_with(&[&capacity, "max_bytes=1000000", "prepare=1"])?;
    let info = cx.device()?.info()?;
    check_eq!(
        (info.capacity, info.max_bytes, info.hook),
        (size, 1_000_000, RMMAP_HOOK_PREPARE)
    );
    check_eq!(info.size, size);
    loader.reload_with(&[
        "capacity=1099511627776",
        "max_bytes=1099511627776",
        "prepare=0",
    ])?;
    let info = cx.device()?.info()?;
    check_eq!(
        (info.capacity, info.max_bytes, info.hook),
        (1 << 40, 1 << 40, RMMAP_HOOK_MMAP)
    );
    // A device larger than memory is sparse, like a file.
    let end = MapOptions::new(P)
        .offset((1 << 40) - P as u64)
        .map(cx.device()?)?;
    end.touch_write(0, 1)?;
    check_eq!(cx.device()?.info()?.resident, P as u64);
    drop(end);

    // Loads the module without the user's parameters, which may set these.
    loader.unload()?;
    loader.load_plain()?;
    let info = cx.device()?.info()?;
    let total = rmmap_sys::rustix::system::sysinfo();
    let half = total.totalram * u64::from(total.mem_unit) / 2;
    check!(
        info.capacity.abs_diff(half) <= P as u64,
        "capacity {}, half of RAM {half}",
        info.capacity
    );
    check_eq!(
        (info.max_bytes, info.hook),
        (info.capacity, RMMAP_HOOK_MMAP)
    );
    Ok(())
}

/// The kernel log, from now on.
struct Log(std::fs::File);

impl Log {
    fn open() -> Result<Self> {
        let skip = |e| lacks("show its log", e, &[Errno::NOENT]);
        let flags = OFlags::RDONLY | OFlags::NONBLOCK;
        let fd = Device::open_path("/dev/kmsg", flags).map_err(skip)?;
        let file = std::fs::File::from(std::os::fd::OwnedFd::from(fd));
        rmmap_sys::rustix::fs::seek(&file, rmmap_sys::rustix::fs::SeekFrom::End(0))?;
        Ok(Self(file))
    }

    /// Returns the module's lines since the last call.
    fn lines(&mut self) -> Vec<String> {
        let (mut lines, mut record) = (Vec::new(), [0; 8192]);
        while let Ok(n) = self.0.read(&mut record) {
            let text = String::from_utf8_lossy(&record[..n]);
            let line = text.lines().next().and_then(|line| line.split_once(';'));
            lines.extend(
                line.map(|(_, line)| line.to_owned())
                    .filter(|l| l.starts_with("rmmap:")),
            );
        }
        lines
    }
}

fn bad_parameters_are_refused(cx: &Context) -> Result {
    let loader = cx.loader()?;
    let mut log = Log::open()?;
    loader.unload()?;
    let limit = (1u64 << 63).to_string();
    let bad = [
        ("capacity", "0"),
        ("capacity", "4097"),
        ("capacity", &limit),
        ("capacity", "18446744073709551615"),
        ("max_bytes", "0"),
        ("max_bytes", &limit),
        ("prepare", "2"),
    ];
    for (name, value) in bad {
        log.lines();
        let parameter = format!("{name}={value}");
        check_err!(
            loader.load_with(&[&parameter]),
            Errno::INVAL,
            "loading with {parameter}"
        );
        check!(!module::is_loaded(NAME), "it is loaded with {parameter}");
        let lines = log.lines();
        check_eq!(
            lines.len(),
            1,
            "lines in the kernel log about {parameter}: {lines:?}"
        );
        check!(
            lines[0].contains(&parameter),
            "the kernel log does not name {parameter}: {lines:?}"
        );
        check_err!(Device::open(), Errno::NOENT);
    }
    for parameter in ["capacity=many", "capacity=-1", "prepare=perhaps"] {
        let loaded = loader.load_with(&[parameter]);
        check_err!(loaded, Errno::INVAL, "loading with {parameter}");
    }
    loader.load()?;
    check_eq!(cx.device()?.info()?.regions, 1);
    Ok(())
}

fn hook_is_what_was_asked_for(cx: &Context) -> Result {
    for (parameter, hook, calls) in [
        ("prepare=0", RMMAP_HOOK_MMAP, 1),
        ("prepare=1", RMMAP_HOOK_PREPARE, 4),
    ] {
        cx.loader()?.reload_with(&[parameter])?;
        let region = cx.region(16)?;
        check_eq!(region.info()?.hook, hook);
        let mut window = cx.window(16)?;
        for page in [0, 4, 8, 12] {
            let part = MapOptions::new(4 * P).offset((page * P) as u64);
            window.map_over(page * P, &part, Some(&region))?;
        }
        check_eq!(crate::view::vma_pages(&window)?, [(0, 16)]);
        check_eq!(
            stats(&region)?.region.mmap,
            calls,
            "calls of the hook with {parameter}"
        );
    }
    Ok(())
}

/// Returns the kernel memory that must not grow from cycle to cycle, kB.
fn kernel_memory() -> Result<[(&'static str, u64); 6]> {
    let (mem, vm) = (meminfo()?, vmstat()?);
    let mem = |name| mem.get(name).unwrap_or(0);
    let vm = |name| vm.get(name).unwrap_or(0) * P as u64 / 1024;
    Ok([
        ("SUnreclaim", mem("SUnreclaim")),
        ("Percpu", mem("Percpu")),
        ("VmallocUsed", mem("VmallocUsed")),
        ("nr_unevictable", vm("nr_unevictable")),
        ("nr_mapped", vm("nr_mapped")),
        ("nr_file_pages", vm("nr_file_pages")),
    ])
}

/// Runs one cycle.
fn cycle(cx: &Context) -> Result {
    let loader = cx.loader()?;
    loader.load()?;
    let device = cx.device()?;
    let region = device.create(16 * P as u64, 0)?;
    let m = MapOptions::new(16 * P)
        .flags(MapFlags::POPULATE)
        .map(&region)?;
    let dm = MapOptions::new(16 * P).map(&device)?;
    let private = MapOptions::new(16 * P).private().map(&device)?;
    check_eq!(
        (m.touch_read(3)?, dm.touch_read(5)?),
        (0, 0),
        "bytes of new memory"
    );
    m.touch_write(3, 0xff)?;
    dm.touch_write(5, 0xff)?;
    private.touch_write(7, 0xff)?;
    // The sum is the same under each policy.
    let (info, held) = (device.info()?, region.info()?.resident);
    check_eq!(
        (held, info.used_bytes),
        (16 * P as u64, held + info.resident)
    );
    check!((1..=16).contains(&(info.resident as usize / P)));
    drop((m, dm, private, region, device));
    loader.unload()?;
    Ok(())
}

fn load_map_unload_cycles(cx: &Context) -> Result {
    let loader = cx.loader()?;
    loader.unload()?;
    // The first cycles fill caches that the kernel keeps.
    let warm = (cx.cycles / 10).clamp(1, 20);
    for _ in 0..warm {
        cycle(cx)?;
    }
    // Slabs that earlier tests freed may still be in use. A leak grows in every round.
    let mut grown = None;
    for _ in 0..3 {
        grown = grow(cx, warm)?;
        if grown.is_none() {
            break;
        }
    }
    check!(
        grown.is_none(),
        "{} in {} cycles",
        grown.unwrap_or_default(),
        cx.cycles
    );
    loader.load()?;
    Ok(())
}

/// Runs the cycles after the first `warm` ones. Returns the kernel's memory that grew by more than
/// noise.
fn grow(cx: &Context, warm: u32) -> Result<Option<String>> {
    let before = kernel_memory()?;
    for n in 0..cx.cycles.saturating_sub(warm) {
        cycle(cx).map_err(|stop| match stop {
            Stop::Fail(text) => Stop::Fail(format!("in cycle {n}: {text}")),
            skip => skip,
        })?;
    }
    let after = kernel_memory()?;
    // One page per cycle, of any kind, exceeds this; noise from other tasks does not.
    let most = u64::from(cx.cycles) * 4 / 2 + 2048;
    let mut grown = before
        .into_iter()
        .zip(after)
        .map(|((name, before), (_, after))| (name, after.saturating_sub(before)));
    let grown = grown.find(|(_, grown)| *grown >= most);
    Ok(grown.map(|(name, grown)| format!("{name} grew by {grown} kB")))
}
