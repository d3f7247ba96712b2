/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where a file really lives: the nearest ancestor directory that the policy names,
 * found by walking d_parent and comparing identities. No string of the caller's, no
 * namespace, chroot or bind mount can change it. Below the directory that was found,
 * names decide: so a named directory that was replaced is named at once, and a single
 * file before it is there. */
#ifndef KANNUKI_WALK_H
#define KANNUKI_WALK_H

#include "maps.h"

/* A path of PATH_MAX bytes can be 2,048 levels deep; a walk that ends before it found
 * a root is user space: what lies deeper does not launch. */
#define MAX_DEPTH 256

/* Levels of named directories below a root that were not there when the policy was
 * put in force. */
#define MAX_WAITING 4

struct walk {
	__u64 dentry;
	__u64 below[MAX_WAITING]; /* the last ones passed, nearest first */
	struct root_key key;
	struct place *found;
	__u32 depth;
};

/* Or the compiler leaves out bounds it knows to hold and the verifier does not. */
#define bounded(x, most) ({ __u32 __x = (x) & ((most) - 1); asm volatile("" : "+r"(__x)); __x & ((most) - 1); })

static __always_inline bool name_key_of(struct name_key *key, __u64 dentry)
{
	__builtin_memset(key->name, 0, NAME_LEN);
	/* A longer name is cut, so it must not be taken for a listed one: listed names are
	 * shorter than the key (checked where the policy is compiled). */
	return bpf_probe_read_kernel_str(key->name, NAME_LEN, READ(dentry, dentry, d_name.name)) < NAME_LEN;
}

static __always_inline struct place *place_named(struct place *dir, __u64 dentry, __u64 gen)
{
	struct name_key key = { .node = dir->node, .generation = gen };

	if (!(dir->flags & PLACE_HOLDS) || !name_key_of(&key, dentry))
		return NULL;
	return bpf_map_lookup_elem(&names, &key);
}

static long step(__u32 i, struct walk *w)
{
	__u64 parent = (__u64)READ(dentry, w->dentry, d_parent);
	__u64 inode = (__u64)READ(dentry, w->dentry, d_inode);

	if (inode) {
		w->key.ino = READ(inode, inode, i_ino);
		w->key.igen = READ(inode, inode, i_generation);
		w->found = bpf_map_lookup_elem(&roots, &w->key);
		if (w->found)
			return 1;
	}
	if (parent == w->dentry)
		return 1;
	w->below[3] = w->below[2];
	w->below[2] = w->below[1];
	w->below[1] = w->below[0];
	w->below[0] = w->dentry;
	w->dentry = parent;
	w->depth++;
	return 0;
}

/* Verifiers before 6.7 go through what bpf_loop calls once, and leave out what they take
 * for impossible after that: what is counted from a known 0 would never be more than 1.
 * So such counts begin with a 0 that is not known: that of a read which fails. */
#define begin_at_zero(what) bpf_probe_read_kernel(&(what), sizeof(what), NULL)

struct descent {
	struct place *at;
	struct walk *w;
	__u32 exact;
};

static long step_down(__u32 i, struct descent *d)
{
	struct place *named;
	struct walk *w = d->w;
	__u64 below;

	if (!d->at || i >= MAX_WAITING || d->exact)
		return 1;
	below = w->below[bounded(i, MAX_WAITING)];
	if (!below)
		return 1;
	named = place_named(d->at, below, w->key.generation);
	if (!named || (named->flags & PLACE_FILE))
		return 1;
	d->at = named;
	d->exact = w->depth == i + 1;
	return 0;
}

struct search {
	__u64 dentry;
	struct name_key key;
	__u32 left;
	__u32 rule;
	__u32 hit;
};

static long find_user_name(__u32 i, struct search *s)
{
	__u32 *rule;

	if (!s->left)
		return 1;
	s->left--;
	if (name_key_of(&s->key, s->dentry)) {
		rule = bpf_map_lookup_elem(&user_names, &s->key);
		if (rule) {
			s->rule = *rule;
			s->hit = 1;
			return 1;
		}
	}
	s->dentry = (__u64)READ(dentry, s->dentry, d_parent);
	return 0;
}

/* Web applications keep uploads at a depth only they know: a directory with one of
 * these names is user space. */
