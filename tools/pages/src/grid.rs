// SPDX-License-Identifier: GPL-2.0
//! Tables, as text and for Sphinx.

use crate::rst;

/// A table: a title, a description, column names, and rows that begin with their name.
pub struct Grid {
    /// The title.
    pub title: String,
    /// The description, a paragraph.
    pub text: String,
    /// The names of the columns.
    pub head: Vec<String>,
    /// The rows, each with a cell per column.
    pub rows: Vec<Vec<String>>,
}

impl Grid {
    /// Returns the table as text for a terminal, with the first column aligned left, the others
    /// right.
    pub fn text(&self) -> String {
        let all = || std::iter::once(&self.head).chain(&self.rows);
        let width = |column: usize| {
            let cells = all().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<_> = (0..self.head.len()).map(width).collect();
        let mut out = format!("{}\n{}\n", self.title, self.text);
        for row in all() {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                match column {
                    0 => line.push_str(&format!("  {cell:<width$}")),
                    _ => line.push_str(&format!("  {cell:>width$}")),
                }
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }

    /// Returns the table as a section for Sphinx.
    pub fn rst(&self) -> String {
        let mut out = format!("{}\n{}\n\n", rst::title(&self.title, "="), self.text);
        out.push_str(".. csv-table::\n   :header-rows: 1\n   :class: figures\n\n");
        for row in std::iter::once(&self.head).chain(&self.rows) {
            // A hyphen alone would begin a list.
            let cell = |cell: &String| format!("\"{}\"", if cell == "-" { "–" } else { cell });
            let cells: Vec<_> = row.iter().map(cell).collect();
            out.push_str(&format!("   {}\n", cells.join(", ")));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> Grid {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        Grid {
            title: "Costs".into(),
            text: "Per page.".into(),
            head: row(["object", "cost"]),
            rows: vec![row(["memfd", "13952"]), row(["udmabuf", "-"])],
        }
    }

    #[test]
    fn columns_are_aligned() {
        assert_eq!(
            grid().text(),
            "Costs\nPer page.\n  object    cost\n  memfd    13952\n  udmabuf      -\n"
        );
    }

    #[test]
    fn sphinx_gets_a_table() {
        let text = grid().rst();
        assert!(text.starts_with("Costs\n=====\n"), "{text}");
        assert!(
            text.ends_with(
                "   \"object\", \"cost\"\n   \"memfd\", \"13952\"\n   \"udmabuf\", \"–\"\n"
            ),
            "{text}"
        );
    }
}
