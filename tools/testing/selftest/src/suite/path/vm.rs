// SPDX-License-Identifier: GPL-2.0

//! `vm_mmap_pgoff()`: hooks before the mapping, and notifications after it.

use crate::area::{Area, Kind};
use crate::context::{Context, P};
use crate::ctl::Ctl;
use crate::outcome::{errno, Result, Stop};
use crate::view::{resident, vmas};
use crate::waiting::until_blocked;
use crate::{cases, check, check_eq, check_err};
use rmmap_sys::process::SYS_MMAP;
use rmmap_sys::rustix::event::{poll, PollFd, PollFlags, Timespec};
use rmmap_sys::rustix::thread::gettid;
use rmmap_sys::userfaultfd::Mode;
use rmmap_sys::{Errno, MapOptions, Mapping, Userfaultfd};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread::scope;
use std::time::Duration;

cases! {
    Rmmap unmap_event_is_waited_for ["VM-04"] "MAP_FIXED over memory of a userfaultfd: one event for just these pages, and mmap waits until it is read";
    With("rmmap_ctl") unmap_event_of_a_failure ["VM-05"] "the same when the driver's hook fails: the pages are unmapped, and that is reported and waited for";
    Rmmap userfaultfd_refuses_device ["VM-06"] "UFFDIO_REGISTER of a mapping of the device is EINVAL, and its faults are answered as before";
}

/// Returns a userfaultfd, or the reason to skip the test.
fn userfaultfd() -> Result<Userfaultfd> {
    Userfaultfd::told_of_unmaps().map_err(|e| match e {
        Errno::NOSYS => Stop::skip("this kernel has no userfaultfd"),
        Errno::PERM => Stop::skip("needs userfaultfd: run it as root"),
        e => Stop::fail(format_args!("userfaultfd: {}", errno(e))),
    })
}

/// Waits until there is an event to read; returns false if none arrives.
fn has_event(uffd: &Userfaultfd, limit: Duration) -> Result<bool> {
    let limit = Timespec {
        tv_sec: limit.as_secs() as i64,
        tv_nsec: limit.subsec_nanos().into(),
    };
    Ok(poll(&mut [PollFd::new(uffd, PollFlags::IN)], Some(&limit))? > 0)
}

/// Maps sixteen pages of anonymous memory.
fn anonymous(cx: &Context) -> Result<Mapping> {
    let mut m = cx.window(16)?;
    m.map_over(0, &MapOptions::new(16 * P).private(), None::<&Area>)?;
    Ok(m)
}

/// Maps over pages 4 to 8 of memory that a userfaultfd watches. Checks that there is one event, of
/// these pages, and that mmap waits until it is read. Returns the result of mmap.
fn map_over_watched(
    cx: &Context,
    m: &mut Mapping,
    options: MapOptions,
    fd: BorrowedFd<'_>,
) -> Result<rmmap_sys::Result<()>> {
    let uffd = userfaultfd()?;
    uffd.register(m, Mode::Missing)?;
    let victims = m.address_of(4 * P)..m.address_of(8 * P);
    let id = AtomicI32::new(0);
    let (waited, event, mapped) = scope(|scope| {
        let mapper = scope.spawn(|| {
            id.store(gettid().as_raw_nonzero().get(), Ordering::SeqCst);
            m.map_over(4 * P, &options, Some(fd))
        });
        let came = has_event(&uffd, Duration::from_secs(20))?;
        // An mmap that does not wait never sleeps, and its thread ends.
        let thread = format!("/proc/self/task/{}", id.load(Ordering::SeqCst));
        let waited = until_blocked(cx, &thread, &[SYS_MMAP]);
        // Read the event in any case: the mapping thread waits for that.
        let event = if came { uffd.unmapped()? } else { None };
        let mapped = mapper.join();
        let mapped = mapped.map_err(|_| Stop::fail("the thread panicked"))?;
        Ok::<_, Stop>((waited, event, mapped))
    })?;
    check_eq!(event, Some(victims), "the addresses of the event");
    waited?;
    check!(
        !has_event(&uffd, Duration::ZERO)?,
        "there is a second event"
    );
    // Close the descriptor before the mapping: nobody would read the event of its unmapping.
    Ok(mapped)
}

fn unmap_event_is_waited_for(cx: &Context) -> Result {
    for kind in [Kind::Region, Kind::Device] {
        let area = Area::new(kind, 4)?;
        let mut m = anonymous(cx)?;
        map_over_watched(cx, &mut m, area.whole(), area.as_fd())??;
        check_eq!(
            names(&m)?,
            [(0, 4, false), (4, 8, true), (8, 16, false)],
            "pages, and whether they have a name"
        );
        for page in 4..8 {
            m.touch_write(page, 1)?;
        }
        check_eq!((resident(&m)?, area.held_pages()?), (4, 4));
    }
    Ok(())
}

fn unmap_event_of_a_failure(cx: &Context) -> Result {
    for name in ["fail", "fail-prep"] {
        let ctl = Ctl::open(name)?;
        let mut m = anonymous(cx)?;
        let mapped = map_over_watched(cx, &mut m, ctl.pages(4), ctl.as_fd())?;
        check_err!(mapped, Errno::IO, "mmap of {name}");
        check_eq!(
            names(&m)?,
            [(0, 4, false), (8, 16, false)],
            "pages, and whether they have a name"
        );
        // The rest of it is unchanged.
        m.touch_write(3, 1)?;
        m.touch_write(8, 1)?;
        check_eq!(resident(&m)?, 2);
    }
    Ok(())
}

/// Returns the VMAs of a mapping as page ranges, and whether each is of a file.
///
/// The first may begin before the mapping: without huge pages a thread's stack below it has the same
/// flags (`MAP_STACK`) and merges with it.
fn names(m: &Mapping) -> Result<Vec<(usize, usize, bool)>> {
    let page = |address: usize| address.saturating_sub(m.address()) / P;
    let vmas = vmas(m)?;
    let vmas = vmas.iter();
    Ok(vmas
        .map(|vma| {
            (
                page(vma.range.start),
                page(vma.range.end),
                vma.name.is_some(),
            )
        })
        .collect())
}

fn userfaultfd_refuses_device(_: &Context) -> Result {
    let uffd = userfaultfd()?;
    for kind in [Kind::Region, Kind::Device] {
        let area = Area::of_single_pages(kind, 8)?;
        for options in [area.whole(), area.whole().private()] {
            let m = options.map(&area)?;
            check_err!(uffd.register(&m, Mode::Missing), Errno::INVAL);
            // No userfaultfd watches this mapping: the device answers a touch.
            m.touch_write(2, 1)?;
            check_eq!(resident(&m)?, 1);
        }
    }
    // The same call succeeds with anonymous memory.
    let memfd = Area::new(Kind::Memfd, 8)?;
    let anonymous = MapOptions::new(8 * P).private();
    for m in [memfd.map()?, anonymous.map_anonymous()?] {
        // Close it before the mapping: nobody would read the event of its unmapping.
        let uffd = userfaultfd()?;
        uffd.register(&m, Mode::Missing)?;
    }
    Ok(())
}
