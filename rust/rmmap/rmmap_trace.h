/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The tracepoints of rmmap: their fields and formats.
 *
 * trace.rs emits them; Documentation/tracing.rst describes their use.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM rmmap

#if !defined(_RMMAP_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _RMMAP_TRACE_H

#include <linux/mm.h>
#include <linux/tracepoint.h>

/* Equal to VM_*, which rmmap_trace.c checks. */
#define RMMAP_VM_READ			0x1
#define RMMAP_VM_WRITE			0x2
#define RMMAP_VM_EXEC			0x4
#define RMMAP_VM_SHARED			0x8
#define RMMAP_VM_MAYREAD		0x10
#define RMMAP_VM_MAYWRITE		0x20
#define RMMAP_VM_MAYEXEC		0x40
#define RMMAP_VM_MAYSHARE		0x80
#define RMMAP_VM_LOCKED			0x2000
#define RMMAP_VM_LOCKONFAULT		0x80000
#define RMMAP_VM_ACCOUNT		0x100000
#define RMMAP_VM_NORESERVE		0x200000

/* Equal to FAULT_FLAG_*, which rmmap_trace.c checks. */
#define RMMAP_FAULT_WRITE		0x1
#define RMMAP_FAULT_MKWRITE		0x2
#define RMMAP_FAULT_ALLOW_RETRY		0x4
#define RMMAP_FAULT_RETRY_NOWAIT	0x8
#define RMMAP_FAULT_KILLABLE		0x10
#define RMMAP_FAULT_TRIED		0x20
#define RMMAP_FAULT_USER		0x40
#define RMMAP_FAULT_REMOTE		0x80
#define RMMAP_FAULT_INSTRUCTION		0x100
#define RMMAP_FAULT_INTERRUPTIBLE	0x200
#define RMMAP_FAULT_UNSHARE		0x400
#define RMMAP_FAULT_ORIG_PTE_VALID	0x800
#define RMMAP_FAULT_VMA_LOCK		0x1000

/* The hook for mmap(2) was called: len is in bytes, pgoff in pages, ret an errno. */
TRACE_EVENT(mmap,
	    TP_PROTO(u64 ino, u64 address, u64 len, u64 pgoff, u64 vm_flags, u32 prepare,
		     u32 ret),
	    TP_ARGS(ino, address, len, pgoff, vm_flags, prepare, ret),
	    TP_STRUCT__entry(__field(u64, ino)
			     __field(u64, address)
			     __field(u64, len)
			     __field(u64, pgoff)
			     __field(u64, vm_flags)
			     __field(u32, prepare)
			     __field(s32, ret)),
	    TP_fast_assign(__entry->ino = ino;
			   __entry->address = address;
			   __entry->len = len;
			   __entry->pgoff = pgoff;
			   __entry->vm_flags = vm_flags;
			   __entry->prepare = prepare;
			   __entry->ret = ret;),
	    TP_printk("ino=%llu address=0x%llx len=0x%llx pgoff=0x%llx vm_flags=%s hook=%s ret=%d",
		      __entry->ino,
		      __entry->address,
		      __entry->len,
		      __entry->pgoff,
		      __print_flags(__entry->vm_flags, "|",
				    { RMMAP_VM_READ, "read" },
				    { RMMAP_VM_WRITE, "write" },
				    { RMMAP_VM_EXEC, "exec" },
				    { RMMAP_VM_SHARED, "shared" },
				    { RMMAP_VM_MAYREAD, "mayread" },
				    { RMMAP_VM_MAYWRITE, "maywrite" },
				    { RMMAP_VM_MAYEXEC, "mayexec" },
				    { RMMAP_VM_MAYSHARE, "mayshare" },
				    { RMMAP_VM_LOCKED, "locked" },
				    { RMMAP_VM_LOCKONFAULT, "lockonfault" },
				    { RMMAP_VM_ACCOUNT, "account" },
				    { RMMAP_VM_NORESERVE, "noreserve" }),
		      __print_symbolic(__entry->prepare,
				       { 0, "mmap" },
				       { 1, "mmap_prepare" }),
		      __entry->ret));

