// SPDX-License-Identifier: GPL-2.0

//! Tests of `rmmap trace` in a guest: it reports the path of a mapping, and it restores the tracing
//! settings in whatever way it ends. The report is KTAP on standard output; the exit status is 1 if
//! a test failed.

#![forbid(unsafe_code)]

mod restore;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::Parser;
use serde_json::Value;

use restore::State;

/// Tests rmmap trace, as root, with the module loaded and idle.
#[derive(Debug, Parser)]
struct Args {
    /// The program rmmap.
    #[arg(long, default_value = "rmmap")]
    rmmap: PathBuf,
    /// The hook that the module was loaded with, mmap or mmap_prepare.
    #[arg(long, default_value = "mmap")]
    hook: String,
    /// Folder for the HTML page of a comparison.
    #[arg(long, default_value = "/tmp")]
    folder: PathBuf,
    /// Only test the module's tracepoints: the other tests take minutes on a slow kernel.
    #[arg(long)]
    brief: bool,
    /// List the tests.
    #[arg(long)]
    list: bool,
    /// Run the tests whose name contains PATTERN; may be given more than once.
    #[arg(short = 't', long = "test", value_name = "PATTERN")]
    patterns: Vec<String>,
}

/// Why a test failed; `Ok` when it passed.
type Verdict = Result<(), String>;

/// A test.
type Test = fn(&Args) -> Verdict;

/// All tests with their names; the first one tests the module's tracepoints.
const TESTS: [(&str, Test); 10] = [
    ("trace-events", events),
    ("trace-shared-lazy", shared_lazy),
    ("trace-populate", populate),
    ("trace-compare", compare),
    ("trace-failed", restore::failed),
    ("trace-interrupted", restore::interrupted),
    ("trace-panicked", restore::panicked),
    ("trace-killed", restore::killed),
    ("trace-unmounted", restore::unmounted),
    ("trace-unavailable", restore::unavailable),
];

fn main() -> ExitCode {
    let args = Args::parse();
    let tests = if args.brief { &TESTS[..1] } else { &TESTS[..] };
    let is_picked = |name: &str| {
        args.patterns.is_empty() || args.patterns.iter().any(|pattern| name.contains(pattern))
    };
    let tests: Vec<_> = tests.iter().filter(|(name, _)| is_picked(name)).collect();
    if args.list {
        tests.iter().for_each(|(name, _)| println!("{name}"));
        return ExitCode::SUCCESS;
    }
    println!("KTAP version 1\n1..{}", tests.len());
    let mut failed = false;
    for (index, (name, test)) in tests.iter().enumerate() {
        let verdict = mount().and_then(|()| test(&args));
        if let Err(why) = &verdict {
            failed = true;
            why.lines().for_each(|line| println!("# {line}"));
        }
        let word = if verdict.is_ok() { "ok" } else { "not ok" };
        println!("{word} {} {name}", index + 1);
    }
    ExitCode::from(u8::from(failed))
}

/// The mount point of tracefs.
const TRACEFS: &str = "/sys/kernel/tracing";

/// The module's tracepoints.
const EVENTS: [&str; 7] = [
    "create",
    "discard",
    "fault",
    "map_pages",
    "mmap",
    "populate",
    "truncate",
];

/// The function of mmap(2).
const SYSCALL: &str = match cfg!(target_arch = "x86_64") {
    true => "__x64_sys_mmap",
    false => "__arm64_sys_mmap",
};

/// The calls from the system call to the hook, each made by the one before.
const TO_THE_HOOK: [&str; 6] = [
    SYSCALL,
    "ksys_mmap_pgoff",
    "vm_mmap_pgoff",
    "do_mmap",
    "mmap_region",
    "rmmap:mmap",
];

/// The calls from the touch to the folio.
const TO_THE_FOLIO: [&str; 6] = [
    "page fault",
    "handle_mm_fault",
    "do_fault",
    "__do_fault",
    "rmmap:fault",
    "filemap_add_folio",
];

/// The calls from the system call to the folio of a populated mapping.
const TO_THE_POPULATED_FOLIO: [&str; 7] = [
    SYSCALL,
    "ksys_mmap_pgoff",
    "vm_mmap_pgoff",
    "__mm_populate",
    "handle_mm_fault",
    "rmmap:populate",
    "filemap_add_folio",
];

