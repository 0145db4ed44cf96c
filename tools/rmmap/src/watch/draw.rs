// SPDX-License-Identifier: GPL-2.0

//! The screen.

use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::Frame;
use rmmap_sys::PAGE_SIZE;

use super::cells::{legend, letter, scale, NOTHING};
use super::once::counts;
use super::snapshot::Snapshot;
use crate::vmflags;

/// Columns of the address and the blank after it.
const GUTTER: usize = 13;

/// The state of the view.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// The last sample.
    pub now: Snapshot,
    /// The letters of the previous sample, and the pages of each: changes are highlighted.
    before: Option<(usize, Vec<char>)>,
    /// Pages per cell; `None` for as many as needed to see all.
    pub zoom: Option<usize>,
    /// The first row that is shown.
    pub row: usize,
    /// Rows and columns of cells at the last drawing.
    size: (usize, usize),
}

impl View {
    /// Takes in a sample.
    pub fn take(&mut self, now: Snapshot) {
        let (per_cell, _) = self.layout();
        self.before = Some((per_cell, letters(&self.now, per_cell)));
        self.now = now;
    }

    /// Returns the pages per cell, and the number of rows, for the size of the last drawing.
    pub fn layout(&self) -> (usize, usize) {
        let (rows, columns) = self.size;
        let pages = self.now.pages.len();
        let per_cell = self.zoom.unwrap_or_else(|| scale(pages, rows * columns));
        (per_cell, pages.div_ceil((per_cell * columns).max(1)))
    }

    /// Scrolls by a number of rows, within the existing ones.
    pub fn scroll(&mut self, by: isize) {
        let (_, rows) = self.layout();
        let last = rows.saturating_sub(self.size.0);
        self.row = self.row.saturating_add_signed(by).min(last);
    }

    /// Returns the rows of a page of the screen.
    pub fn page(&self) -> isize {
        self.size.0.max(1) as isize
    }

    /// Doubles or halves the pages of a cell.
    pub fn zoom(&mut self, larger_cells: bool) {
        let (per_cell, _) = self.layout();
        let zoomed = match larger_cells {
            true => per_cell.saturating_mul(2),
            false => (per_cell / 2).max(1),
        };
        self.zoom = Some(zoomed.min(self.now.pages.len().next_power_of_two()));
        self.scroll(0);
    }

    /// Draws.
    pub fn draw(&mut self, frame: &mut Frame<'_>) {
        let lines = [1, 1, 1].map(Constraint::Length);
        let [title, totals, flags] = lines;
        let rest = Constraint::Min(1);
        let areas: [Rect; 6] =
            Layout::vertical([title, totals, flags, rest, Constraint::Length(1), flags])
                .areas(frame.area());
        let [title, totals, flags, grid, letters, keys] = areas;
        self.size = (
            grid.height.into(),
            usize::from(grid.width).saturating_sub(GUTTER).max(1),
        );
        self.scroll(0);
        let bold = Style::new().add_modifier(Modifier::BOLD);
        frame.render_widget(Line::styled(self.now.title.clone(), bold), title);
        frame.render_widget(Line::raw(counts(&self.now.totals())), totals);
        let words = self.now.vm_flags.as_ref().map(vmflags::words);
        frame.render_widget(Line::raw(words.unwrap_or_default()), flags);
        for (index, row) in self.rows().into_iter().enumerate() {
            let area = Rect {
                y: grid.y + index as u16,
                height: 1,
                ..grid
            };
            frame.render_widget(row, area);
        }
        frame.render_widget(Line::raw(legend()), letters);
        frame.render_widget(Line::raw(self.keys()), keys);
    }

    fn keys(&self) -> String {
        let (per_cell, rows) = self.layout();
        let (shown, last) = (self.row + 1, (self.row + self.size.0).min(rows));
        let note = self.now.note.as_deref();
        let note = note.map(|note| format!(" ({note})")).unwrap_or_default();
        format!("q quit, + - zoom, 0 all: {per_cell} page(s) per cell, rows {shown}-{last} of {rows}{note}")
    }

    fn rows(&self) -> Vec<Line<'static>> {
        let (per_cell, _) = self.layout();
        let (rows, columns) = self.size;
        let now = letters(&self.now, per_cell);
        let before = match &self.before {
            Some((scale, letters)) if *scale == per_cell => letters.as_slice(),
            _ => &now,
        };
        let cells = now.chunks(columns).enumerate().skip(self.row).take(rows);
        let row = |(index, cells): (usize, &[char])| {
            let first = index * columns;
            let address = self.now.start + first * per_cell * PAGE_SIZE;
            let mut spans = vec![Span::raw(format!("{address:012x} "))];
            spans.extend(cells.iter().enumerate().map(|(column, letter)| {
                let changed = before.get(first + column) != Some(letter);
                Span::styled(letter.to_string(), style(*letter, changed))
            }));
            Line::from(spans)
        };
        cells.map(row).collect()
    }
}

