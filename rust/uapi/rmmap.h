/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The ABI of /dev/rmmap: ioctl numbers, their arguments and their flags.
 *
 * The driver and Rust programs use rmmap.rs. A test, tests/c_header.rs, has the C compiler compare
 * each number, size and offset of both.
 *
 * Every struct has the same layout for 32- and 64-bit programs: fields are fixed-width, sorted so
 * that no implicit padding arises, and explicit padding must be zero on input. All lengths and
 * offsets are in bytes unless a name says otherwise.
 */
#ifndef _UAPI_RMMAP_H
#define _UAPI_RMMAP_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* Version of this ABI, in &rmmap_info.abi_version. It grows when a field or a call is added. */
#define RMMAP_ABI_VERSION 4

/* Path of the device node. */
#define RMMAP_DEVICE "/dev/rmmap"

/*
 * Number of folio orders that the counters tell apart. The largest folios have order 9 with pages
 * of 4 KiB, 11 with 16 KiB and 13 with 64 KiB.
 */
#define RMMAP_NR_ORDERS 16

/* The ioctl type byte. It is not listed in Documentation/userspace-api/ioctl/ioctl-number.rst. */
#define RMMAP_IOC_MAGIC 0xBE

/* &rmmap_create.flags: close the new descriptor on execve(2). */
#define RMMAP_CREATE_CLOEXEC (1 << 0)

/*
 * &rmmap_create.flags: the region has the policy %RMMAP_POLICY_NEVER; without a policy flag it
 * inherits the device's current policy.
 */
#define RMMAP_CREATE_NEVER (1 << 1)

/* &rmmap_create.flags: the region has the policy %RMMAP_POLICY_ADAPTIVE. */
#define RMMAP_CREATE_ADAPTIVE (1 << 2)

/* &rmmap_create.flags: the region has the policy %RMMAP_POLICY_ALWAYS. */
#define RMMAP_CREATE_ALWAYS (1 << 3)

/* &rmmap_create.flags: the policy flags, of which at most one may be set. */
#define RMMAP_CREATE_POLICY ((RMMAP_CREATE_NEVER | RMMAP_CREATE_ADAPTIVE) | RMMAP_CREATE_ALWAYS)

/*
 * &rmmap_create.flags: the region may be executed, as a memfd with %MFD_EXEC: its mode is 0777.
 * Without an execution flag vm.memfd_noexec chooses this or %RMMAP_CREATE_NOEXEC_SEAL.
 */
#define RMMAP_CREATE_EXEC (1 << 4)

/*
 * &rmmap_create.flags: as a memfd with %MFD_NOEXEC_SEAL: the mode is 0666, and the region has
 * %RMMAP_SEAL_EXEC and may get other seals.
 */
#define RMMAP_CREATE_NOEXEC_SEAL (1 << 5)

/* &rmmap_create.flags: as %RMMAP_CREATE_NOEXEC_SEAL, and %PROT_EXEC is forbidden as well. */
#define RMMAP_CREATE_NOEXEC (1 << 6)

/* &rmmap_create.flags: the execution flags, of which at most one may be set. */
#define RMMAP_CREATE_EXECUTION (7 << 4)

/*
 * &rmmap_create.flags: the region may get seals, as a memfd with %MFD_ALLOW_SEALING. Without this
 * flag and those that imply it, a region has %RMMAP_SEAL_SEAL.
 */
#define RMMAP_CREATE_ALLOW_SEALING (1 << 7)

/* &rmmap_create.flags: all flags that this version knows. */
#define RMMAP_CREATE_ALL 0xff

/* &rmmap_create_named.name: the largest number of bytes before the first zero. */
#define RMMAP_NAME_MAX 249

/* Size of &rmmap_create_named.name, bytes. */
#define RMMAP_NAME_SIZE 256

/* &rmmap_seals.seals: no more seals, %F_SEAL_SEAL. */
#define RMMAP_SEAL_SEAL 0x01

/* &rmmap_seals.seals: the region does not shrink, %F_SEAL_SHRINK. */
#define RMMAP_SEAL_SHRINK 0x02

/* &rmmap_seals.seals: the region does not grow, %F_SEAL_GROW. */
#define RMMAP_SEAL_GROW 0x04

