// SPDX-License-Identifier: GPL-2.0

//! NUMA policies: new pages lie on the node that `mbind(2)` or `set_mempolicy(2)` names.
//!
//! Each test names each of two nodes in turn. By default memory comes from one of them, so a policy
//! that is not followed fails on the other.

use crate::area::{Area, Kind};
use crate::context::{has_large_folios, Context, P, PMD, PMD_ORDER};
use crate::counting::stats;
use crate::nodes::with_two_nodes;
use crate::outcome::Result;
use crate::{cases, check, check_eq};
use rmmap_sys::numa::{set_policy, Policy};
use rmmap_sys::rustix::mm::{Advice, MapFlags};
use rmmap_sys::uapi::{RMMAP_CREATE_ADAPTIVE, RMMAP_CREATE_ALWAYS, RMMAP_CREATE_NEVER};
use rmmap_sys::{MapOptions, Mapping};

cases! {
    Each mbind_of_a_shared_mapping [] "mbind(MPOL_BIND), then stores, MADV_POPULATE_WRITE, mlock: pages of that node";
    Each mbind_of_a_private_mapping [] "mbind(MPOL_BIND), then loads, MADV_POPULATE_READ, stores: pages of that node";
    Each mbind_of_a_part [] "mbind of one half to each node: a store takes the node of its own half";
    Each mbind_interleaves [] "mbind(MPOL_INTERLEAVE): neighbouring pages lie on both nodes, in any order of the stores";
    Each set_mempolicy_is_followed [] "set_mempolicy(MPOL_BIND), then MAP_POPULATE, stores, write(2): pages of that node";
    Rmmap mbind_with_each_folio_policy [] "mbind(MPOL_BIND), then stores in order: pages of that node, in huge pages, in folios of growing size, and of a page";
}

/// Pages of each test, touched one by one.
const PAGES: usize = 70;

/// Checks that pages `first` to `first + count - 1` of a mapping lie on a node.
#[track_caller]
fn check_node(m: &Mapping, first: usize, count: usize, node: u32) -> Result {
    let nodes = m.nodes(first * P, count * P)?;
    let other = nodes.iter().position(|found| *found != Ok(node));
    let Some(page) = other else { return Ok(()) };
    let lost = nodes.iter().filter(|found| **found != Ok(node)).count();
    check!(
        false,
        "page {} is on {:?}, not on node {node}, {lost} of {count} pages are not",
        first + page,
        nodes[page]
    );
    Ok(())
}

fn area(cx: &Context) -> Result<Area> {
    cx.area(3 * PMD / P)
}

fn mbind_of_a_shared_mapping(cx: &Context) -> Result {
    with_two_nodes(|nodes| {
        for node in nodes {
            let area = area(cx)?;
            let m = area.map()?;
            m.bind(0, m.len(), Policy::Bind, &[node])?;
            for page in 0..PAGES {
                m.touch_write(page, 1)?;
            }
            check_node(&m, 0, PAGES, node)?;
            m.advise(PMD, PMD, Advice::LinuxPopulateWrite)?;
            check_node(&m, PMD / P, PMD / P, node)?;
            m.lock(2 * PMD, PMD)?;
            check_node(&m, 2 * PMD / P, PMD / P, node)?;
        }
        Ok(())
    })
}

fn mbind_of_a_private_mapping(cx: &Context) -> Result {
    with_two_nodes(|nodes| {
        for node in nodes {
            let area = area(cx)?;
            let m = area.whole().private().map(&area)?;
            m.bind(0, m.len(), Policy::Bind, &[node])?;
            // First pages of the object, then private copies of them, then private copies of holes.
            for page in 0..PAGES {
                check_eq!(m.touch_read(page)?, 0);
            }
            check_node(&m, 0, PAGES, node)?;
            m.advise(PMD, PMD, Advice::LinuxPopulateRead)?;
            check_node(&m, PMD / P, PMD / P, node)?;
            check!(area.held_pages()? >= PAGES + PMD / P, "the object's pages");
            for page in [0, 2 * PMD / P] {
                m.touch_write(page, 1)?;
                check_node(&m, page, 1, node)?;
            }
        }
        Ok(())
    })
}

