// SPDX-License-Identifier: GPL-2.0

//! mmap_region() and existing mappings in its range: the victims of MAP_FIXED, and those that
//! cannot be replaced.

use crate::area::{Area, Kind};
use crate::context::{Context, P};
use crate::hugepool::{HugePool, HUGE};
use crate::mounts::Mounts;
use crate::outcome::Result;
use crate::view::{check_flags, smap, vma_pages};
use crate::{cases, check_eq, check_err};
use rmmap_sys::control::deny_write_exec;
use rmmap_sys::rustix::fs::OFlags;
use rmmap_sys::rustix::fs::{fcntl_add_seals, fcntl_get_seals, MemfdFlags, SealFlags};
use rmmap_sys::rustix::fs::{ftruncate, memfd_create};
use rmmap_sys::rustix::mm::{MprotectFlags, ProtFlags};
use rmmap_sys::rustix::mount::MountFlags;
use rmmap_sys::rustix::process::Resource;
use rmmap_sys::{Errno, MapOptions};

cases! {
    Rmmap write_exec_is_denied ["MR-01"] "PR_SET_MDWE: a mapping that is writable and executable is EACCES, one of the two is not";
    Rmmap writable_count_is_undone ["MR-04"] "a memfd can be sealed against writing once no shared writable mapping is left, failed ones included";
    Rmmap map_over_vmas_and_a_hole ["MR-08"] "MAP_FIXED over several VMAs and a hole: one VMA, and no old contents";
    Rmmap huge_page_is_not_split ["MR-09"] "MAP_FIXED of a page inside a hugetlb mapping: EINVAL, victim intact";
    Rmmap sealed_mapping_is_not_replaced ["MR-10"] "MAP_FIXED over a sealed mapping of the device: EPERM, victim intact";
}

fn write_exec_is_denied(_: &Context) -> Result {
    let area = Area::new(Kind::Device, 4)?;
    // /dev itself may be mounted noexec.
    let device = Mounts::new()?.device(MountFlags::empty(), OFlags::RDWR)?;
    let all = ProtFlags::READ | ProtFlags::WRITE | ProtFlags::EXEC;
    let read_exec = ProtFlags::READ | ProtFlags::EXEC;
    let before = area.whole().prot(all).map(&device)?;
    check_flags(&before, &["wr", "ex"], &[])?;

    deny_write_exec()?;
    let count = area.count()?;
    check_err!(area.whole().prot(all).map(&device), Errno::ACCESS);
    check_err!(area.whole().private().prot(all).map(&device), Errno::ACCESS);
    check_eq!(count.get("mmap")?, Some(0), "calls of the hook");
    let code = area.whole().prot(read_exec).map(&device)?;
    check_flags(&code, &["rd", "ex"], &["wr"])?;
    let data = area.whole().map(&device)?;
    let gain = data.protect(0, P, MprotectFlags::READ | MprotectFlags::EXEC);
    check_err!(gain, Errno::ACCESS);
    check_flags(&data, &["wr"], &["ex"])?;
    // The old mapping stays.
    check_flags(&before, &["wr", "ex"], &[])?;
    Ok(())
}

fn writable_count_is_undone(_: &Context) -> Result {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let fd = memfd_create("rmmap-selftest", flags)?;
    ftruncate(&fd, 16 * P as u64)?;
    let m = MapOptions::new(16 * P).map(&fd)?;
    check_err!(fcntl_add_seals(&fd, SealFlags::WRITE), Errno::BUSY);
    drop(m);
    // Fails after the kernel has counted the mapping as a writer.
    let size = crate::view::status_kb("VmSize")? * 1024;
    let limit = crate::rlimit::Limit::set(Resource::As, size)?;
    let failed = MapOptions::new(1 << 30).map(&fd);
    drop(limit);
    check_err!(failed, Errno::NOMEM);
    fcntl_add_seals(&fd, SealFlags::WRITE)?;
    check_eq!(fcntl_get_seals(&fd)?, SealFlags::WRITE);
    check_err!(MapOptions::new(P).map(&fd), Errno::PERM);
    Ok(())
}

