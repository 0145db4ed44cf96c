// SPDX-License-Identifier: GPL-2.0

#include <linux/fs.h>

__rust_helper loff_t rust_helper_i_size_read(const struct inode *inode)
{
	return i_size_read(inode);
}

__rust_helper void rust_helper_i_size_write(struct inode *inode, loff_t size)
{
	i_size_write(inode, size);
}

__rust_helper void rust_helper_inode_lock(struct inode *inode)
{
	inode_lock(inode);
}

__rust_helper void rust_helper_inode_unlock(struct inode *inode)
{
	inode_unlock(inode);
}

__rust_helper bool
rust_helper_mapping_writably_mapped(struct address_space *mapping)
{
	return mapping_writably_mapped(mapping);
}

__rust_helper void rust_helper_sb_hold_active(struct super_block *sb)
{
	atomic_inc(&sb->s_active);
}

__rust_helper int rust_helper_sb_active(struct super_block *sb)
{
	return atomic_read(&sb->s_active);
}
