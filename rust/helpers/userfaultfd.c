// SPDX-License-Identifier: GPL-2.0

#include <linux/userfaultfd_k.h>

#ifdef CONFIG_USERFAULTFD
/*
 * Write protection needs nothing of the driver but its consent. Missing and
 * minor faults are refused: their events cannot be delivered by a module.
 */
static bool write_protect_only(struct vm_area_struct *vma, vm_flags_t vm_flags)
{
	return !(vm_flags & (VM_UFFD_MISSING | VM_UFFD_MINOR));
}

const struct vm_uffd_ops rust_helper_uffd_write_protect_ops = {
	.can_userfault = write_protect_only,
};
#endif

__rust_helper bool
rust_helper_uffd_disable_fault_around(struct vm_area_struct *vma)
{
	return uffd_disable_fault_around(vma);
}
