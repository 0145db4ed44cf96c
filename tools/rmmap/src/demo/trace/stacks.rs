// SPDX-License-Identifier: GPL-2.0

//! Reads the stacks of the `function` tracer (option `func_stack_trace`), and puts the functions
//! that only they name into the tree of the function graph.

use rustc_demangle::demangle;

use super::graph::{without_module, Node};
use crate::trace::path;

/// The functions on a stack, the innermost first.
pub type Stack = Vec<String>;

/// How many frames of the tracer itself may lie on top.
const TRACER_FRAMES: usize = 6;

/// Reads the stacks in the order of the recording.
pub fn parse(text: &str) -> Vec<Stack> {
    let mut stacks: Vec<Stack> = Vec::new();
    for line in text.lines() {
        if line.ends_with("<stack trace>") {
            stacks.push(Stack::new());
        } else if let Some(frame) = line.trim_start().strip_prefix("=> ") {
            if let Some(stack) = stacks.last_mut() {
                stack.push(without_module(frame).to_owned());
            }
        }
    }
    stacks
}

/// Puts what the stacks name in between into a tree of the function graph.
///
/// Both recordings have the same calls of the same functions in the same order, so the tree's
/// calls are a run of the stacks. Where there is no such run, the tree stays as it is.
pub fn splice(root: Node, stacks: &[Stack]) -> Node {
    let mut names = Vec::new();
    preorder(&root, &mut names);
    let run = stacks.windows(names.len()).find(|run| {
        run.iter()
            .zip(&names)
            .all(|(stack, name)| top(stack, name).is_some())
    });
    let Some(run) = run else {
        return root;
    };
    let mut run = run.iter();
    let mut roots = Vec::new();
    insert_call(&mut roots, root, &mut run, &mut Vec::new());
    // A tree has one root: what lies around it was called by nothing else.
    let mut roots = tidy(roots);
    match roots.len() {
        1 => roots.remove(0),
        _ => Node::new("several roots", roots),
    }
}

/// The names of a tree's calls in the order in which they were made.
fn preorder(node: &Node, names: &mut Vec<String>) {
    names.push(node.name.clone());
    for call in &node.calls {
        preorder(call, names);
    }
}

/// What lies on a stack around the function that was recorded, the innermost first.
fn top<'a>(stack: &'a Stack, name: &str) -> Option<&'a [String]> {
    let at = stack
        .iter()
        .take(TRACER_FRAMES)
        .position(|frame| frame == name)?;
    Some(&stack[at + 1..])
}

/// Adds a call to `siblings`, below the functions that its stack has in between.
fn insert_call<'a>(
    siblings: &mut Vec<Node>,
    call: Node,
    run: &mut impl Iterator<Item = &'a Stack>,
    ancestors: &mut Vec<String>,
) {
    let around = run
        .next()
        .and_then(|stack| top(stack, &call.name))
        .unwrap_or_default();
    // The caller is not always on the stack: a call in its last line replaces it.
    let between = around
        .iter()
        .position(|frame| ancestors.contains(frame))
        .unwrap_or(around.len());
    let mut level = siblings;
    for frame in around[..between].iter().rev() {
        level = below(level, frame);
    }
    let depth = ancestors.len();
    ancestors.extend(around[..between].iter().cloned());
    ancestors.push(call.name.clone());
    let mut node = Node::new(&call.name, Vec::new());
    for inner in call.calls {
        insert_call(&mut node.calls, inner, run, ancestors);
    }
    ancestors.truncate(depth);
    level.push(node);
}

/// The calls below a function that only stacks name: the one that was seen last, or a new one.
fn below<'a>(level: &'a mut Vec<Node>, frame: &str) -> &'a mut Vec<Node> {
    let name = format!("{:#}", demangle(frame));
    let is_last = level
        .last()
        .is_some_and(|node| node.from_stack && node.name == name);
    if !is_last {
        level.push(Node {
            own: path::is_own(&name),
            from_stack: true,
            ..Node::new(&name, Vec::new())
        });
    }
    let last = level.len() - 1;
    &mut level[last].calls
}

