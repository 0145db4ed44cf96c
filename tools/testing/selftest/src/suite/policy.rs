// SPDX-License-Identifier: GPL-2.0

//! The folio policy: the orders of the folios that faults and populates allocate.

use crate::context::{has_large_folios, needs_large_folios, Context, P, PMD, PMD_ORDER};
use crate::counting::stats;
use crate::outcome::Result;
use crate::view::{kb, resident, smap};
use crate::{cases, check, check_eq, check_err};
use rmmap_sys::rustix::fs::{fallocate, ftruncate, FallocateFlags, OFlags};
use rmmap_sys::rustix::io::pwrite;
use rmmap_sys::rustix::mm::{Advice, MapFlags};
use rmmap_sys::uapi::{
    RmmapCounters, RmmapPolicy, RMMAP_CREATE_ADAPTIVE, RMMAP_CREATE_ALWAYS, RMMAP_CREATE_NEVER,
    RMMAP_IOC_POLICY, RMMAP_POLICY_ADAPTIVE, RMMAP_POLICY_ALWAYS, RMMAP_POLICY_NEVER,
};
use rmmap_sys::{Device, Errno, MapOptions, Mapping};
use zerocopy::IntoBytes;

cases! {
    Rmmap policy_populate_takes_the_largest [] "MAP_POPULATE, MAP_LOCKED and MADV_POPULATE of aligned memory: one huge page each";
    Rmmap policy_populate_begins_where_asked [] "a populate of a part adds nothing before it, and uses the largest aligned folios";
    Rmmap policy_stream_doubles [] "touches in order: 16 single pages, then folios that double up to a huge page";
    Rmmap policy_stream_passes_what_is_there [] "touches in order of a region with scattered pages: the stream continues after each";
    Rmmap policy_never_batches_a_stream [] "policy never: touches in order add many pages per fault, each a folio of its own";
    Rmmap policy_random_takes_no_more [] "touches out of order, in strides or backwards add one page each";
    Rmmap policy_advice [] "MADV_HUGEPAGE allocates a huge page at once, SEQUENTIAL 16 pages, RANDOM and NOHUGEPAGE a page";
    Rmmap policy_always_takes_the_largest [] "policy always: the first touch allocates a huge page";
    Rmmap policy_huge_page_is_mapped_as_one [] "a load from another mapping of a huge page maps it at once, without map_pages; a store, too, is one fault";
    Rmmap policy_never_is_exact [] "policy never: a populate, too, adds single pages";
    Rmmap policy_respects_what_is_there [] "small folios in the way: the largest that fit between them, and their data stays";
    Rmmap policy_respects_the_end [] "no folio reaches beyond the end of the region, of the mapping, or an unaligned page table";
    Reload policy_respects_the_capacity [] "the device's own region: no folio reaches beyond its end";
    Reload policy_respects_the_quota [] "folios that exceed the quota fall back to smaller orders, down to the last page, and are counted";
    Rmmap policy_write_fills_large_folios [] "a long write(2) adds large folios; a short one adds its pages only";
    Rmmap policy_large_folio_gives_back [] "punching, discarding and truncating parts of a huge page frees just these parts";
    Rmmap policy_can_be_changed [] "flags, ioctl and debugfs set and show it; bad values are refused";
    Reload policy_parameter [] "module parameter policy: the default of device and regions; 3 is EINVAL";
}

/// The pages of the largest folio.
pub(super) const LARGE: usize = PMD / P;

/// Creates a region of `pages` with a policy, and maps it at an address with the same alignment.
pub(super) fn region(cx: &Context, pages: usize, flags: u32) -> Result<(Device, Mapping)> {
    let region = cx.device()?.create((pages * P) as u64, flags)?;
    let mapping = map_aligned(cx, &region, pages)?;
    Ok((region, mapping))
}

/// Maps a region of `pages` at an address with the same alignment, which large mappings have if the
/// kernel has large folios.
pub(super) fn map_aligned(cx: &Context, region: &Device, pages: usize) -> Result<Mapping> {
    if pages < LARGE || !has_large_folios() {
        return map_at(cx, region, 0, pages);
    }
    let mapping = MapOptions::new(pages * P).map(region)?;
    check_eq!(mapping.address() % PMD, 0, "address of a large mapping");
    Ok(mapping)
}

