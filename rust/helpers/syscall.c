// SPDX-License-Identifier: GPL-2.0

#include <linux/compat.h>
#include <asm/syscall.h>

__rust_helper bool rust_helper_in_compat_syscall(void)
{
	return in_compat_syscall();
}

__rust_helper int rust_helper_current_syscall(void)
{
	return syscall_get_nr(current, current_pt_regs());
}

__rust_helper void rust_helper_current_syscall_arguments(unsigned long *args)
{
	syscall_get_arguments(current, current_pt_regs(), args);
}