/* The fault handler returns answer (`Outcome` in stats.rs), with a folio of 1 << order pages. */
DECLARE_EVENT_CLASS(rmmap_fault,
		    TP_PROTO(u64 ino, u64 address, u64 pgoff, u32 flags, u32 cow, u32 answer,
			     u32 order),
		    TP_ARGS(ino, address, pgoff, flags, cow, answer, order),
		    TP_STRUCT__entry(__field(u64, ino)
				     __field(u64, address)
				     __field(u64, pgoff)
				     __field(u32, flags)
				     __field(u32, cow)
				     __field(u32, answer)
				     __field(u32, order)),
		    TP_fast_assign(__entry->ino = ino;
				   __entry->address = address;
				   __entry->pgoff = pgoff;
				   __entry->flags = flags;
				   __entry->cow = cow;
				   __entry->answer = answer;
				   __entry->order = order;),
		    TP_printk("ino=%llu address=0x%llx pgoff=0x%llx access=%s flags=%s answer=%s order=%u",
			      __entry->ino,
			      __entry->address,
			      __entry->pgoff,
			      __print_symbolic(__entry->cow << 1 |
					       (__entry->flags & RMMAP_FAULT_WRITE),
					       { 0, "read" },
					       { 1, "write" },
					       { 3, "cow" }),
			      __print_flags(__entry->flags, "|",
					    { RMMAP_FAULT_WRITE, "WRITE" },
					    { RMMAP_FAULT_MKWRITE, "MKWRITE" },
					    { RMMAP_FAULT_ALLOW_RETRY, "ALLOW_RETRY" },
					    { RMMAP_FAULT_RETRY_NOWAIT, "RETRY_NOWAIT" },
					    { RMMAP_FAULT_KILLABLE, "KILLABLE" },
					    { RMMAP_FAULT_TRIED, "TRIED" },
					    { RMMAP_FAULT_USER, "USER" },
					    { RMMAP_FAULT_REMOTE, "REMOTE" },
					    { RMMAP_FAULT_INSTRUCTION, "INSTRUCTION" },
					    { RMMAP_FAULT_INTERRUPTIBLE, "INTERRUPTIBLE" },
					    { RMMAP_FAULT_UNSHARE, "UNSHARE" },
					    { RMMAP_FAULT_ORIG_PTE_VALID, "ORIG_PTE_VALID" },
					    { RMMAP_FAULT_VMA_LOCK, "VMA_LOCK" }),
			      __print_symbolic(__entry->answer,
					       { 0, "cached" },
					       { 1, "new" },
					       { 2, "zero" },
					       { 3, "sigbus" },
					       { 4, "oom" },
					       { 5, "retry" }),
			      __entry->order));

/* A program accessed the page, or the kernel on its behalf. */
DEFINE_EVENT(rmmap_fault, fault,
	     TP_PROTO(u64 ino, u64 address, u64 pgoff, u32 flags, u32 cow, u32 answer,
		      u32 order),
	     TP_ARGS(ino, address, pgoff, flags, cow, answer, order));

/* get_user_pages() faulted: MAP_POPULATE, MAP_LOCKED, mlock(2), MADV_POPULATE_*, direct I/O. */
DEFINE_EVENT(rmmap_fault, populate,
	     TP_PROTO(u64 ino, u64 address, u64 pgoff, u32 flags, u32 cow, u32 answer,
		      u32 order),
	     TP_ARGS(ino, address, pgoff, flags, cow, answer, order));

/* map_pages looked for resident pages from first to last, both included. */
TRACE_EVENT(map_pages,
	    TP_PROTO(u64 address, u64 first, u64 last, u32 mapped),
	    TP_ARGS(address, first, last, mapped),
	    TP_STRUCT__entry(__field(u64, address)
			     __field(u64, first)
			     __field(u64, last)
			     __field(u32, mapped)),
	    TP_fast_assign(__entry->address = address;
			   __entry->first = first;
			   __entry->last = last;
			   __entry->mapped = mapped;),
	    TP_printk("address=0x%llx first=0x%llx last=0x%llx answer=%s",
		      __entry->address,
		      __entry->first,
		      __entry->last,
		      __print_symbolic(__entry->mapped,
				       { 0, "none" },
				       { 1, "mapped" })));

/* The size of a region was set from `from` to `to`, in bytes, which freed `freed` pages. */
TRACE_EVENT(truncate,
	    TP_PROTO(u64 ino, u64 from, u64 to, u64 freed),
	    TP_ARGS(ino, from, to, freed),
	    TP_STRUCT__entry(__field(u64, ino)
			     __field(u64, from)
			     __field(u64, to)
			     __field(u64, freed)),
	    TP_fast_assign(__entry->ino = ino;
			   __entry->from = from;
			   __entry->to = to;
			   __entry->freed = freed;),
	    TP_printk("ino=%llu from=0x%llx to=0x%llx freed=%llu",
		      __entry->ino,
		      __entry->from,
		      __entry->to,
		      __entry->freed));

/* A range, in bytes, was discarded, which freed `freed` pages. */
TRACE_EVENT(discard,
	    TP_PROTO(u64 ino, u64 offset, u64 len, u64 freed),
	    TP_ARGS(ino, offset, len, freed),
	    TP_STRUCT__entry(__field(u64, ino)
			     __field(u64, offset)
			     __field(u64, len)
			     __field(u64, freed)),
	    TP_fast_assign(__entry->ino = ino;
			   __entry->offset = offset;
			   __entry->len = len;
			   __entry->freed = freed;),
	    TP_printk("ino=%llu offset=0x%llx len=0x%llx freed=%llu",
		      __entry->ino,
		      __entry->offset,
		      __entry->len,
		      __entry->freed));

/* A region of size bytes was created, with flags as in RMMAP_IOC_CREATE. */
TRACE_EVENT(create,
	    TP_PROTO(u64 ino, u64 size, u32 flags),
	    TP_ARGS(ino, size, flags),
	    TP_STRUCT__entry(__field(u64, ino)
			     __field(u64, size)
			     __field(u32, flags)),
	    TP_fast_assign(__entry->ino = ino;
			   __entry->size = size;
			   __entry->flags = flags;),
	    TP_printk("ino=%llu size=0x%llx flags=0x%x",
		      __entry->ino,
		      __entry->size,
		      __entry->flags));

#endif /* _RMMAP_TRACE_H */

/* This part must be outside protection */
#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE rmmap_trace
#include <trace/define_trace.h>
