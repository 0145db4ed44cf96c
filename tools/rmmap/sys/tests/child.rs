// SPDX-License-Identifier: GPL-2.0

//! Forking. The tests of a binary share a process with several threads, where forking is refused,
//! so this binary has its own `main` with one.

use rmmap_sys::rustix::fs::{memfd_create, MemfdFlags};
use rmmap_sys::rustix::io::{pread, pwrite};
use rmmap_sys::rustix::process::Signal;
use rmmap_sys::{fork, run_in_child, End};
use std::io::ErrorKind;

fn main() {
    answer_comes_back();
    death_is_told();
    descriptors_travel();
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

fn threads_forbid_forking() {
    let (send, receive) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || receive.recv().is_err());
    assert_eq!(fork(|_| 0).unwrap_err().kind(), ErrorKind::ResourceBusy);
    drop(send);
    assert!(thread.join().unwrap());
    assert_eq!(fork(|_| 0).unwrap().wait().unwrap(), End::Exited(0));
}
