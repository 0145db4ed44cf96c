// SPDX-License-Identifier: GPL-2.0

//! Why the page's code does not build, in terms of the page.

use super::page::Page;

/// Lines of a compiler's message that are shown.
const SHOWN: usize = 12;

/// What to tell of a build that ended with `error` and left `log`: the block of the page that the
/// compiler's first error is in, and the message.
pub fn failure(page: &Page, error: &anyhow::Error, log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    let is_error = |line: &&str| line.contains("error") || line.contains("***");
    let first = lines.iter().position(is_error).unwrap_or(lines.len());
    for (index, line) in lines.iter().enumerate().skip(first) {
        let Some((name, at)) = location(page, line) else {
            continue;
        };
        let Some((block, in_page)) = page.origin(name, at) else {
            continue;
        };
        // rustc says what is wrong in the line before the one that says where.
        let from = index.saturating_sub(1);
        let shown = &lines[from..lines.len().min(from + SHOWN)];
        return format!(
            "{block}: line {in_page} of the page does not compile\n{}",
            shown.join("\n")
        );
    }
    format!("no block of the page is named: {error:#}")
}

/// The file of the page and the line in it that a line of a log names, as `FILE:LINE`.
fn location<'a>(page: &'a Page, line: &str) -> Option<(&'a str, usize)> {
    page.files().into_iter().find_map(|name| {
        // The driver's folder is another one in a checkout; its name is not.
        let short = name.rsplit('/').next().unwrap_or(name);
        let (_, rest) = line.split_once(&format!("{short}:"))?;
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        Some((name, digits.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> Page {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("page.rst");
        let text = "One\n===\n\n.. tutorial-file: src/a.rs\n\n.. code-block:: rust\n\n   one\n\n\
                    Two\n===\n\n.. tutorial-file: src/a.rs\n\n.. code-block:: rust\n\n   two\n";
        std::fs::write(&path, text).unwrap();
        Page::read(&path).unwrap()
    }

    #[test]
    fn a_compilers_error_names_the_block() {
        let log =
            "  RUSTC x.o\nwarning: w\n --> /p/samples/rust/a.rs:1:1\nerror[E0425]: cannot find\n  \
                   --> /p/samples/rust/a.rs:3:5\n   |\n";
        let why = failure(&page(), &anyhow::anyhow!("make: exit status: 2"), log);
        assert!(
            why.starts_with("the block of `Two`, line 17: line 17 of the page does not compile\n"),
            "{why}"
        );
        assert!(why.contains("error[E0425]: cannot find"), "{why}");
    }

    #[test]
    fn another_error_is_told_as_it_is() {
        let why = failure(
            &page(),
            &anyhow::anyhow!("make: exit status: 2"),
            "x: gone\n",
        );
        assert_eq!(why, "no block of the page is named: make: exit status: 2");
    }
}
