// SPDX-License-Identifier: GPL-2.0
/*
 * C wrappers for what Rust cannot call: inline functions and macros. One file
 * per C header, one statement per wrapper, as in the kernel's rust/helpers/.
 *
 * Sorted alphabetically.
 */

#define __rust_helper

#include "anon_inodes.c"
#include "bindings.c"
#include "fs.c"
#include "mm.c"
#include "module.c"
#include "pagemap.c"
#include "percpu.c"
#include "pid_namespace.c"
#include "pseudo_fs.c"
#include "sched.c"
#include "security.c"
#include "syscall.c"
#include "userfaultfd.c"
