// SPDX-License-Identifier: GPL-2.0

//! rust_mm_ops: the operations that debuggers and core dumps call.

use super::core_dump::dump;
use super::ops::Ops;
use super::sample::{own_memory, peek};
use crate::context::{Context, P};
use crate::outcome::Result;
use crate::{cases, check_eq};
use rmmap_sys::{fork, Tracee};
use std::os::unix::fs::FileExt;

cases! {
    With("rust_mm_ops") rust_mm_ops_access [] "/proc/PID/mem and ptrace(2) call access, once for each piece that it copies";
    With("rust_mm_ops") rust_mm_ops_name [] "a core dump calls name, and contains the VMA under every coredump_filter";
}

fn rust_mm_ops_access(cx: &Context) -> Result {
    let mut ops = Ops::new()?;
    let m = ops.map(cx, 4)?;
    let memory = own_memory()?;
    memory.write_all_at(b"debugger", m.address_of(16) as u64)?;
    ops.check("a write to mem", &[("access", 1)])?;
    check_eq!(m.read_u64(16)?.to_ne_bytes(), *b"debugger");
    ops.check("the load", &[("fault", 1), ("map_pages", 1)])?;
    check_eq!(peek(&memory, m.address_of(2 * P + 16), 8)?, b"debugger");
    // A mapped page makes no difference: get_user_pages() refuses page frames.
    ops.check("a read of mem", &[("access", 1)])?;
    check_eq!(peek(&memory, m.address_of(P - 4), 8)?.len(), 8);
    ops.check("a read across pages", &[("access", 2)])?;

    let child = fork(|channel| i32::from(channel.receive().is_ok()))?;
    ops.check("fork", &[("open", 1), ("vmas", 1)])?;
    let tracee = Tracee::attach(&child)?;
    let word = tracee.peek(m.address_of(16))?;
    check_eq!(word.to_ne_bytes(), *b"debugger", "PTRACE_PEEKDATA");
    tracee.poke((&m, 24), 42)?;
    ops.check("PTRACE_PEEKDATA and POKEDATA", &[("access", 2)])?;
    check_eq!(m.read_u64(24)?, 42, "the word of PTRACE_POKEDATA");
    Ok(())
}

fn rust_mm_ops_name(cx: &Context) -> Result {
    let mut ops = Ops::new()?;
    let m = ops.map(cx, 4)?;
    let dump = dump(cx, 0)?;
    let calls = [("open", 1), ("close", 1), ("name", 1)];
    ops.check("fork, a core dump, and exit", &calls)?;
    // Only its size: get_dump_page() cannot read the frames.
    check_eq!(dump.bytes_of(m.address())?.len(), 4 * P);
    Ok(())
}
