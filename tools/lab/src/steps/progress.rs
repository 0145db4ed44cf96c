// SPDX-License-Identifier: GPL-2.0
//! Shows what goes on and for how long: a moving line on a terminal, plain lines elsewhere.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::{stderr, IsTerminal};
use std::time::{Duration, Instant};

/// A step that ended within this time is not worth a line.
const BRIEF: Duration = Duration::from_millis(1000);

/// The display of one running step.
pub struct Progress {
    name: String,
    begun: Instant,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Shows that `name` begins.
    pub fn begin(name: &str) -> Self {
        let bar = stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner().with_message(name.to_owned());
            // The template is a constant: should it be wrong, the default style does.
            if let Ok(style) = ProgressStyle::with_template("lab: {msg} {elapsed} {spinner}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(250));
            bar
        });
        Self {
            name: name.to_owned(),
            begun: Instant::now(),
            bar,
        }
    }

    /// Says how long it took; the reason of a failure is the error's to tell.
    pub fn end(self, ok: bool) {
        let elapsed = self.begun.elapsed();
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        if ok && elapsed >= BRIEF {
            eprintln!("lab: {}: {:.0} s", self.name, elapsed.as_secs_f64());
        }
    }
}