/// Leaves out what explains nothing: the module's C helpers, which stand for inline functions of
/// the kernel, and what only the stacks name and nobody has a word for.
fn tidy(nodes: Vec<Node>) -> Vec<Node> {
    let mut kept = Vec::new();
    for mut node in nodes {
        node.calls = tidy(node.calls);
        let is_unexplained = path::explanation(&node.name, node.own).is_empty();
        let is_dull = node.name.starts_with(path::HELPER)
            || node.from_stack && is_unexplained && (!node.own || node.calls.is_empty());
        match is_dull {
            true => kept.append(&mut node.calls),
            false => kept.push(node),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAULT: &str = "_RNvNtCs1234_10rmmap_main2vm5fault";

    fn text() -> String {
        format!(
            "\
# tracer: function
    rmmap-128     [001] .....    71.26: handle_mm_fault <-do_user_addr_fault
    rmmap-128     [001] .....    71.26: <stack trace>
 => [FTRACE TRAMPOLINE]
 => handle_mm_fault
 => exc_page_fault
 => asm_exc_page_fault
    rmmap-128     [001] .....    71.27: __do_fault <-do_fault
    rmmap-128     [001] .....    71.27: <stack trace>
 => [FTRACE TRAMPOLINE]
 => __do_fault
 => do_fault
 => handle_mm_fault
 => exc_page_fault
 => asm_exc_page_fault
    rmmap-128     [001] .....    71.28: <stack trace>
 => rust_helper_count [rmmap]
 => {FAULT}
 => __do_fault
 => do_fault
 => handle_mm_fault
 => exc_page_fault
 => asm_exc_page_fault
    rmmap-128     [001] .....    71.29: <stack trace>
 => filemap_add_folio
 => {FAULT}
 => __do_fault
 => do_fault
 => handle_mm_fault
 => exc_page_fault
 => asm_exc_page_fault
"
        )
    }

    fn leaf(name: &str) -> Node {
        Node::new(name, Vec::new())
    }

    fn graph() -> Node {
        let inner = vec![leaf("rust_helper_count"), leaf("filemap_add_folio")];
        Node::new("handle_mm_fault", vec![Node::new("__do_fault", inner)])
    }

    /// The tree as nested brackets; `*` marks what comes from the stacks.
    fn brackets(node: &Node) -> String {
        let mark = if node.from_stack { "*" } else { "" };
        let calls: Vec<_> = node.calls.iter().map(brackets).collect();
        format!("{}{mark}({})", node.name, calls.join(" "))
    }

    #[test]
    fn frames_are_read() {
        let stacks = parse(&text());
        assert_eq!(stacks.len(), 4);
        assert_eq!(stacks[2][..2], ["rust_helper_count", FAULT]);
    }

    #[test]
    fn what_only_the_stacks_name_is_put_in_between() {
        let tree = splice(graph(), &parse(&text()));
        assert_eq!(
            brackets(&tree),
            "asm_exc_page_fault*(handle_mm_fault(do_fault*(__do_fault(rmmap_main::vm::fault*(\
             filemap_add_folio())))))"
        );
        assert!(tree.any(&|node| node.own && node.name == "rmmap_main::vm::fault"));
    }

    #[test]
    fn calls_of_other_places_are_skipped() {
        let before = "x: <stack trace>\n => handle_mm_fault\n => elsewhere\n";
        let tree = splice(graph(), &parse(&format!("{before}{}", text())));
        assert_eq!(tree.name, "asm_exc_page_fault");
    }

    #[test]
    fn recordings_that_differ_leave_the_graph_as_it_is() {
        let other = text().replace("filemap_add_folio", "something_else");
        assert_eq!(splice(graph(), &parse(&other)), graph());
    }

    #[test]
    fn a_caller_that_a_tail_call_replaced_does_not_bring_its_callers_again() {
        // The helper jumps to the last function: on its stack, the helper is missing.
        let calls = vec![Node::new("rust_helper_x", vec![leaf("filemap_get_entry")])];
        let graph = Node::new("__do_fault", calls);
        let stacks = format!(
            "x: <stack trace>\n => __do_fault\n => asm_exc_page_fault\n\
             x: <stack trace>\n => rust_helper_x\n => {FAULT}\n => __do_fault\n\
             x: <stack trace>\n => filemap_get_entry\n => {FAULT}\n => __do_fault\n"
        );
        assert_eq!(
            brackets(&splice(graph, &parse(&stacks))),
            "asm_exc_page_fault*(__do_fault(rmmap_main::vm::fault*(filemap_get_entry())))"
        );
    }
}