/// Maps the first pages of `region`, from this page of a page table on.
fn map_at(cx: &Context, region: &Device, page: usize, pages: usize) -> Result<Mapping> {
    let mut window = cx.window(pages.max(LARGE))?;
    window.map_over(page * P, &MapOptions::new(pages * P), Some(region))?;
    Ok(window)
}

/// Returns the number of folios that were allocated for a region, by order.
pub(super) fn folios(region: &Device) -> Result<Vec<(usize, u64)>> {
    let counters: RmmapCounters = stats(region)?.region;
    let orders = counters.folios.iter().copied().enumerate();
    Ok(orders.filter(|(_, count)| *count > 0).collect())
}

/// Returns one folio of each order from `first` on, as [`folios`] does, up to half of a huge page.
fn one_of_each(first: usize) -> impl Iterator<Item = (usize, u64)> {
    (first..PMD_ORDER).map(|order| (order, 1))
}

/// Returns the pages that a region holds.
pub(super) fn held(region: &Device) -> Result<usize> {
    Ok(region.info()?.resident as usize / P)
}

pub(super) fn touch(mapping: &Mapping, pages: impl IntoIterator<Item = usize>) -> Result {
    for page in pages {
        mapping.touch_write(page, page as u8 | 1)?;
    }
    Ok(())
}

fn policy_populate_takes_the_largest(cx: &Context) -> Result {
    needs_large_folios()?;
    for flags in [MapFlags::POPULATE, MapFlags::LOCKED] {
        let region = cx.device()?.create(2 * PMD as u64, RMMAP_CREATE_ADAPTIVE)?;
        let mapping = MapOptions::new(2 * PMD).flags(flags).map(&region)?;
        check_eq!(folios(&region)?, [(PMD_ORDER, 2)]);
        check_eq!(stats(&region)?.region.fault_populate, 2);
        check_eq!(resident(&mapping)?, 2 * LARGE);
        check_eq!(smap(&mapping)?.kb("FilePmdMapped"), kb(2 * LARGE));
    }
    for advice in [Advice::LinuxPopulateRead, Advice::LinuxPopulateWrite] {
        let (region, mapping) = region(cx, LARGE, RMMAP_CREATE_ADAPTIVE)?;
        mapping.advise(0, PMD, advice)?;
        check_eq!(folios(&region)?, [(PMD_ORDER, 1)]);
        check_eq!(resident(&mapping)?, LARGE);
    }
    Ok(())
}

fn policy_populate_begins_where_asked(cx: &Context) -> Result {
    needs_large_folios()?;
    let (region, mapping) = region(cx, LARGE, RMMAP_CREATE_ADAPTIVE)?;
    mapping.advise(12 * P, 20 * P, Advice::LinuxPopulateWrite)?;
    // Pages 12 to 15, and 16 to 31.
    check_eq!(folios(&region)?, [(2, 1), (4, 1)]);
    check_eq!(resident(&mapping)?, 20);
    check!(mapping.mincore(0, 12 * P)?.iter().all(|there| !there));
    Ok(())
}

fn policy_stream_doubles(cx: &Context) -> Result {
    needs_large_folios()?;
    let (region, mapping) = region(cx, 4 * LARGE, RMMAP_CREATE_ADAPTIVE)?;
    touch(&mapping, 0..16)?;
    check_eq!(folios(&region)?, [(0, 16)]);
    touch(&mapping, 16..4 * LARGE)?;
    let counters = stats(&region)?.region;
    check_eq!(counters.order_fallback, 0);
    // Pages 16 to 31 at once, 32 to 63, ...: as many pages as the stream has touched before.
    let mut expected = vec![(0, 16)];
    expected.extend(one_of_each(4));
    expected.push((PMD_ORDER, 3));
    check_eq!(folios(&region)?, expected);
    check_eq!(held(&region)?, 4 * LARGE);
    for page in (0..4 * LARGE).step_by(7) {
        check_eq!(mapping.touch_read(page)?, page as u8 | 1);
    }
    Ok(())
}

