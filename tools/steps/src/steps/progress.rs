// SPDX-License-Identifier: GPL-2.0
//! Shows the running steps and their durations: a moving line on a terminal, an occasional line
//! elsewhere.

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::io::{stderr, IsTerminal};
use std::sync::mpsc::{channel, Receiver, RecvTimeoutError, Sender};
use std::sync::LazyLock;
use std::thread::{spawn, JoinHandle};
use std::time::{Duration, Instant};

/// A step that ends within this time gets no line.
const BRIEF: Duration = Duration::from_secs(1);
/// The interval of lines in a log that say that the step still runs.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// The lines of all running steps.
static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// The display of one running step.
pub struct Progress {
    name: String,
    begun: Instant,
    display: Display,
}

enum Display {
    Terminal(ProgressBar),
    Lines(Sender<()>, JoinHandle<()>),
}

impl Progress {
    /// Shows that `name` begins.
    pub fn begin(name: &str) -> Self {
        let display = if stderr().is_terminal() {
            let bar = BARS.add(ProgressBar::new_spinner().with_message(name.to_owned()));
            // The template is a constant; if it were wrong, the default style would do.
            if let Ok(style) = ProgressStyle::with_template("lab: {msg} {elapsed} {spinner}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(250));
            Display::Terminal(bar)
        } else {
            let (done, end) = channel();
            let name = name.to_owned();
            Display::Lines(done, spawn(move || beat(&name, &end)))
        };
        Self {
            name: name.to_owned(),
            begun: Instant::now(),
            display,
        }
    }

    /// Shows the current part of the step, on a terminal.
    pub fn at(&self, what: &str) {
        if let Display::Terminal(bar) = &self.display {
            bar.set_message(format!("{}: {what}", self.name));
        }
    }

    /// Prints the duration; the error has the reason of a failure.
    pub fn end(self, ok: bool) {
        let elapsed = self.begun.elapsed();
        match self.display {
            Display::Terminal(bar) => bar.finish_and_clear(),
            Display::Lines(done, thread) => {
                drop(done);
                // The thread only prints, so its result does not matter.
                let _ = thread.join();
            }
        }
        if ok && elapsed >= BRIEF {
            BARS.suspend(|| eprintln!("lab: {}: {:.0} s", self.name, elapsed.as_secs_f64()));
        }
    }
}

/// Prints lines until the other end of `end` is dropped.
fn beat(name: &str, end: &Receiver<()>) {
    let begun = Instant::now();
    let mut wait = BRIEF;
    while end.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
        match wait {
            BRIEF => eprintln!("lab: {name} ..."),
            _ => eprintln!("lab: {name} ... {:.0} s", begun.elapsed().as_secs_f64()),
        }
        wait = HEARTBEAT;
    }
}
