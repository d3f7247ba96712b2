/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where a file really lives: the nearest ancestor directory that the policy names,
 * found by walking d_parent and comparing (device, inode). No string, namespace,
 * chroot or bind mount can change it. */
#ifndef KANNUKI_WALK_H
#define KANNUKI_WALK_H

#include "maps.h"

/* A path of PATH_MAX bytes can be 2,048 levels deep; a walk that ends before it found
 * a root is user space: what lies deeper does not launch. */
#define MAX_DEPTH 256

struct walk {
	struct dentry *dentry;
	struct root_key key;
	struct root found;
};

static long step(__u32 i, struct walk *w)
{
	struct dentry *d = w->dentry;
	struct dentry *parent = d->d_parent;
	struct inode *inode = d->d_inode;
	struct root *r;

	if (inode) {
		w->key.ino = inode->i_ino;
		r = bpf_map_lookup_elem(&roots, &w->key);
		if (r) {
			w->found = *r;
			return 1;
		}
	}
	if (parent == d)
		return 1;
	w->dentry = parent;
	return 0;
}

static __always_inline __u64 moves(void)
{
	__u32 zero = 0;
	__u64 *n = bpf_map_lookup_elem(&tree, &zero);

	return n ? *n : 0;
}

/* Every move of a directory makes all cached places void. It is counted before the
 * move and after it, so that no walk that overlaps it leaves a place behind. */
static __always_inline void moved(void)
{
	__u32 zero = 0;
	__u64 *n = bpf_map_lookup_elem(&tree, &zero);

	if (n)
		__sync_fetch_and_add(n, 1);
}

static __always_inline bool known_filesystem(__u32 dev, __u64 gen)
{
	struct root_key key = { .dev = dev, .generation = gen };

	return bpf_map_lookup_elem(&filesystems, &key) != NULL;
}

/* The space of dir, a dentry of a directory. */
static __always_inline void space_of_dir(struct dentry *dir, __u64 gen, struct root *out)
{
	struct inode *inode = dir->d_inode;
	struct place_key key = {};
	struct place fresh = {};
	struct place *cached;
	struct walk w = {};

	__builtin_memset(out, 0, sizeof(*out));
	if (!inode)
		return;
	key.dev = inode->i_sb->s_dev;
	if (!known_filesystem(key.dev, gen))
		return;
	key.ino = inode->i_ino;
	key.igen = inode->i_generation;
	fresh.tree = moves();
	cached = bpf_map_lookup_elem(&places, &key);
	if (cached && cached->generation == gen && cached->tree == fresh.tree) {
		*out = cached->root;
		return;
	}
	w.dentry = dir;
	w.key.dev = key.dev;
	w.key.generation = gen;
	bpf_loop(MAX_DEPTH, step, &w, 0);
	fresh.generation = gen;
	fresh.root = w.found;
	*out = w.found;
	bpf_map_update_elem(&places, &key, &fresh, BPF_ANY);
}

/* The space of what dentry names: a directory's own, else that of the directory it is in. */
static __always_inline void space_of(struct dentry *dentry, __u64 gen, struct root *out)
{
	struct inode *inode = dentry->d_inode;

	if (inode && S_ISDIR(inode->i_mode))
		space_of_dir(dentry, gen, out);
	else
		space_of_dir(dentry->d_parent, gen, out);
}

#endif
