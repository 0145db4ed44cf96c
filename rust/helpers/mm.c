// SPDX-License-Identifier: GPL-2.0

#include <linux/io.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>

__rust_helper unsigned long rust_helper_totalram_pages(void)
{
	return totalram_pages();
}

__rust_helper void rust_helper_folio_get(struct folio *folio)
{
	folio_get(folio);
}

__rust_helper bool rust_helper_folio_has_other_refs(const struct folio *folio,
						    int held)
{
	return folio_ref_count(folio) != folio_expected_ref_count(folio) +
					 !folio_test_lru(folio) + held;
}

__rust_helper void rust_helper_folio_put(struct folio *folio)
{
	folio_put(folio);
}

__rust_helper size_t rust_helper_folio_size(const struct folio *folio)
{
	return folio_size(folio);
}

__rust_helper unsigned int rust_helper_folio_order(const struct folio *folio)
{
	return folio_order(folio);
}

__rust_helper bool
rust_helper_folio_contain_hwpoisoned_page(struct folio *folio)
{
	return folio_contain_hwpoisoned_page(folio);
}

__rust_helper bool rust_helper_is_page_hwpoison(const struct page *page)
{
	return is_page_hwpoison(page);
}

__rust_helper struct page *rust_helper_folio_page0(struct folio *folio)
{
	return folio_page(folio, 0);
}

__rust_helper void rust_helper_vm_flags_set(struct vm_area_struct *vma,
					    vm_flags_t flags)
{
	vm_flags_set(vma, flags);
}

__rust_helper void rust_helper_vm_flags_clear(struct vm_area_struct *vma,
					      vm_flags_t flags)
{
	vm_flags_clear(vma, flags);
}

__rust_helper void *rust_helper_page_address(const struct page *page)
{
	return page_address(page);
}

__rust_helper unsigned long rust_helper_get_free_pages(gfp_t gfp,
						       unsigned int order)
{
	return __get_free_pages(gfp, order);
}

__rust_helper struct folio *
rust_helper_vma_alloc_folio(gfp_t gfp, int order, struct vm_area_struct *vma,
			    unsigned long addr)
{
	return vma_alloc_folio(gfp, order, vma, addr);
}

__rust_helper unsigned long rust_helper_virt_to_pfn(const void *address)
{
	return PHYS_PFN(virt_to_phys((void *)address));
}

__rust_helper struct folio *rust_helper_page_folio(struct page *page)
{
	return page_folio(page);
}

__rust_helper int rust_helper_page_count(const struct page *page)
{
	return page_count(page);
}

__rust_helper void rust_helper_release_fault_lock(struct vm_fault *vmf)
{
	release_fault_lock(vmf);
}
