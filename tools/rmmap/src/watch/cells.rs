// SPDX-License-Identifier: GPL-2.0

//! Pages as letters: one page per cell, or several where the mapping is large.

use super::snapshot::Page;

/// The letters and their meanings, most specific first: a cell shows the first that is true of one
/// of its pages.
pub const LETTERS: [(char, Page, &str); 7] = [
    ('h', Page::HUGE, "huge"),
    ('l', Page::LOCKED, "locked"),
    ('d', Page::DIRTY, "dirty"),
    ('s', Page::SHARED, "shared"),
    ('r', Page::RESIDENT, "resident"),
    ('w', Page::SWAPPED, "swapped"),
    ('o', Page::HELD, "held by the object"),
];

/// No property of the page is known.
pub const NOTHING: char = '.';

/// Returns the letter of a cell: a capital if it is true of all of its pages.
pub fn letter(pages: &[Page]) -> char {
    for (letter, bit, _) in LETTERS {
        let true_of = pages.iter().filter(|page| page.has(bit)).count();
        if true_of == pages.len() && true_of > 0 {
            return letter.to_ascii_uppercase();
        }
        if true_of > 0 {
            return letter;
        }
    }
    NOTHING
}

/// Returns the number of pages per cell if `pages` are shown in `cells`: a power of two.
pub fn scale(pages: usize, cells: usize) -> usize {
    pages.div_ceil(cells.max(1)).max(1).next_power_of_two()
}

/// Returns the letters in one line.
pub fn legend() -> String {
    let words: Vec<_> = LETTERS
        .iter()
        .map(|(letter, _, word)| format!("{letter} {word}"))
        .collect();
    format!("{}, capital: the whole cell", words.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_shows_the_most_telling_of_its_pages() {
        let dirty = Page::RESIDENT.with(Page::DIRTY, true);
        assert_eq!(letter(&[Page::RESIDENT]), 'R');
        assert_eq!(letter(&[Page::RESIDENT, Page::default()]), 'r');
        assert_eq!(letter(&[Page::RESIDENT, dirty]), 'd');
        assert_eq!(letter(&[dirty, dirty]), 'D');
        assert_eq!(letter(&[Page::default()]), NOTHING);
        assert_eq!(letter(&[]), NOTHING);
    }

    #[test]
    fn cells_hold_powers_of_two() {
        assert_eq!(scale(16, 64), 1);
        assert_eq!(scale(64, 64), 1);
        assert_eq!(scale(65, 64), 2);
        assert_eq!(scale(1 << 18, 1000), 512);
        assert_eq!((scale(0, 10), scale(10, 0)), (1, 16));
    }

    #[test]
    fn the_legend_has_every_letter() {
        for (letter, ..) in LETTERS {
            assert!(legend().contains(&format!("{letter} ")));
        }
    }
}
