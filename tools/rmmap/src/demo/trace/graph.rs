// SPDX-License-Identifier: GPL-2.0

//! Reads the text of the `function_graph` tracer into trees.

use serde::Serialize;

/// A call of a function.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Node {
    /// Name of the function.
    pub name: String,
    /// It is the module's own.
    pub own: bool,
    /// The graph does not have it, the stacks of the functions below it do.
    pub from_stack: bool,
    /// What it called.
    pub calls: Vec<Node>,
}

impl Node {
    /// A call that the graph has.
    pub fn new(name: &str, calls: Vec<Node>) -> Self {
        Self {
            name: name.to_owned(),
            calls,
            ..Self::default()
        }
    }

    /// Tells whether this call or one below it satisfies `test`.
    pub fn any(&self, test: &dyn Fn(&Node) -> bool) -> bool {
        test(self) || self.calls.iter().any(|call| call.any(test))
    }
}

/// What a line says.
#[derive(Debug, PartialEq, Eq)]
enum Line<'a> {
    /// `name() {`
    Enter(&'a str),
    /// `name();`
    Leaf(&'a str),
    /// `}`
    Exit,
    /// Headings, changes of the task, events.
    Other,
}

/// Builds the trees.
pub fn parse(text: &str) -> Vec<Node> {
    let mut roots = Vec::new();
    let mut open: Vec<Node> = Vec::new();
    for line in text.lines().map(parse_line) {
        match line {
            Line::Enter(name) => open.push(Node::new(name, Vec::new())),
            Line::Leaf(name) => add(&mut roots, &mut open, Node::new(name, Vec::new())),
            Line::Exit => close(&mut roots, &mut open),
            Line::Other => {}
        }
    }
    // What did not return before the end of the recording.
    while !open.is_empty() {
        close(&mut roots, &mut open);
    }
    roots
}

/// Ends the innermost call.
fn close(roots: &mut Vec<Node>, open: &mut Vec<Node>) {
    if let Some(node) = open.pop() {
        add(roots, open, node);
    }
}

/// Adds a call to the one that made it.
fn add(roots: &mut Vec<Node>, open: &mut [Node], node: Node) {
    match open.last_mut() {
        Some(parent) => parent.calls.push(node),
        None => roots.push(node),
    }
}

/// Parses a line such as ` 1)   1.234 us    |    do_mmap() {`.
fn parse_line(line: &str) -> Line<'_> {
    if line.starts_with('#') {
        return Line::Other;
    }
    let Some((_, call)) = line.split_once('|') else {
        return Line::Other;
    };
    let call = call.trim();
    if call.starts_with("/*") {
        return Line::Other;
    }
    if call.starts_with('}') {
        return Line::Exit;
    }
    match call.split_once('(') {
        Some((name, _)) if call.ends_with('{') => Line::Enter(without_module(name)),
        Some((name, rest)) if rest.contains(';') => Line::Leaf(without_module(name)),
        _ => Line::Other,
    }
}

/// `fault` of `fault [rmmap]`.
pub fn without_module(name: &str) -> &str {
    name.split_whitespace().next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# tracer: function_graph
#
# CPU  DURATION                  FUNCTION CALLS
# |     |   |                     |   |   |   |
 1)               |  __x64_sys_mmap() {
 1)               |    do_mmap() {
 1) + 12.077 us   |      vm_area_alloc();
 ------------------------------------------
 0)    bash-118    =>    cat-124    
 ------------------------------------------

 1)               |      /* some_event: a=1 */
 1)               |      rust_helper_x [rmmap]() {
 1)   6.085 us    |        kfree();
 1)   7.085 us    |      }
 1) ! 164.294 us  |    } /* do_mmap */
 1) ! 164.294 us  |  }
 1)   3.063 us    |  handle_mm_fault(); /* = 0x0 */
";

    fn leaf(name: &str) -> Node {
        Node::new(name, Vec::new())
    }

    #[test]
    fn calls_nest() {
        let helper = Node::new("rust_helper_x", vec![leaf("kfree")]);
        let do_mmap = Node::new("do_mmap", vec![leaf("vm_area_alloc"), helper]);
        assert_eq!(
            parse(TEXT),
            [
                Node::new("__x64_sys_mmap", vec![do_mmap]),
                leaf("handle_mm_fault")
            ]
        );
    }

    #[test]
    fn a_recording_that_ends_early_keeps_what_it_has() {
        let end = TEXT.find(" ------").unwrap();
        let roots = parse(&TEXT[..end]);
        assert_eq!(roots.len(), 1);
        assert!(roots[0].any(&|node| node.name == "vm_area_alloc"));
    }

    #[test]
    fn lines_without_the_other_columns_are_understood() {
        assert_eq!(parse_line(" |  do_mmap() {"), Line::Enter("do_mmap"));
        assert_eq!(parse_line(" | fault [rmmap]();"), Line::Leaf("fault"));
        assert_eq!(parse_line(" 0)   ==========> |"), Line::Other);
        assert_eq!(parse_line(""), Line::Other);
    }
}
