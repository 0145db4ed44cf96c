// SPDX-License-Identifier: GPL-2.0

#include <linux/fs_context.h>
#include <linux/pseudo_fs.h>

/* struct fs_context is not in the bindings either. */
__rust_helper void rust_helper_fc_allow_exec(struct fs_context *fc)
{
	fc->s_iflags &= ~SB_I_NOEXEC;
}

/* struct pseudo_fs_context is not in the bindings: set its one field here. */
__rust_helper int rust_helper_init_pseudo(struct fs_context *fc,
					  unsigned long magic,
					  const struct super_operations *ops)
{
	struct pseudo_fs_context *ctx = init_pseudo(fc, magic);

	if (!ctx)
		return -ENOMEM;
	ctx->ops = ops;
	return 0;
}
