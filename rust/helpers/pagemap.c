// SPDX-License-Identifier: GPL-2.0

#include <linux/highmem.h>
#include <linux/pagemap.h>
#include <linux/uio.h>

__rust_helper gfp_t rust_helper_mapping_gfp_mask(struct address_space *mapping)
{
	return mapping_gfp_mask(mapping);
}

__rust_helper void rust_helper_mapping_set_gfp_mask(struct address_space *m,
						    gfp_t mask)
{
	mapping_set_gfp_mask(m, mask);
}

__rust_helper void
rust_helper_mapping_set_unevictable(struct address_space *mapping)
{
	mapping_set_unevictable(mapping);
}

__rust_helper void
rust_helper_mapping_set_large_folios(struct address_space *mapping)
{
	mapping_set_large_folios(mapping);
}

__rust_helper unsigned int
rust_helper_mapping_max_folio_order(const struct address_space *mapping)
{
	return mapping_max_folio_order(mapping);
}

__rust_helper void
rust_helper_filemap_invalidate_lock(struct address_space *mapping)
{
	filemap_invalidate_lock(mapping);
}

__rust_helper void
rust_helper_filemap_invalidate_unlock(struct address_space *mapping)
{
	filemap_invalidate_unlock(mapping);
}

__rust_helper void
rust_helper_filemap_invalidate_lock_shared(struct address_space *mapping)
{
	filemap_invalidate_lock_shared(mapping);
}

__rust_helper void
rust_helper_filemap_invalidate_unlock_shared(struct address_space *mapping)
{
	filemap_invalidate_unlock_shared(mapping);
}

__rust_helper struct folio *
rust_helper_filemap_lock_folio(struct address_space *mapping, pgoff_t index)
{
	return filemap_lock_folio(mapping, index);
}

__rust_helper struct folio *
rust_helper_filemap_get_folio(struct address_space *mapping, pgoff_t index)
{
	return filemap_get_folio(mapping, index);
}

__rust_helper struct folio *rust_helper_folio_alloc(gfp_t gfp,
						    unsigned int order)
{
	return folio_alloc(gfp, order);
}

__rust_helper bool rust_helper_folio_test_uptodate(const struct folio *folio)
{
	return folio_test_uptodate(folio);
}

__rust_helper void rust_helper___folio_mark_uptodate(struct folio *folio)
{
	__folio_mark_uptodate(folio);
}

__rust_helper void rust_helper_folio_set_dirty(struct folio *folio)
{
	folio_set_dirty(folio);
}

__rust_helper struct page *rust_helper_folio_file_page(struct folio *folio,
						       pgoff_t index)
{
	return folio_file_page(folio, index);
}

__rust_helper bool rust_helper_folio_contains(struct folio *folio,
					      pgoff_t index)
{
	return folio_contains(folio, index);
}

__rust_helper size_t rust_helper_copy_folio_to_iter(struct folio *folio,
						    size_t offset, size_t bytes,
						    struct iov_iter *i)
{
	return copy_folio_to_iter(folio, offset, bytes, i);
}

__rust_helper size_t rust_helper_copy_folio_from_iter(struct folio *folio,
						      size_t offset,
						      size_t bytes,
						      struct iov_iter *i)
{
	return copy_folio_from_iter(folio, offset, bytes, i);
}

__rust_helper void rust_helper_folio_zero_segments(struct folio *folio,
						   size_t start1, size_t xend1,
						   size_t start2, size_t xend2)
{
	folio_zero_segments(folio, start1, xend1, start2, xend2);
}

__rust_helper void rust_helper_flush_dcache_folio(struct folio *folio)
{
	flush_dcache_folio(folio);
}

__rust_helper void rust_helper_iov_iter_truncate(struct iov_iter *i, u64 count)
{
	iov_iter_truncate(i, count);
}

__rust_helper void rust_helper_iov_iter_reexpand(struct iov_iter *i,
						 size_t count)
{
	iov_iter_reexpand(i, count);
}

__rust_helper void rust_helper_folio_lock(struct folio *folio)
{
	folio_lock(folio);
}

__rust_helper int rust_helper_xa_get_order(struct xarray *xa,
					   unsigned long index)
{
	return xa_get_order(xa, index);
}