fn policy_stream_passes_what_is_there(cx: &Context) -> Result {
    /// The scattered pages.
    const THERE: u64 = (4 * LARGE / 64) as u64;
    needs_large_folios()?;
    let (region, mapping) = region(cx, 4 * LARGE, RMMAP_CREATE_ADAPTIVE)?;
    // Backwards, so that these touches are no stream.
    let there = (0..4 * LARGE).filter(|page| page % 64 == 40);
    touch(&mapping, there.rev())?;
    check_eq!(folios(&region)?, [(0, THERE)]);
    touch(&mapping, 0..4 * LARGE)?;
    let counters = stats(&region)?.region;
    // Single pages: the 16 that begin the stream, and three after each page that was present.
    check_eq!(counters.folios[0], THERE + 16 + 3 * THERE);
    // 16, 32, [40], 44, 48, 64, 96, [104], 108, ...: at most 6 between two of them.
    let larger: u64 = counters.folios[1..].iter().sum();
    check!(larger <= 6 * THERE, "{:?}", counters.folios);
    check_eq!(counters.order_fallback, 0);
    check_eq!(held(&region)?, 4 * LARGE);
    for page in 0..4 * LARGE {
        check_eq!(mapping.touch_read(page)?, page as u8 | 1, "page {page}");
    }
    Ok(())
}

fn policy_never_batches_a_stream(cx: &Context) -> Result {
    let (region, mapping) = region(cx, LARGE, RMMAP_CREATE_NEVER)?;
    touch(&mapping, 0..LARGE)?;
    let counters = stats(&region)?.region;
    check_eq!(folios(&region)?, [(0, LARGE as u64)]);
    // 16 single pages, then 16, 32, and 64 at a time for the rest.
    check_eq!(counters.fault_write, 16 + 2 + (LARGE as u64 - 64) / 64);
    check_eq!(resident(&mapping)?, LARGE);
    for page in 0..LARGE {
        check_eq!(mapping.touch_read(page)?, page as u8 | 1);
        check_eq!(mapping.read_u64(page * P + 8)?, 0);
    }
    // The same for a stream of loads, whose pages are mapped clean.
    let (region, mapping) = self::region(cx, LARGE, RMMAP_CREATE_NEVER)?;
    for page in 0..LARGE {
        check_eq!(mapping.touch_read(page)?, 0);
    }
    check_eq!(held(&region)?, LARGE);
    check!(stats(&region)?.region.fault_read < LARGE as u64 / 8);
    Ok(())
}

fn policy_random_takes_no_more(cx: &Context) -> Result {
    let backwards: Vec<usize> = (0..64).rev().collect();
    let strides: Vec<usize> = (0..64).map(|n| n * 2).collect();
    // Part of a full cycle modulo LARGE, without a step of 1.
    let scattered: Vec<usize> = (0..128).map(|n| (n * 197) % LARGE).collect();
    for flags in [RMMAP_CREATE_ADAPTIVE, RMMAP_CREATE_NEVER] {
        for order in [&backwards, &strides, &scattered] {
            let (region, mapping) = region(cx, LARGE, flags)?;
            touch(&mapping, order.iter().copied())?;
            check_eq!(folios(&region)?, [(0, order.len() as u64)]);
            check_eq!(held(&region)?, order.len());
        }
    }
    Ok(())
}

fn policy_advice(cx: &Context) -> Result {
    needs_large_folios()?;
    let after = |advice: Advice, flags: u32, pages: usize| {
        let (region, mapping) = region(cx, LARGE, flags)?;
        mapping.advise(0, PMD, advice)?;
        touch(&mapping, 0..pages)?;
        folios(&region)
    };
    let adaptive = RMMAP_CREATE_ADAPTIVE;
    check_eq!(after(Advice::LinuxHugepage, adaptive, 1)?, [(PMD_ORDER, 1)]);
    check_eq!(after(Advice::Sequential, adaptive, 1)?, [(4, 1)]);
    let doubling: Vec<_> = [(4, 2)].into_iter().chain(one_of_each(5)).collect();
    check_eq!(after(Advice::Sequential, adaptive, LARGE)?, doubling);
    check_eq!(after(Advice::Random, adaptive, 40)?, [(0, 40)]);
    // The faults batch nevertheless: 16 single pages, then 16 more.
    check_eq!(after(Advice::LinuxNoHugepage, adaptive, 31)?, [(0, 32)]);
    check_eq!(
        after(Advice::LinuxNoHugepage, RMMAP_CREATE_ALWAYS, 3)?,
        [(0, 3)]
    );
    check_eq!(after(Advice::Random, RMMAP_CREATE_ALWAYS, 3)?, [(0, 3)]);
    // The region's policy overrides advice for large folios.
    check_eq!(
        after(Advice::LinuxHugepage, RMMAP_CREATE_NEVER, 3)?,
        [(0, 3)]
    );
    check_eq!(after(Advice::Sequential, RMMAP_CREATE_NEVER, 1)?, [(0, 16)]);
    // From the touched page on, not around it.
    let (region, mapping) = self::region(cx, LARGE, adaptive)?;
    mapping.advise(0, PMD, Advice::Sequential)?;
    touch(&mapping, [264])?;
    check_eq!(folios(&region)?, [(3, 1)]);
    Ok(())
}

