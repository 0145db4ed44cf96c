// SPDX-License-Identifier: GPL-2.0

//! Checks the contents of a mapping's pages.
//!
//! A page has the object's earlier contents (zeroes, if there is no object); after a store it
//! begins with its mark, and the rest is unchanged. The object, read by read(2), has the marks of a
//! shared mapping and not those of a private one.

use rmmap_sys::{Mapping, PAGE_SIZE};

use super::object::Object;
use super::touch::{mark, Kind, Touched};

/// The contents of an object before a mapping of it was touched.
pub struct Before {
    offset: u64,
    pages: Vec<(usize, Option<Vec<u8>>)>,
}

impl Before {
    /// Reads the object where `pages` will be touched.
    pub fn read(object: &Object, offset: u64, pages: &[usize]) -> Self {
        let read = |page: &usize| (*page, object.read(at(offset, *page), PAGE_SIZE));
        Self {
            offset,
            pages: pages.iter().map(read).collect(),
        }
    }

    /// Compares after the touch. Returns the differences, a line each; `is_shared` is the kind of
    /// mapping.
    pub fn differences(
        &self,
        object: &Object,
        mapping: &Mapping,
        touched: &Touched,
        kind: Kind,
        is_shared: bool,
    ) -> Vec<String> {
        let mut found = Vec::new();
        for (page, before) in &self.pages {
            if !touched.pages.contains(page) {
                continue;
            }
            let Some(before) = before else {
                found.push(format!("page {page}: the object cannot be read to compare"));
                continue;
            };
            let mut expected = before.clone();
            if kind == Kind::Write {
                expected[..8].copy_from_slice(&mark(*page).to_ne_bytes());
            }
            let mut have = vec![0; PAGE_SIZE];
            match mapping.read(page * PAGE_SIZE, &mut have) {
                Ok(()) => found.extend(differ("mapping", *page, &expected, &have)),
                Err(fault) => found.push(format!("page {page}: {fault}")),
            }
            let expected = if is_shared { &expected } else { before };
            if object.fd().is_some() {
                match object.read(at(self.offset, *page), PAGE_SIZE) {
                    Some(have) => found.extend(differ("object", *page, expected, &have)),
                    None => found.push(format!("page {page}: the object cannot be read")),
                }
            }
        }
        found
    }
}

fn at(offset: u64, page: usize) -> u64 {
    offset.saturating_add((page * PAGE_SIZE) as u64)
}

/// Returns the first difference of a page.
fn differ(what: &str, page: usize, expected: &[u8], have: &[u8]) -> Option<String> {
    let index = (0..expected.len()).find(|index| expected[*index] != have[*index])?;
    Some(format!(
        "page {page}, byte {index}: the {what} has {:#04x}, expected {:#04x}",
        have[index], expected[index]
    ))
}

#[cfg(test)]
mod tests {
    use super::super::object::{Access, Choice};
    use super::super::touch::Touch;
    use super::*;
    use rmmap_sys::MapOptions;

    /// Touches two pages of a memfd through a mapping, and returns the differences for a mapping of
    /// the kind `is_shared`.
    fn verify(options: MapOptions, is_shared: bool) -> Vec<String> {
        let object = Choice::Memfd(4 * PAGE_SIZE as u64)
            .open(Access::Rdwr)
            .unwrap();
        let mapping = options.map(object.fd().unwrap()).unwrap();
        let touch = Touch::parse("write:2").unwrap();
        let before = Before::read(&object, 0, &touch.order(4));
        let touched = touch.run(&mapping);
        before.differences(&object, &mapping, &touched, touch.kind, is_shared)
    }

    #[test]
    fn contents_of_shared_and_private_mappings_are_right() {
        let shared = MapOptions::new(4 * PAGE_SIZE);
        assert_eq!(verify(shared, true), [""; 0]);
        assert_eq!(verify(shared.private(), false), [""; 0]);
    }

    #[test]
    fn a_store_that_went_elsewhere_is_found() {
        // A private mapping, checked as a shared one: its stores are not in the object.
        let found = verify(MapOptions::new(4 * PAGE_SIZE).private(), true);
        assert_eq!(found.len(), 2);
        assert!(
            found[1].starts_with("page 1, byte 0: the object has 0x00"),
            "{found:?}"
        );
    }
}
