// SPDX-License-Identifier: GPL-2.0

//! A page whose memory fails (`MADV_HWPOISON`): as on a memfd, every access to it fails until the
//! page is discarded.

use crate::area::{Area, Kind};
use crate::context::{needs_large_folios, Context, P, PMD, PMD_ORDER};
use crate::outcome::{Result, Stop};
use crate::{cases, check_eq, check_err};
use rmmap_sys::rustix::io::{pread, pwrite};
use rmmap_sys::rustix::mm::Advice;
use rmmap_sys::uapi::RMMAP_CREATE_ALWAYS;
use rmmap_sys::{run_in_child, Device, End, Errno, Fault, MapOptions, Mapping, Signal};
use std::os::fd::AsFd;

cases! {
    Each poisoned_page_is_an_error [] "MADV_HWPOISON of one page: EIO for read and write, SIGBUS (BUS_MCEERR_AR) for a touch, as with memfd; a discard makes it a hole";
    Each poisoned_page_ends_a_read [] "a read up to a poisoned page is short, one that begins there is EIO; the pages after it can be read";
    Rmmap poisoned_page_of_a_large_folio [] "MADV_HWPOISON within a huge page: that page is lost, the others keep their bytes";
}

/// `si_code` of an access to failed memory.
const BUS_MCEERR_AR: i32 = 4;

/// Fills each page with a byte of its own.
fn fill(m: &Mapping) -> Result {
    for page in 0..m.pages() {
        m.write(page * P, &[byte(page); P])?;
    }
    Ok(())
}

fn byte(page: usize) -> u8 {
    page as u8 | 0x40
}

/// Poisons page `page` of an object, in a child: the kernel sends `SIGBUS` to the process that
/// poisons it.
fn poison(object: impl AsFd, options: &MapOptions, page: usize) -> Result {
    if !std::path::Path::new("/proc/sys/vm/memory_failure_recovery").exists() {
        return Err(Stop::skip("this kernel has no CONFIG_MEMORY_FAILURE"));
    }
    let (end, answer) = run_in_child(|| {
        let poisoned = options.map(&object).and_then(|m| {
            let _ = m.touch_read(page);
            m.advise(page * P, P, Advice::LinuxHwPoison)
        });
        format!("{poisoned:?}").into_bytes()
    })?;
    check_eq!(end, End::Exited(0), "the child that poisons");
    check_eq!(String::from_utf8_lossy(&answer), "Ok(())", "madvise");
    Ok(())
}

/// The results of accesses to a poisoned page.
#[derive(Debug, PartialEq, Eq)]
struct Answers {
    read: std::result::Result<usize, Errno>,
    write: std::result::Result<usize, Errno>,
    populate: std::result::Result<(), Errno>,
    /// Loads and stores through an earlier mapping, a new one, and private ones.
    touches: [Option<(Signal, i32)>; 6],
    held: usize,
}

/// Pages of the object, and the page that fails.
const PAGES: usize = 16;
const LOST: usize = 5;

fn signal_of<T>(touch: std::result::Result<T, Fault>) -> Option<(Signal, i32)> {
    touch.err().map(|fault| (fault.signal, fault.code))
}

/// Poisons a page of an object and accesses it in each way.
fn answers(area: &Area) -> Result<Answers> {
    let m = area.map()?;
    fill(&m)?;
    poison(area, &area.whole(), LOST)?;
    let offset = area.base() + (LOST * P) as u64;
    let new = area.map()?;
    let private = area.whole().private().map(area)?;
    let answers = Answers {
        read: pread(area, &mut [0; 64], offset + 100),
        write: pwrite(area, &[1; 64], offset + 100),
        populate: area.map()?.advise(LOST * P, P, Advice::LinuxPopulateRead),
        touches: [
            signal_of(m.touch_read(LOST)),
            signal_of(m.touch_write(LOST, 1)),
            signal_of(new.touch_read(LOST)),
            signal_of(new.touch_write(LOST, 1)),
            signal_of(private.touch_read(LOST)),
            signal_of(private.touch_write(LOST, 1)),
        ],
        held: area.held_pages()?,
    };
    for page in (0..PAGES).filter(|page| *page != LOST) {
        check_eq!(new.touch_read(page)?, byte(page), "page {page}");
        check_eq!(area.read(page * P, P)?, [byte(page); P], "page {page}");
    }
    drop((m, new, private));
    // The page is a hole again.
    area.discard(LOST, 1)?;
    check_eq!(area.held_pages()?, PAGES - 1, "after a discard of the page");
    check_eq!(area.read(LOST * P, P)?, [0; P]);
    area.write(LOST * P, &[7; P])?;
    let m = area.map()?;
    check_eq!(m.touch_read(LOST)?, 7);
    m.touch_write(LOST, 8)?;
    check_eq!(area.held_pages()?, PAGES);
    area.discard(0, PAGES)?;
    check_eq!(area.held_pages()?, 0);
    Ok(answers)
}

