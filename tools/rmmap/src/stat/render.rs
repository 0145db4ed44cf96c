// SPDX-License-Identifier: GPL-2.0

//! A sample of the counters as text and as JSON.

use rmmap_sys::{PAGE_SIZE, PMD_ORDER};
use rmmap_uapi::{
    RmmapCounters, RmmapInfo, RMMAP_HOOK_PREPARE, RMMAP_KIND_DEVICE, RMMAP_POLICY_ADAPTIVE,
    RMMAP_POLICY_ALWAYS, RMMAP_POLICY_NEVER,
};
use serde_json::{json, Map, Value};

use super::{counters::COUNTERS, Look};
use crate::style::HEAD;

/// Returns the name of the hook for mmap(2).
pub fn hook_name(info: &RmmapInfo) -> &'static str {
    if info.hook == RMMAP_HOOK_PREPARE {
        "mmap_prepare"
    } else {
        "mmap"
    }
}

/// Returns the sample as a table; with the previous sample, the changes since then.
pub fn text(target: &str, look: &Look, before: Option<&Look>) -> String {
    let mut lines = facts(target, &look.info);
    lines.push(String::new());
    lines.push(format!(
        "{HEAD}{:<42} {:>14} {:12} {:>14}{HEAD:#}",
        "", "this region", "", "device"
    ));
    for counter in COUNTERS {
        if let Some(heading) = counter.heading {
            lines.push(format!("{HEAD}{heading}{HEAD:#}"));
        }
        lines.push(line(counter.label, look, before, counter.get));
    }
    lines.push(format!("{HEAD}Folios added{HEAD:#}"));
    for order in 0..=PMD_ORDER {
        let label = format!("order {order}, {}", bytes((PAGE_SIZE as u64) << order));
        lines.push(line(&label, look, before, |counters| {
            counters.folios[order]
        }));
    }
    lines.join("\n")
}

/// Returns the region's folio policy, by name.
pub fn policy_name(info: &RmmapInfo) -> &'static str {
    match info.policy {
        RMMAP_POLICY_NEVER => "never",
        RMMAP_POLICY_ADAPTIVE => "adaptive",
        RMMAP_POLICY_ALWAYS => "always",
        _ => "unknown",
    }
}

/// Returns the properties of the region and the device.
fn facts(target: &str, info: &RmmapInfo) -> Vec<String> {
    let kind = if info.kind == RMMAP_KIND_DEVICE {
        "the device's own region"
    } else {
        "a region made with RMMAP_IOC_CREATE"
    };
    let memory = format!(
        "{} of at most {}",
        bytes(info.used_bytes),
        bytes(info.max_bytes)
    );
    vec![
        format!("{HEAD}{target}{HEAD:#} is {kind}"),
        format!("  size         {}", bytes(info.size)),
        format!("  resident     {}", bytes(info.resident)),
        format!("  policy       {}", policy_name(info)),
        format!("{HEAD}The device{HEAD:#}"),
        format!("  hook         {}", hook_name(info)),
        format!("  capacity     {}", bytes(info.capacity)),
        format!("  memory used  {memory}"),
        format!("  regions      {}", info.regions),
        format!("  ABI version  {}", info.abi_version),
    ]
}

/// Returns one line of the table.
fn line(
    label: &str,
    look: &Look,
    before: Option<&Look>,
    get: impl Fn(&RmmapCounters) -> u64,
) -> String {
    let change = |now: u64, then: Option<u64>| match then.map(|then| now.saturating_sub(then)) {
        None | Some(0) => String::new(),
        Some(more) => format!("+{more}"),
    };
    let (region, device) = (get(&look.stats.region), get(&look.stats.device));
    let region_change = change(region, before.map(|look| get(&look.stats.region)));
    let device_change = change(device, before.map(|look| get(&look.stats.device)));
    format!("  {label:<40} {region:>14} {region_change:12} {device:>14} {device_change}")
        .trim_end()
        .to_owned()
}

