// SPDX-License-Identifier: GPL-2.0

//! C wrappers: ours, added to those of the tree, a file each.

/// What the comment of a wrapper says that is only there since the kernel's bindings lack a header:
/// in the tree the header is added to them.
const FOR_LACK_OF_A_HEADER: &str = "its header is not in the bindings";

/// A file of wrappers, in parts.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Wrappers {
    /// `<linux/fs.h>` and the like.
    pub headers: Vec<String>,
    /// Functions and assertions, each with its comment.
    pub items: Vec<String>,
}

impl Wrappers {
    /// Reads a file.
    pub fn read(text: &str) -> Self {
        let mut parts = Self::default();
        let mut item = String::new();
        let mut depth = 0_i32;
        for line in text.lines().filter(|line| !line.starts_with("// SPDX")) {
            if let Some(header) = line.strip_prefix("#include ") {
                parts.headers.push(header.to_owned());
                continue;
            }
            depth += change(line);
            if line.is_empty() && depth == 0 {
                parts.take(&mut item);
            } else {
                item += line;
                item.push('\n');
            }
        }
        parts.take(&mut item);
        parts
    }

    fn take(&mut self, item: &mut String) {
        if !item.is_empty() {
            self.items.push(std::mem::take(item));
        }
    }

    /// Takes the wrappers out that are not needed once the headers are in the bindings. Returns
    /// these headers.
    pub fn take_lack_of_headers(&mut self) -> Vec<String> {
        let before = self.items.len();
        self.items
            .retain(|item| !item.contains(FOR_LACK_OF_A_HEADER));
        match before == self.items.len() {
            true => Vec::new(),
            false => self.headers.clone(),
        }
    }

    /// The functions, without the prefix that bindgen takes off.
    pub fn functions(&self) -> Vec<&str> {
        let names = self.items.iter().filter_map(|item| {
            let (_, rest) = item.split_once("rust_helper_")?;
            let (name, _) = rest.split_once('(')?;
            Some(name)
        });
        names
            .filter(|name| !name.contains(char::is_whitespace))
            .collect()
    }

    /// A file with these parts.
    pub fn write(&self) -> String {
        let headers = self.headers.iter();
        let headers = headers.fold(String::new(), |text, name| text + "#include " + name + "\n");
        format!(
            "// SPDX\x2dLicense-Identifier: GPL-2.0\n\n{headers}\n{}",
            self.items.join("\n")
        )
    }

    /// `file`, a file of the tree, with these parts added.
    pub fn add_to(&self, file: &str) -> String {
        let file = self.headers.iter().fold(file.to_owned(), |file, header| {
            with_line(&file, "#include <", &format!("#include {header}"))
        });
        format!("{file}\n{}", self.items.join("\n"))
    }
}

/// By how much a line changes the depth in which the next one is: braces, `#if`, comments.
fn change(line: &str) -> i32 {
    let count = |what: &str| line.matches(what).count() as i32;
    let conditional = match line {
        _ if line.starts_with("#if") => 1,
        _ if line.starts_with("#endif") => -1,
        _ => 0,
    };
    count("{") - count("}") + count("/*") - count("*/") + conditional
}

/// `text` with `line` added to the lines that begin with `prefix`, in its alphabetical place.
/// Nothing changes when it is there.
pub fn with_line(text: &str, prefix: &str, line: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    if lines.contains(&line) {
        return text.to_owned();
    }
    let alike = |index: &usize| lines[*index].starts_with(prefix);
    let group: Vec<usize> = (0..lines.len()).filter(alike).collect();
    let place = match group.iter().find(|&&index| lines[index] > line) {
        // An include that is conditional stays with its condition.
        Some(&index) if index > 0 && lines[index - 1].starts_with("#if") => index - 1,
        Some(&index) => index,
        None => group.last().map_or(lines.len(), |&last| last + 1),
    };
    let mut out: Vec<&str> = lines;
    out.insert(place, line);
    out.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "// SPDX\x2dLicense-Identifier: GPL-2.0\n\n#include <linux/a.h>\n\n/* Why. */\n\
        void rust_helper_one(int a)\n{\n\tint b;\n\n\tone(a);\n}\n\n/* Not an inline function, but its \
        header is not in the bindings. */\nint\nrust_helper_two(void)\n{\n}\n";

    #[test]
    fn a_file_is_read_and_written() {
        let parts = Wrappers::read(FILE);
        assert_eq!(parts.headers, ["<linux/a.h>"]);
        assert_eq!(parts.functions(), ["one", "two"]);
        assert_eq!(parts.write(), FILE);
    }

    #[test]
    fn what_a_header_replaces_goes() {
        let mut parts = Wrappers::read(FILE);
        assert_eq!(parts.take_lack_of_headers(), ["<linux/a.h>"]);
        assert_eq!(parts.functions(), ["one"]);
        assert!(parts.take_lack_of_headers().is_empty());
    }

    #[test]
    fn lines_find_their_places() {
        let file = "#include \"a.c\"\n#ifdef X\n#include \"d.c\"\n#endif\n#include \"e.c\"\n";
        let with = |name: &str| with_line(file, "#include \"", &format!("#include \"{name}\""));
        assert!(with("b.c").starts_with("#include \"a.c\"\n#include \"b.c\"\n#ifdef X\n"));
        assert!(with("f.c").ends_with("\"e.c\"\n#include \"f.c\"\n"));
        assert_eq!(with("a.c"), file);
    }

    #[test]
    fn a_file_of_the_tree_is_added_to() {
        let old = "// SPDX\n\n#include <linux/b.h>\n\nvoid old(void)\n{\n}\n";
        let parts = Wrappers {
            headers: vec!["<linux/a.h>".into(), "<linux/b.h>".into()],
            items: vec!["void new(void)\n{\n}\n".into()],
        };
        assert_eq!(
            parts.add_to(old),
            "// SPDX\n\n#include <linux/a.h>\n#include <linux/b.h>\n\nvoid old(void)\n{\n}\n\n\
             void new(void)\n{\n}\n"
        );
    }
}
