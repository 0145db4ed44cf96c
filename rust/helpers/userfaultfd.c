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

/*
 * UFFDIO_COPY and UFFDIO_ZEROPAGE take any registered VMA, and
 * __mfill_atomic_pte() calls this without looking whether there is one. A NULL
 * is the only way to refuse: the ioctl returns -ENOMEM. UFFDIO_CONTINUE is
 * refused by mfill_get_vma() when there is no get_folio_noalloc, and
 * filemap_add and filemap_remove are never called without a folio.
 */
static struct folio *no_folio(struct vm_area_struct *vma, unsigned long addr)
{
	return NULL;
}

const struct vm_uffd_ops rust_helper_uffd_write_protect_ops = {
	.can_userfault	= write_protect_only,
	.alloc_folio	= no_folio,
};
#endif

__rust_helper bool
rust_helper_uffd_disable_fault_around(struct vm_area_struct *vma)
{
	return uffd_disable_fault_around(vma);
}