fn policy_always_takes_the_largest(cx: &Context) -> Result {
    needs_large_folios()?;
    let (region, mapping) = region(cx, 2 * LARGE, RMMAP_CREATE_ALWAYS)?;
    touch(&mapping, [LARGE + 77])?;
    check_eq!(folios(&region)?, [(PMD_ORDER, 1)]);
    check_eq!(smap(&mapping)?.kb("FilePmdMapped"), kb(LARGE));
    check_eq!(resident(&mapping)?, LARGE);
    Ok(())
}

fn policy_huge_page_is_mapped_as_one(cx: &Context) -> Result {
    needs_large_folios()?;
    let (region, mapping) = region(cx, LARGE, RMMAP_CREATE_ALWAYS)?;
    touch(&mapping, [77])?;
    for store in [false, true] {
        let second = MapOptions::new(PMD).map(&region)?;
        let before = stats(&region)?.region;
        match store {
            false => check_eq!(second.touch_read(77)?, 77),
            true => second.touch_write(78, 1)?,
        }
        let after = stats(&region)?.region;
        check_eq!(smap(&second)?.kb("FilePmdMapped"), kb(LARGE));
        check_eq!(after.answer_cached - before.answer_cached, 1);
        check_eq!(
            after.map_pages - before.map_pages,
            0,
            "with a store: {store}"
        );
    }
    Ok(())
}

fn policy_never_is_exact(cx: &Context) -> Result {
    let (region, mapping) = region(cx, LARGE, RMMAP_CREATE_NEVER)?;
    mapping.advise(5 * P, 40 * P, Advice::LinuxPopulateWrite)?;
    check_eq!(folios(&region)?, [(0, 40)]);
    check_eq!(stats(&region)?.region.fault_populate, 40);
    check_eq!(resident(&mapping)?, 40);
    Ok(())
}

fn policy_respects_what_is_there(cx: &Context) -> Result {
    needs_large_folios()?;
    let (region, mapping) = region(cx, LARGE, RMMAP_CREATE_ADAPTIVE)?;
    // write(2) adds the third: a read of a hole adds no page.
    touch(&mapping, [3, 300])?;
    check_eq!(pwrite(&region, b"there", 64 * P as u64)?, 5);
    check_eq!(folios(&region)?, [(0, 3)]);
    mapping.advise(0, PMD, Advice::LinuxPopulateWrite)?;
    check_eq!(held(&region)?, LARGE);
    check_eq!(resident(&mapping)?, LARGE);
    // In order of offset: 0-1, 2, [3], 4-7, 8-15, 16-31, 32-63, [64], 65, 66-67, 68-71, 72-79,
    // 80-95, 96-127, 128-255, 256-287, 288-295, 296-299, [300], 301, 302-303, 304-319, 320-383,
    // 384-511, and with larger page tables 512-1023, ...
    let mut expected = vec![
        (0, 6),
        (1, 3),
        (2, 3),
        (3, 3),
        (4, 3),
        (5, 3),
        (6, 1),
        (7, 2),
    ];
    expected.extend(one_of_each(9));
    check_eq!(folios(&region)?, expected);
    check_eq!(mapping.touch_read(3)?, 3);
    check_eq!(mapping.touch_read(300)?, 300u16 as u8 | 1);
    check_eq!(&mapping.read_u64(64 * P)?.to_le_bytes()[..5], b"there");
    check_eq!(stats(&region)?.region.order_fallback, 0);
    Ok(())
}