int carve(__u64 dir, __u32 depth, __u64 gen, struct place *found)
{
	struct search s = { .dentry = dir, .left = depth };
	__u32 node;

	if (!found || !depth)
		return 0;
	s.key.generation = gen;
	bpf_loop(MAX_DEPTH, find_user_name, &s, 0);
	if (!s.hit)
		return 0;
	node = found->node;
	__builtin_memset(found, 0, sizeof(*found));
	found->flags = PLACE_USER;
	found->node = node;
	found->launch_rule = s.rule;
	found->write_rule = s.rule;
	return 0;
}

/* The second word of an inode's key: its device below its generation. The file system is
 * handed over: found through a dentry's parent it costs less, see find_label. */
static __always_inline __u64 rest_of_key(struct inode *inode, struct super_block *sb)
{
	return sb->s_dev | (__u64)inode->i_generation << 32;
}

static __always_inline void inode_key_at(struct inode_key *key, __u64 inode)
{
	key->ino = READ(inode, inode, i_ino);
	key->dev = READ(inode, inode, i_sb, s_dev);
	key->igen = READ(inode, inode, i_generation);
}

static __always_inline volatile struct cached_place *spot_of(__u64 ino, __u32 dev)
{
	return &places[((ino ^ dev) * 0x9e3779b97f4a7c15ULL) >> (64 - PLACES_BITS)];
}

/* x86 does not reorder loads; elsewhere an atomic is the barrier that BPF has. */
#ifdef __TARGET_ARCH_x86
#define version_of(c) ((c)->version)
#else
#define version_of(c) __sync_fetch_and_add(&(c)->version, 0)
#endif
#define load_barrier() asm volatile("" ::: "memory")

static __always_inline bool is_current(volatile struct cached_place *c, __u64 ino, __u64 rest, __u64 gen, __u64 moves)
{
	return c->key.ino == ino && *(volatile __u64 *)&c->key.dev == rest && c->generation == gen && c->tree == moves;
}

/* The flags of a directory's place, where they are known: what nearly every question
 * ends with. Returns 0 where they have to be worked out. */
static __always_inline bool known_flags(struct inode *dir, struct super_block *sb, __u64 gen, __u32 *flags)
{
	__u64 ino = dir->i_ino, rest = rest_of_key(dir, sb), version;
	volatile struct cached_place *c = spot_of(ino, rest);

	version = version_of(c);
	load_barrier();
	if ((version & 1) || !is_current(c, ino, rest, gen, tree.moves))
		return false;
	*flags = c->place.flags;
	load_barrier();
	return version_of(c) == version;
}

/* The walk itself: up to the nearest root, and from there down again as far as names
 * go. Returns how far above dir the root lay. */
int work_out(__u64 dir, __u32 dev, __u64 gen, struct place *out)
{
	struct walk w = { .dentry = dir };
	struct descent d = { .w = &w };

	if (!out)
		return 0;
	w.key.dev = dev;
	w.key.generation = gen;
	begin_at_zero(w.below);
	begin_at_zero(w.depth);
	bpf_loop(MAX_DEPTH, step, &w, 0);
	if (!w.found)
		return 0;
	d.at = w.found;
	d.exact = w.depth == 0;
	bpf_loop(MAX_WAITING, step_down, &d, 0);
	if (!d.at)
		return 0;
	*out = *d.at;
	if (d.exact)
		out->flags |= PLACE_EXACT;
	else
		out->flags &= ~(PLACE_HOLDS | PLACE_PROGRAMS | PLACE_SIGNPOST | PLACE_EXACT);
	return w.depth;
}

/* A move of a directory between places is counted before it happens. Until it surely
 * has happened, what a walk finds is not kept: it may have gone the old way. */
#define SETTLE_NS 30000000000ULL

static __always_inline void moved(void)
{
	tree.settled = bpf_ktime_get_boot_ns() + SETTLE_NS;
	__sync_fetch_and_add(&tree.moves, 1);
}

static __always_inline void copy_place(struct place *to, volatile struct cached_place *from)
{
	volatile __u64 *words = (volatile __u64 *)&from->place;

#pragma unroll
	for (int i = 0; i < sizeof(*to) / 8; i++)
		((__u64 *)to)[i] = words[i];
}

