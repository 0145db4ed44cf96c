// SPDX-License-Identifier: GPL-2.0

//! `ksys_mmap_pgoff()`: huge pages. It rounds the length up and creates the file itself.

use crate::context::{Context, P};
use crate::hugepool::{HugePool, HUGE};
use crate::outcome::{Result, Stop};
use crate::sysctl::Sysctl;
use crate::view::{check_flags, kb, resident, smap};
use crate::{cases, check_eq, check_err};
use rmmap_sys::process::drop_capabilities;
use rmmap_sys::rustix::fs::{Mode, OFlags};
use rmmap_sys::rustix::mm::MapFlags;
use rmmap_sys::rustix::process::{getrlimit, setrlimit, Resource, Rlimit};
use rmmap_sys::rustix::thread::CapabilitySet;
use rmmap_sys::{procmap, Errno, MapOptions, Mapping};
use std::path::Path;

cases! {
    Rmmap huge_file_rounds_length_up ["KS-04"] "one page of a file of huge pages is one huge page, with MAP_HUGETLB or without";
    Rmmap huge_size_must_exist ["KS-06"] "anonymous MAP_HUGETLB of a size that the processor does not have is EINVAL";
    Rmmap huge_anonymous_has_a_file ["KS-07"] "anonymous MAP_HUGETLB is a deleted file, one page of the pool is reserved for it";
    Rmmap huge_reservation_comes_last ["KS-08"] "ENOMEM for more than the pool has, unless MAP_NORESERVE; EINVAL for an odd offset";
    Rmmap huge_file_cannot_be_made ["KS-09"] "ENFILE from anonymous MAP_HUGETLB when the system has too many files", 60;
}

/// Huge pages in the pool of these tests.
const POOL: u64 = 8;
/// More memory than the pool has.
const TOO_MUCH: usize = 4 * POOL as usize * HUGE;

/// Returns options for private anonymous memory of huge pages.
fn huge(len: usize) -> MapOptions {
    MapOptions::new(len).private().flags(MapFlags::HUGETLB)
}

/// Checks that a mapping is one huge page of a file with this name.
fn is_huge(m: &Mapping, name: &str) -> Result {
    let vma = procmap::query(m.address())?;
    check_eq!(vma.range, m.address()..m.address() + HUGE);
    check_eq!((vma.page_size, vma.name.as_deref()), (HUGE, Some(name)));
    check_flags(m, &["ht"], &[])?;
    let smap = smap(m)?;
    let size = kb(HUGE / P);
    check_eq!((smap.kb("KernelPageSize"), smap.kb("Size")), (size, size));
    Ok(())
}

fn huge_file_rounds_length_up(_: &Context) -> Result {
    let pool = HugePool::new(POOL)?;
    let file = pool.file(2 * HUGE)?;
    for flags in [MapFlags::SHARED, MapFlags::SHARED | MapFlags::HUGETLB] {
        let m = MapOptions::new(P).only_flags(flags).map(&file)?;
        is_huge(&m, "/memfd:rmmap-selftest-huge (deleted)")?;
        check_eq!(HugePool::count("Rsvd")?, 1, "reserved with {flags:?}");
    }
    let m = MapOptions::new(HUGE + 1).map(&file)?;
    check_eq!(procmap::query(m.address())?.range.len(), 2 * HUGE);
    check_eq!((m.len(), HugePool::count("Rsvd")?), (2 * HUGE, 2));
    m.write_u64(2 * HUGE - 8, 5)?;
    check_eq!(HugePool::count("Free")?, POOL - 1);
    Ok(())
}

