// SPDX-License-Identifier: GPL-2.0

//! The place of a new folio, and the orders to try.

use core::ops::Range;

/// The pages that a new folio may cover, and the orders that it may have.
///
/// # Examples
///
/// ```
/// use kernel::mm::cache::insert::FolioRange;
///
/// let range = FolioRange::new(0..100, 9).within(10..50).with_max_order(4);
/// assert_eq!(range.pages(), 10..50);
/// assert_eq!(range.max_order(), 4);
/// assert_eq!(FolioRange::page(7).pages(), 7..8);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolioRange {
    pages: Range<usize>,
    pub(super) max_order: u32,
    /// The order to try first, even if a larger folio would fit.
    pub(super) start_order: u32,
}

impl FolioRange {
    /// Returns the range for folios of order 0 to `max_order` within `pages` of the file (indexes).
    pub fn new(pages: Range<usize>, max_order: u32) -> Self {
        Self {
            pages,
            max_order,
            start_order: u32::MAX,
        }
    }

    /// Returns the range of page `index` alone.
    #[inline]
    pub fn page(index: usize) -> Self {
        Self::new(index..index.saturating_add(1), 0)
    }

    /// Returns the pages of the file (indexes).
    #[inline]
    pub fn pages(&self) -> Range<usize> {
        self.pages.clone()
    }

    /// Returns the largest order.
    #[inline]
    pub fn max_order(&self) -> u32 {
        self.max_order
    }

    /// Limits the range to pages that are in `pages` as well.
    pub fn within(self, pages: Range<usize>) -> Self {
        let start = self.pages.start.max(pages.start);
        let end = self.pages.end.min(pages.end);
        Self {
            pages: start..end,
            ..self
        }
    }

    /// Limits the orders to at most `order`.
    pub fn with_max_order(self, order: u32) -> Self {
        Self {
            max_order: self.max_order.min(order),
            ..self
        }
    }

    /// Begins with `order`, even if a larger folio would fit: larger ones were not available last
    /// time.
    pub fn with_start_order(self, order: u32) -> Self {
        Self {
            start_order: order,
            ..self
        }
    }

    /// Returns the first page of the folio of 2^`order` pages that holds page `index`, if that
    /// folio lies within the range. Folios are naturally aligned.
    pub(super) fn first_of(&self, index: usize, order: u32) -> Option<usize> {
        let pages = 1usize.checked_shl(order)?;
        let first = index & !(pages - 1);
        let end = first.checked_add(pages)?;
        (self.pages.start <= first && end <= self.pages.end).then_some(first)
    }
}
