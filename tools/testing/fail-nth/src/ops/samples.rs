// SPDX-License-Identifier: GPL-2.0

//! The devices of the samples.

use super::store;
use crate::op::{op, Answer, Cx, Op, BUS, COPIES, NOMEM, P};
use anyhow::{ensure, Result};
use rmmap_sys::rustix::fs::OFlags;
use rmmap_sys::rustix::io::{read, write};
use rmmap_sys::{Device, Errno, MapOptions, Mapping};

/// A sample, and what to do to its device.
pub struct Sample {
    /// Name of the module and of the device.
    pub name: &'static str,
    /// The parameters to load it with, in turn.
    pub parameters: &'static [&'static str],
    /// The operations.
    pub ops: &'static [Op],
}

const BOTH: &[&str] = &["prepare=0", "prepare=1"];

/// All samples.
pub const SAMPLES: &[Sample] = &[
    Sample {
        name: "rust_mm_dirty",
        parameters: &[""],
        ops: &[
            op("open", COPIES, |cx| open(cx, DIRTY)),
            op("mmap", NOMEM, |cx| map(cx, DIRTY, 4)),
            op("load", BUS, |cx| load(cx, DIRTY, 4, 1)),
            op("store after a load", BUS, |cx| {
                let m = mapped(DIRTY, 4)?;
                m.touch_read(2)?;
                store(cx, &m, 2)
            }),
            op("read", COPIES, |cx| read_all(cx, DIRTY)),
        ],
    },
    Sample {
        name: "rust_mm_fail",
        parameters: &[""],
        ops: &[
            op("open", COPIES, |cx| open(cx, FAIL)),
            op("write", COPIES, |cx| {
                let fd = Device::open_path(FAIL, OFlags::RDWR)?;
                Ok(Answer::from(&cx.call(|| write(&fd, b"none"))?))
            }),
            op("mmap", NOMEM, |cx| map(cx, FAIL, 8)),
            op("store", BUS, |cx| {
                let m = mapped(FAIL, 8)?;
                store(cx, &m, 2)
            }),
        ],
    },
    Sample {
        name: "rust_mm_lazy",
        parameters: &[""],
        ops: &[
            op("open", COPIES, |cx| open(cx, LAZY)),
            op("mmap", NOMEM, |cx| map(cx, LAZY, 16)),
            // Its pages stay: each time another one.
            op("store to a hole", BUS, |cx| {
                let m = mapped(LAZY, 4096)?;
                let held = m.mincore(0, 4096 * P)?;
                let page = held.iter().position(|held| !held);
                let page = page.ok_or_else(|| anyhow::anyhow!("no hole is left"))?;
                store(cx, &m, page)
            }),
            op("load from resident pages", BUS, |cx| load(cx, LAZY, 16, 0)),
        ],
    },
    Sample {
        name: "rust_mm_ops",
        parameters: BOTH,
        ops: &[
            op("open", COPIES, |cx| open(cx, OPS)),
            op("mmap", NOMEM, |cx| map(cx, OPS, 4)),
            op("load", BUS, |cx| load(cx, OPS, 4, 1)),
            op("store", BUS, |cx| {
                let m = mapped(OPS, 4)?;
                store(cx, &m, 2)
            }),
            op("munmap of a part", NOMEM, |cx| {
                let mut m = mapped(OPS, 4)?;
                let done = cx.call(|| m.unmap(P, P))?;
                Ok(Answer::from(&done))
            }),
            op("read", COPIES, |cx| read_all(cx, OPS)),
        ],
    },
    Sample {
        name: "rust_mm_pages",
        parameters: BOTH,
        ops: &[
            op("open", COPIES, |cx| open(cx, PAGES)),
            op("mmap", NOMEM, |cx| map(cx, PAGES, 8)),
            op("load", BUS, |cx| load(cx, PAGES, 8, 1)),
        ],
    },
    Sample {
        name: "rust_mm_pfn",
        parameters: BOTH,
        ops: &[
            op("open", COPIES, |cx| open(cx, PFN)),
            op("mmap", NOMEM, |cx| map(cx, PFN, 4)),
            op("load", BUS, |cx| load(cx, PFN, 4, 1)),
        ],
    },
    Sample {
        name: "rust_mm_ring",
        parameters: &[""],
        ops: &[
            op("open", COPIES, |cx| open(cx, RING)),
            op("mmap", NOMEM, |cx| map(cx, RING, 5)),
            op("load", BUS, |cx| load(cx, RING, 5, 0)),
            op("write", COPIES, |cx| {
                let fd = Device::open_path(RING, OFlags::RDWR)?;
                let written = cx.call(|| write(&fd, &[0xee; 300]))?;
                let m = MapOptions::new(5 * P).map(&fd)?;
                let head = m.read_u64(0)? as u32 as usize;
                ensure!(
                    head == written.unwrap_or(0),
                    "head is {head} after {written:?}"
                );
                Ok(Answer::from(&written))
            }),
        ],
    },
];

const DIRTY: &str = "/dev/rust_mm_dirty";
const FAIL: &str = "/dev/rust_mm_fail";
const LAZY: &str = "/dev/rust_mm_lazy";
const OPS: &str = "/dev/rust_mm_ops";
const PAGES: &str = "/dev/rust_mm_pages";
const PFN: &str = "/dev/rust_mm_pfn";
const RING: &str = "/dev/rust_mm_ring";

fn open(cx: &Cx<'_>, path: &str) -> Result<Answer> {
    Ok(Answer::from(
        &cx.call(|| Device::open_path(path, OFlags::RDWR))?,
    ))
}

fn mapped(path: &str, pages: usize) -> Result<Mapping> {
    Ok(MapOptions::new(pages * P).map(Device::open_path(path, OFlags::RDWR)?)?)
}

fn map(cx: &Cx<'_>, path: &str, pages: usize) -> Result<Answer> {
    let fd = Device::open_path(path, OFlags::RDWR)?;
    let m = cx.call(|| MapOptions::new(pages * P).map(&fd))?;
    if let Ok(m) = &m {
        m.touch_read(0)?;
    }
    Ok(Answer::from(&m))
}

fn load(cx: &Cx<'_>, path: &str, pages: usize, page: usize) -> Result<Answer> {
    let m = mapped(path, pages)?;
    let loaded = cx.call(|| m.touch_read(page))?;
    m.touch_read(page)?;
    Ok(Answer::from(&loaded))
}

fn read_all(cx: &Cx<'_>, path: &str) -> Result<Answer> {
    let fd = Device::open_path(path, OFlags::RDWR)?;
    let mut text = [0; 4096];
    let done = cx.call(|| read(&fd, &mut text[..]))?;
    Ok(Answer::from(&done.map(drop).map_err(|e: Errno| e)))
}
