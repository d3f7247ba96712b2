/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Write: who may change what lies where. */
#ifndef KANNUKI_WRITE_H
#define KANNUKI_WRITE_H

#include "walk.h"
#include "label.h"
#include "event.h"

/* Is a change in r refused to a task with these flags? */
static __always_inline bool sealed(struct root *r, __u32 flags, struct label *l)
{
	if (flags & (LABEL_UPDATER | LABEL_AGENT))
		return false;
	switch (r->space) {
	case SPACE_SYSTEM:
		return !(flags & LABEL_GRANT);
	case SPACE_CONFIG:
	case SPACE_PERSIST:
	case SPACE_PRIVATE:
		return flags & LABEL_CONTAINED;
	case SPACE_DATA:
		return (flags & LABEL_CONTAINED) && (!l || l->domain != r->domain);
	}
	return false;
}

static __always_inline int change_in(struct root *r, struct dentry *dentry, __u32 op, __u64 gen)
{
	struct label *l;
	__u32 flags;

	if (r->space == SPACE_UNKNOWN || r->space == SPACE_USER)
		return 0;
	l = label_of_current();
	flags = flags_of(l);
	if (is_agent())
		flags |= LABEL_AGENT;
	if (!sealed(r, flags, l))
		return 0;
	return refuse(op, CONTROL_WRITE, dentry, r, flags, gen);
}

/* A change of what dentry names, or of the name itself. */
static __always_inline int change(struct dentry *dentry, __u32 op)
{
	__u64 gen = generation();
	struct root r;

	if (!gen)
		return 0;
	space_of(dentry, gen, &r);
	return change_in(&r, dentry, op, gen);
}

/* A change of the directory that holds dentry: create, remove, rename. A directory
 * the policy names is judged as the place it is in and as itself. */
static __always_inline int change_name(struct dentry *dentry, __u32 op)
{
	__u64 gen = generation();
	struct inode *inode = dentry->d_inode;
	struct root r;
	int verdict;

	if (!gen)
		return 0;
	space_of_dir(dentry->d_parent, gen, &r);
	verdict = change_in(&r, dentry, op, gen);
	if (verdict || !inode || !S_ISDIR(inode->i_mode))
		return verdict;
	space_of_dir(dentry, gen, &r);
	return change_in(&r, dentry, op, gen);
}

#endif
