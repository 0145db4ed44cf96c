// SPDX-License-Identifier: GPL-2.0

//! Merging of new mappings, depending on the driver's hook and operations.

use crate::context::Context;
use crate::ctl::Ctl;
use crate::outcome::Result;
use crate::view::{check_flags, vma_pages};
use crate::{cases, check_eq};
use rmmap_sys::Mapping;

cases! {
    With("rmmap_ctl") ctl_prepare_runs_before_the_merge ["MR-15"] "mmap_prepare runs for each of two mappings that merge, vm_ops->mapped for the first only";
    With("rmmap_ctl") ctl_close_forbids_removal ["MR-18"] "with vm_ops->close a VMA is extended, and never merged away";
    With("rmmap_ctl") ctl_special_never_merges ["MR-19"] "VM_MIXEDMAP and VM_DONTEXPAND: two VMAs, the hook ran twice";
    With("rmmap_ctl") ctl_changed_flags_and_the_merge ["MR-27", "MR-28"] "flags set by .mmap keep neighbours apart, the same flags set by .mmap_prepare do not";
}

/// Maps ranges of pages, each as first page and page after the last, at their offset in a window.
fn map(ctl: &Ctl, window: &mut Mapping, ranges: &[(usize, usize)]) -> Result {
    for (start, end) in ranges {
        ctl.map_at(window, *start, ctl.part(*start, end - start))?;
    }
    Ok(())
}

fn ctl_prepare_runs_before_the_merge(cx: &Context) -> Result {
    let ctl = Ctl::open("prep")?;
    let mut window = cx.window(8)?;
    map(&ctl, &mut window, &[(0, 4)])?;
    check_eq!(ctl.counts(["hook", "mapped"])?, [1, 1]);
    map(&ctl, &mut window, &[(4, 8)])?;
    check_eq!(vma_pages(&window)?, [(0, 8)]);
    check_eq!(ctl.counts(["hook", "mapped"])?, [2, 1]);
    // Both halves can be accessed.
    for page in 0..8 {
        window.touch_write(page, 1)?;
    }
    check_eq!(ctl.counts(["fault", "cached"])?, [8, 8]);
    Ok(())
}

fn ctl_close_forbids_removal(cx: &Context) -> Result {
    let ctl = Ctl::open("close")?;
    let mut window = cx.window(8)?;
    map(&ctl, &mut window, &[(0, 4), (4, 8)])?;
    check_eq!(vma_pages(&window)?, [(0, 8)]);
    check_eq!(ctl.counts(["hook", "open", "close"])?, [1, 0, 0]);
    drop(window);
    check_eq!(ctl.counts(["open", "close"])?, [0, 1]);

    let mut window = cx.window(12)?;
    map(&ctl, &mut window, &[(0, 4), (8, 12), (4, 8)])?;
    // The mapping of the hole merged with the VMA before it, without a call of the hook; the VMA
    // after it stays.
    check_eq!(vma_pages(&window)?, [(0, 8), (8, 12)]);
    check_eq!(ctl.counts(["hook", "open", "close"])?, [3, 0, 1]);
    drop(window);
    check_eq!(ctl.counts(["open", "close"])?, [0, 3]);
    Ok(())
}

fn ctl_special_never_merges(cx: &Context) -> Result {
    for name in ["mixed", "dontexpand"] {
        let ctl = Ctl::open(name)?;
        let mut window = cx.window(8)?;
        map(&ctl, &mut window, &[(0, 4), (4, 8)])?;
        check_eq!(vma_pages(&window)?, [(0, 4), (4, 8)], "VMAs of {name}");
        check_eq!(ctl.get("hook")?, 2, "calls of the hook of {name}");
    }
    Ok(())
}

fn ctl_changed_flags_and_the_merge(cx: &Context) -> Result {
    let dump = Ctl::open("dump")?;
    let mut window = cx.window(8)?;
    map(&dump, &mut window, &[(0, 4), (4, 8)])?;
    check_flags(&window, &["dd"], &[])?;
    check_eq!(vma_pages(&window)?, [(0, 4), (4, 8)]);
    check_eq!(dump.get("hook")?, 2);

    let prepare = Ctl::open("dump-prep")?;
    let mut window = cx.window(8)?;
    map(&prepare, &mut window, &[(0, 4), (4, 8)])?;
    check_flags(&window, &["dd"], &[])?;
    check_eq!(vma_pages(&window)?, [(0, 8)]);
    check_eq!(prepare.get("hook")?, 2);
    Ok(())
}