/* &rmmap_seals.seals: the contents do not change, %F_SEAL_WRITE. */
#define RMMAP_SEAL_WRITE 0x08

/* &rmmap_seals.seals: only mappings that exist change the contents, %F_SEAL_FUTURE_WRITE. */
#define RMMAP_SEAL_FUTURE_WRITE 0x10

/* &rmmap_seals.seals: the execute bits of the mode do not change, %F_SEAL_EXEC. */
#define RMMAP_SEAL_EXEC 0x20

/* Folio policy: no folio is larger than a page. Sequential accesses add several at once. */
#define RMMAP_POLICY_NEVER 0

/* Folio policy, the default: the order of new folios follows the access pattern. */
#define RMMAP_POLICY_ADAPTIVE 1

/* Folio policy: the first access adds the largest folio that fits. */
#define RMMAP_POLICY_ALWAYS 2

/* &rmmap_info.hook: mmap(2) calls file_operations.mmap. */
#define RMMAP_HOOK_MMAP 0

/* &rmmap_info.hook: mmap(2) calls file_operations.mmap_prepare. */
#define RMMAP_HOOK_PREPARE 1

/* &rmmap_info.kind: the descriptor belongs to the device's own region. */
#define RMMAP_KIND_DEVICE 0

/* &rmmap_info.kind: the descriptor belongs to a region created with %RMMAP_IOC_CREATE. */
#define RMMAP_KIND_REGION 1

/**
 * struct rmmap_info - Result of %RMMAP_IOC_INFO.
 * @abi_version: %RMMAP_ABI_VERSION of the loaded module.
 * @hook: The hook that mmap(2) calls: %RMMAP_HOOK_MMAP or %RMMAP_HOOK_PREPARE.
 * @kind: The kind of this descriptor's region: %RMMAP_KIND_DEVICE or %RMMAP_KIND_REGION.
 * @policy: The folio policy of this region, RMMAP_POLICY_*.
 * @size: Size of this region, bytes.
 * @resident: Memory that this region holds now, bytes.
 * @capacity: Size of the device's own region, bytes (module parameter capacity).
 * @max_bytes: Limit on the memory of all regions together, bytes (module parameter max_bytes).
 * @used_bytes: Memory that all regions hold now, bytes.
 * @regions: Number of regions that exist now, the device's own included.
 */
struct rmmap_info {
	__u32 abi_version;
	__u32 hook;
	__u32 kind;
	__u32 policy;
	__u64 size;
	__u64 resident;
	__u64 capacity;
	__u64 max_bytes;
	__u64 used_bytes;
	__u64 regions;
};

/**
 * struct rmmap_create - Argument of %RMMAP_IOC_CREATE. The ioctl returns the new descriptor.
 * @size: Size of the region, bytes; 0 is allowed, ftruncate(2) changes it later.
 * @flags: RMMAP_CREATE_*; an unknown flag fails with %EINVAL.
 * @pad: Must be zero.
 */
struct rmmap_create {
	__u64 size;
	__u32 flags;
	__u32 pad;
};

/**
 * struct rmmap_create_named - Argument of %RMMAP_IOC_CREATE_NAMED. The ioctl returns the new
 *     descriptor.
 * @create: The region.
 * @name: Its name, at most %RMMAP_NAME_MAX bytes, shown as /rmmap:NAME in /proc/PID/maps and by the
 *     links of /proc/PID/fd. All bytes after it are zero.
 */
struct rmmap_create_named {
	struct rmmap_create create;
	__u8 name[RMMAP_NAME_SIZE];
};

/**
 * struct rmmap_seals - Argument of %RMMAP_IOC_ADD_SEALS, result of %RMMAP_IOC_GET_SEALS.
 * @seals: RMMAP_SEAL_*, the same numbers as F_SEAL_*.
 * @pad: Must be zero.
 */
struct rmmap_seals {
	__u32 seals;
	__u32 pad;
};

/**
 * struct rmmap_range - Argument of %RMMAP_IOC_DISCARD and %RMMAP_IOC_ALLOCATE.
 * @offset: First byte; a multiple of the page size.
 * @len: Length in bytes; a multiple of the page size, not zero, within the region.
 */
struct rmmap_range {
	__u64 offset;
	__u64 len;
};

