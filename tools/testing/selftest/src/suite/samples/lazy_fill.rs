// SPDX-License-Identifier: GPL-2.0

//! Filling holes of rust_mm_lazy's mappings by userfaultfd(2). A program that may write-protect
//! pages may also try to fill holes: the result is an error, never memory of another kind.

use super::sample::open;
use crate::context::{Context, P};
use crate::outcome::{Result, Stop};
use crate::{cases, check_eq, check_err};
use rmmap_sys::rustix::fs::OFlags;
use rmmap_sys::userfaultfd::{Fill, Mode};
use rmmap_sys::{Device, Errno, MapOptions, Mapping, Userfaultfd};
use std::os::fd::AsFd;

cases! {
    With("rust_mm_lazy") rust_mm_lazy_userfaultfd_fills_nothing [] "UFFDIO_COPY, ZEROPAGE, CONTINUE, POISON and MOVE end in an error, on mappings of every kind";
    Rmmap userfaultfd_fills_nothing [] "the same on mappings of the device and of a region, which asynchronous protection takes";
}

/// The present page; the next one is a hole.
const PRESENT: usize = 0;
const HOLE: usize = 1;

/// Checks the result of each `fill` of `mapping`, and that the two pages are unchanged.
struct Answers {
    copy: Errno,
    zeroes: Errno,
    poison: Errno,
}

/// Shared mappings of the sample's device: `alloc_folio` of its `vm_uffd_ops` always fails with
/// ENOMEM.
///
/// The open file is a device node, whose inode has size 0: see `mfill_file_over_size()` in
/// mm/userfaultfd.c.
const SHARED: Answers = Answers {
    copy: Errno::NOMEM,
    zeroes: Errno::NOMEM,
    poison: Errno::FAULT,
};

/// Private mappings of the device, which the core fills with anonymous memory, within the file.
const PRIVATE: Answers = Answers {
    copy: Errno::FAULT,
    zeroes: Errno::FAULT,
    poison: Errno::FAULT,
};

/// Mappings without `vm_uffd_ops`.
const NO_OPS: Answers = Answers {
    copy: Errno::INVAL,
    zeroes: Errno::INVAL,
    poison: Errno::INVAL,
};

/// Tries each `fill` on a present page and on a hole of a registered mapping.
fn fill_each(uffd: &Userfaultfd, m: &Mapping, kind: &str, answers: &Answers) -> Result {
    let bytes = [0xdb; P];
    let source = MapOptions::new(P).private().map_anonymous()?;
    source.touch_write(0, 0xdb)?;
    for page in [PRESENT, HOLE] {
        for (fill, want) in [
            (Fill::Copy(&bytes), answers.copy),
            (Fill::Zeroes, answers.zeroes),
            (Fill::Cached, Errno::INVAL),
            (Fill::Poison, answers.poison),
            (Fill::Move(&source), Errno::INVAL),
        ] {
            let filled = uffd.fill((m, page * P, P), fill);
            let name = match fill {
                Fill::Copy(_) => "UFFDIO_COPY",
                Fill::Zeroes => "UFFDIO_ZEROPAGE",
                Fill::Cached => "UFFDIO_CONTINUE",
                Fill::Poison => "UFFDIO_POISON",
                Fill::Move(_) => "UFFDIO_MOVE",
            };
            check_eq!(filled, Err(want), "{name} of page {page}, {kind}");
        }
    }
    check_eq!(source.touch_read(0)?, 0xdb, "the page that was not moved");
    Ok(())
}

/// Registers mappings of each kind, each of two fresh pages from `offset` on, and tries all fills.
fn fill_kinds(
    fd: &impl AsFd,
    mut offset: u64,
    uffd: &Userfaultfd,
    (shared, private): (&Answers, &Answers),
) -> Result {
    let options = MapOptions::new(2 * P);
    for (kind, options, answers) in [
        ("shared", options, shared),
        ("shared, read-only", options.read_only(), shared),
        ("private", options.private(), private),
        ("private, read-only", options.private().read_only(), private),
    ] {
        let store = MapOptions::new(P).offset(offset).map(fd)?;
        store.touch_write(0, 0x5a)?;
        let m = options.offset(offset).map(fd)?;
        check_eq!(m.touch_read(PRESENT)?, 0x5a);
        uffd.register(&m, Mode::Stores)?;
        fill_each(uffd, &m, kind, answers)?;
        // A hole with a marker in the page table, and a page that is mapped write-protected.
        uffd.protect((&m, 0, 2 * P), Mode::Stores, true)?;
        fill_each(uffd, &m, &format!("{kind}, protected"), answers)?;
        uffd.protect((&m, 0, 2 * P), Mode::Stores, false)?;
        check_eq!(
            (m.touch_read(PRESENT)?, m.touch_read(HOLE)?),
            (0x5a, 0),
            "contents, {kind}"
        );
        offset += 2 * P as u64;
    }
    Ok(())
}

fn rust_mm_lazy_userfaultfd_fills_nothing(_: &Context) -> Result {
    const NAME: &str = "rust_mm_lazy";
    let fd = open(NAME)?;
    let uffd = Userfaultfd::new()?;
    if !uffd.offers(Mode::Stores) {
        return Err(Stop::skip("needs CONFIG_PTE_MARKER_UFFD_WP"));
    }
    fill_kinds(&fd, 0, &uffd, (&SHARED, &PRIVATE))?;
    let asynchronous = Userfaultfd::waiting_for_nobody()?;
    fill_kinds(&fd, 16 * P as u64, &asynchronous, (&SHARED, &PRIVATE))?;

    // Without write permission for the file, registering its mapping fails.
    let reader = Device::open_path(format!("/dev/{NAME}"), OFlags::RDONLY)?;
    let m = MapOptions::new(2 * P).read_only().map(&reader)?;
    check_err!(uffd.register(&m, Mode::Stores), Errno::PERM);
    check_err!(uffd.fill((&m, 0, P), Fill::Zeroes), Errno::NOENT);
    Ok(())
}

fn userfaultfd_fills_nothing(cx: &Context) -> Result {
    if !Userfaultfd::new()?.offers(Mode::Stores) {
        return Err(Stop::skip("needs CONFIG_PTE_MARKER_UFFD_WP"));
    }
    let uffd = Userfaultfd::waiting_for_nobody()?;
    let answers = (&NO_OPS, &NO_OPS);
    let device = cx.device()?;
    fill_kinds(&device, 0, &uffd, answers)?;
    fill_kinds(&device.create(64 * P as u64, 0)?, 0, &uffd, answers)
}
