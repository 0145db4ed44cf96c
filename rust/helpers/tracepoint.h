/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The C half of kernel_mm::tracepoints!: makes a tracepoint callable from Rust.
 *
 * RUST_TRACEPOINT_3(fault, u64, u32, u32) defines the function
 *
 *	void kernel_mm_trace_fault_u64_u32_u32(u64 a, u32 b, u32 c);
 *
 * which calls trace_fault(a, b, c). The name contains the types of its
 * arguments, and Rust builds the name from the types that it passes: a mismatch
 * does not link. That is why Rust may call it without `unsafe`.
 *
 * The static branch is on the Rust side, so that a disabled tracepoint costs no
 * call. Include this after the header with the events. Only Rust declares the
 * functions: remove -Wmissing-prototypes from the flags.
 */
#ifndef _KERNEL_MM_TRACEPOINT_H
#define _KERNEL_MM_TRACEPOINT_H

#include <linux/tracepoint.h>

#define __RUST_TRACEPOINT(name, suffix, proto, args)			\
	notrace void kernel_mm_trace_##name##suffix(proto)		\
	{								\
		trace_call__##name(args);				\
	}

#define RUST_TRACEPOINT_3(name, ta, tb, tc)				\
	__RUST_TRACEPOINT(name, _##ta##_##tb##_##tc,			\
			  TP_PROTO(ta a, tb b, tc c), TP_ARGS(a, b, c))

#define RUST_TRACEPOINT_4(name, ta, tb, tc, td)				\
	__RUST_TRACEPOINT(name, _##ta##_##tb##_##tc##_##td,		\
			  TP_PROTO(ta a, tb b, tc c, td d),		\
			  TP_ARGS(a, b, c, d))

#define RUST_TRACEPOINT_7(name, ta, tb, tc, td, te, tf, tg)		\
	__RUST_TRACEPOINT(name,						\
			  _##ta##_##tb##_##tc##_##td##_##te##_##tf##_##tg, \
			  TP_PROTO(ta a, tb b, tc c, td d, te e, tf f, tg g), \
			  TP_ARGS(a, b, c, d, e, f, g))

#endif
