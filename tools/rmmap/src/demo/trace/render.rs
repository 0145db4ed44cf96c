// SPDX-License-Identifier: GPL-2.0

//! The call path for people.

use std::fmt::Write;

use super::{graph::Node, Trace, Unavailable};
use crate::{
    style::{DIM, HEAD, OWN},
    trace::path,
};

/// Width of the tree, columns.
const TREE: usize = 46;

/// The section of the demo that shows the call path.
pub fn render(trace: &Result<Trace, Unavailable>) -> String {
    let trace = match trace {
        Ok(trace) => trace,
        Err(why) => return format!("{HEAD}Call path{HEAD:#}: not shown: {why}"),
    };
    let mut text = format!(
        "{HEAD}Call path{HEAD:#} of {}, from the kernel's function graph\n  \
         {DIM}Functions of interest only. *: from the stack, the tracer does not see it. \
         seed: as in the walk.{DIM:#}\n",
        trace.subject
    );
    let sections = [
        ("From the system call to the hook", &trace.mmap),
        ("From the first store to the page", &trace.fault),
    ];
    for (heading, root) in sections {
        let _ = writeln!(text, "{HEAD}{heading}{HEAD:#}");
        match root {
            Some(root) => tree(&mut text, root, 0),
            None => text.push_str("  nothing was recorded\n"),
        }
    }
    text.truncate(text.trim_end().len());
    text
}

/// A call, and below it what it called.
fn tree(text: &mut String, node: &Node, depth: usize) {
    let indent = " ".repeat(2 + depth);
    let mark = match node.from_stack {
        true => "*",
        false => "",
    };
    let name = match node.own {
        true => format!("{}{mark} [rmmap]", path::short(&node.name)),
        false => format!("{}{mark}", node.name),
    };
    let fill = " ".repeat(TREE.saturating_sub(indent.len() + name.len()));
    let explanation = path::explanation(&node.name, node.own);
    let line = match (node.own, explanation.is_empty()) {
        (true, true) => format!("{indent}{OWN}{name}{OWN:#}"),
        (true, false) => format!("{indent}{OWN}{name}{fill} {explanation}{OWN:#}"),
        (false, true) => format!("{indent}{name}"),
        (false, false) => format!("{indent}{name}{fill} {DIM}{explanation}{DIM:#}"),
    };
    let _ = writeln!(text, "{line}");
    for call in &node.calls {
        tree(text, call, depth + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace() -> Trace {
        let own = |name: &str| Node {
            own: true,
            from_stack: true,
            ..Node::new(name, Vec::new())
        };
        let region = Node::new("mmap_region", vec![own("<a::B as c::D>::mmap")]);
        Trace {
            subject: "mmap".to_owned(),
            mmap: Some(Node::new("do_mmap", vec![region])),
            fault: Some(Node::new("__do_fault", vec![own("rmmap::fault")])),
        }
    }

    #[test]
    fn the_tree_is_indented_and_explained() {
        let text = anstream::adapter::strip_str(&render(&Ok(trace()))).to_string();
        let expected = "\
From the system call to the hook
  do_mmap                                      seed: checks arguments and access, computes VmFlags
   mmap_region                                 seed: last checks before anything changes
    B::mmap* [rmmap]                           seed: THE HOOK, the file's own mmap
From the first store to the page
  __do_fault                                   calls vm_ops->fault
   rmmap::fault* [rmmap]                       THE FAULT HANDLER: supplies the page";
        assert!(text.ends_with(expected), "{text}");
        assert!(
            text.lines().all(|line| line.chars().count() <= 100),
            "{text}"
        );
    }

    #[test]
    fn no_call_path_is_one_line() {
        let text = render(&Err(Unavailable::NotRoot));
        assert_eq!(text.lines().count(), 1);
        assert!(text.contains("root"));
    }

    #[test]
    fn what_is_missing_is_said() {
        let trace = Trace {
            mmap: None,
            ..trace()
        };
        assert!(render(&Ok(trace)).contains("nothing was recorded"));
    }
}
