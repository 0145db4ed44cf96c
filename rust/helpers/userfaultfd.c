// SPDX-License-Identifier: GPL-2.0

#include <linux/userfaultfd_k.h>

#ifdef CONFIG_USERFAULTFD
/*
 * Write protection needs only the driver's consent. Missing and minor faults
 * are refused: a module cannot deliver their events.
 */
static bool write_protect_only(struct vm_area_struct *vma, vm_flags_t vm_flags)
{
	return !(vm_flags & (VM_UFFD_MISSING | VM_UFFD_MINOR));
}

/*
 * UFFDIO_COPY and UFFDIO_ZEROPAGE accept any registered VMA, and
 * __mfill_atomic_pte() calls alloc_folio without a check for NULL. Returning
 * NULL is the only way to refuse: the ioctl returns -ENOMEM. mfill_get_vma()
 * refuses UFFDIO_CONTINUE without get_folio_noalloc, and without a folio the
 * core never calls filemap_add or filemap_remove.
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
