// SPDX-License-Identifier: GPL-2.0

#include <linux/mm.h>
#include <linux/mman.h>

/* Values that bindgen does not see; rust/kernel_mm/ffi.rs repeats them. */
static_assert(PROT_READ == 1);
static_assert(PROT_WRITE == 2);
static_assert(MAP_SHARED == 1);
static_assert(MAP_PRIVATE == 2);
static_assert(MAP_POPULATE == 0x8000);

__rust_helper unsigned long rust_helper_totalram_pages(void)
{
	return totalram_pages();
}

__rust_helper void rust_helper_folio_get(struct folio *folio)
{
	folio_get(folio);
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

__rust_helper struct page *rust_helper_folio_page0(struct folio *folio)
{
	return folio_page(folio, 0);
}
