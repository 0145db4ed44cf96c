// SPDX-License-Identifier: GPL-2.0

//! The binding against memory that every kernel has: memfd and anonymous memory.

use rmmap_sys::rustix::fs::{ftruncate, memfd_create, MemfdFlags};
use rmmap_sys::rustix::mm::{MapFlags, MprotectFlags, MremapFlags, ProtFlags};
use rmmap_sys::{Errno, Fault, MapOptions, Signal, PAGE_SIZE};
use std::os::fd::OwnedFd;

fn memfd(pages: usize) -> OwnedFd {
    let fd = memfd_create("rmmap-sys", MemfdFlags::CLOEXEC).unwrap();
    ftruncate(&fd, (pages * PAGE_SIZE) as u64).unwrap();
    fd
}

#[test]
fn bytes_come_back_as_they_were_written() {
    let m = MapOptions::new(2 * PAGE_SIZE).map(memfd(2)).unwrap();
    let data: Vec<u8> = (0..=255).cycle().take(PAGE_SIZE + 13).collect();
    m.write(5, &data).unwrap();
    let mut back = vec![0; data.len()];
    m.read(5, &mut back).unwrap();
    assert_eq!(back, data);
    assert_eq!(
        m.read_u64(5).unwrap(),
        u64::from_ne_bytes([0, 1, 2, 3, 4, 5, 6, 7])
    );
    assert_eq!(m.touch_read(1).unwrap(), (PAGE_SIZE - 5) as u8);
}

#[test]
fn touch_beyond_the_end_is_a_bus_error_at_its_address() {
    let m = MapOptions::new(3 * PAGE_SIZE).map(memfd(1)).unwrap();
    m.touch_write(0, 1).unwrap();
    let want = Fault {
        signal: Signal::Bus,
        code: Fault::BUS_ADRERR,
        address: m.address_of(2 * PAGE_SIZE),
    };
    assert_eq!(m.touch_read(2), Err(want));
    assert_eq!(m.touch_write(2, 1), Err(want));
    assert_eq!(m.write_u64(2 * PAGE_SIZE, 1), Err(want));
    assert!(want.is_beyond_end());
}

#[test]
fn forbidden_store_is_a_segmentation_fault() {
    let m = MapOptions::new(PAGE_SIZE).map(memfd(1)).unwrap();
    m.protect(0, PAGE_SIZE, MprotectFlags::READ).unwrap();
    assert_eq!(m.touch_read(0), Ok(0));
    let fault = m.touch_write(0, 1).unwrap_err();
    assert_eq!(
        (fault.signal, fault.code),
        (Signal::Segv, Fault::SEGV_ACCERR)
    );
    assert_eq!(fault.address, m.address());
}

#[test]
#[should_panic(expected = "not in a mapping")]
fn access_to_a_part_that_was_given_back_panics() {
    let mut m = MapOptions::new(3 * PAGE_SIZE).map(memfd(3)).unwrap();
    m.unmap(PAGE_SIZE, PAGE_SIZE).unwrap();
    m.touch_write(0, 1).unwrap();
    m.touch_write(2, 1).unwrap();
    let _ = m.touch_read(1);
}

#[test]
fn hole_can_be_filled_and_extended() {
    let fd = memfd(4);
    let mut m = MapOptions::new(4 * PAGE_SIZE).map(&fd).unwrap();
    m.unmap(PAGE_SIZE, 3 * PAGE_SIZE).unwrap();
    for page in 1..4 {
        let options = MapOptions::new(PAGE_SIZE).offset((page * PAGE_SIZE) as u64);
        m.fill(page * PAGE_SIZE, &options, Some(&fd)).unwrap();
        m.touch_write(page, page as u8).unwrap();
    }
    let twice = m.fill(0, &MapOptions::new(PAGE_SIZE), Some(&fd));
    assert_eq!(twice, Err(Errno::EXIST));
}

#[test]
fn fixed_mapping_is_refused_unless_over_an_own_one() {
    let fixed = MapOptions::new(PAGE_SIZE).flags(MapFlags::FIXED);
    assert_eq!(fixed.map(memfd(1)).unwrap_err(), Errno::NOTSUP);
    let mut m = MapOptions::new(2 * PAGE_SIZE)
        .prot(ProtFlags::empty())
        .private();
    m = m.only_flags(MapFlags::PRIVATE | MapFlags::NORESERVE);
    let mut m = m.map_anonymous().unwrap();
    let fd = memfd(1);
    m.map_over(PAGE_SIZE, &MapOptions::new(PAGE_SIZE), Some(&fd))
        .unwrap();
    m.touch_write(1, 7).unwrap();
    let other = MapOptions::new(PAGE_SIZE).map(&fd).unwrap();
    assert_eq!(other.touch_read(0), Ok(7));
}

#[test]
fn moving_takes_the_contents_along() {
    let mut m = MapOptions::new(2 * PAGE_SIZE).map(memfd(8)).unwrap();
    m.touch_write(1, 9).unwrap();
    m.resize(8 * PAGE_SIZE, MremapFlags::MAYMOVE).unwrap();
    assert_eq!((m.pages(), m.touch_read(1)), (8, Ok(9)));
    let part = m
        .move_part(PAGE_SIZE..2 * PAGE_SIZE, 2 * PAGE_SIZE, false)
        .unwrap();
    assert_eq!((part.pages(), part.touch_read(0)), (2, Ok(9)));
    m.touch_read(0).unwrap();
    let mut target = MapOptions::new(4 * PAGE_SIZE)
        .private()
        .map_anonymous()
        .unwrap();
    m.move_over(0..PAGE_SIZE, &mut target, PAGE_SIZE, MremapFlags::empty())
        .unwrap();
    assert_eq!(target.mincore(PAGE_SIZE, PAGE_SIZE).unwrap(), [true]);
}

#[test]
fn mincore_tells_what_the_object_holds() {
    let m = MapOptions::new(4 * PAGE_SIZE).map(memfd(4)).unwrap();
    m.touch_write(2, 1).unwrap();
    assert_eq!(m.mincore(0, m.len()).unwrap(), [false, false, true, false]);
}
