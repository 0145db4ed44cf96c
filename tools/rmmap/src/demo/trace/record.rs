// SPDX-License-Identifier: GPL-2.0

//! Maps and touches in a traced child, and picks the two trees that show it.

use std::{collections::BTreeSet, fs::OpenOptions, io::Write};

use anyhow::{anyhow, Context};
use rmmap_sys::{run_in_child, End, MapOptions};

use super::{
    graph::{self, Node},
    stacks, Trace, Unavailable,
};
use crate::{
    demo::{
        run::{prepare_process, signal},
        target::{Object, Target, LENGTH},
    },
    trace::{
        path,
        tracefs::{self, Instance, Tracefs},
    },
};

/// How the module's functions are marked in the kernel's list of functions.
const MODULE: &str = "[rmmap]";

/// Records one lazy shared mapping of the device.
pub fn run(object: Object) -> Result<Trace, Unavailable> {
    let tracefs = Tracefs::new()?;
    let functions = Functions::find(&tracefs)?;
    let graph = functions.instance(&tracefs, "function_graph")?;
    let stacks = functions.instance(&tracefs, "function")?;
    stacks.set("options/func_stack_trace", "1")?;
    let name = in_traced_child(&[&graph, &stacks], object).map_err(Unavailable::Subject)?;

    let roots = graph::parse(&graph.get("trace")?);
    let stacks = stacks::parse(&stacks.get("trace")?);
    let with_stacks = |root: Node| stacks::splice(root, &stacks);
    Ok(Trace {
        subject: format!("mmap(NULL, {LENGTH}, RW, MAP_SHARED, {name}, …)"),
        mmap: pick(&roots, path::SYSCALL, "do_mmap").map(with_stacks),
        fault: pick(&roots, path::FAULT, "__do_fault").map(with_stacks),
    })
}

/// The functions of interest that this kernel can trace, and the module's C helpers.
struct Functions {
    /// Their numbers in the kernel's list. By name, the kernel compares each with all of some
    /// 50,000, which takes seconds in an emulated guest.
    numbers: String,
    names: BTreeSet<String>,
}

impl Functions {
    /// Finds them.
    fn find(tracefs: &Tracefs) -> Result<Self, Unavailable> {
        let list = tracefs.path("available_filter_functions");
        if !list.exists() {
            return Err(Unavailable::no_tracer("function tracer"));
        }
        Ok(Self::select(&tracefs::read(&list)?))
    }

    /// Selects them from the kernel's list.
    fn select(list: &str) -> Self {
        let is_wanted = |name: &str| path::FUNCTIONS.iter().any(|(wanted, _)| *wanted == name);
        let mut functions = Self {
            numbers: String::new(),
            names: BTreeSet::new(),
        };
        for (index, line) in list.lines().enumerate() {
            let name = graph::without_module(line);
            if is_wanted(name) || line.ends_with(MODULE) {
                functions.numbers.push_str(&format!("{} ", index + 1));
                functions.names.insert(name.to_owned());
            }
        }
        functions
    }

    /// Makes an instance that will record these functions and no others.
    fn instance(&self, tracefs: &Tracefs, tracer: &'static str) -> Result<Instance, Unavailable> {
        let instance = tracefs.instance(tracer)?;
        instance.set("set_ftrace_filter", &self.numbers)?;
        let chosen = Self::select(&instance.get("set_ftrace_filter")?);
        if chosen.names != self.names {
            return Err(Unavailable::Moved);
        }
        instance
            .set("current_tracer", tracer)
            .map_err(|_| Unavailable::no_tracer(tracer))?;
        Ok(instance)
    }
}

/// Maps and touches in a child; returns the name of what was mapped.
fn in_traced_child(instances: &[&Instance], object: Object) -> anyhow::Result<String> {
    let (end, answer) = run_in_child(|| {
        let result = map_and_touch(instances, object).map_err(|error| format!("{error:#}"));
        serde_json::to_vec(&result).unwrap_or_default()
    })
    .context("cannot fork")?;
    if end != End::Exited(0) {
        return Err(anyhow!("the child ended early: {end:?}"));
    }
    serde_json::from_slice::<Result<String, String>>(&answer)
        .context("the child's answer is cut off")?
        .map_err(|error| anyhow!(error))
}

/// Records this process while it maps and writes one byte.
fn map_and_touch(instances: &[&Instance], object: Object) -> anyhow::Result<String> {
    let target = Target::new(object)?;
    let options = MapOptions::new(LENGTH as usize).offset(target.offset);
    let pid = std::process::id().to_string();
    let mut switches = Vec::new();
    for instance in instances {
        instance.set("set_ftrace_pid", &pid)?;
        let switch = OpenOptions::new()
            .write(true)
            .open(instance.path("tracing_on"));
        switches.push(switch.context("cannot open tracing_on")?);
    }
    let mut turn = |value: &[u8]| -> anyhow::Result<()> {
        for switch in &mut switches {
            switch
                .write_all(value)
                .context("cannot switch the recording")?;
        }
        Ok(())
    };
    prepare_process()?;

    turn(b"1")?;
    let mapping = options.map(&target.device);
    let touch = mapping.as_ref().map(|mapping| mapping.touch_write(0, 1));
    turn(b"0")?;
    match touch {
        Err(errno) => Err(anyhow!("mmap failed: {errno}")),
        Ok(Err(fault)) => Err(anyhow!("writing raised {}", signal(&fault))),
        Ok(Ok(())) => Ok(target.name.clone()),
    }
}

/// Picks the tree of `root` in which the module's functions are seen, or the first with `inner` in
/// it. Other calls are of the program's own making.
fn pick(roots: &[Node], root: &str, inner: &str) -> Option<Node> {
    let with = |test: &dyn Fn(&Node) -> bool| {
        let mut trees = roots.iter().filter(|node| node.name == root);
        trees.find(|node| node.any(test)).cloned()
    };
    with(&|node| node.name.starts_with(path::HELPER)).or_else(|| with(&|node| node.name == inner))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_selected_by_their_number() {
        let list = "\
do_one
do_mmap
rust_helper_folio_put [rmmap]
do_mmap_other
v9fs_mmap_vm_close [9p]
filemap_add_folio
";
        let functions = Functions::select(list);
        assert_eq!(functions.numbers, "2 3 6 ");
        let names: Vec<_> = functions.names.iter().map(String::as_str).collect();
        assert_eq!(
            names,
            ["do_mmap", "filemap_add_folio", "rust_helper_folio_put"]
        );
    }

    #[test]
    fn the_tree_with_the_module_in_it_is_picked() {
        let leaf = |name: &str| Node::new(name, Vec::new());
        let roots = [
            leaf("handle_mm_fault"),
            Node::new("handle_mm_fault", vec![leaf("__do_fault")]),
            Node::new("handle_mm_fault", vec![leaf("rust_helper_folio_alloc")]),
        ];
        let pick = |count: usize| pick(&roots[..count], "handle_mm_fault", "__do_fault");
        assert_eq!(pick(3), Some(roots[2].clone()));
        assert_eq!(pick(2), Some(roots[1].clone()));
        assert_eq!(pick(1), None);
    }
}
