// SPDX-License-Identifier: GPL-2.0

//! The way into the kernel and out of it, around hooks that fail or take long.

use crate::context::{Context, P};
use crate::ctl::Ctl;
use crate::outcome::Result;
use crate::{cases, check_eq, check_err};
use rmmap_sys::Errno;

cases! {
    With("rmmap_ctl") ctl_mapping_keeps_the_file ["KS-10"] "a mapping holds the file after close; after a failed mmap close alone releases it";
}

fn ctl_mapping_keeps_the_file(_: &Context) -> Result {
    let observer = Ctl::open("lazy")?;
    let ctl = Ctl::open("lazy")?;
    let m = ctl.pages(4).map(&ctl)?;
    drop(ctl);
    m.touch_write(2, 9)?;
    check_eq!(m.read_u64(2 * P)?, 9);
    check_eq!(observer.counts(["cached", "release"])?, [1, 0]);
    drop(m);
    check_eq!(observer.get("release")?, 1);

    for name in ["fail", "fail-prep"] {
        let observer = Ctl::open(name)?;
        let ctl = Ctl::open(name)?;
        check_err!(ctl.pages(4).map(&ctl), Errno::IO);
        check_eq!(observer.counts(["hook", "release"])?, [1, 0]);
        drop(ctl);
        check_eq!(observer.get("release")?, 1, "releases of {name}");
    }
    Ok(())
}