fn letters(snapshot: &Snapshot, per_cell: usize) -> Vec<char> {
    snapshot.pages.chunks(per_cell.max(1)).map(letter).collect()
}

/// Colours only help: the letters show everything, also on a terminal without colours.
fn style(letter: char, changed: bool) -> Style {
    let color = match letter.to_ascii_lowercase() {
        'h' => Color::Magenta,
        'l' => Color::Red,
        'd' => Color::Yellow,
        's' => Color::Cyan,
        'r' => Color::Green,
        'w' => Color::Blue,
        NOTHING => Color::DarkGray,
        _ => Color::Reset,
    };
    let style = Style::new().fg(color);
    match changed {
        true => style.add_modifier(Modifier::REVERSED),
        false => style,
    }
}

#[cfg(test)]
mod tests {
    use super::super::snapshot::Page;
    use super::*;
    use ratatui::backend::TestBackend;
    use ratatui::Terminal;
    use rmmap_procfs::VmFlags;

    fn snapshot(pages: usize, resident: usize) -> Snapshot {
        let mut all = vec![Page::RESIDENT; resident];
        all.resize(pages, Page::default());
        Snapshot {
            title: "7f00-7f01 rw-s /dev/rmmap".into(),
            start: 0x1000,
            pages: all,
            vm_flags: Some(VmFlags::parse("rd sh")),
            ..Snapshot::default()
        }
    }

    /// Draws on a screen of 45 by 10: 32 columns and 5 rows of cells. Returns its text.
    fn screen(view: &mut View) -> (Vec<String>, Terminal<TestBackend>) {
        let mut terminal = Terminal::new(TestBackend::new(45, 10)).unwrap();
        terminal.draw(|frame| view.draw(frame)).unwrap();
        let buffer = terminal.backend().buffer();
        let row = |y| {
            (0..45)
                .map(|x| buffer[(x, y)].symbol().to_owned())
                .collect::<String>()
        };
        (
            (0..10).map(|y| row(y).trim_end().to_owned()).collect(),
            terminal,
        )
    }

    #[test]
    fn a_small_mapping_is_shown_page_by_page() {
        let mut view = View::default();
        view.take(snapshot(40, 34));
        let (lines, _) = screen(&mut view);
        assert_eq!(lines[0], "7f00-7f01 rw-s /dev/rmmap");
        assert!(lines[1].starts_with("40 pages: 34 resident (85 %)"));
        assert_eq!(lines[2], "rd readable, sh shared");
        assert_eq!(lines[3], format!("000000001000 {}", "R".repeat(32)));
        assert_eq!(lines[4], "000000021000 RR......");
        assert!(lines[8].starts_with("h huge"));
        assert!(lines[9].starts_with("q quit"));
    }

    #[test]
    fn a_large_one_fits_until_it_is_zoomed_and_scrolled() {
        let mut view = View::default();
        view.take(snapshot(1024, 1));
        let (lines, _) = screen(&mut view);
        assert_eq!(view.layout(), (8, 4));
        assert_eq!(lines[3], format!("000000001000 r{}", ".".repeat(31)));
        view.zoom(false);
        assert_eq!(view.layout(), (4, 8));
        view.scroll(100);
        let (lines, _) = screen(&mut view);
        assert_eq!(view.row, 3);
        assert_eq!(
            lines[3],
            format!("{:012x} {}", 0x1000 + 3 * 32 * 4 * 4096, ".".repeat(32))
        );
        view.zoom = None;
        view.scroll(0);
        assert_eq!((view.layout(), view.row), ((8, 4), 0));
    }

    #[test]
    fn what_changed_stands_out() {
        let mut view = View::default();
        view.take(snapshot(8, 2));
        screen(&mut view);
        view.take(snapshot(8, 3));
        let (_, terminal) = screen(&mut view);
        let buffer = terminal.backend().buffer();
        let reversed = |cell: u16| buffer[(13 + cell, 3)].modifier.contains(Modifier::REVERSED);
        assert!(!reversed(1) && reversed(2) && !reversed(3));
        view.take(snapshot(8, 3));
        let (_, terminal) = screen(&mut view);
        let buffer = terminal.backend().buffer();
        assert!(!buffer[(15, 3)].modifier.contains(Modifier::REVERSED));
    }

    #[test]
    fn nothing_panics_on_a_screen_that_is_too_small() {
        let mut view = View::default();
        view.take(snapshot(1000, 1));
        for (width, height) in [(1, 1), (5, 3), (14, 6), (200, 7)] {
            let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
            terminal.draw(|frame| view.draw(frame)).unwrap();
            view.zoom(true);
            view.scroll(5);
            view.zoom(false);
        }
    }
}
