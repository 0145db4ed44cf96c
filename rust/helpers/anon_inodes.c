// SPDX-License-Identifier: GPL-2.0

#include <linux/anon_inodes.h>

/* Not an inline function, but its header is not in the bindings. */
__rust_helper struct file *
rust_helper_anon_inode_getfile(const char *name,
			       const struct file_operations *fops, void *priv,
			       int flags)
{
	return anon_inode_getfile(name, fops, priv, flags);
}