fn map_over_vmas_and_a_hole(cx: &Context) -> Result {
    let area = Area::new(Kind::Device, 24)?;
    let mut w = cx.window(12)?;
    area.map_at(&mut w, 0, area.part(0, 4))?;
    area.map_at(&mut w, 4, area.part(8, 2))?;
    area.map_at(&mut w, 8, area.part(4, 4).read_only())?;
    for page in [0, 3, 4, 5] {
        w.touch_write(page, 0xaa)?;
    }
    check_eq!(vma_pages(&w)?, [(0, 4), (4, 6), (8, 12)]);
    w.map_over_hole(6 * P..8 * P, 0, &area.part(12, 12), Some(&area))?;
    check_eq!(vma_pages(&w)?, [(0, 12)]);
    let maps = crate::view::vmas(&w)?;
    check_eq!(
        (maps[0].offset, maps[0].perms.as_str()),
        (area.base() + 12 * P as u64, "rw-s")
    );
    for page in 0..12 {
        check_eq!(w.touch_read(page)?, 0, "the first byte of page {page}");
    }
    // The object is unchanged.
    check_eq!(
        (area.read(0, 1)?, area.read(9 * P, 1)?),
        (vec![0xaa], vec![0xaa])
    );
    Ok(())
}

fn huge_page_is_not_split(_: &Context) -> Result {
    let pool = HugePool::new(1)?;
    let file = pool.file(HUGE)?;
    let area = Area::new(Kind::Device, 4)?;
    let mut huge = MapOptions::new(HUGE).map(&file)?;
    huge.write_u64(P, 0x1234_5678)?;
    let count = area.count()?;
    let inside = huge.map_over(P, &area.part(0, 1), Some(&area));
    check_err!(inside, Errno::INVAL);
    check_eq!(count.get("mmap")?, Some(0), "calls of the hook");
    check_eq!(vma_pages(&huge)?, [(0, HUGE / P)]);
    check_flags(&huge, &["ht", "wr"], &[])?;
    check_eq!(smap(&huge)?.kb("KernelPageSize"), HUGE as u64 / 1024);
    check_eq!(huge.read_u64(P)?, 0x1234_5678);
    // A mapping over the whole huge page succeeds.
    let whole = area.part(0, 1);
    let none = MapOptions::new(HUGE).private().prot(ProtFlags::empty());
    huge.map_over(0, &none, None::<&Area>)?;
    huge.map_over(P, &whole, Some(&area))?;
    check_eq!(vma_pages(&huge)?, [(1, 2)]);
    Ok(())
}

fn sealed_mapping_is_not_replaced(cx: &Context) -> Result {
    let area = Area::new(Kind::Device, 12)?;
    let mut w = cx.window(8)?;
    area.map_at(&mut w, 0, area.part(0, 4))?;
    w.touch_write(1, 7)?;
    w.seal(0, 4 * P)?;
    let count = area.count()?;
    let over = [
        ("the whole", 0, 4),
        ("the middle", 1, 2),
        ("the tail and more", 2, 4),
    ];
    for (what, first, pages) in over {
        let options = area.part(8, pages).private();
        let result = w.map_over(first * P, &options, Some(&area));
        check_err!(
            result,
            Errno::PERM,
            "mapping over {what} of a sealed mapping"
        );
        check_eq!(vma_pages(&w)?, [(0, 4)], "VMAs after that");
    }
    check_eq!(count.get("mmap")?, Some(0), "calls of the hook");
    check_flags(&w, &["sl", "sh"], &[])?;
    w.touch_write(2, 8)?;
    check_eq!(area.read(P, 1)?, [7]);
    check_eq!(area.read(2 * P, 1)?, [8]);
    check_err!(w.unmap(0, 4 * P), Errno::PERM);
    Ok(())
}
