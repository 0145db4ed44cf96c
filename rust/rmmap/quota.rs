// SPDX-License-Identifier: GPL-2.0

//! The quota: how many pages all regions may hold together.
//!
//! Each CPU keeps a stock of pages that are charged but unused, as `struct memcg_stock_pcp` does in
//! mm/memcontrol.c: page faults on different CPUs then write no common cache line. Near the limit
//! there are no stocks, so a page that nobody uses can always be charged.

use kernel::{
    cpu::{
        nr_cpu_ids,
        CpuId, //
    },
    new_spinlock,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Full,
            Relaxed, //
        },
        SpinLock, //
    }, //
};

/// The number of pages that a CPU takes into its stock at a time.
const BATCH: u64 = 64;

/// The largest stock, pages.
const FULL_STOCK: u64 = 2 * BATCH;

/// The largest number of stocks. More CPUs than that share them.
const MAX_STOCKS: u32 = 64;

/// A stock of pages, in a cache line of its own.
#[repr(align(64))]
struct Stock(Atomic<u64>);

/// A limit on pages, and the pages charged to it.
pub(crate) struct PageQuota {
    /// Pages.
    limit: u64,
    /// Whether the stocks are empty and remain so. Written with `charged` locked.
    exact: Atomic<bool>,
    stocks: KVec<Stock>,
    /// The number of pages in use or in a stock. In memory of its own: other CPUs read the fields
    /// above at each charge.
    charged: Pin<KBox<SpinLock<u64>>>,
}

impl PageQuota {
    /// Returns a quota of `limit` pages.
    pub(crate) fn new(limit: u64) -> Result<Self> {
        Self::with_stocks(limit, nr_cpu_ids().min(MAX_STOCKS))
    }

    /// Returns a quota of `limit` pages with `count` stocks.
    pub(crate) fn with_stocks(limit: u64, count: u32) -> Result<Self> {
        let mut stocks = KVec::new();
        for _ in 0..count {
            stocks.push(Stock(Atomic::new(0)), GFP_KERNEL)?;
        }
        let charged = KBox::pin_init(new_spinlock!(0), GFP_KERNEL)?;
        let quota = Self {
            limit,
            exact: Atomic::new(true),
            stocks,
            charged,
        };
        quota.allow_stocks(0);
        Ok(quota)
    }

    /// Charges `pages`, or returns `false` and changes nothing when fewer are left: a failing
    /// attempt does not, even briefly, use up pages that another thread could still charge.
    pub(crate) fn charge(&self, pages: usize) -> bool {
        self.charge_on(CpuId::current().as_u32(), pages as u64)
    }

    /// Uncharges `pages`.
    pub(crate) fn uncharge(&self, pages: usize) {
        self.uncharge_on(CpuId::current().as_u32(), pages as u64);
    }

    /// Returns the number of pages in use. Charges of other CPUs may come between its reads.
    pub(crate) fn used(&self) -> u64 {
        let charged = self.charged.lock();
        let in_stocks = self.stocks.iter().map(|Stock(pages)| pages.load(Relaxed));
        charged.saturating_sub(in_stocks.sum())
    }

    /// Charges `pages`, from the stock of `cpu` if it has as many.
    pub(crate) fn charge_on(&self, cpu: u32, pages: u64) -> bool {
        let stock = self.stock(cpu);
        if stock.is_some_and(|stock| take(stock, pages)) {
            return true;
        }
        let mut charged = self.charged.lock();
        if !self.exact.load(Relaxed) {
            let (stock, extra) = match stock {
                Some(stock) if pages <= BATCH => (Some(stock), BATCH),
                _ => (None, 0),
            };
            // Stocks exist only where the limit is larger than their slack: see `allow_stocks()`.
            let limit = self.limit - self.slack();
            match add(*charged, pages.saturating_add(extra), limit) {
                Some(new) => {
                    *charged = new;
                    if let Some(stock) = stock {
                        stock.fetch_add(extra, Relaxed);
                    }
                    return true;
                }
                None => self.empty_stocks(&mut charged),
            }
        }
        match add(*charged, pages, self.limit) {
            Some(new) => {
                *charged = new;
                true
            }
            None => false,
        }
    }

    /// Uncharges `pages`, into the stock of `cpu` if there is room.
    pub(crate) fn uncharge_on(&self, cpu: u32, pages: u64) {
        let charged = match self.stock(cpu) {
            Some(stock) if pages <= BATCH && !self.exact.load(Relaxed) => {
                // `Full`: either the second load sees that `empty_stocks()` has begun, or
                // `empty_stocks()` finds these pages.
                let old = stock.fetch_add(pages, Full);
                if old + pages <= FULL_STOCK && !self.exact.load(Relaxed) {
                    return;
                }
                // The lock comes first: pages that are in neither count would be missing for
                // another thread.
                let mut charged = self.charged.lock();
                *charged -= stock.xchg(0, Relaxed);
                charged
            }
            _ => {
                let mut charged = self.charged.lock();
                *charged -= pages;
                charged
            }
        };
        self.allow_stocks(*charged);
    }

    /// Returns the stock of `cpu`.
    fn stock(&self, cpu: u32) -> Option<&Atomic<u64>> {
        self.stocks
            .get((cpu % MAX_STOCKS) as usize)
            .map(|Stock(pages)| pages)
    }

    /// Returns how many pages all stocks may hold together.
    fn slack(&self) -> u64 {
        self.stocks.len() as u64 * FULL_STOCK
    }

    /// Moves the pages of all stocks back to those that can be charged.
    fn empty_stocks(&self, charged: &mut u64) {
        self.exact.store(true, Relaxed);
        for Stock(pages) in &self.stocks {
            // `Full`: see `uncharge_on()`.
            *charged -= pages.xchg(0, Full);
        }
    }

    /// Allows stocks again, once `charged` is so far below the limit that they will last.
    fn allow_stocks(&self, charged: u64) {
        if add(charged, 2 * self.slack(), self.limit).is_some() {
            self.exact.store(false, Relaxed);
        }
    }
}

/// Takes `pages` from `stock` if it has as many.
fn take(stock: &Atomic<u64>, pages: u64) -> bool {
    let mut old = stock.load(Relaxed);
    while let Some(new) = old.checked_sub(pages) {
        match stock.cmpxchg(old, new, Relaxed) {
            Ok(_) => return true,
            Err(changed) => old = changed,
        }
    }
    false
}

/// Returns `charged` plus `pages`, unless that is more than `limit`.
fn add(charged: u64, pages: u64, limit: u64) -> Option<u64> {
    charged.checked_add(pages).filter(|new| *new <= limit)
}
