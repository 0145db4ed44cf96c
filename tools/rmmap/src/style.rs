// SPDX-License-Identifier: GPL-2.0

//! Colours. The program always writes them; `anstream` removes them if the output does not show
//! them.
//!
//! `{style}` begins a colour and `{style:#}` ends it.

use anstyle::{AnsiColor, Style};

/// Headings.
pub const HEAD: Style = Style::new().bold();

/// Expected results.
pub const GOOD: Style = AnsiColor::Green.on_default();

/// Unexpected results, and errors.
pub const BAD: Style = AnsiColor::Red.on_default().bold();

/// The module's own part.
pub const OWN: Style = AnsiColor::Cyan.on_default().bold();

/// Explanations.
pub const DIM: Style = Style::new().dimmed();