/**
 * struct rmmap_policy - Argument of %RMMAP_IOC_POLICY.
 * @policy: RMMAP_POLICY_*; on a descriptor of the device it is the policy of the device's own
 *     region, and of regions that are created later without a policy flag. Existing folios do not
 *     change.
 * @pad: Must be zero.
 */
struct rmmap_policy {
	__u32 policy;
	__u32 pad;
};

/**
 * struct rmmap_counters - Counts of events in a region since it was created, or in all regions.
 * @mmap: Calls of the mmap(2) hook, mmap or mmap_prepare.
 * @fault_read: Calls of the fault handler for a read.
 * @fault_write: Calls of the fault handler for a write through a shared mapping.
 * @fault_cow: Calls of the fault handler for a write through a private mapping (copy-on-write).
 * @fault_populate: Of the three above, those for populate, mlock or another get_user_pages() (no
 *     user access).
 * @answer_cached: Faults that mapped a folio which the region already held.
 * @answer_new: Faults that allocated a folio.
 * @answer_zero: Faults that copied the module's zero page (private write to a hole).
 * @answer_sigbus: Faults that failed with %SIGBUS: past EOF, or a user access without memory.
 * @answer_oom: Faults that failed with %VM_FAULT_OOM.
 * @answer_retry: Faults that must be retried.
 * @map_pages: Calls of map_pages, which maps resident neighbours before the fault handler is
 *     called.
 * @folios: Folios that were added, by faults or writes, by order.
 * @order_fallback: Folios of a smaller order than wanted.
 * @discarded: Bytes freed by discard, hole punching and truncation.
 */
struct rmmap_counters {
	__u64 mmap;
	__u64 fault_read;
	__u64 fault_write;
	__u64 fault_cow;
	__u64 fault_populate;
	__u64 answer_cached;
	__u64 answer_new;
	__u64 answer_zero;
	__u64 answer_sigbus;
	__u64 answer_oom;
	__u64 answer_retry;
	__u64 map_pages;
	__u64 folios[RMMAP_NR_ORDERS];
	__u64 order_fallback;
	__u64 discarded;
};

/**
 * struct rmmap_stats - Result of %RMMAP_IOC_STATS.
 * @region: The region of this descriptor.
 * @device: All regions together, including freed ones.
 */
struct rmmap_stats {
	struct rmmap_counters region;
	struct rmmap_counters device;
};

/* Describes the device and the region of this descriptor: &struct rmmap_info. */
#define RMMAP_IOC_INFO _IOR(RMMAP_IOC_MAGIC, 0, struct rmmap_info)

/* Creates a region and returns a descriptor of it: &struct rmmap_create. */
#define RMMAP_IOC_CREATE _IOW(RMMAP_IOC_MAGIC, 1, struct rmmap_create)

/* Frees the memory of a range; the next access finds zeroes: &struct rmmap_range. */
#define RMMAP_IOC_DISCARD _IOW(RMMAP_IOC_MAGIC, 2, struct rmmap_range)

/* Reads the counters of this region and of the whole device: &struct rmmap_stats. */
#define RMMAP_IOC_STATS _IOR(RMMAP_IOC_MAGIC, 3, struct rmmap_stats)

/* Sets the folio policy of the region of this descriptor: &struct rmmap_policy. */
#define RMMAP_IOC_POLICY _IOW(RMMAP_IOC_MAGIC, 4, struct rmmap_policy)

/* Allocates the memory that a range lacks, all of it or none: &struct rmmap_range. */
#define RMMAP_IOC_ALLOCATE _IOW(RMMAP_IOC_MAGIC, 5, struct rmmap_range)

/*
 * Adds seals to the region of this descriptor, as %F_ADD_SEALS does to a memfd: &struct
 * rmmap_seals.
 */
#define RMMAP_IOC_ADD_SEALS _IOW(RMMAP_IOC_MAGIC, 6, struct rmmap_seals)

/* Returns the seals of the region of this descriptor: &struct rmmap_seals. */
#define RMMAP_IOC_GET_SEALS _IOR(RMMAP_IOC_MAGIC, 7, struct rmmap_seals)

/* Creates a region with a name and returns a descriptor of it: &struct rmmap_create_named. */
#define RMMAP_IOC_CREATE_NAMED _IOW(RMMAP_IOC_MAGIC, 8, struct rmmap_create_named)

#endif /* _UAPI_RMMAP_H */
