// SPDX-License-Identifier: GPL-2.0

//! What only a process with one thread may do: forking, and keeping what a failed `MAP_FIXED` left.
//! The tests of a binary share a process with several, so this binary has its own `main`.

use rmmap_sys::rustix::fs::{memfd_create, MemfdFlags};
use rmmap_sys::rustix::io::{pread, pwrite};
use rmmap_sys::rustix::process::Signal;
use rmmap_sys::{fork, run_in_child, End, Errno, MapOptions, Tracee, PAGE_SIZE};
use std::io::ErrorKind;

fn main() {
    answer_comes_back();
    death_is_told();
    descriptors_travel();
    victims_that_survive_stay();
    a_hole_can_be_mapped_over();
    debuggers_see_and_change_memory();
    threads_forbid_forking();
}

fn answer_comes_back() {
    let (end, bytes) = run_in_child(|| vec![7; 100_000]).unwrap();
    assert_eq!((end, bytes), (End::Exited(0), vec![7; 100_000]));
    assert_eq!(fork(|_| 3).unwrap().wait().unwrap(), End::Exited(3));
}

fn death_is_told() {
    let mut child = fork(|channel| {
        channel.send_u64(1).unwrap();
        channel.receive().map_or(1, |_| 0)
    })
    .unwrap();
    assert_eq!(child.channel().receive_u64().unwrap(), 1);
    child.signal(Signal::KILL).unwrap();
    assert_eq!(child.wait().unwrap(), End::Killed(Signal::KILL.as_raw()));
    assert_eq!(
        child.channel().receive().unwrap_err().kind(),
        ErrorKind::UnexpectedEof
    );
    assert!(
        child.signal(Signal::KILL).is_err(),
        "a reaped child's id may be somebody else's"
    );
}

fn descriptors_travel() {
    let child = fork(|channel| {
        let fd = memfd_create("rmmap-sys", MemfdFlags::CLOEXEC).unwrap();
        pwrite(&fd, b"hello", 0).unwrap();
        channel.send_fd(&fd).unwrap();
        0
    })
    .unwrap();
    let fd = child.channel().receive_fd().unwrap();
    let mut bytes = [0; 5];
    assert_eq!(pread(&fd, &mut bytes, 0).unwrap(), 5);
    assert_eq!(&bytes, b"hello");
}

fn debuggers_see_and_change_memory() {
    let m = MapOptions::new(PAGE_SIZE).map_anonymous().unwrap();
    m.write_u64(8, 0x1122_3344).unwrap();
    // The child ends well only if it goes on after it was stopped, and finds the new value.
    let mut child = fork(|channel| {
        let went_on = channel.receive().is_ok();
        i32::from(!went_on || m.read_u64(16) != Ok(0x5566))
    })
    .unwrap();
    let tracee = Tracee::attach(&child).unwrap();
    assert_eq!(tracee.peek(m.address_of(8)), Ok(0x1122_3344));
    tracee.poke((&m, 16), 0x5566).unwrap();
    assert_eq!(tracee.peek(0), Err(Errno::IO));
    drop(tracee);
    assert_eq!(m.read_u64(16), Ok(0x5566));
    child.channel().send(&[]).unwrap();
    assert_eq!(child.wait().unwrap(), End::Exited(0));
}

fn threads_forbid_forking() {
    let (send, receive) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || receive.recv().is_err());
    assert_eq!(fork(|_| 0).unwrap_err().kind(), ErrorKind::ResourceBusy);
    drop(send);
    assert!(thread.join().unwrap());
    assert_eq!(fork(|_| 0).unwrap().wait().unwrap(), End::Exited(0));
}

/// `MAP_FIXED` that fails before it unmaps anything takes nothing away.
fn victims_that_survive_stay() {
    let file = std::fs::File::open("/proc/self/exe").unwrap();
    let mut m = MapOptions::new(4 * PAGE_SIZE).map_anonymous().unwrap();
    m.touch_write(1, 7).unwrap();
    let shared_writable = MapOptions::new(PAGE_SIZE);
    let result = m.map_over(PAGE_SIZE, &shared_writable, Some(&file));
    assert_eq!(result, Err(Errno::ACCESS));
    assert_eq!(m.touch_read(1), Ok(7));
}

/// The hole is gone, and all is the owner's.
fn a_hole_can_be_mapped_over() {
    let anonymous = MapOptions::new(4 * PAGE_SIZE).private();
    let mut m = anonymous.map_anonymous().unwrap();
    m.touch_write(3, 7).unwrap();
    let none = None::<&std::fs::File>;
    m.map_over_hole(PAGE_SIZE..2 * PAGE_SIZE, 0, &anonymous, none)
        .unwrap();
    assert_eq!((m.touch_read(1), m.touch_read(3)), (Ok(0), Ok(0)));
}
