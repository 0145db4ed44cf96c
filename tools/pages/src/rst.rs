// SPDX-License-Identifier: GPL-2.0
//! Text for Sphinx.

/// The maximum width of a line.
const WIDTH: usize = 100;

/// Converts text of the table to reStructuredText: `quoted` words, C identifiers and places like
/// `vma.c:mmap_region` become literals; everything else is escaped.
pub fn text(plain: &str) -> String {
    let mut out = String::new();
    for (i, part) in plain.split('`').enumerate() {
        if i % 2 == 1 {
            push_literal(&mut out, part);
        } else {
            push_words(&mut out, part);
        }
    }
    out
}

/// Adds text between quotes: words and their separators.
fn push_words(out: &mut String, part: &str) {
    let mut rest = part;
    while let Some(first) = rest.chars().next() {
        let len = rest.find(|c| is_of_name(c) != is_of_name(first));
        let (word, tail) = rest.split_at(len.unwrap_or(rest.len()));
        rest = tail;
        let name = word.trim_end_matches(['.', ':', '-', '/']);
        if is_of_name(first) && is_name(name) {
            push_literal(out, name);
            push_escaped(out, &word[name.len()..]);
        } else {
            push_escaped(out, word);
        }
    }
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_./:->".contains(c)
}

/// Returns whether this is a C identifier, a file of the kernel, or both, as in
/// `vma.c:mmap_region`.
fn is_name(word: &str) -> bool {
    let has = |c: char| word.contains(c);
    let file = word.split(':').next().unwrap_or_default();
    let stem = file.strip_suffix(".c").or_else(|| file.strip_suffix(".h"));
    let is_file = stem.is_some_and(|stem| !stem.is_empty());
    word.contains(|c: char| c.is_ascii_alphabetic())
        && word.starts_with(|c: char| c.is_ascii_alphabetic() || "_./".contains(c))
        && (is_file || has('_') || word.starts_with(['.', '/']))
}

/// Adds a literal, with a gap where markup may not begin.
fn push_literal(out: &mut String, text: &str) {
    if out.ends_with(|c: char| !c.is_whitespace() && !"'\"([{<-/:".contains(c)) {
        out.push_str("\\ ");
    }
    out.push_str("``");
    out.push_str(text);
    out.push_str("``");
}

/// Adds text that has no markup, with a gap where markup before it may not end.
fn push_escaped(out: &mut String, text: &str) {
    let may_end = |c: char| c.is_whitespace() || "'\")]}>-/:.,;!?".contains(c);
    if out.ends_with('`') && text.starts_with(|c| !may_end(c)) {
        out.push_str("\\ ");
    }
    for c in text.chars() {
        if "\\*_|`".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
}

/// Returns a field of a list: `:Name: text`, wrapped.
pub fn field(name: &str, text: &str) -> String {
    let mut lines = vec![format!(":{name}:")];
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let last = lines.last_mut().map_or(0, |line| line.chars().count());
        if last + 1 + word.chars().count() > WIDTH {
            lines.push("   ".to_owned());
        }
        if let Some(line) = lines.last_mut() {
            // A continued line is indented already.
            if !line.ends_with(' ') {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.join("\n") + "\n"
}

/// Returns a title with its underline.
pub fn title(text: &str, underline: &str) -> String {
    format!("{text}\n{}\n", underline.repeat(text.chars().count()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_quotes_and_places_are_literals() {
        assert_eq!(text("no `lo`, VmLck 0"), "no ``lo``, VmLck 0");
        assert_eq!(
            text("vma.c:mmap_region, mm/gup.c: as before"),
            "``vma.c:mmap_region``, ``mm/gup.c``: as before"
        );
        assert_eq!(text("`lo`s"), "``lo``\\ s");
        assert_eq!(text("A_B+C_D."), "``A_B``\\ +\\ ``C_D``.");
        assert_eq!(text("to vm_ops->fault"), "to ``vm_ops->fault``");
    }

    #[test]
    fn markup_is_escaped() {
        assert_eq!(text("MADV_X* a|b"), "``MADV_X``\\ \\* a\\|b");
        assert_eq!(text("i.e. so"), "i.e. so");
    }

    #[test]
    fn long_fields_are_wrapped_and_indented() {
        let long = field("Seed", &"word ".repeat(40));
        assert!(long.lines().all(|line| line.len() <= WIDTH), "{long}");
        assert!(long.starts_with(":Seed: word word"), "{long}");
        assert!(
            long.lines().skip(1).all(|l| l.starts_with("   word")),
            "{long}"
        );
        assert_eq!(long.matches("word").count(), 40);
    }
}