fn mbind_of_a_part(cx: &Context) -> Result {
    with_two_nodes(|[first, second]| {
        for nodes in [[first, second], [second, first]] {
            let area = cx.area(2 * PAGES)?;
            let m = area.map()?;
            for (half, node) in nodes.into_iter().enumerate() {
                m.bind(half * PAGES * P, PAGES * P, Policy::Bind, &[node])?;
            }
            for page in 0..2 * PAGES {
                m.touch_write(page, 1)?;
            }
            // A folio across both ranges lies on the node of the page that faulted first.
            let end = match area.is_rmmap() {
                true => PAGES,
                false => m.pages(),
            };
            check_node(&m, 0, PAGES.min(end), nodes[0])?;
            check_node(&m, PAGES, PAGES, nodes[1])?;
        }
        Ok(())
    })
}

fn mbind_interleaves(cx: &Context) -> Result {
    with_two_nodes(|nodes| {
        let area = cx.single_pages(PAGES)?;
        let m = area.map()?;
        m.bind(0, m.len(), Policy::Interleave, &nodes)?;
        // Even pages first: interleaving goes by the offset in the file.
        for page in (0..PAGES).step_by(2).chain((1..PAGES).step_by(2)) {
            m.touch_write(page, 1)?;
        }
        let found = m.nodes(0, m.len())?;
        for pair in found.windows(2) {
            check!(pair[0] != pair[1], "neighbours lie on one node: {found:?}");
        }
        Ok(())
    })
}

/// The memory policy of this thread, reset on drop.
struct OfTask;

impl OfTask {
    fn bind(node: u32) -> Result<Self> {
        set_policy(Policy::Bind, &[node])?;
        Ok(Self)
    }
}

impl Drop for OfTask {
    fn drop(&mut self) {
        // Nothing to do on failure: a test is a process of its own.
        let _ = set_policy(Policy::Default, &[]);
    }
}

fn set_mempolicy_is_followed(cx: &Context) -> Result {
    with_two_nodes(|nodes| {
        for node in nodes {
            let area = area(cx)?;
            let written = vec![7; PMD];
            let (m, populated) = {
                let _policy = OfTask::bind(node)?;
                area.write(0, &written)?;
                area.write(PMD + P + 1, &written[..P])?;
                let m = area.map()?;
                m.touch_write(PMD / P + PAGES, 1)?;
                let third = area.part(2 * PMD / P, PMD / P);
                (m, third.flags(MapFlags::POPULATE).map(&area)?)
            };
            check_node(&populated, 0, PMD / P, node)?;
            m.advise(0, PMD, Advice::LinuxPopulateRead)?;
            check_node(&m, 0, PMD / P, node)?;
            for page in [1, 2, PAGES] {
                let page = PMD / P + page;
                m.touch_read(page)?;
                check_node(&m, page, 1, node)?;
            }
        }
        Ok(())
    })
}

fn mbind_with_each_folio_policy(cx: &Context) -> Result {
    check_eq!(cx.kind, Kind::Region);
    with_two_nodes(|nodes| {
        for node in nodes {
            for flags in [
                RMMAP_CREATE_ALWAYS,
                RMMAP_CREATE_NEVER,
                RMMAP_CREATE_ADAPTIVE,
            ] {
                let region = cx.device()?.create(2 * PMD as u64, flags)?;
                let m = MapOptions::new(2 * PMD).map(&region)?;
                m.bind(0, m.len(), Policy::Bind, &[node])?;
                for page in 0..m.pages() {
                    m.touch_write(page, 1)?;
                }
                let folios = stats(&region)?.region.folios;
                match flags {
                    RMMAP_CREATE_ALWAYS if has_large_folios() => {
                        check_eq!(folios[PMD_ORDER], 2, "{folios:?}")
                    }
                    RMMAP_CREATE_ADAPTIVE if has_large_folios() => {
                        check!(folios[4..].iter().sum::<u64>() > 0, "{folios:?}")
                    }
                    _ => check_eq!(folios[0], m.pages() as u64, "{folios:?}"),
                }
                check_node(&m, 0, m.pages(), node)?;
            }
        }
        Ok(())
    })
}
