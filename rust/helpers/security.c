// SPDX-License-Identifier: GPL-2.0

#include <linux/security.h>

/* An inline function where CONFIG_SECURITY is off; no name, no xattrs. */
__rust_helper int rust_helper_security_inode_init_nameless(struct inode *inode,
							   struct inode *dir)
{
	return security_inode_init_security(inode, dir, NULL, NULL, NULL);
}
