// SPDX-License-Identifier: GPL-2.0

#include <linux/pid_namespace.h>

__rust_helper int rust_helper_memfd_noexec_scope(void)
{
	return pidns_memfd_noexec_scope(task_active_pid_ns(current));
}
