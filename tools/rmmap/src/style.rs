// SPDX-License-Identifier: GPL-2.0

//! Colours. They are written always; `anstream` takes them out where nobody can see them.
//!
//! `{style}` begins a colour and `{style:#}` ends it.

use anstyle::{AnsiColor, Style};

/// Headings.
pub const HEAD: Style = Style::new().bold();

/// What is as it should be.
pub const GOOD: Style = AnsiColor::Green.on_default();

/// What differs from expectation, and errors.
pub const BAD: Style = AnsiColor::Red.on_default().bold();

/// The module's own part.
pub const OWN: Style = AnsiColor::Cyan.on_default().bold();

/// Explanations.
pub const DIM: Style = Style::new().dimmed();
