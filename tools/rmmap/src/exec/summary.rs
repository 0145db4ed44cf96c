// SPDX-License-Identifier: GPL-2.0

//! What `rmmap exec --stat` prints.

use rmmap_sys::PAGE_SIZE;
use rmmap_uapi::RmmapCounters;

use super::serve::Tally;
use crate::stat::bytes;

/// What the program got, and what the device counted meanwhile.
pub fn text(tally: &Tally, before: &RmmapCounters, after: &RmmapCounters) -> String {
    let since = |get: fn(&RmmapCounters) -> u64| get(after).saturating_sub(get(before));
    let (reads, writes) = (since(|c| c.fault_read), since(|c| c.fault_write));
    let private = since(|c| c.fault_cow);
    let orders = after.folios.iter().zip(&before.folios).enumerate();
    let orders = orders.map(|(order, (after, before))| (order, after.saturating_sub(*before)));
    let orders: Vec<(usize, u64)> = orders.filter(|(_, folios)| *folios != 0).collect();
    let folios: u64 = orders.iter().map(|(_, folios)| folios).sum();
    let memory: u64 = orders.iter().map(|(order, folios)| folios << order).sum();
    let each: Vec<String> = orders
        .iter()
        .map(|(order, folios)| format!("{folios} of {}", bytes((PAGE_SIZE as u64) << order)))
        .collect();
    let each = match each.is_empty() {
        true => String::new(),
        false => format!(" ({})", each.join(", ")),
    };
    format!(
        "rmmap: regions {}, calls for their seals {}, calls left to the kernel {}\n\
         rmmap: the device meanwhile: faults {} ({reads} reads, {writes} writes, {private} private \
         writes), {} in folios {folios}{each}",
        tally.regions,
        tally.seals,
        tally.left,
        reads + writes + private,
        bytes(memory * PAGE_SIZE as u64),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_happened_meanwhile_is_told() {
        let mut before = RmmapCounters {
            fault_read: 5,
            fault_write: 7,
            fault_cow: 11,
            ..Default::default()
        };
        before.folios[0] = 100;
        let mut after = before;
        let tally = Tally {
            regions: 2,
            seals: 3,
            left: 4,
        };
        let nothing = text(&tally, &before, &after);
        assert!(
            nothing.ends_with("faults 0 (0 reads, 0 writes, 0 private writes), 0 B in folios 0")
        );
        after.fault_read += 1;
        after.fault_write += 2;
        after.fault_cow += 3;
        after.folios[0] += 4;
        after.folios[9] += 1;
        let some = text(&tally, &before, &after);
        let mut lines = some.lines();
        let first = "rmmap: regions 2, calls for their seals 3, calls left to the kernel 4";
        assert_eq!(lines.next(), Some(first));
        let second =
            "rmmap: the device meanwhile: faults 6 (1 reads, 2 writes, 3 private writes), \
                      2064 KiB in folios 5 (4 of 4 KiB, 1 of 2 MiB)";
        assert_eq!(lines.next(), Some(second));
    }
}