/// Mounts tracefs, so that the tests see the settings that `rmmap trace` changes.
fn mount() -> Verdict {
    if Path::new(TRACEFS).join("tracing_on").exists() {
        return Ok(());
    }
    let mount = Command::new("mount")
        .args(["-t", "tracefs", "tracefs", TRACEFS])
        .status();
    match mount {
        Ok(status) if status.success() => Ok(()),
        other => Err(format!("cannot mount tracefs: {other:?}")),
    }
}

/// Checks that every tracepoint exists and has a format that names flags.
fn events(_: &Args) -> Verdict {
    for event in EVENTS {
        let path = format!("{TRACEFS}/events/rmmap/{event}/format");
        let format = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
        let names: &[&str] = match event {
            "mmap" => &["vm_flags=%s", "{ 0x2000, \"locked\" }"],
            "fault" | "populate" => &["answer=%s", "{ 0x40, \"USER\" }", "{ 2, \"zero\" }"],
            _ => &["print fmt"],
        };
        for name in names {
            if !format.contains(name) {
                return Err(format!("{path} lacks {name}:\n{format}"));
            }
        }
    }
    Ok(())
}

fn shared_lazy(args: &Args) -> Verdict {
    let before = State::take()?;
    let trace = run_json(args, &["rmmap", "shared", "lazy"])?;
    before.is_back()?;
    let roots = &trace["calls"];
    let syscall = descend(roots, &TO_THE_HOOK)?;
    expect(syscall[0], "flags", "MAP_SHARED")?;
    expect(syscall[0], "prot", "PROT_READ|PROT_WRITE")?;
    expect(syscall[0], "len", "64 KiB")?;
    expect(syscall[5], "hook", &args.hook)?;
    equal(
        "the result of mmap",
        &syscall[0]["ret"]["text"],
        &trace["outcome"]["result"],
    )?;
    // The time of a call contains that of the calls below it.
    let time = |call: &Value| call["us"].as_f64().unwrap_or_default();
    if !syscall[..5]
        .windows(2)
        .all(|pair| time(pair[0]) >= time(pair[1]) && time(pair[1]) > 0.0)
    {
        return Err("the times of the calls do not nest".into());
    }
    // The processor's exception has a tracepoint on x86 alone.
    let fault = match cfg!(target_arch = "x86_64") {
        true => {
            let all = descend(roots, &TO_THE_FOLIO)?;
            expect(all[0], "error_code", "write|user")?;
            all[1..].to_vec()
        }
        false => descend(roots, &TO_THE_FOLIO[1..])?,
    };
    expect(fault[3], "answer", "new")?;
    let who = fault[0]["answered_by"].as_str().unwrap_or_default();
    if !who.starts_with("rmmap: a new folio") {
        return Err(format!("the fault was answered by {who:?}"));
    }
    match descend(roots, &[SYSCALL, "rmmap:fault"]) {
        Ok(_) => Err("a lazy mapping took a fault in mmap(2)".into()),
        Err(_) => Ok(()),
    }
}

fn populate(args: &Args) -> Verdict {
    let trace = run_json(args, &["region", "shared", "populate", "read"])?;
    let calls = descend(&trace["calls"], &TO_THE_POPULATED_FOLIO)?;
    expect(calls[0], "flags", "MAP_SHARED|MAP_POPULATE")?;
    match descend(&trace["calls"], &["page fault"]) {
        Ok(_) => Err("a populated mapping took a fault when it was touched".into()),
        Err(_) => Ok(()),
    }
}

