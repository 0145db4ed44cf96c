// SPDX-License-Identifier: GPL-2.0

//! One self-contained page to send to somebody: the flame graph, collapsible trees, and the
//! comparison. It loads nothing and runs nothing.

use std::fmt::Write;

use super::{
    compare::{Comparison, Side},
    svg::{self, escape},
    tree::{groups, Call, Kind},
    Trace,
};

const STYLE: &str = "\
body{font:14px/1.45 sans-serif;margin:2em;max-width:1200px;color:#222}\
code,details,td{font:12px/1.5 monospace}\
details{margin-left:1.3em}summary{cursor:pointer}\
.leaf{margin-left:2.4em;font:12px/1.5 monospace}\
.module{color:#067a86;font-weight:bold}.event{color:#777}.bad{color:#c0392b;font-weight:bold}\
.dim{color:#888}.first td{border-top:3px solid #c0392b}.differs{background:#fdecea}\
td{white-space:pre;padding:0 1em 0 .3em;vertical-align:top}svg{max-width:100%;height:auto}";

/// Returns the page of one run, or of two and their comparison.
pub fn page(traces: &[&Trace], comparison: Option<&Comparison>) -> String {
    let title = match traces {
        [trace] => trace.subject.clone(),
        traces => {
            let subjects: Vec<_> = traces.iter().map(|trace| trace.subject.as_str()).collect();
            subjects.join(" against ")
        }
    };
    let title = escape(&format!("rmmap trace: {title}"));
    let mut body = format!("<h1>{title}</h1>\n");
    if let Some(comparison) = comparison {
        table(&mut body, comparison);
    }
    let _ = writeln!(
        body,
        "<h2>Time</h2>\n<p class=dim>Time goes to the right, calls go down; it contains that of \
         recording. Point at a call to see its arguments and result.</p>\n{}",
        svg::picture(traces)
    );
    for trace in traces {
        run(&mut body, trace);
    }
    format!(
        "<!DOCTYPE html>\n<html lang=en><head><meta charset=utf-8><title>{title}</title>\
         <style>{STYLE}</style></head>\n<body>\n{body}</body></html>\n"
    )
}

/// Writes a run: its description and its trees.
fn run(body: &mut String, trace: &Trace) {
    let _ = writeln!(
        body,
        "<h2>{}</h2>\n<p>{}<br><span class=dim>Linux {}</span></p>",
        escape(&trace.subject),
        escape(&trace.summary()),
        escape(&trace.kernel)
    );
    for note in &trace.notes {
        let _ = writeln!(body, "<p class=bad>{}</p>", escape(note));
    }
    for group in groups(&trace.calls) {
        tree(body, group.first, group.count, group.first.us);
    }
}

/// Writes a call and its callees.
fn tree(body: &mut String, call: &Call, count: usize, whole: Option<f64>) {
    let line = line(call, count, whole);
    if call.calls.is_empty() {
        let _ = writeln!(body, "<div class=leaf>{line}</div>");
        return;
    }
    let _ = writeln!(body, "<details open><summary>{line}</summary>");
    for group in groups(&call.calls) {
        tree(body, group.first, group.count, whole);
    }
    body.push_str("</details>\n");
}

fn line(call: &Call, count: usize, whole: Option<f64>) -> String {
    let class = match call.kind {
        Kind::Module => "module",
        Kind::Event => "event",
        Kind::Function => "function",
    };
    let mut line = format!(
        "<span class={class} title=\"{}\">{}</span>",
        escape(&svg::hint(call, count)),
        escape(&call.name)
    );
    if count > 1 {
        let _ = write!(line, " ×{count}");
    }
    let args: Vec<_> = call
        .args
        .iter()
        .map(|arg| format!("{}={}", arg.name, arg.value.text))
        .collect();
    if !args.is_empty() {
        let _ = write!(
            line,
            " <span class=dim>({})</span>",
            escape(&args.join(", "))
        );
    }
    if let Some(ret) = &call.ret {
        let class = if ret.error { "bad" } else { "dim" };
        let _ = write!(line, " <span class={class}>= {}</span>", escape(&ret.text));
    }
    if let (Some(us), Some(whole)) = (call.us, whole.filter(|whole| *whole > 0.0)) {
        let _ = write!(
            line,
            " <span class=dim>{us:.1} µs, {:.0}%</span>",
            us / whole * 100.0
        );
    }
    if let Some(who) = &call.answered_by {
        let _ = write!(line, " — answered by {}", escape(who));
    }
    line
}

/// Writes the comparison.
fn table(body: &mut String, comparison: &Comparison) {
    let verdict = match comparison.first_difference {
        Some(_) => "The red line is above the first difference.",
        None => "Both took the same path.",
    };
    let _ = writeln!(body, "<h2>Side by side</h2>\n<p>{verdict}</p>\n<table>");
    for (index, row) in comparison.rows.iter().enumerate() {
        let mut class = String::new();
        if row.differs {
            class.push_str("differs");
        }
        if comparison.first_difference == Some(index) {
            class.push_str(" first");
        }
        let cell = |side: Option<&Side>, other: Option<&Side>| {
            let text = side.map(|side| {
                format!(
                    "{}{} {}",
                    "  ".repeat(side.depth),
                    side.name,
                    row.said(side, other)
                )
            });
            escape(text.unwrap_or_default().trim_end())
        };
        let (a, b) = (row.a.as_ref(), row.b.as_ref());
        let _ = writeln!(
            body,
            "<tr class=\"{class}\"><td>{}</td><td>{}</td></tr>",
            cell(a, b),
            cell(b, a)
        );
    }
    body.push_str("</table>\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{compare, subject::Outcome, tree::Arg, Subject};

    fn run(name: &str) -> Trace {
        let inner = Call {
            args: vec![Arg::new("x", "<b>")],
            ..Call::function("inner<script>")
        };
        let outer = Call {
            us: Some(1.0),
            calls: vec![inner],
            ..Call::function(name)
        };
        let subject = Subject::Command(vec!["<img src=x>".into()]);
        Trace::new(
            &subject,
            Outcome::default(),
            vec![outer],
            vec!["<i>".into()],
        )
    }

    #[test]
    fn the_page_is_self_contained_and_escaped() {
        let page = page(&[&run("outer")], None);
        for bad in ["<script", "<img", "<i>", "<b>", "src=\"", "href="] {
            assert!(!page.contains(bad), "{bad}");
        }
        assert!(page.contains("inner&lt;script&gt;"));
        assert_eq!(
            page.matches("<details").count(),
            page.matches("</details>").count()
        );
        assert_eq!(
            page.matches("http").count(),
            1,
            "the name of SVG's namespace only"
        );
    }

    #[test]
    fn the_first_difference_has_a_line_of_its_own() {
        let (a, b) = (run("one"), run("two"));
        let found = compare::compare(&a, &b);
        let page = page(&[&a, &b], Some(&found));
        assert_eq!(page.matches("class=\"differs first\"").count(), 1);
        assert_eq!(page.matches("</tr>").count(), found.rows.len());
    }
}