/// Returns a number of bytes with the largest unit that keeps it exact, at most GiB.
pub fn bytes(value: u64) -> String {
    let exact = [(30, "GiB"), (20, "MiB"), (10, "KiB")]
        .into_iter()
        .find(|(shift, _)| value != 0 && value.trailing_zeros() >= *shift);
    match exact {
        Some((shift, unit)) => format!("{} {unit}", value >> shift),
        None => format!("{value} B"),
    }
}

/// Returns the sample as JSON, on one line unless `pretty` is set.
pub fn json(target: &str, look: &Look, pretty: bool) -> serde_json::Result<String> {
    let info = &look.info;
    let value = json!({
        "target": target,
        "kind": if info.kind == RMMAP_KIND_DEVICE { "device" } else { "region" },
        "abi_version": info.abi_version,
        "hook": hook_name(info),
        "policy": policy_name(info),
        "size": info.size,
        "resident": info.resident,
        "capacity": info.capacity,
        "max_bytes": info.max_bytes,
        "used_bytes": info.used_bytes,
        "regions": info.regions,
        "region": counters(&look.stats.region),
        "device": counters(&look.stats.device),
    });
    if pretty {
        serde_json::to_string_pretty(&value)
    } else {
        serde_json::to_string(&value)
    }
}

/// Returns the counters by name.
fn counters(counters: &RmmapCounters) -> Value {
    let mut map: Map<String, Value> = COUNTERS
        .iter()
        .map(|counter| (counter.name.to_owned(), (counter.get)(counters).into()))
        .collect();
    map.insert("folios".to_owned(), json!(counters.folios));
    Value::Object(map)
}

#[cfg(test)]
mod tests {
    use rmmap_uapi::{RmmapStats, RMMAP_NR_ORDERS};

    use super::*;

    fn look(mmap: u64) -> Look {
        let counters = RmmapCounters {
            mmap,
            ..Default::default()
        };
        Look {
            info: RmmapInfo {
                abi_version: 1,
                hook: RMMAP_HOOK_PREPARE,
                size: 3 << 20,
                resident: 4096,
                max_bytes: 5,
                ..Default::default()
            },
            stats: RmmapStats {
                region: counters,
                device: counters,
            },
        }
    }

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn sizes_are_exact() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(4095), "4095 B");
        assert_eq!(bytes(64 << 10), "64 KiB");
        assert_eq!(bytes((1 << 20) + 1024), "1025 KiB");
        assert_eq!(bytes(3 << 30), "3 GiB");
    }

    #[test]
    fn the_table_is_aligned_and_at_most_100_wide() {
        let text = plain(&text("/dev/rmmap", &look(99_999_999_999), Some(&look(0))));
        assert!(text.lines().all(|line| line.len() <= 100), "{text}");
        assert!(text.contains("  size         3 MiB\n"));
        let end = |label: &str, value: &str| {
            let line = text
                .lines()
                .find(|line| line.contains(label) && line.contains(value))
                .unwrap();
            line.find(value).unwrap() + value.len()
        };
        let column = end("", "this region");
        assert_eq!(end("calls of the hook", " 99999999999"), column);
        assert_eq!(end("the zero page", " 0"), column);
        assert_eq!(end("order 9", " 0"), column);
    }

    #[test]
    fn changes_are_shown_only_with_a_look_before() {
        let row = |text: String| {
            let line = text.lines().find(|line| line.contains("calls of the hook"));
            line.unwrap_or_default()
                .split_whitespace()
                .skip(6)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(row(plain(&text("x", &look(7), None))), ["7", "7"]);
        assert_eq!(row(plain(&text("x", &look(7), Some(&look(7))))), ["7", "7"]);
        assert_eq!(
            row(plain(&text("x", &look(7), Some(&look(4))))),
            ["7", "+3", "7", "+3"]
        );
    }

    #[test]
    fn json_has_every_counter_for_region_and_device() {
        let value: Value = serde_json::from_str(&json("x", &look(7), false).unwrap()).unwrap();
        assert_eq!(value["hook"], "mmap_prepare");
        assert_eq!(value["device"]["mmap"], 7);
        for side in ["region", "device"] {
            assert_eq!(value[side].as_object().unwrap().len(), COUNTERS.len() + 1);
            assert_eq!(
                value[side]["folios"].as_array().unwrap().len(),
                RMMAP_NR_ORDERS
            );
        }
    }
}