fn policy_respects_the_end(cx: &Context) -> Result {
    needs_large_folios()?;
    // The end of the region: 100 pages are 64, 32 and 4.
    let (device, mapping) = region(cx, 100, RMMAP_CREATE_ALWAYS)?;
    touch(&mapping, [99, 0, 64])?;
    check_eq!(folios(&device)?, [(2, 1), (5, 1), (6, 1)]);
    check_eq!(held(&device)?, 100);
    // The end of the mapping, which maps pages 16 to 23.
    let device = cx.device()?.create(PMD as u64, RMMAP_CREATE_ALWAYS)?;
    let mapping = MapOptions::new(8 * P).offset(16 * P as u64).map(&device)?;
    touch(&mapping, [5])?;
    check!((1..=8).contains(&held(&device)?));
    // The end of a page table: the address of the mapping is off by one page.
    let device = cx.device()?.create(PMD as u64, RMMAP_CREATE_ALWAYS)?;
    let mapping = map_at(cx, &device, 1, 256)?;
    mapping.touch_write(100, 1)?;
    check_eq!(folios(&device)?, [(0, 1)]);
    Ok(())
}

fn policy_respects_the_capacity(cx: &Context) -> Result {
    needs_large_folios()?;
    let capacity = format!("capacity={}", PMD + 3 * P);
    for policy in [RMMAP_POLICY_ADAPTIVE, RMMAP_POLICY_ALWAYS] {
        let policy = format!("policy={policy}");
        cx.loader()?.reload_with(&[&capacity, &policy])?;
        let device = cx.device()?;
        let mapping = MapOptions::new(PMD + 3 * P).map(&device)?;
        mapping.advise(0, mapping.len(), Advice::LinuxPopulateWrite)?;
        check_eq!(folios(&device)?, [(0, 1), (1, 1), (PMD_ORDER, 1)]);
        check_eq!(held(&device)?, LARGE + 3);
    }
    Ok(())
}

fn policy_respects_the_quota(cx: &Context) -> Result {
    needs_large_folios()?;
    let quota = format!("max_bytes={}", 300 * P);
    cx.loader()?.reload_with(&[&quota, "capacity=1048576"])?;
    // A sparse region of the size of the quota, of which other regions use a part.
    let (other, taken) = region(cx, 100, RMMAP_CREATE_NEVER)?;
    touch(&taken, (0..100).rev())?;
    let (device, mapping) = region(cx, 300, RMMAP_CREATE_ADAPTIVE)?;
    let error = mapping.advise(0, 300 * P, Advice::LinuxPopulateWrite);
    check_err!(error, Errno::NOMEM);
    // The remaining 200 pages: 128, 64 and 8.
    check_eq!(held(&device)?, 200);
    check_eq!(folios(&device)?, [(3, 1), (6, 1), (7, 1)]);
    check!(stats(&device)?.region.order_fallback >= 2);
    check_eq!(device.info()?.used_bytes, 300 * P as u64);
    drop((taken, other));
    drop((mapping, device));
    Ok(())
}

fn policy_write_fills_large_folios(cx: &Context) -> Result {
    needs_large_folios()?;
    let data = vec![7; PMD];
    let (region, mapping) = region(cx, 2 * LARGE, RMMAP_CREATE_ADAPTIVE)?;
    check_eq!(pwrite(&region, &data, 0)?, PMD);
    check_eq!(folios(&region)?, [(PMD_ORDER, 1)]);
    check_eq!(pwrite(&region, &data[..3 * P], PMD as u64)?, 3 * P);
    check_eq!(folios(&region)?, [(0, 1), (1, 1), (PMD_ORDER, 1)]);
    check_eq!(held(&region)?, LARGE + 3);
    check_eq!(mapping.touch_read(LARGE - 1)?, 7);
    // A write that grows a region adds no folio past the bytes written.
    let grown = cx.device()?.create(0, RMMAP_CREATE_ADAPTIVE)?;
    check_eq!(pwrite(&grown, &data[..100 * P + 1], 0)?, 100 * P + 1);
    check_eq!(
        (held(&grown)?, grown.info()?.size),
        (101, (100 * P + 1) as u64)
    );
    let never = cx.device()?.create(0, RMMAP_CREATE_NEVER)?;
    check_eq!(pwrite(&never, &data[..64 * P], 0)?, 64 * P);
    check_eq!(folios(&never)?, [(0, 64)]);
    // The largest folio that holds the first page and lies within the region.
    let always = cx
        .device()?
        .create(3 * PMD as u64 / 2, RMMAP_CREATE_ALWAYS)?;
    check_eq!(pwrite(&always, &data[..1], 5 * P as u64)?, 1);
    check_eq!(folios(&always)?, [(PMD_ORDER, 1)]);
    check_eq!(
        pwrite(&always, &data[..1], (LARGE + 9) as u64 * P as u64)?,
        1
    );
    check_eq!(folios(&always)?, [(PMD_ORDER - 1, 1), (PMD_ORDER, 1)]);
    Ok(())
}

