// SPDX-License-Identifier: GPL-2.0
//! No file says where packages come from: that is the machine's own business, and its mirrors'.
//!
//! Names of registries are refused anywhere, other hosts in addresses unless they are known places to
//! read about the kernel.

use super::lab::Lab;
use super::verdict::Verdict;
use anyhow::Result;

/// Registries, in parts: this file is checked, too.
const REGISTRIES: &[(&str, &str)] = &[
    ("debian", "org"),
    ("crates", "io"),
    ("pypi", "org"),
    ("pythonhosted", "org"),
    ("npmjs", "org"),
    ("ubuntu", "com"),
];
/// Hosts that may be linked to, with all below them.
const KNOWN: &[&str] = &[
    "docs.rs",
    "kernel.org",
    "rust-lang.org",
    "spdx.org",
    "www.w3.org",
    "localhost",
];
/// The text of the licence, and the file in which cargo names its registry.
const WITHOUT: &[&str] = &["LICENSE", "Cargo.lock"];

/// All files of the checkout.
pub fn check(lab: &Lab<'_>) -> Result<Verdict> {
    let mut complaints = Vec::new();
    for file in lab.those(|file| !WITHOUT.contains(&file.name())) {
        for (number, line) in file.text().lines().enumerate() {
            if let Some(host) = refused(line) {
                let path = file.path.display();
                complaints.push(format!("{path}:{}: names the host {host}", number + 1));
            }
        }
    }
    Ok(Verdict::of(&complaints))
}

/// The first host in `line` that should not be named.
fn refused(line: &str) -> Option<String> {
    let registry = REGISTRIES
        .iter()
        .map(|(name, top)| format!("{name}.{top}"))
        .find(|host| line.contains(host.as_str()));
    registry.or_else(|| addresses(line).find(|host| !known(host)).map(str::to_owned))
}

/// The hosts of all addresses in `line`.
fn addresses(line: &str) -> impl Iterator<Item = &str> {
    line.split("://").skip(1).filter_map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '.' && c != '-');
        let host = &rest[..end.unwrap_or(rest.len())];
        (!host.is_empty()).then_some(host)
    })
}

fn known(host: &str) -> bool {
    KNOWN
        .iter()
        .any(|known| host == *known || host.ends_with(&format!(".{known}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_are_refused_without_a_scheme_too() {
        let host = ["deb.debian", "org"].join(".");
        assert!(refused(&format!("apt-get from {host}")).is_some());
    }

    #[test]
    fn only_known_hosts_may_be_linked_to() {
        assert_eq!(refused("see https://docs.kernel.org/mm/"), None);
        let other = format!("see https:{}mirror.example.net/x", "//");
        assert_eq!(refused(&other).as_deref(), Some("mirror.example.net"));
        let lookalike = format!("https:{}notkernel.org", "//");
        assert!(refused(&lookalike).is_some());
    }
}
