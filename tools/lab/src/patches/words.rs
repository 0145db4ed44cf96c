// SPDX-License-Identifier: GPL-2.0

//! Texts of commits and of Kconfig, made of what the files say of themselves.

/// Columns of a commit's text, as the kernel wants it.
pub const COLUMNS: usize = 72;

/// The paragraphs of a file's `//!` documentation that are plain text: no tables, lists, headings,
/// code or definitions of links.
pub fn paragraphs(source: &str) -> Vec<String> {
    let doc: Vec<&str> = source
        .lines()
        .filter_map(|line| line.strip_prefix("//!"))
        .map(str::trim)
        .collect();
    let mut in_code = false;
    let mut paragraphs = vec![Vec::new()];
    for line in doc {
        in_code ^= line.starts_with("```");
        if line.is_empty() {
            paragraphs.push(Vec::new());
        } else if let Some(last) = paragraphs.last_mut() {
            last.push(if in_code { "```" } else { line });
        }
    }
    let is_text = |lines: &Vec<&str>| {
        lines.first().is_some_and(|first| {
            !first.starts_with(['|', '#', '-', '`', '*', '1'])
                && !is_link(first)
                && !first.starts_with("C header")
                && !first.starts_with("C source")
        })
    };
    let texts = paragraphs.into_iter().filter(is_text);
    let texts = texts.map(|lines| plain(&lines.join(" ")));
    // What such a paragraph introduces is left out, too.
    texts.filter(|text| !text.ends_with(':')).collect()
}

/// Whether a line defines a link, as `[name]: target`.
fn is_link(line: &str) -> bool {
    line.starts_with('[') && line.contains("]: ")
}

/// Text without the marks of Markdown: `[`a`](b)` as `a`.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('[') {
        out += before;
        let Some((name, after)) = after.split_once(']') else {
            out.push('[');
            rest = after;
            continue;
        };
        out += name;
        rest = match after
            .strip_prefix('(')
            .and_then(|link| link.split_once(')'))
        {
            Some((_, after)) => after,
            None => after,
        };
    }
    (out + rest).replace('`', "")
}

/// A text in lines of at most `columns`, each with `indent` before it.
pub fn wrapped(text: &str, columns: usize, indent: &str) -> String {
    let mut out = String::new();
    let mut column = 0;
    for word in text.split_whitespace() {
        if column > 0 && column + 1 + word.chars().count() > columns {
            out.push('\n');
            column = 0;
        }
        if column == 0 {
            out += indent;
        } else {
            out.push(' ');
            column += 1;
        }
        out += word;
        column += word.chars().count();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_taken_out_of_the_documentation() {
        let source =
            "// SPDX\n\n//! Gives [`Folio`](crate::x) to\n//! [`users`].\n//!\n//! Listed:\n//!\n//! | a | b |\n\
            //!\n//! ```\n//! code\n//! ```\n//!\n//! C header: [x](y)\n//!\n//! Ends.\n//!\n\
            //! [`users`]: crate::u\n\nuse a;\n";
        assert_eq!(paragraphs(source), ["Gives Folio to users.", "Ends."]);
    }

    #[test]
    fn lines_are_broken_between_words() {
        assert_eq!(wrapped("one two  three", 7, "\t"), "\tone two\n\tthree");
        assert_eq!(wrapped("", 7, " "), "");
    }
}