fn policy_large_folio_gives_back(cx: &Context) -> Result {
    needs_large_folios()?;
    let before = cx.device()?.info()?.used_bytes;
    let used = || -> Result<usize> { Ok((cx.device()?.info()?.used_bytes - before) as usize / P) };
    let (region, mapping) = region(cx, LARGE, RMMAP_CREATE_ALWAYS)?;
    touch(&mapping, 0..LARGE)?;
    check_eq!(folios(&region)?, [(PMD_ORDER, 1)]);
    check_eq!(used()?, LARGE);
    let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    fallocate(&region, punch, 17 * P as u64, P as u64)?;
    check_eq!((held(&region)?, used()?), (LARGE - 1, LARGE - 1));
    region.discard(100 * P as u64, 100 * P as u64)?;
    check_eq!((held(&region)?, used()?), (LARGE - 101, LARGE - 101));
    ftruncate(&region, 300 * P as u64)?;
    check_eq!((held(&region)?, used()?), (300 - 101, 300 - 101));
    for page in 0..300 {
        let gone = page == 17 || (100..200).contains(&page);
        let wanted = if gone { 0 } else { page as u8 | 1 };
        check_eq!(mapping.touch_read(page)?, wanted, "page {page}");
    }
    Ok(())
}

fn policy_can_be_changed(cx: &Context) -> Result {
    let flags = [
        (RMMAP_CREATE_NEVER, RMMAP_POLICY_NEVER),
        (RMMAP_CREATE_ADAPTIVE, RMMAP_POLICY_ADAPTIVE),
        (RMMAP_CREATE_ALWAYS, RMMAP_POLICY_ALWAYS),
    ];
    let device = cx.device()?;
    for (flag, policy) in flags {
        let region = device.create(PMD as u64, flag)?;
        check_eq!(region.info()?.policy, policy);
        for (_, other) in flags {
            region.set_policy(other)?;
            check_eq!(region.info()?.policy, other);
        }
        check_err!(region.set_policy(3), Errno::INVAL);
        let mut padded = RmmapPolicy {
            policy: RMMAP_POLICY_NEVER,
            pad: 1,
        };
        let call = region.raw_ioctl(RMMAP_IOC_POLICY, padded.as_mut_bytes());
        check_err!(call, Errno::INVAL);
        check_eq!(region.info()?.policy, RMMAP_POLICY_ALWAYS);
    }
    let both = RMMAP_CREATE_NEVER | RMMAP_CREATE_ALWAYS;
    check_err!(device.create(PMD as u64, both), Errno::INVAL);
    check_err!(
        Device::open_with(OFlags::RDONLY)?.set_policy(0),
        Errno::BADF
    );

    // Regions created without a flag inherit the device's policy.
    let was = device.info()?.policy;
    for (_, policy) in flags {
        device.set_policy(policy)?;
        check_eq!(device.info()?.policy, policy);
        check_eq!(device.create(PMD as u64, 0)?.info()?.policy, policy);
    }
    let file = "/sys/kernel/debug/rmmap/policy";
    if std::path::Path::new(file).exists() {
        std::fs::write(file, "always\n")?;
        check_eq!(std::fs::read_to_string(file)?, "never adaptive [always]\n");
        check_eq!(device.info()?.policy, RMMAP_POLICY_ALWAYS);
        check!(std::fs::write(file, "sometimes").is_err());
        check_eq!(device.info()?.policy, RMMAP_POLICY_ALWAYS);
    }
    device.set_policy(was)?;
    Ok(())
}

fn policy_parameter(cx: &Context) -> Result {
    let loader = cx.loader()?;
    for policy in [
        RMMAP_POLICY_ADAPTIVE,
        RMMAP_POLICY_ALWAYS,
        RMMAP_POLICY_NEVER,
    ] {
        loader.reload_with(&[&format!("policy={policy}")])?;
        check_eq!(cx.device()?.info()?.policy, policy);
    }
    loader.unload()?;
    check_err!(loader.load_with(&["policy=3"]), Errno::INVAL);
    loader.load_plain()?;
    check_eq!(cx.device()?.info()?.policy, RMMAP_POLICY_ADAPTIVE);
    Ok(())
}
