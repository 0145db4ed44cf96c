// SPDX-License-Identifier: GPL-2.0

//! Touches of a mapping: the pages, their order, and the cost.

use std::fmt;

use rmmap_sys::process::{faults, Faults};
use rmmap_sys::{Fault, Mapping, PAGE_SIZE};

/// Seed of the random order: the same pages in each run.
const SEED: u64 = 0x726d_6d61_7000;

/// Loads or stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Loads of 8 bytes.
    Read,
    /// Stores of 8 bytes.
    Write,
}

/// The order of pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// One after the other.
    Seq,
    /// Each once, at random.
    Random,
    /// Every Nth.
    Stride(usize),
}

/// The pages to touch: `write`, `read:random`, `write:stride=8:100`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touch {
    /// Loads or stores.
    pub kind: Kind,
    /// The order.
    pub pattern: Pattern,
    /// The largest number of pages.
    pub pages: Option<usize>,
}

/// The result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// The pages that were touched, in order.
    pub pages: Vec<usize>,
    /// Page faults meanwhile.
    pub faults: Faults,
    /// The page that could not be touched, and why; no page was tried after it.
    pub failed: Option<(usize, Fault)>,
}

impl Touch {
    /// Parses `read|write[:seq|random|stride=N][:PAGES]`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut words = text.split(':');
        let kind = match words.next() {
            Some("read") => Kind::Read,
            Some("write") => Kind::Write,
            _ => return Err(format!("`{text}` does not begin with read or write")),
        };
        let mut touch = Self {
            kind,
            pattern: Pattern::Seq,
            pages: None,
        };
        for word in words {
            match (word, word.strip_prefix("stride=")) {
                ("seq", _) => touch.pattern = Pattern::Seq,
                ("random", _) => touch.pattern = Pattern::Random,
                (_, Some(number)) => match number.parse() {
                    Ok(stride) if stride > 0 => touch.pattern = Pattern::Stride(stride),
                    _ => return Err(format!("`{word}`: give a stride of 1 page or more")),
                },
                _ => match word.parse() {
                    Ok(pages) => touch.pages = Some(pages),
                    Err(_) => {
                        return Err(format!(
                            "`{word}` is not seq, random, stride=N or a number of pages"
                        ))
                    }
                },
            }
        }
        Ok(touch)
    }

    /// Returns the pages of a mapping of `total` that are touched, in order.
    pub fn order(&self, total: usize) -> Vec<usize> {
        let mut pages: Vec<usize> = match self.pattern {
            Pattern::Stride(stride) => (0..total).step_by(stride).collect(),
            Pattern::Seq | Pattern::Random => (0..total).collect(),
        };
        if self.pattern == Pattern::Random {
            fastrand::Rng::with_seed(SEED).shuffle(&mut pages);
        }
        pages.truncate(self.pages.unwrap_or(total));
        pages
    }

    /// Touches the pages, until the kernel raises a signal.
    pub fn run(&self, mapping: &Mapping) -> Touched {
        let order = self.order(mapping.pages());
        let mut touched = Touched {
            pages: Vec::with_capacity(order.len()),
            ..Touched::default()
        };
        let before = faults();
        for page in order {
            let offset = page * PAGE_SIZE;
            let done = match self.kind {
                Kind::Read => mapping.read_u64(offset).map(drop),
                Kind::Write => mapping.write_u64(offset, mark(page)),
            };
            if let Err(fault) = done {
                touched.failed = Some((page, fault));
                break;
            }
            touched.pages.push(page);
        }
        touched.faults = since(before);
        touched
    }
}

/// Returns the value that is stored at the beginning of a page: it is unique and contains no zero
/// byte.
pub fn mark(page: usize) -> u64 {
    (page as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 0x0101_0101_0101_0101
}

/// Returns the page faults of this thread since `before`.
pub fn since(before: Faults) -> Faults {
    let now = faults();
    Faults {
        minor: now.minor - before.minor,
        major: now.major - before.major,
    }
}

impl fmt::Display for Touch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Read => "read",
            Kind::Write => "write",
        };
        match self.pattern {
            Pattern::Seq => write!(f, "{kind}, one after the other"),
            Pattern::Random => write!(f, "{kind}, at random"),
            Pattern::Stride(pages) => write!(f, "{kind}, every {pages} pages"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rmmap_sys::MapOptions;

    fn touch(text: &str) -> Touch {
        Touch::parse(text).unwrap()
    }

    #[test]
    fn patterns_are_parsed() {
        assert_eq!(touch("read").pattern, Pattern::Seq);
        assert_eq!(touch("write:random").kind, Kind::Write);
        let all = touch("write:stride=8:3");
        assert_eq!((all.pattern, all.pages), (Pattern::Stride(8), Some(3)));
        assert_eq!(touch("read:5").pages, Some(5));
        for bad in ["", "look", "read:stride=0", "read:stride=x", "write:few"] {
            assert!(Touch::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn orders_are_what_they_say() {
        assert_eq!(touch("read").order(4), [0, 1, 2, 3]);
        assert_eq!(touch("read:2").order(4), [0, 1]);
        assert_eq!(touch("read:stride=3").order(8), [0, 3, 6]);
        let mut random = touch("read:random").order(64);
        assert_ne!(random, touch("read").order(64));
        assert_eq!(random, touch("read:random").order(64));
        random.sort_unstable();
        assert_eq!(random, touch("read").order(64));
    }

    #[test]
    fn stores_leave_their_marks_and_faults_are_counted() {
        let private = rmmap_sys::rustix::mm::MapFlags::PRIVATE;
        let options = MapOptions::new(8 * PAGE_SIZE).only_flags(private);
        let mapping = options.map_anonymous().unwrap();
        let touched = touch("write:stride=2").run(&mapping);
        assert_eq!(touched.pages, [0, 2, 4, 6]);
        assert_eq!(touched.failed, None);
        assert!(touched.faults.minor >= 1);
        assert_eq!(mapping.read_u64(4 * PAGE_SIZE), Ok(mark(4)));
        assert_eq!(mapping.read_u64(5 * PAGE_SIZE), Ok(0));
    }

    #[test]
    fn a_signal_ends_it() {
        let options = MapOptions::new(2 * PAGE_SIZE).private().read_only();
        let mapping = options.map_anonymous().unwrap();
        let touched = touch("write").run(&mapping);
        assert!(touched.pages.is_empty());
        assert_eq!(touched.failed.unwrap().1.code, Fault::SEGV_ACCERR);
    }
}
