// SPDX-License-Identifier: GPL-2.0

//! The module's counters over a period.

use crate::outcome::{Result, Stop};
use rmmap_sys::uapi::{RmmapCounters, RmmapStats};
use rmmap_sys::{Device, Errno};

/// Reads the counters; skips the test if the module has none.
#[track_caller]
pub fn stats(device: &Device) -> Result<RmmapStats> {
    match device.stats() {
        Err(Errno::OPNOTSUPP) => Err(Stop::skip(
            "needs counters: the module was built with STATS=n",
        )),
        result => Ok(result?),
    }
}

/// The increase of a region's counters since a point in time; on memfd there are none.
#[derive(Debug)]
pub struct Counting<'a> {
    device: Option<&'a Device>,
    start: RmmapCounters,
}

/// A counter's name, how to read it, and whether it must stay zero unless the test names it.
type Field = (&'static str, fn(&RmmapCounters) -> u64, bool);

/// The counters that a test can name.
const FIELDS: &[Field] = &[
    ("mmap", |c| c.mmap, false),
    ("fault_read", |c| c.fault_read, true),
    ("fault_write", |c| c.fault_write, true),
    ("fault_cow", |c| c.fault_cow, true),
    ("fault_populate", |c| c.fault_populate, true),
    ("answer_cached", |c| c.answer_cached, true),
    ("answer_new", |c| c.answer_new, true),
    ("answer_zero", |c| c.answer_zero, true),
    ("answer_sigbus", |c| c.answer_sigbus, true),
    ("answer_oom", |c| c.answer_oom, true),
    ("answer_retry", |c| c.answer_retry, false),
    ("map_pages", |c| c.map_pages, false),
    ("folios", |c| c.folios.iter().sum(), false),
    (
        "pages",
        |c| (0..).zip(c.folios).map(|(order, n)| n << order).sum(),
        false,
    ),
    ("large_folios", |c| c.folios[1..].iter().sum(), false),
    ("order_fallback", |c| c.order_fallback, false),
    ("discarded", |c| c.discarded, false),
];

impl<'a> Counting<'a> {
    /// Starts to count.
    #[track_caller]
    pub(crate) fn new(device: Option<&'a Device>) -> Result<Self> {
        let start = match device {
            Some(device) => stats(device)?.region,
            None => RmmapCounters::default(),
        };
        Ok(Self { device, start })
    }

    /// Returns one counter's increase; `None` on memfd.
    #[track_caller]
    pub fn get(&self, name: &str) -> Result<Option<u64>> {
        let Some(device) = self.device else {
            return Ok(None);
        };
        let now = stats(device)?.region;
        let field = FIELDS.iter().find(|field| field.0 == name);
        let (_, read, _) = field.ok_or_else(|| Stop::fail(format!("no counter {name}")))?;
        Ok(Some(read(&now) - read(&self.start)))
    }

    /// Checks the increase of counters. Kinds of faults and answers that are not named must not
    /// have increased.
    #[track_caller]
    pub fn check(&self, wanted: &[(&str, u64)]) -> Result {
        let Some(device) = self.device else {
            return Ok(());
        };
        let now = stats(device)?.region;
        if let Some((name, _)) = wanted.iter().find(|w| FIELDS.iter().all(|f| f.0 != w.0)) {
            return Err(Stop::fail(format!("no counter {name}")));
        }
        let mut wrong = Vec::new();
        for (name, read, strict) in FIELDS {
            let got = read(&now) - read(&self.start);
            let want = wanted.iter().find(|w| w.0 == *name).map(|w| w.1);
            let want = want.or(strict.then_some(0));
            if want.is_some_and(|want| want != got) {
                wrong.push(format!(
                    "{name} {got} (expected {})",
                    want.unwrap_or_default()
                ));
            }
        }
        if wrong.is_empty() {
            return Ok(());
        }
        Err(Stop::fail(format_args!(
            "counters increased by {}",
            wrong.join(", ")
        )))
    }
}

/// Checks the increase of counters: `check_counts!(count, fault_read: 1)`; see [`Counting::check`].
#[macro_export]
macro_rules! check_counts {
    ($counting:expr $(, $name:ident: $want:expr)* $(,)?) => {
        $counting.check(&[$((stringify!($name), $want)),*])?
    };
}