fn huge_size_must_exist(_: &Context) -> Result {
    let sizes = Path::new("/sys/kernel/mm/hugepages");
    let usual = HUGE / 1024;
    if !sizes.join(format!("hugepages-{usual}kB")).exists() {
        return Err(Stop::skip(format_args!(
            "this kernel has no huge pages of {usual} kB"
        )));
    }
    for (log2, kb) in [(22, 4096), (12, 4), (40, 1 << 30)] {
        check_eq!(sizes.join(format!("hugepages-{kb}kB")).exists(), false);
        let size = MapFlags::from_bits_retain(log2 << 26);
        check_err!(
            huge(P).flags(size).map_anonymous(),
            Errno::INVAL,
            "2^{log2} bytes"
        );
    }
    // A supported size: the rest of the call is valid.
    let size = MapFlags::from_bits_retain(HUGE.trailing_zeros() << 26) | MapFlags::NORESERVE;
    is_huge(
        &huge(P).flags(size).map_anonymous()?,
        "/anon_hugepage (deleted)",
    )
}

fn huge_anonymous_has_a_file(_: &Context) -> Result {
    let _pool = HugePool::new(POOL)?;
    let counts = || -> Result<_> { Ok((HugePool::count("Free")?, HugePool::count("Rsvd")?)) };
    let m = huge(P).map_anonymous()?;
    is_huge(&m, "/anon_hugepage (deleted)")?;
    check_eq!(counts()?, (POOL, 1), "free and reserved after mmap");
    check_eq!(resident(&m)?, 0);
    m.write_u64(HUGE - 8, 7)?;
    check_eq!(counts()?, (POOL - 1, 0), "free and reserved after a store");
    check_eq!(
        resident(&m)?,
        HUGE / P,
        "pages after a store to the last byte"
    );
    drop(m);
    check_eq!(counts()?, (POOL, 0), "free and reserved after munmap");
    Ok(())
}

fn huge_reservation_comes_last(_: &Context) -> Result {
    let pool = HugePool::new(POOL)?;
    let reserved = || HugePool::count("Rsvd");
    check_err!(huge(TOO_MUCH).map_anonymous(), Errno::NOMEM);
    check_eq!(reserved()?, 0, "reserved after a refused mapping");
    let later = huge(TOO_MUCH).flags(MapFlags::NORESERVE).map_anonymous()?;
    check_eq!((later.len(), reserved()?), (TOO_MUCH, 0));
    later.touch_write(0, 1)?;
    check_eq!(HugePool::count("Free")?, POOL - 1);
    drop(later);

    let file = pool.file(TOO_MUCH)?;
    let shared = MapOptions::new(TOO_MUCH);
    check_err!(shared.map(&file), Errno::NOMEM);
    check_err!(
        MapOptions::new(HUGE).offset(P as u64).map(&file),
        Errno::INVAL
    );
    check_eq!(reserved()?, 0);
    let all = MapOptions::new(POOL as usize * HUGE).map(&file)?;
    check_eq!(reserved()?, POOL, "reserved for all of the pool");
    drop((all, file));
    check_eq!(reserved()?, 0);
    Ok(())
}

fn huge_file_cannot_be_made(cx: &Context) -> Result {
    cx.needs(CapabilitySet::SYS_ADMIN, "CAP_SYS_ADMIN")?;
    // The count of open files is per CPU, so only many files are sure to exceed the limit.
    const FILES: u64 = 900;
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: limit.maximum.map(|max| max.min(FILES + 200)),
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, wanted)?;
    let _pool = HugePool::new(POOL)?;
    let open = || rmmap_sys::rustix::fs::open("/dev/null", OFlags::CLOEXEC, Mode::empty());
    let files: rmmap_sys::Result<Vec<_>> = (0..FILES).map(|_| open()).collect();
    let files = files?;
    let area = cx.area(1)?;
    let _limit = Sysctl::set("fs/file-max", 8)?;
    drop(huge(P).map_anonymous()?);
    // The file that restores the limit is already open, and the harness has all capabilities.
    drop_capabilities(CapabilitySet::SYS_ADMIN)?;
    check_err!(huge(P).map_anonymous(), Errno::NFILE);
    check_err!(open(), Errno::NFILE);
    // A call that needs no new file succeeds.
    let m = area.map()?;
    m.touch_write(0, 1)?;
    drop(files);
    Ok(())
}
