// SPDX-License-Identifier: GPL-2.0

//! fork(2): the memory that parent and child share, and the memory that they do not.

use crate::context::{Context, P};
use crate::outcome::Result;
use crate::view::{kb, resident, smap};
use crate::{cases, check_eq};
use rmmap_sys::rustix::mm::Advice;
use rmmap_sys::{fork, run_in_child, End};

cases! {
    Each fork_shares_shared_mappings ["MK-02"] "stores after a fork are seen both ways through a shared mapping";
    Each fork_copies_private_mappings ["MK-01"] "after a fork parent and child have their own private pages, allocated before or after it";
    Each fork_child_starts_lazy [] "a child finds a shared mapping without page table entries and without new pages";
    Each fork_generations [] "a grandchild's stores reach the first process after parent and child are gone";
    Each fork_mapping_survives_parent_munmap [] "a child's mapping works after the parent unmapped and closed the object";
}

fn fork_shares_shared_mappings(cx: &Context) -> Result {
    let area = cx.single_pages(4)?;
    let m = area.map()?;
    m.touch_write(0, 1)?;
    let mut child = fork(|channel| {
        let seen = m.touch_read(0) == Ok(1) && m.touch_write(1, 2).is_ok();
        let told = channel.send_u64(0).and_then(|()| channel.receive_u64());
        i32::from(!seen || told.is_err() || m.touch_read(2) != Ok(3))
    })?;
    child.channel().receive_u64()?;
    check_eq!(m.touch_read(1)?, 2, "the child's store");
    m.touch_write(2, 3)?;
    child.channel().send_u64(0)?;
    check_eq!(child.wait()?, End::Exited(0));
    check_eq!(area.held_pages()?, 3);
    Ok(())
}

fn fork_copies_private_mappings(cx: &Context) -> Result {
    let area = cx.single_pages(4)?;
    area.write(0, &[9; 4 * P])?;
    let m = area.whole().private().map(&area)?;
    m.touch_write(0, 1)?;
    let (end, bytes) = run_in_child(|| {
        let look = || -> Result<Vec<u8>> {
            let inherited = m.touch_read(0)?;
            m.touch_write(0, 2)?;
            m.touch_write(1, 2)?;
            Ok(vec![
                inherited,
                m.touch_read(0)?,
                m.touch_read(1)?,
                m.touch_read(2)?,
            ])
        };
        look().unwrap_or_default()
    })?;
    check_eq!((end, bytes), (End::Exited(0), vec![1, 2, 2, 9]));
    check_eq!(
        (m.touch_read(0)?, m.touch_read(1)?),
        (1, 9),
        "the parent's bytes"
    );
    m.touch_write(0, 4)?;
    check_eq!(smap(&m)?.kb("Anonymous"), kb(1));
    check_eq!(
        (area.read(0, 1)?[0], area.read(P, 1)?[0], area.held_pages()?),
        (9, 9, 4)
    );
    Ok(())
}

fn fork_child_starts_lazy(cx: &Context) -> Result {
    let area = cx.area(16)?;
    let m = area.map()?;
    for page in 0..16 {
        m.touch_write(page, page as u8)?;
    }
    let count = area.count()?;
    let (end, bytes) = run_in_child(|| {
        let look = || -> Result<Vec<u8>> {
            let before = resident(&m)?;
            Ok(vec![before as u8, m.touch_read(3)?, m.touch_read(15)?])
        };
        look().unwrap_or_default()
    })?;
    check_eq!((end, bytes), (End::Exited(0), vec![0, 3, 15]));
    check_eq!(
        (count.get("folios")?.unwrap_or(0), area.held_pages()?),
        (0, 16)
    );
    Ok(())
}

fn fork_generations(cx: &Context) -> Result {
    let area = cx.single_pages(4)?;
    let m = area.map()?;
    let mut child = fork(|_| {
        let Ok(mut grandchild) = fork(|_| i32::from(m.touch_write(3, 0x33).is_err())) else {
            return 2;
        };
        i32::from(grandchild.wait().ok() != Some(End::Exited(0)) || m.touch_write(2, 0x22).is_err())
    })?;
    check_eq!(child.wait()?, End::Exited(0));
    check_eq!(
        (m.touch_read(2)?, m.touch_read(3)?, area.held_pages()?),
        (0x22, 0x33, 2)
    );
    Ok(())
}

fn fork_mapping_survives_parent_munmap(cx: &Context) -> Result {
    let area = cx.area(4)?;
    let m = area.map()?;
    m.touch_write(0, 1)?;
    let mut child = fork(|channel| {
        if channel.receive_u64().is_err() {
            return 1;
        }
        // Page table entries that fork did not copy are filled again from the object.
        let dropped = m.advise(0, m.len(), Advice::LinuxDontNeed);
        i32::from(dropped.is_err() || m.touch_read(0) != Ok(1) || m.touch_write(3, 1).is_err())
    })?;
    drop((m, area));
    child.channel().send_u64(0)?;
    check_eq!(child.wait()?, End::Exited(0));
    Ok(())
}
