// SPDX-License-Identifier: GPL-2.0
//! Performance targets of accesses to lines of memory that processors share.

use super::results::{ratio, Judged, Results};
use rmmap_bench::Object;

/// The number of processors at which accesses to shared lines are judged.
pub const JUDGED: usize = 8;

/// Judges the accesses to lines that processors share, per fault.
pub fn judge(results: &Results) -> Vec<Judged> {
    let of = |object, workload: &str, threads| {
        let record = results.shared(object, workload, threads);
        record.map(|record| record.per_page)
    };
    let against = |workload: &str, peer: Object, more: f64| {
        let peers = of(peer, workload, JUDGED).map(|accesses| accesses + more);
        let figures = of(Object::Rmmap, workload, JUDGED).zip(peers);
        let name = match more {
            0.0 => peer.name(),
            _ => format!("{} + {more}", peer.name()),
        };
        let target = format!("{JUDGED} processors, {workload}: shared accesses / {name}");
        Judged {
            figures: figures.map(|(ours, peer)| (ours, peer, name)),
            ..ratio(
                target,
                figures.map(|(ours, peer)| ours / peer),
                ("at most", 1.0),
            )
        }
    };
    let own = "random-write-own";
    let ends = of(Object::Rmmap, own, 16).zip(of(Object::Rmmap, own, 2));
    vec![
        against("random-write", Object::Memfd, 0.0),
        against(own, Object::Memfd, 0.0),
        against("private-hole-own", Object::Anon, 1.0),
        Judged {
            figures: ends.map(|(many, two)| (many, two, "2 processors".into())),
            ..ratio(
                format!("16 processors, {own}: shared accesses / 2 processors"),
                ends.map(|(many, two)| many / two),
                ("at most", 1.05),
            )
        },
    ]
}
