// SPDX-License-Identifier: GPL-2.0
//! Checks that C programs get from `rmmap.h` what Rust programs and the driver use: the C compiler
//! compares each number, size and offset with Rust's, and fails when its own differs.

#![forbid(unsafe_code)]

use rmmap_uapi::*;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::mem::{offset_of, size_of};
use std::process::{Command, Stdio};

const HEADER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/rmmap.h");

/// Pairs of a C expression and its expected value.
type Facts = Vec<(String, u64)>;

/// Adds size and offsets of a struct. All its fields must be listed, or this does not compile.
macro_rules! layout {
    ($facts:ident, $c:literal, $name:ident { $($field:ident),* $(,)? }) => {
        let $name { $($field: _),* } = $name::default();
        $facts.push((format!("sizeof(struct {})", $c), size_of::<$name>() as u64));
        $(
            let c = format!("offsetof(struct {}, {})", $c, stringify!($field));
            $facts.push((c, offset_of!($name, $field) as u64));
        )*
    };
}

/// Expands to constants with their names.
macro_rules! numbers {
    ($($name:ident),* $(,)?) => {
        vec![$( (stringify!($name).to_owned(), $name as u64) ),*]
    };
}

fn numbers() -> Facts {
    numbers![
        RMMAP_ABI_VERSION,
        RMMAP_NR_ORDERS,
        RMMAP_IOC_MAGIC,
        RMMAP_IOC_INFO,
        RMMAP_IOC_CREATE,
        RMMAP_IOC_DISCARD,
        RMMAP_IOC_ALLOCATE,
        RMMAP_IOC_ADD_SEALS,
        RMMAP_IOC_GET_SEALS,
        RMMAP_IOC_CREATE_NAMED,
        RMMAP_IOC_STATS,
        RMMAP_CREATE_CLOEXEC,
        RMMAP_CREATE_NEVER,
        RMMAP_CREATE_ADAPTIVE,
        RMMAP_CREATE_ALWAYS,
        RMMAP_CREATE_POLICY,
        RMMAP_CREATE_EXEC,
        RMMAP_CREATE_NOEXEC_SEAL,
        RMMAP_CREATE_NOEXEC,
        RMMAP_CREATE_EXECUTION,
        RMMAP_CREATE_ALLOW_SEALING,
        RMMAP_CREATE_ALL,
        RMMAP_NAME_MAX,
        RMMAP_NAME_SIZE,
        RMMAP_SEAL_SEAL,
        RMMAP_SEAL_SHRINK,
        RMMAP_SEAL_GROW,
        RMMAP_SEAL_WRITE,
        RMMAP_SEAL_FUTURE_WRITE,
        RMMAP_SEAL_EXEC,
        RMMAP_HOOK_MMAP,
        RMMAP_HOOK_PREPARE,
        RMMAP_IOC_POLICY,
        RMMAP_POLICY_NEVER,
        RMMAP_POLICY_ADAPTIVE,
        RMMAP_POLICY_ALWAYS,
        RMMAP_KIND_DEVICE,
        RMMAP_KIND_REGION,
    ]
}

fn layouts() -> Facts {
    let mut facts = Facts::new();
    layout!(
        facts,
        "rmmap_info",
        RmmapInfo {
            abi_version,
            hook,
            kind,
            policy,
            size,
            resident,
            capacity,
            max_bytes,
            used_bytes,
            regions,
        }
    );
    layout!(facts, "rmmap_create", RmmapCreate { size, flags, pad });
    layout!(
        facts,
        "rmmap_create_named",
        RmmapCreateNamed { create, name }
    );
    layout!(facts, "rmmap_seals", RmmapSeals { seals, pad });
    layout!(facts, "rmmap_range", RmmapRange { offset, len });
    layout!(facts, "rmmap_policy", RmmapPolicy { policy, pad });
    layout!(
        facts,
        "rmmap_counters",
        RmmapCounters {
            mmap,
            fault_read,
            fault_write,
            fault_cow,
            fault_populate,
            answer_cached,
            answer_new,
            answer_zero,
            answer_sigbus,
            answer_oom,
            answer_retry,
            map_pages,
            folios,
            order_fallback,
            discarded,
        }
    );
    layout!(facts, "rmmap_stats", RmmapStats { region, device });
    facts
}

/// Compiles a program for 64 or 32 bits, by the standard `std`. Returns the compiler's errors.
fn refusal(program: &str, bits: &str, std: &str) -> String {
    // The kernel's headers are the same for both kinds, but installed for one of them only.
    let mut cc = Command::new("cc")
        .args([bits, std, "-Wall", "-Wextra", "-Wpedantic", "-Werror"])
        .args(["-I/usr/include/x86_64-linux-gnu", "-fsyntax-only"])
        .args(["-x", "c", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a C compiler is needed: install gcc");
    cc.stdin
        .take()
        .unwrap()
        .write_all(program.as_bytes())
        .unwrap();
    let output = cc.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.success(), errors.is_empty(), "{errors}");
    errors
}

/// Compiles assertions of `facts`. Returns the compiler's errors.
fn refuted(facts: &Facts, bits: &str) -> String {
    let mut program = format!("#include <stddef.h>\n#include \"{HEADER}\"\n");
    for (expression, value) in facts {
        writeln!(
            program,
            "_Static_assert({expression} == {value}ULL, \"{expression}\");"
        )
        .unwrap();
    }
    refusal(&program, bits, "-std=c11")
}

#[test]
fn the_header_alone_is_plain_c() {
    let program = format!("#include \"{HEADER}\"\nextern int an_object;\n");
    for bits in ["-m64", "-m32"] {
        assert_eq!(refusal(&program, bits, "-std=c99"), "", "{bits}");
    }
}

#[test]
fn c_and_rust_agree_for_64_and_32_bit_programs() {
    let facts: Facts = numbers().into_iter().chain(layouts()).collect();
    for bits in ["-m64", "-m32"] {
        assert_eq!(refuted(&facts, bits), "", "{bits}");
    }
}

#[test]
fn disagreement_is_noticed() {
    for (expression, value) in [("RMMAP_IOC_INFO", 0), ("sizeof(struct rmmap_range)", 8)] {
        let errors = refuted(&vec![(expression.to_owned(), value)], "-m64");
        assert!(errors.contains(expression), "{errors}");
    }
}

#[test]
fn nothing_in_the_header_is_left_out_here() {
    let text = std::fs::read_to_string(HEADER).unwrap();
    let words = |beginning: &str| -> BTreeSet<String> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(beginning));
        lines
            .filter_map(|rest| rest.split_whitespace().next())
            .map(str::to_owned)
            .collect()
    };
    let mut compared: BTreeSet<_> = numbers().into_iter().map(|(name, _)| name).collect();
    // A text, compared below.
    compared.insert("RMMAP_DEVICE".to_owned());
    compared.insert("_UAPI_RMMAP_H".to_owned());
    assert_eq!(words("#define "), compared);
    assert!(text.contains(&format!("#define RMMAP_DEVICE \"{RMMAP_DEVICE}\"\n")));

    let sizes = layouts().into_iter().filter_map(|(expression, _)| {
        let name = expression.strip_prefix("sizeof(struct ")?;
        Some(name.trim_end_matches(')').to_owned())
    });
    assert_eq!(words("struct "), sizes.collect());
}
