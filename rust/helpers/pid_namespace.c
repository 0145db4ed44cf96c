// SPDX-License-Identifier: GPL-2.0

#include <linux/pid_namespace.h>

/* Values that bindgen does not see; rust/kernel_mm/ffi.rs repeats them. */
#if defined(CONFIG_SYSCTL) && defined(CONFIG_MEMFD_CREATE)
static_assert(MEMFD_NOEXEC_SCOPE_NOEXEC_SEAL == 1);
static_assert(MEMFD_NOEXEC_SCOPE_NOEXEC_ENFORCED == 2);
#endif

__rust_helper int rust_helper_memfd_noexec_scope(void)
{
	return pidns_memfd_noexec_scope(task_active_pid_ns(current));
}
