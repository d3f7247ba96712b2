/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Scripts: a listed interpreter opens no code of user space – neither a file with a
 * code extension nor the one its arguments name as its script. */
#ifndef KANNUKI_SCRIPT_H
#define KANNUKI_SCRIPT_H

#include "arguments.h"
#include "surface.h"

/* What is opened for reading. */
struct opened {
	__u64 dentry;
	__u64 name; /* where it lies, of len bytes */
	__u32 len;
	__u32 place; /* flags of its directory's place; PLACE_HOLDS where only its name tells */
	__u32 regular;
	__u32 pad;
};

/* The extension of a name, with its dot, is the key: the last eight bytes of the name
 * as a number, first byte lowest, shifted until the last dot is the first byte. */
static __always_inline bool has_code_extension(struct opened *o, __u64 gen)
{
	const unsigned char *name = (const unsigned char *)o->name;
	struct extension_key key = { .generation = gen };
	__u32 len = o->len;
	__u64 tail = 0;

	if (len < 3)
		return false;
	if (len >= 8) {
		if (bpf_probe_read_kernel(&tail, 8, name + len - 8))
			return false;
	} else {
		if (bpf_probe_read_kernel(&tail, 8, name)) /* names are stored in 32 bytes or more */
			return false;
		tail <<= (8 - len) * 8;
	}
#pragma unroll
	for (int i = 0; i < 7; i++)
		if (((tail >> (i * 8)) & 0xff) == '.')
			key.extension = tail >> (i * 8);
	return key.extension && bpf_map_lookup_elem(&extensions, &key) != NULL;
}

/* Is one of the scripts known by this word, as far as mask goes? */
static __always_inline bool is_script(struct label *l, __u64 word, __u64 mask)
{
	__u32 found = l->found;

#pragma unroll
	for (int i = 0; i < MAX_SCRIPTS; i++)
		if (i < found && !((l->scripts[i] ^ word) & mask))
			return true;
	return false;
}

/* Could the name be that of a script, by its first letters? */
static __always_inline bool begins_as_script(struct label *l, struct opened *o)
{
	__u32 first = 0;

	bpf_probe_read_kernel(&first, 4, (void *)o->name); /* names are stored in 32 bytes or more */
	if (o->len < 4)
		first &= (1U << (o->len * 8)) - 1;
	return is_script(l, first, WORD_FIRST);
}

/* Most interpreters that go on for long: their code came from elsewhere. */
static __always_inline bool names_nothing(struct label *l)
{
	return l->arguments_read && !l->found && !l->any_script;
}

#define PATH_PARTS_MAX 17 /* of a path of PATH_MAX bytes */

static long hash_part(__u32 i, struct interpreter *in)
{
	struct reading *r = in->r;
	long n;

	if (!r)
		return 1;
	n = bpf_probe_read_kernel_str(r->piece, PART_OF_WORD, (void *)r->value);
	if (n <= 1)
		return 1;
	r->value += n - 1;
	bpf_loop(PART_OF_WORD, hash_byte, in, 0);
	return n < PART_OF_WORD;
}

/* Hashes the last element of a path or name in the kernel's memory and tells whether it
 * is one of the scripts. */
int is_path_of_script(struct label *l, struct reading *r, __u64 path)
{
	struct interpreter in = { .r = r };

	if (!l || !r || !path)
		return 0;
	r->value = path;
	begin_hash(r);
	bpf_loop(PATH_PARTS_MAX, hash_part, &in, 0);
	return is_script(l, word_of(r), ~0ULL);
}

/* The path that is being opened, where it goes through links: a link may have another
 * name than what it leads to. 0 where it goes through none. */
static __always_inline __u64 path_with_links(void)
{
	__u64 walk = (__u64)READ(task_struct, bpf_get_current_task(), nameidata);

	if (!walk || !READ(nameidata, walk, total_link_count))
		return 0;
	return (__u64)READ(nameidata, walk, name, name);
}

