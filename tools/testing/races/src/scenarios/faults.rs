// SPDX-License-Identifier: GPL-2.0

//! Faults against faults, policies, mappings and seals.

use super::{scenario, Scenario};
use crate::cx::{bytes, check_bytes, check_pages, ones, region, Cx, LARGE, P, SMALL};
use anyhow::{ensure, Result};
use rmmap_sys::rustix::io::pwrite;
use rmmap_sys::rustix::mm::Advice;
use rmmap_sys::uapi::{
    RMMAP_CREATE_ALLOW_SEALING, RMMAP_POLICY_ALWAYS, RMMAP_POLICY_NEVER, RMMAP_SEAL_WRITE,
};
use rmmap_sys::{Device, Errno, MapOptions};

/// All scenarios of this file.
pub const SCENARIOS: &[Scenario] = &[
    scenario("fault-fault", |cx| faults(cx, 8, SMALL)),
    scenario("fault-fault-large", |cx| faults(cx, 16, LARGE)),
    scenario("policy-fault", |cx| policy(cx, SMALL, RMMAP_POLICY_ALWAYS)),
    scenario("policy-fault-large", |cx| {
        policy(cx, LARGE, RMMAP_POLICY_NEVER)
    }),
    scenario("zap-fault", |cx| {
        let region = ones(8 * P, SMALL)?;
        let m = MapOptions::new(8 * P).map(&region)?;
        m.touch_write(3, 1)?;
        let (zapped, stored) = cx.race(
            || m.advise(0, 8 * P, Advice::LinuxDontNeed),
            || m.touch_write(3, 7),
        )?;
        zapped?;
        stored?;
        ensure!(m.touch_read(3)? == 7, "the store is lost");
        check_pages(&[&region])
    }),
    scenario("map-seal", |cx| {
        let region = region(1, SMALL | RMMAP_CREATE_ALLOW_SEALING)?;
        let (mapped, sealed) = cx.race(
            || MapOptions::new(P).map(&region),
            || region.add_seals(RMMAP_SEAL_WRITE),
        )?;
        ensure!(matches!(sealed, Ok(()) | Err(Errno::BUSY)), "{sealed:?}");
        let is_stored = match &mapped {
            Ok(m) => m.touch_write(0, 1).is_ok(),
            Err(error) => {
                ensure!(*error == Errno::PERM, "{error}");
                false
            }
        };
        ensure!(
            !(is_stored && sealed.is_ok()),
            "a sealed region was changed"
        );
        Ok(())
    }),
    scenario("write-seal", |cx| {
        let region = region(2, SMALL | RMMAP_CREATE_ALLOW_SEALING)?;
        let (written, sealed) = cx.race(
            || pwrite(&region, &[2; 2 * P], 0),
            || region.add_seals(RMMAP_SEAL_WRITE),
        )?;
        sealed?;
        ensure!(matches!(written, Ok(len) if len == 2 * P) || written == Err(Errno::PERM));
        let wanted = if written.is_ok() { 2 } else { 0 };
        check_bytes("contents", &bytes(&region)?, &[wanted])?;
        check_pages(&[&region])
    }),
];

/// Stores to two pages that may be in one folio, through two mappings.
fn faults(cx: &Cx<'_>, pages: usize, flags: u32) -> Result<()> {
    let region = region(pages, flags)?;
    let m = MapOptions::new(pages * P).map(&region)?;
    let n = MapOptions::new(pages * P).map(&region)?;
    let (a, b) = cx.race(|| m.touch_write(3, 7), || n.write(3 * P + 1, &[8]))?;
    a?;
    b?;
    check_stores(&region, &[7, 8])
}

/// A change of the policy, and a store.
fn policy(cx: &Cx<'_>, flags: u32, policy: u32) -> Result<()> {
    let region = region(16, flags)?;
    let m = MapOptions::new(16 * P).map(&region)?;
    let (set, stored) = cx.race(|| region.set_policy(policy), || m.touch_write(3, 7))?;
    set?;
    stored?;
    ensure!(region.info()?.policy == policy, "another policy");
    check_stores(&region, &[7])
}

/// Checks that page 3 begins with these bytes, and that all others are zero.
fn check_stores(region: &Device, stored: &[u8]) -> Result<()> {
    let found = bytes(region)?;
    let (before, after) = (&found[..3 * P], &found[3 * P + stored.len()..]);
    ensure!(found[3 * P..].starts_with(stored), "a store is lost");
    check_bytes("before the stores", before, &[0])?;
    check_bytes("after the stores", after, &[0])?;
    check_pages(&[region])
}
