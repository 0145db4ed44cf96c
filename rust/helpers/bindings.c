// SPDX-License-Identifier: GPL-2.0

#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/percpu.h>
#include <linux/pgtable.h>
#include <linux/pid_namespace.h>

/* Values that bindgen does not see; rust/kernel_mm/bindings.rs repeats them. */
static_assert((__force u32)FMODE_LSEEK == 1 << 2);
static_assert((__force u32)FMODE_PREAD == 1 << 3);
static_assert((__force u32)FMODE_PWRITE == 1 << 4);
static_assert((__force u32)FOP_MMAP_SYNC == 1 << 2);
static_assert(PCPU_MIN_UNIT_SIZE == 32 << 10);
static_assert(PAGE_SHIFT - PMD_ORDER == 3);
static_assert(PUD_ORDER == 2 * PMD_ORDER);
static_assert(SEEK_DATA == 3);
static_assert(SEEK_HOLE == 4);
static_assert(FALLOC_FL_KEEP_SIZE == 1);
static_assert(FALLOC_FL_PUNCH_HOLE == 2);
static_assert(BIT(___GFP_RETRY_MAYFAIL_BIT) == (__force u32)__GFP_RETRY_MAYFAIL);
static_assert(BIT(___GFP_NORETRY_BIT) == (__force u32)__GFP_NORETRY);
static_assert(BIT(___GFP_NOMEMALLOC_BIT) == (__force u32)__GFP_NOMEMALLOC);
static_assert((__force u32)__GFP_RECLAIM ==
	      (BIT(___GFP_DIRECT_RECLAIM_BIT) | BIT(___GFP_KSWAPD_RECLAIM_BIT)));
static_assert(VM_MAYSHARE == 1UL << 7);
static_assert(VM_LOCKED == 1UL << 13);
static_assert(VM_SEQ_READ == 1UL << 15);
static_assert(VM_RAND_READ == 1UL << 16);
static_assert(PROT_READ == 1);
static_assert(PROT_WRITE == 2);
static_assert(MAP_SHARED == 1);
static_assert(MAP_PRIVATE == 2);
static_assert(MAP_POPULATE == 0x8000);
static_assert(MADV_POPULATE_READ == 22);
static_assert(MADV_POPULATE_WRITE == 23);
#if defined(CONFIG_SYSCTL) && defined(CONFIG_MEMFD_CREATE)
static_assert(MEMFD_NOEXEC_SCOPE_NOEXEC_SEAL == 1);
static_assert(MEMFD_NOEXEC_SCOPE_NOEXEC_ENFORCED == 2);
#endif
