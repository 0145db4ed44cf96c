// SPDX-License-Identifier: GPL-2.0

//! The counters by name. Text and JSON are made from this list.

use rmmap_uapi::RmmapCounters;

/// One counter.
pub struct Counter {
    /// Its name in JSON, as in `RmmapCounters`.
    pub name: &'static str,
    /// What it counts, for people.
    pub label: &'static str,
    /// Whether it begins a group of counters in the text.
    pub heading: Option<&'static str>,
    /// Reads it.
    pub get: fn(&RmmapCounters) -> u64,
}

/// Makes a [`Counter`] of each field.
macro_rules! counters {
    (@heading) => {
        None
    };
    (@heading $heading:literal) => {
        Some($heading)
    };
    ($($($heading:literal:)? $field:ident => $label:literal,)*) => {
        /// All counters but the folios by order, in the order of the text.
        pub const COUNTERS: &[Counter] = &[$(Counter {
            name: stringify!($field),
            label: $label,
            heading: counters!(@heading $($heading)?),
            get: |counters| counters.$field,
        },)*];
    };
}

counters! {
    "Mapped": mmap => "calls of the hook for mmap(2)",
    "Faults": fault_read => "reads",
    fault_write => "writes through a shared mapping",
    fault_cow => "writes through a private mapping",
    fault_populate => "of these for populate, mlock, the kernel",
    map_pages => "looks for resident neighbours (map_pages)",
    "Answered with": answer_cached => "a folio that was there",
    answer_new => "a new folio",
    answer_zero => "the zero page (private write to a hole)",
    answer_sigbus => "SIGBUS",
    answer_oom => "out of memory",
    answer_retry => "do it again",
    "Memory": order_fallback => "a smaller folio than wanted was taken",
    discarded => "bytes given back",
}

#[cfg(test)]
mod tests {
    use rmmap_uapi::RMMAP_NR_ORDERS;

    use super::*;

    #[test]
    fn no_counter_is_forgotten_or_read_twice() {
        // Each word of the struct is set in turn, and exactly one counter must read it.
        let words = size_of::<RmmapCounters>() / size_of::<u64>();
        assert_eq!(COUNTERS.len() + RMMAP_NR_ORDERS, words);
        let counters = RmmapCounters {
            mmap: 1,
            fault_read: 2,
            fault_write: 3,
            fault_cow: 4,
            fault_populate: 5,
            answer_cached: 6,
            answer_new: 7,
            answer_zero: 8,
            answer_sigbus: 9,
            answer_oom: 10,
            answer_retry: 11,
            map_pages: 12,
            order_fallback: 13,
            discarded: 14,
            ..Default::default()
        };
        let mut seen: Vec<u64> = COUNTERS.iter().map(|c| (c.get)(&counters)).collect();
        seen.sort_unstable();
        assert_eq!(seen, (1..=14).collect::<Vec<_>>());
    }
}