fn poisoned_page_is_an_error(cx: &Context) -> Result {
    let memfd = answers(&Area::new(Kind::Memfd, PAGES)?)?;
    check_eq!(memfd.read, Err(Errno::IO), "of memfd");
    check_eq!(answers(&cx.area(PAGES)?)?, memfd);
    check_eq!(memfd.touches, [Some((Signal::Bus, BUS_MCEERR_AR)); 6]);
    Ok(())
}

fn poisoned_page_ends_a_read(cx: &Context) -> Result {
    let area = cx.area(PAGES)?;
    fill(&area.map()?)?;
    poison(&area, &area.whole(), LOST)?;
    let mut buffer = vec![0; PAGES * P];
    check_eq!(pread(&area, &mut buffer[..], area.base())?, LOST * P);
    for (page, bytes) in buffer.chunks(P).take(LOST).enumerate() {
        check_eq!(bytes, [byte(page); P]);
    }
    let at = |page: usize| area.base() + (page * P) as u64;
    check_err!(pread(&area, &mut buffer[..], at(LOST)), Errno::IO);
    let after = area.read((LOST + 1) * P, (PAGES - LOST - 1) * P)?;
    for (page, bytes) in (LOST + 1..).zip(after.chunks(P)) {
        check_eq!(bytes, [byte(page); P]);
    }
    // A write fails as well.
    check_eq!(pwrite(&area, &vec![9; PAGES * P], at(0))?, LOST * P);
    check_err!(pwrite(&area, &[9; P], at(LOST)), Errno::IO);
    area.discard(0, PAGES)?;
    check_eq!(area.held_pages()?, 0);
    Ok(())
}

fn poisoned_page_of_a_large_folio(cx: &Context) -> Result {
    const LARGE: usize = PMD / P;
    const AT: usize = 300;
    needs_large_folios()?;
    let before = cx.device()?.info()?;
    let region: Device = cx.device()?.create(PMD as u64, RMMAP_CREATE_ALWAYS)?;
    let options = MapOptions::new(PMD);
    let m = options.map(&region)?;
    fill(&m)?;
    check_eq!(
        crate::counting::stats(&region)?.region.folios[PMD_ORDER],
        1,
        "huge pages"
    );
    poison(&region, &options, AT)?;
    let mut page = [0; P];
    for n in 0..LARGE {
        let read = pread(&region, &mut page, (n * P) as u64);
        if n == AT {
            check_err!(read, Errno::IO);
            let touch = signal_of(m.touch_read(n));
            check_eq!(touch, Some((Signal::Bus, BUS_MCEERR_AR)));
        } else {
            check_eq!((read?, page), (P, [byte(n); P]), "page {n}");
            check_eq!(m.touch_read(n)?, byte(n), "page {n}");
        }
    }
    region.discard((AT * P) as u64, P as u64)?;
    check_eq!(region.info()?.resident as usize / P, LARGE - 1);
    check_eq!(pread(&region, &mut page, (AT * P) as u64)?, P);
    check_eq!(page, [0; P]);
    drop((m, region));
    let after = cx.device()?.info()?;
    check_eq!(after.used_bytes, before.used_bytes, "bytes of the quota");
    Ok(())
}