static __always_inline struct reading *reading(void)
{
	return bpf_task_storage_get(&readings, bpf_get_current_task_btf(), NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
}

/* What the arguments name as a link has been opened itself: where it led to is decided. */
int link_opened(struct label *l)
{
	if (l && l->linked && is_path_of_script(l, reading(), path_with_links()))
		l->linked = 0;
	return 0;
}

/* Do the interpreter's arguments name the file as its script: by the name it has or the
 * one it is opened by? A name without directories is searched for, so only last elements
 * are compared. */
int named_as_script(struct label *l, struct opened *o)
{
	struct reading *r;

	if (!l || !o)
		return 0;
	if (names_nothing(l))
		return l->linked;
	if (l->arguments_read && !l->any_script && !begins_as_script(l, o) && !path_with_links())
		return l->linked;
	r = reading();
	if (!r || (!l->arguments_read && !read_arguments(l, r)) || l->any_script)
		return 1;
	if (is_path_of_script(l, r, o->name))
		return 1;
	if (!is_path_of_script(l, r, path_with_links()))
		return l->linked;
	l->linked = 0;
	return 1;
}

/* An interpreter opens a file for reading. */
int on_script(struct opened *o, struct label *l, __u64 gen)
{
	struct place p = {};
	__u32 place;

	if (!l || !o)
		return 0;
	place = o->place;
	if (o->regular && (place & PLACE_HOLDS)) {
		place_of_name(o->dentry, gen, &p);
		place = p.flags | PLACE_HOLDS;
	}
	if (!o->regular || (place & PLACE_LAUNCHES))
		return l->linked ? link_opened(l) : 0;
	if (!has_code_extension(o, gen) && !named_as_script(l, o))
		return 0;
	if (!(place & PLACE_HOLDS))
		place_of_name(o->dentry, gen, &p);
	return refuse_launch(o->dentry, &p, OP_SCRIPT, gen);
}

/* One more name of the script. */
static __always_inline bool also_script(struct label *l, __u64 word)
{
	__u32 n = l->found;

	asm volatile("" : "+r"(n));
	if (n >= MAX_SCRIPTS)
		return false;
	l->scripts[n] = word;
	l->found = n + 1;
	return true;
}

/* An interpreter follows a link, perhaps only to learn where it leads to and to open that
 * by its own name: when its arguments name the link, they name what it leads to. */
int follow(struct label *l, __u64 dentry, __u64 inode, __u64 gen)
{
	struct place p = {};
	struct reading *r;
	__u64 target;

	if (!l)
		return 0;
	r = reading();
	if (!r || (!l->arguments_read && !read_arguments(l, r)) || l->any_script)
		return 0;
	if (!is_path_of_script(l, r, (__u64)READ(dentry, dentry, d_name.name)))
		return 0;
	target = (__u64)READ(inode, inode, i_link);
	if (target && (is_path_of_script(l, r, target) || also_script(l, word_of(r))))
		return 0;
	if (!target) {
		/* Its text is not at hand. Nobody lays links into system space. */
		place_of_name(dentry, gen, &p);
		if (p.flags & PLACE_LAUNCHES)
			return 0;
	}
	l->linked = 1;
	tree.linked = 1;
	return 0;
}

static __always_inline void on_link_followed(struct dentry *dentry, struct inode *inode)
{
	struct label *l = label_of_current();
	__u64 gen = generation();

	if (gen && l && (l->flags & LABEL_INTERPRETER) && !names_nothing(l))
		follow(l, number(dentry), number(inode), gen);
}

/* Does a name end with .ko, .ko.gz, .ko.xz or .ko.zst? */
static __always_inline bool is_module_name(__u64 dentry)
{
	__u64 name = (__u64)READ(dentry, dentry, d_name.name);
	__u32 len = READ(dentry, dentry, d_name.len);
	char end[8] = {};

	if (len < 7) /* shorter ones are read from the start */
		bpf_probe_read_kernel(end + 4, 3, (void *)(name + len - (len < 3 ? len : 3)));
	else
		bpf_probe_read_kernel(end, 7, (void *)(name + len - 7));
	return (end[4] == '.' && end[5] == 'k' && end[6] == 'o') || (end[1] == '.' && end[2] == 'k' && end[3] == 'o' && end[4] == '.') ||
	       (end[0] == '.' && end[1] == 'k' && end[2] == 'o' && end[3] == '.');
}

/* kmod opens a file: a module, or its own configuration, which lies in system space. Of
 * others only what is called a module is asked about. */
int on_module_file(__u64 dentry, __u32 flags, __u64 gen)
{
	__u64 inode = (__u64)READ(dentry, dentry, d_inode);
	unsigned long magic = READ(dentry, dentry, d_sb, s_magic);
	struct place p = {};

	if (!(flags & LABEL_LOADER) && !is_module_name(dentry))
		return 0;
	if (!inode || !S_ISREG(READ(inode, inode, i_mode)) || magic == PROC_SUPER_MAGIC || magic == SYSFS_MAGIC)
		return 0;
	place_of_name(dentry, gen, &p);
	if (p.flags & PLACE_LAUNCHES)
		return 0;
	return refuse_launch(dentry, &p, OP_MODULE, gen);
}

#endif
