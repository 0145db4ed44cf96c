// SPDX-License-Identifier: GPL-2.0

//! rust_mm_lazy and userfaultfd(2): the modes that `VmOperations::USERFAULTFD` allows.

use super::sample::{map, open};
use crate::context::{Context, P};
use crate::outcome::{Result, Stop};
use crate::view::check_flags;
use crate::{cases, check, check_eq, check_err};
use rmmap_sys::rustix::event::{poll, PollFd, PollFlags, Timespec};
use rmmap_sys::userfaultfd::{Event, Mode};
use rmmap_sys::{Errno, Fault, Mapping, Userfaultfd};
use std::thread::scope;

cases! {
    With("rust_mm_lazy") rust_mm_lazy_userfaultfd_protects [] "stores to protected pages (and accesses, where the kernel can) wait until userspace releases them";
    With("rust_mm_lazy") rust_mm_lazy_userfaultfd_refuses_missing [] "missing and minor faults are refused: EINVAL";
}

const NAME: &str = "rust_mm_lazy";

/// Returns whether an event arrives within some seconds.
fn comes(uffd: &Userfaultfd, seconds: i64) -> Result<bool> {
    let timeout = Timespec {
        tv_sec: seconds,
        tv_nsec: 0,
    };
    let ready = poll(&mut [PollFd::new(uffd, PollFlags::IN)], Some(&timeout))?;
    Ok(ready == 1)
}

/// Stores to page 2 in another thread. Returns the event, the contents of page 2 during the wait,
/// and the result of the store after the wake-up.
fn store_and_release(
    cx: &Context,
    uffd: &Userfaultfd,
    mode: Mode,
    (m, other): (&Mapping, &Mapping),
) -> Result<(Option<Event>, u8, rmmap_sys::Result<(), Fault>)> {
    scope(|scope| {
        let thread = scope.spawn(|| m.touch_write(2, 0x99));
        let told = comes(uffd, 5 * cx.time_scale.ceil() as i64).and_then(|comes| match comes {
            true => Ok(uffd.event()?),
            false => Ok(None),
        });
        let meanwhile = other.touch_read(2);
        // Wake the thread before returning an error: it would wait forever.
        let released = uffd.protect((m, 2 * P, P), mode, false);
        let stored = thread.join().map_err(|_| Stop::fail("a thread panicked"))?;
        released?;
        Ok((told?, meanwhile?, stored))
    })
}

fn rust_mm_lazy_userfaultfd_protects(cx: &Context) -> Result {
    let fd = open(NAME)?;
    let mut tried = 0;
    for mode in [Mode::Stores, Mode::Accesses] {
        let (m, other) = (map(&fd, 4)?, map(&fd, 4)?);
        for page in 0..4 {
            m.touch_write(page, 0x20 + page as u8)?;
        }
        let uffd = Userfaultfd::new()?;
        if !uffd.offers(mode) {
            continue;
        }
        tried += 1;
        uffd.register(&m, mode)?;
        if mode == Mode::Stores {
            check_flags(&m, &["uw"], &[])?;
        }
        uffd.protect((&m, 2 * P, P), mode, true)?;
        m.touch_write(1, 0x11)?;
        check!(
            !comes(&uffd, 0)?,
            "a page that is not protected makes an event"
        );
        let (event, meanwhile, stored) = store_and_release(cx, &uffd, mode, (&m, &other))?;
        let want = Event {
            address: m.address_of(2 * P),
            is_write: true,
            mode,
        };
        check_eq!(event, Some(want), "the event of {mode:?}");
        check_eq!((meanwhile, stored), (0x22, Ok(())));
        check_eq!((other.touch_read(1)?, other.touch_read(2)?), (0x11, 0x99));
    }
    match tried {
        0 => Err(Stop::skip("needs CONFIG_PTE_MARKER_UFFD_WP or _RWP")),
        _ => Ok(()),
    }
}

fn rust_mm_lazy_userfaultfd_refuses_missing(_: &Context) -> Result {
    let m = map(&open(NAME)?, 4)?;
    let uffd = Userfaultfd::new()?;
    check_err!(uffd.register(&m, Mode::Missing), Errno::INVAL);
    check_err!(uffd.register(&m, Mode::Minor), Errno::INVAL);
    check_flags(&m, &[], &["um", "ui", "uw"])
}
