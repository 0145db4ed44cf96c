// SPDX-License-Identifier: GPL-2.0

//! One sample, as plain text or JSON.

use std::fmt::Write;

use serde::Serialize;

use super::cells::{legend, letter, scale};
use super::snapshot::{Page, Snapshot, Totals};
use crate::vmflags;
use rmmap_sys::PAGE_SIZE;

/// Cells of a line.
const WIDTH: usize = 64;
/// Lines, unless more are needed to show each page on its own.
const LINES: usize = 32;

/// The JSON output.
#[derive(Debug, Serialize)]
struct Look<'a> {
    title: &'a str,
    start: usize,
    vm_flags: Option<String>,
    totals: Totals,
    /// A letter for each page.
    map: String,
    note: Option<&'a str>,
}

/// Totals in words.
pub fn counts(totals: &Totals) -> String {
    let Totals {
        pages,
        resident,
        dirty,
        locked,
        huge,
        shared,
        swapped,
        held,
    } = totals;
    let percent = (100 * (*resident).max(*held))
        .checked_div(*pages)
        .unwrap_or(0);
    match held {
        0 => format!(
            "{pages} pages: {resident} resident ({percent} %), {dirty} dirty, {locked} locked, \
             {huge} huge, {shared} shared, {swapped} swapped"
        ),
        held => format!("{pages} pages: {held} held by the object ({percent} %)"),
    }
}

/// Returns the text: the title, totals, a line for each row of cells.
pub fn text(snapshot: &Snapshot) -> String {
    let pages = &snapshot.pages;
    let per_cell = scale(pages.len(), WIDTH * LINES);
    let mut text = format!("{}\n{}\n", snapshot.title, counts(&snapshot.totals()));
    // Writing to a String cannot fail, here and below.
    if let Some(flags) = &snapshot.vm_flags {
        let _ = writeln!(text, "{}", vmflags::words(flags));
    }
    for (index, row) in pages.chunks(per_cell * WIDTH).enumerate() {
        let cells: String = row.chunks(per_cell).map(letter).collect();
        let address = snapshot.start + index * per_cell * WIDTH * PAGE_SIZE;
        let _ = writeln!(text, "{address:012x} {cells}");
    }
    let _ = writeln!(text, "{per_cell} page(s) per cell; {}", legend());
    if let Some(note) = &snapshot.note {
        let _ = writeln!(text, "({note})");
    }
    text
}

/// Returns the JSON.
pub fn json(snapshot: &Snapshot) -> serde_json::Result<String> {
    let one = |page: &Page| letter(std::slice::from_ref(page));
    serde_json::to_string(&Look {
        title: &snapshot.title,
        start: snapshot.start,
        vm_flags: snapshot.vm_flags.as_ref().map(ToString::to_string),
        totals: snapshot.totals(),
        map: snapshot.pages.iter().map(one).collect(),
        note: snapshot.note.as_deref(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rmmap_procfs::VmFlags;

    fn snapshot(pages: usize, resident: usize) -> Snapshot {
        let mut all = vec![Page::RESIDENT; resident];
        all.resize(pages, Page::default());
        Snapshot {
            title: "a mapping".into(),
            start: 0x1000_0000,
            pages: all,
            vm_flags: Some(VmFlags::parse("rd lo")),
            dirty: Some(0),
            note: Some("nobody is root".into()),
        }
    }

    #[test]
    fn small_mappings_have_a_cell_per_page() {
        let text = text(&snapshot(70, 66));
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "a mapping");
        assert!(lines[1].starts_with("70 pages: 66 resident (94 %), 0 dirty"));
        assert_eq!(lines[2], "rd readable, lo locked");
        assert_eq!(lines[3], format!("000010000000 {}", "R".repeat(64)));
        assert_eq!(lines[4], "000010040000 RR....");
        assert!(lines[5].starts_with("1 page(s) per cell; "));
        assert_eq!(lines[6], "(nobody is root)");
    }

    #[test]
    fn large_mappings_have_several() {
        let text = text(&snapshot(1 << 18, 3));
        assert_eq!(text.lines().count(), 3 + LINES + 2);
        let row = text.lines().nth(3).unwrap();
        assert_eq!(row, format!("000010000000 r{}", ".".repeat(63)));
    }

    #[test]
    fn json_has_a_letter_per_page() {
        let json: serde_json::Value =
            serde_json::from_str(&json(&snapshot(5, 2)).unwrap()).unwrap();
        assert_eq!(json["map"], "RR...");
        assert_eq!(json["totals"]["resident"], 2);
        assert_eq!(json["vm_flags"], "rd lo");
    }

    #[test]
    fn an_object_is_counted_by_what_it_holds() {
        let mut held = snapshot(4, 0);
        held.pages[1] = Page::HELD;
        assert_eq!(
            counts(&held.totals()),
            "4 pages: 1 held by the object (25 %)"
        );
    }
}
