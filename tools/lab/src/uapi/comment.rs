// SPDX-License-Identifier: GPL-2.0
//! Comments: from rustdoc's markup to the kernel's, in lines of bounded length.

/// Where lines are broken.
const WIDTH: usize = 100;

/// `RmmapInfo` as C writes it: `rmmap_info`.
pub fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

/// One text of all `lines`, with kernel-doc's marks in place of rustdoc's.
pub fn text(lines: &[String]) -> String {
    let joined = lines.join(" ");
    let mut text = String::new();
    for (index, part) in joined
        .replace("[`", "`")
        .replace("`]", "`")
        .split('`')
        .enumerate()
    {
        match index % 2 {
            0 => text.push_str(part),
            _ => text.push_str(&marked(part)),
        }
    }
    text.trim().to_owned()
}

/// What was between backticks.
fn marked(code: &str) -> String {
    let is_name = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let is_constant = |text: &str| is_name(text) && !text.contains(|c: char| c.is_lowercase());
    match code.split_once("::") {
        Some((name, field)) if is_name(name) => format!("&{}.{field}", snake_case(name)),
        _ if is_constant(code) => format!("%{code}"),
        _ if is_name(code) && code.starts_with("Rmmap") => format!("&struct {}", snake_case(code)),
        _ => code.to_owned(),
    }
}

/// `text` in lines that begin with ` * ` and `indent`, the first of them with `first`.
pub fn wrapped(first: &str, indent: &str, text: &str) -> String {
    let mut lines = String::new();
    let mut line = format!(" * {first}");
    let mut empty = true;
    for word in text.split_whitespace() {
        if !empty && line.len() + 1 + word.len() > WIDTH {
            lines.push_str(line.trim_end());
            lines.push('\n');
            line = format!(" * {indent}");
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    lines.push_str(line.trim_end());
    lines.push('\n');
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_becomes_the_kernels() {
        let lines = [
            "[`RmmapInfo::hook`], [`RmmapInfo`]:".to_owned(),
            "`EINVAL`, `a b`".into(),
        ];
        assert_eq!(
            text(&lines),
            "&rmmap_info.hook, &struct rmmap_info: %EINVAL, a b"
        );
    }

    #[test]
    fn long_lines_are_broken_between_words() {
        let lines = wrapped("@x: ", "    ", &"word ".repeat(40));
        assert!(lines.lines().count() > 1);
        assert!(lines.lines().all(|line| line.len() <= WIDTH));
        assert!(lines.starts_with(" * @x: word"));
        assert!(lines.lines().nth(1).unwrap().starts_with(" *     word"));
    }
}
