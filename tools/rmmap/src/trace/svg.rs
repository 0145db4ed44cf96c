// SPDX-License-Identifier: GPL-2.0

//! A flame graph: time goes to the right, calls go down.

use std::fmt::Write;

use super::{
    path,
    tree::{groups, Call, Kind},
    Trace,
};

/// Width of the picture, pixels.
const WIDTH: f64 = 1180.0;

/// Height of a row, pixels.
const ROW: f64 = 19.0;

/// Width of a letter, pixels, rounded up a little.
const LETTER: f64 = 6.7;

/// Width of a call without measurable time, which must still be visible.
const LEAST: f64 = 3.0;

/// Returns the picture of one or more runs, as a separate file.
pub fn file(traces: &[&Trace]) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}\n",
        picture(traces)
    )
}

/// Returns the picture for embedding into a page.
pub fn picture(traces: &[&Trace]) -> String {
    let mut body = String::new();
    let mut top = ROW;
    for trace in traces {
        top = run(&mut body, trace, top);
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{top}\" \
         viewBox=\"0 0 {WIDTH} {top}\" font-family=\"monospace\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{body}</svg>"
    )
}

/// Draws a run from `top` on; returns where it ends.
fn run(body: &mut String, trace: &Trace, top: f64) -> f64 {
    let title = format!("{}: {}", trace.subject, trace.summary());
    text(body, 4.0, top, &title, "bold");
    let groups = groups(&trace.calls);
    let whole: f64 = groups.iter().map(|group| time(group.first)).sum();
    let mut deepest = 0;
    let mut left = 0.0;
    for group in &groups {
        let width = share(time(group.first), whole, WIDTH);
        let place = Place {
            left,
            width,
            top: top + ROW / 2.0,
        };
        deepest = deepest.max(draw(body, group.first, group.count, &place, 0));
        left += width;
    }
    top + ROW * (deepest as f64 + 3.0)
}

/// The place of a call in the picture.
struct Place {
    left: f64,
    width: f64,
    top: f64,
}

/// Draws a call and its callees; returns the depth of the deepest.
fn draw(body: &mut String, call: &Call, count: usize, place: &Place, depth: usize) -> usize {
    let top = place.top + ROW * depth as f64;
    let times = match count {
        1 => String::new(),
        count => format!(" ×{count}"),
    };
    let name = format!("{}{times}", call.name);
    let _ = writeln!(
        body,
        "<g><title>{}</title><rect x=\"{:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{}\" \
         fill=\"{}\" stroke=\"#fff\" rx=\"2\"/>",
        escape(&hint(call, count)),
        place.left,
        place.width.max(LEAST),
        ROW - 2.0,
        colour(call)
    );
    let room = (place.width / LETTER) as usize;
    if room >= 3 {
        let shown = match name.chars().count() > room {
            true => name.chars().take(room - 1).chain(['…']).collect(),
            false => name,
        };
        text(body, place.left + 3.0, top + ROW - 6.5, &shown, "normal");
    }
    body.push_str("</g>\n");
    let mut deepest = depth;
    let mut left = place.left;
    for group in groups(&call.calls) {
        let width = share(group.us.max(time(group.first)), time(call), place.width);
        let inner = Place {
            left,
            width,
            top: place.top,
        };
        deepest = deepest.max(draw(body, group.first, group.count, &inner, depth + 1));
        left += width;
    }
    deepest
}

/// Returns the time of a call: its own if measured, or the sum of its callees'.
fn time(call: &Call) -> f64 {
    let below = || call.calls.iter().map(time).sum();
    call.us.unwrap_or_else(below)
}

/// Returns the part of `width` that is `part` of `whole`.
fn share(part: f64, whole: f64, width: f64) -> f64 {
    match whole > 0.0 {
        true => (part / whole).clamp(0.0, 1.0) * width,
        false => 0.0,
    }
}

fn colour(call: &Call) -> &'static str {
    let is_seed = path::explanation(&call.name).starts_with("seed: ");
    match (call.ret.as_ref().is_some_and(|ret| ret.error), call.kind) {
        (true, _) => "#ef8a80",
        (_, Kind::Module) => "#6fd0d8",
        (_, Kind::Event) => "#d8d8d8",
        (_, Kind::Function) if is_seed => "#f6b95c",
        (_, Kind::Function) => "#cfe0b8",
    }
}

/// Returns everything about a call, for its tooltip.
pub fn hint(call: &Call, count: usize) -> String {
    let mut lines = vec![call.name.clone()];
    lines.extend(
        call.args
            .iter()
            .map(|arg| format!("{}={}", arg.name, arg.value.text)),
    );
    lines.extend(call.ret.iter().map(|ret| format!("returns {}", ret.text)));
    lines.extend(
        call.answered_by
            .iter()
            .map(|who| format!("answered by {who}")),
    );
    if let (Some(us), Some(own)) = (call.us, call.own_us()) {
        lines.push(format!("{us:.1} µs, {own:.1} of them its own"));
    }
    if count > 1 {
        lines.push(format!("the first of {count}"));
    }
    let explanation = path::explanation(&call.name);
    if !explanation.is_empty() {
        lines.push(explanation.to_owned());
    }
    lines.join("\n")
}

fn text(body: &mut String, x: f64, y: f64, text: &str, weight: &str) {
    let _ = writeln!(
        body,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" font-weight=\"{weight}\">{}</text>",
        escape(text)
    );
}

/// Escapes text for XML: names for markup, and a replacement for characters that XML forbids.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' | '\t' => escaped.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{subject::Outcome, tree::Arg, Subject};

    fn run(name: &str) -> Trace {
        let inner = Call {
            us: Some(2.5),
            args: vec![Arg::new("x", "\"</title><script>\"")],
            ..Call::function("inner")
        };
        let outer = Call {
            us: Some(10.0),
            calls: vec![inner],
            ..Call::function("outer")
        };
        let subject = Subject::Command(vec![name.into()]);
        Trace::new(&subject, Outcome::default(), vec![outer], Vec::new())
    }

    #[test]
    fn markup_is_escaped() {
        assert_eq!(
            escape("<a b=\"c\">&'"),
            "&lt;a b=&quot;c&quot;&gt;&amp;&#39;"
        );
        assert_eq!(escape("a\u{1b}[0m\0b\nc"), "a\u{fffd}[0m\u{fffd}b\nc");
    }

    #[test]
    fn nothing_of_a_trace_becomes_markup() {
        let text = file(&[&run("<svg onload=x>")]);
        assert!(
            !text.contains("<script") && !text.contains("<svg onload"),
            "{text}"
        );
        assert!(text.contains("&lt;svg onload=x&gt;"));
        assert_eq!(text.matches("<g>").count(), text.matches("</g>").count());
    }

    #[test]
    fn widths_are_times() {
        let text = picture(&[&run("a")]);
        assert!(text.contains("width=\"1180.0\""), "{text}");
        assert!(text.contains("width=\"295.0\""), "{text}");
    }

    #[test]
    fn a_call_without_time_is_still_seen() {
        let mut trace = run("a");
        trace.calls[0].calls[0].us = None;
        assert!(picture(&[&trace]).contains("width=\"3.0\""));
        trace.calls.clear();
        assert!(picture(&[&trace]).ends_with("</svg>"));
    }
}
