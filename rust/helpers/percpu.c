// SPDX-License-Identifier: GPL-2.0

#include <linux/cpumask.h>
#include <linux/percpu.h>

__rust_helper u64 __percpu *rust_helper_alloc_percpu_u64(size_t n)
{
	return __alloc_percpu_gfp(n * sizeof(u64), sizeof(u64),
				  GFP_KERNEL_ACCOUNT);
}

__rust_helper void rust_helper_this_cpu_add_u64(u64 __percpu *p, u64 n)
{
	this_cpu_add(*p, n);
}

__rust_helper u64 *rust_helper_per_cpu_ptr_u64(u64 __percpu *p, unsigned int cpu)
{
	return per_cpu_ptr(p, cpu);
}

__rust_helper bool rust_helper_cpu_possible(unsigned int cpu)
{
	return cpu_possible(cpu);
}
