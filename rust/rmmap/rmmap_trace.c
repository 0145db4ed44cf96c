// SPDX-License-Identifier: GPL-2.0
/*
 * The tracepoints of rmmap, and the functions by which trace.rs emits them.
 */

#define CREATE_TRACE_POINTS
#include "rmmap_trace.h"
#include "../helpers/tracepoint.h"

/* The events use these as plain numbers, so that all tools can parse them. */
static_assert(RMMAP_VM_READ == VM_READ && RMMAP_VM_WRITE == VM_WRITE);
static_assert(RMMAP_VM_EXEC == VM_EXEC && RMMAP_VM_SHARED == VM_SHARED);
static_assert(RMMAP_VM_MAYREAD == VM_MAYREAD && RMMAP_VM_MAYWRITE == VM_MAYWRITE);
static_assert(RMMAP_VM_MAYEXEC == VM_MAYEXEC && RMMAP_VM_MAYSHARE == VM_MAYSHARE);
static_assert(RMMAP_VM_LOCKED == VM_LOCKED && RMMAP_VM_LOCKONFAULT == VM_LOCKONFAULT);
static_assert(RMMAP_VM_NORESERVE == VM_NORESERVE && RMMAP_VM_ACCOUNT == VM_ACCOUNT);
static_assert(RMMAP_FAULT_WRITE == FAULT_FLAG_WRITE);
static_assert(RMMAP_FAULT_MKWRITE == FAULT_FLAG_MKWRITE);
static_assert(RMMAP_FAULT_ALLOW_RETRY == FAULT_FLAG_ALLOW_RETRY);
static_assert(RMMAP_FAULT_RETRY_NOWAIT == FAULT_FLAG_RETRY_NOWAIT);
static_assert(RMMAP_FAULT_KILLABLE == FAULT_FLAG_KILLABLE);
static_assert(RMMAP_FAULT_TRIED == FAULT_FLAG_TRIED);
static_assert(RMMAP_FAULT_USER == FAULT_FLAG_USER);
static_assert(RMMAP_FAULT_REMOTE == FAULT_FLAG_REMOTE);
static_assert(RMMAP_FAULT_INSTRUCTION == FAULT_FLAG_INSTRUCTION);
static_assert(RMMAP_FAULT_INTERRUPTIBLE == FAULT_FLAG_INTERRUPTIBLE);
static_assert(RMMAP_FAULT_UNSHARE == FAULT_FLAG_UNSHARE);
static_assert(RMMAP_FAULT_ORIG_PTE_VALID == FAULT_FLAG_ORIG_PTE_VALID);
static_assert(RMMAP_FAULT_VMA_LOCK == FAULT_FLAG_VMA_LOCK);

RUST_TRACEPOINT_7(mmap, u64, u64, u64, u64, u64, u32, u32);
RUST_TRACEPOINT_7(fault, u64, u64, u64, u32, u32, u32, u32);
RUST_TRACEPOINT_7(populate, u64, u64, u64, u32, u32, u32, u32);
RUST_TRACEPOINT_4(map_pages, u64, u64, u64, u32);
RUST_TRACEPOINT_4(truncate, u64, u64, u64, u64);
RUST_TRACEPOINT_4(discard, u64, u64, u64, u64);
RUST_TRACEPOINT_3(create, u64, u64, u32);
