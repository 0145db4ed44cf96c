// SPDX-License-Identifier: GPL-2.0

#include <linux/sched/signal.h>

__rust_helper bool rust_helper_fatal_signal_pending(void)
{
	return fatal_signal_pending(current);
}

__rust_helper int rust_helper_cond_resched(void)
{
	return cond_resched();
}