static __always_inline void keep(struct inode_key *key, struct place *p, __u64 gen, __u64 moves)
{
	volatile struct cached_place *c = spot_of(key->ino, key->dev);
	__u64 version;

	if (bpf_ktime_get_boot_ns() < tree.settled)
		return;
	version = c->version;
	if ((version & 1) || __sync_val_compare_and_swap(&c->version, version, version + 1) != version)
		return; /* somebody else writes here */
	c->key.ino = key->ino;
	*(volatile __u64 *)&c->key.dev = *(__u64 *)&key->dev;
	c->generation = gen;
	c->tree = moves;
#pragma unroll
	for (int i = 0; i < sizeof(*p) / 8; i++)
		((volatile __u64 *)&c->place)[i] = ((__u64 *)p)[i];
	__sync_fetch_and_add(&c->version, 1);
}

/* include/uapi/linux/magic.h */
#define PROC_SUPER_MAGIC 0x9fa0
#define SYSFS_MAGIC 0x62656572
#define BINFMTFS_MAGIC 0x42494e4d
#define DEBUGFS_MAGIC 0x64626720
#define TRACEFS_MAGIC 0x74726163
#define SECURITYFS_MAGIC 0x73636673
#define CONFIGFS_MAGIC 0x62656570
#define EFIVARFS_MAGIC 0xde5e81e4
#define PSTOREFS_MAGIC 0x6165676c

/* Is this a file system whose files are switches of the kernel? */
static __always_inline bool is_kernels(unsigned long magic)
{
	return magic == PROC_SUPER_MAGIC || magic == SYSFS_MAGIC || magic == BINFMTFS_MAGIC || magic == DEBUGFS_MAGIC || magic == TRACEFS_MAGIC ||
	       magic == SECURITYFS_MAGIC || magic == CONFIGFS_MAGIC || magic == EFIVARFS_MAGIC || magic == PSTOREFS_MAGIC;
}

/* The place of dir, a dentry of a directory. out is all zero before. */
int place_of_dir(__u64 dir, __u64 gen, struct place *out)
{
	__u64 inode = (__u64)READ(dentry, dir, d_inode);
	volatile struct cached_place *c;
	struct inode_key key;
	__u64 version, seen;
	int depth;

	if (!inode || !out)
		return 0;
	seen = tree.moves;
	inode_key_at(&key, inode);
	c = spot_of(key.ino, key.dev);
	version = version_of(c);
	load_barrier();
	if (!(version & 1) && is_current(c, key.ino, *(__u64 *)&key.dev, gen, seen)) {
		copy_place(out, c);
		load_barrier();
		if (version_of(c) == version)
			return 0;
		__builtin_memset(out, 0, sizeof(*out));
	}
	depth = work_out(dir, key.dev, gen, out);
	if (is_kernels(READ(inode, inode, i_sb, s_magic)))
		out->flags |= PLACE_KERNEL;
	if (out->flags & PLACE_NAMES)
		carve(dir, depth, gen, out);
	keep(&key, out, gen, seen);
	return 0;
}

/* A file that was opened by its handle (open_by_handle_at) may hang in the air: where it
 * lies is not known, so nobody changes it and nothing launches it. */
static __always_inline bool is_disconnected(__u64 dentry)
{
	return (__u64)READ(dentry, dentry, d_parent) == dentry && READ(dentry, dentry, d_sb, s_bdev) &&
	       (__u64)READ(dentry, dentry, d_sb, s_root) != dentry;
}

/* The place of a name in a directory, whatever it names or will name. */
int place_of_name(__u64 dentry, __u64 gen, struct place *out)
{
	struct place *p;

	if (!out)
		return 0;
	if (is_disconnected(dentry)) {
		out->flags = PLACE_SEALED;
		return 0;
	}
	place_of_dir((__u64)READ(dentry, dentry, d_parent), gen, out);
	p = place_named(out, dentry, gen);
	if (p)
		*out = *p;
	else
		out->flags &= ~PLACE_SIGNPOST;
	return 0;
}

static __always_inline bool is_directory(__u64 dentry)
{
	__u64 inode = (__u64)READ(dentry, dentry, d_inode);

	return inode && S_ISDIR(READ(inode, inode, i_mode));
}

/* The place of what dentry names: a directory's own, else that of its name. */
int place_of(__u64 dentry, __u64 gen, struct place *out)
{
	if (!out)
		return 0;
	if (is_directory(dentry))
		return place_of_dir(dentry, gen, out);
	return place_of_name(dentry, gen, out);
}

#endif
