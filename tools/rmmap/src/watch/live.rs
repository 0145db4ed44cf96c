// SPDX-License-Identifier: GPL-2.0

//! The live view: takes samples until somebody quits.
//!
//! However it ends, it restores the terminal: [`Screen`] at the end, the hooks of ratatui and
//! [`Screen::open`] in a panic; signals only set a flag.

use std::io::{stdout, IsTerminal, Stdout};
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use anyhow::{bail, Context};
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{self, EnterAlternateScreen};
use ratatui::layout::Rect;
use ratatui::{Terminal, TerminalOptions, Viewport};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};

use super::draw::View;
use super::source::Source;
use crate::Moment;

/// The longest delay before a signal is noticed.
const PATIENCE: Duration = Duration::from_millis(100);

/// Size of a terminal that does not know its own, as a serial console.
const DEFAULT: Rect = Rect::new(0, 0, 80, 24);

/// How the view ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Somebody quit.
    Quit,
    /// The watched mapping or object no longer exists.
    Gone,
}

/// The terminal, while it is ours.
struct Screen(Terminal<CrosstermBackend<Stdout>>);

impl Screen {
    fn open() -> anyhow::Result<Self> {
        if !stdout().is_terminal() {
            bail!("standard output is not a terminal: use --once or --json");
        }
        let viewport = match terminal::size() {
            Ok((columns, rows)) if columns > 0 && rows > 0 => Viewport::Fullscreen,
            _ => Viewport::Fixed(DEFAULT),
        };
        let options = TerminalOptions { viewport };
        show_cursor_at_panic();
        let mut terminal = ratatui::try_init_with_options(options)
            .context("cannot set up the terminal")
            .inspect_err(|_| ratatui::restore())?;
        // `try_init_with_options` does not do that.
        execute!(stdout(), EnterAlternateScreen)?;
        terminal.clear()?;
        Ok(Self(terminal))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // ratatui prints an error; nothing more can be done.
        ratatui::restore();
    }
}

/// Shows the cursor again in a panic. ratatui's hook leaves that to its terminal's drop, which a
/// release build, which aborts, never reaches.
fn show_cursor_at_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            // Nothing can be done about an error.
            let _ = execute!(stdout(), Show);
            before(info);
        }));
    });
}

/// Shows `source` every `interval` until somebody quits or it no longer exists; calls `at` after
/// each sample.
pub fn run(source: &Source, interval: Duration, at: fn(Moment)) -> anyhow::Result<End> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT, SIGHUP, SIGQUIT] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    let mut view = View::default();
    let Some(first) = source.look()? else {
        return Ok(End::Gone);
    };
    view.take(first);
    let mut screen = Screen::open()?;
    loop {
        screen.0.draw(|frame| view.draw(frame))?;
        at(Moment::Drawn);
        if wait(&mut screen, &mut view, interval, &stop)? {
            return Ok(End::Quit);
        }
        match source.look()? {
            Some(now) => view.take(now),
            None => return Ok(End::Gone),
        }
    }
}

/// Waits for the next sample and handles keys. Returns whether to quit.
fn wait(
    screen: &mut Screen,
    view: &mut View,
    interval: Duration,
    stop: &AtomicBool,
) -> anyhow::Result<bool> {
    let begun = Instant::now();
    loop {
        if stop.load(Ordering::Relaxed) {
            return Ok(true);
        }
        let left = interval.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return Ok(false);
        }
        if !event::poll(left.min(PATIENCE))? {
            continue;
        }
        match event::read()? {
            Event::Key(key) if key.kind == KeyEventKind::Press => {
                if does(key, view) {
                    return Ok(true);
                }
            }
            Event::Resize(..) => {}
            _ => continue,
        }
        screen.0.draw(|frame| view.draw(frame))?;
    }
}

/// Handles a key. Returns whether to quit.
fn does(key: KeyEvent, view: &mut View) -> bool {
    match key.code {
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return true,
        KeyCode::Char('q') | KeyCode::Esc => return true,
        KeyCode::Char('+') => view.zoom(false),
        KeyCode::Char('-') => view.zoom(true),
        KeyCode::Char('0') => view.zoom = None,
        KeyCode::Up => view.scroll(-1),
        KeyCode::Down => view.scroll(1),
        KeyCode::PageUp => view.scroll(-view.page()),
        KeyCode::PageDown => view.scroll(view.page()),
        KeyCode::Home => view.scroll(isize::MIN),
        KeyCode::End => view.scroll(isize::MAX),
        _ => {}
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn q_escape_and_control_c_quit_and_others_do_not() {
        let mut view = View::default();
        let plain = |code| KeyEvent::new(code, KeyModifiers::NONE);
        assert!(does(plain(KeyCode::Char('q')), &mut view));
        assert!(does(plain(KeyCode::Esc), &mut view));
        let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert!(does(control_c, &mut view));
        for code in [
            KeyCode::Char('c'),
            KeyCode::Char('+'),
            KeyCode::Char('-'),
            KeyCode::Up,
            KeyCode::End,
            KeyCode::Home,
            KeyCode::PageDown,
        ] {
            assert!(!does(plain(code), &mut view));
        }
    }
}