/// Compares a success with an error: the first difference is the return value of mmap(2).
fn compare(program: &Args) -> Verdict {
    // The folder may be shared with the host, where people can open the page.
    let page = program.folder.join(format!("trace-{}.html", program.hook));
    let args = ["--compare", "rmmap", "rmmap,offset=100T", "--html"];
    let mut args: Vec<&str> = args.to_vec();
    let path = page.to_string_lossy().into_owned();
    args.push(&path);
    let result = run_json(program, &args);
    let html = fs::read_to_string(&page);
    let trace = result?;
    equal(
        "B's result",
        &trace["b"]["outcome"]["result"],
        &Value::from("ENXIO"),
    )?;
    let first = trace["comparison"]["first_difference"].as_u64();
    let row = &trace["comparison"]["rows"][first.ok_or("no difference was found")? as usize];
    equal(
        "the first difference",
        &row["a"]["name"],
        &Value::from(SYSCALL),
    )?;
    let facts = row["b"]["facts"].to_string();
    if !facts.contains("ENXIO") {
        return Err(format!("the first difference does not name ENXIO: {facts}"));
    }
    match html {
        Ok(html) if html.contains("ENXIO") && html.contains("<svg") => Ok(()),
        other => Err(format!("unexpected page: {other:?}")),
    }
}

/// Runs `rmmap trace --json` and parses its output.
fn run_json(program: &Args, args: &[&str]) -> Result<Value, String> {
    let output = Command::new(&program.rmmap)
        .args(["trace", "--json"])
        .args(args)
        .output();
    let output = output.map_err(|error| format!("cannot run rmmap: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!(
            "rmmap trace {}: {}: {said}",
            args.join(" "),
            output.status
        ));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("no JSON: {error}"))
}

/// Returns the calls of these names, each somewhere below the one before.
fn descend<'a>(calls: &'a Value, names: &[&str]) -> Result<Vec<&'a Value>, String> {
    way(calls, names)
        .ok_or_else(|| format!("no path {} in:\n{}", names.join(" → "), outline(calls, 0)))
}

fn way<'a>(calls: &'a Value, names: &[&str]) -> Option<Vec<&'a Value>> {
    let Some((name, rest)) = names.split_first() else {
        return Some(Vec::new());
    };
    calls.as_array()?.iter().find_map(|call| {
        if call["name"] == *name {
            if let Some(mut below) = way(&call["calls"], rest) {
                below.insert(0, call);
                return Some(below);
            }
            // The last name needs no call below it.
            if rest.is_empty() {
                return Some(vec![call]);
            }
        }
        way(&call["calls"], names)
    })
}

/// Returns the names of a tree, for a message.
fn outline(calls: &Value, depth: usize) -> String {
    let calls = calls.as_array().map(Vec::as_slice).unwrap_or_default();
    let lines = calls.iter().map(|call| {
        let name = call["name"].as_str().unwrap_or("?");
        format!(
            "{}{name}\n{}",
            " ".repeat(depth),
            outline(&call["calls"], depth + 1)
        )
    });
    lines.collect()
}

/// Checks that an argument was decoded to this text.
fn expect(call: &Value, arg: &str, text: &str) -> Verdict {
    let args = call["args"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let found = args
        .iter()
        .find(|found| found["name"] == arg)
        .map(|found| &found["text"]);
    match found {
        Some(found) if found == text => Ok(()),
        found => Err(format!(
            "{}: {arg} is {found:?}, expected {text:?}",
            call["name"]
        )),
    }
}

fn equal(what: &str, found: &Value, wanted: &Value) -> Verdict {
    match found == wanted {
        true => Ok(()),
        false => Err(format!("{what} is {found}, expected {wanted}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn tree() -> Value {
        let leaf = |name: &str| json!({ "name": name });
        json!([
            { "name": "a", "calls": [leaf("x")] },
            { "name": "a", "args": [{ "name": "flags", "text": "F" }],
              "calls": [{ "name": "between", "calls": [{ "name": "b", "calls": [leaf("c")] }] }] },
        ])
    }

    #[test]
    fn a_way_goes_down_and_may_skip_levels() {
        let tree = tree();
        let found = descend(&tree, &["a", "b", "c"]).unwrap();
        assert_eq!(found[0]["args"][0]["text"], "F");
        assert!(descend(&tree, &["b", "a"]).unwrap_err().contains("b → a"));
        assert!(descend(&tree, &["x", "c"]).is_err());
        assert!(descend(&tree, &["c", "c"]).is_err());
    }

    #[test]
    fn arguments_are_looked_at_by_name() {
        let tree = tree();
        assert!(expect(&tree[1], "flags", "F").is_ok());
        assert!(expect(&tree[1], "flags", "G")
            .unwrap_err()
            .contains("flags"));
        assert!(expect(&tree[0], "flags", "F").is_err());
    }
}
