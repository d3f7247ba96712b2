/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Write: who may change what lies where. Read: what contained processes may not read. */
#ifndef KANNUKI_WRITE_H
#define KANNUKI_WRITE_H

#include "contain.h"
#include "launch.h"

/* The account a file belongs to may change it where the place says so; never root. */
static __always_inline bool own_file(__u64 dentry)
{
	__u64 inode = (__u64)READ(dentry, dentry, d_inode);
	__u32 uid = READ(task_struct, bpf_get_current_task(), cred, fsuid.val);

	if (!inode)
		inode = (__u64)READ(dentry, dentry, d_parent, d_inode);
	return uid && inode && READ(inode, inode, i_uid.val) == uid;
}

/* Is a change refused to a process with these flags? */
static __always_inline bool closed(struct place *p, __u32 flags, __u64 dentry)
{
	if (flags & LABEL_AGENT)
		return false;
	if ((flags & LABEL_UPDATER) && (p->flags & (PLACE_GUARD | PLACE_FILE)) != PLACE_GUARD)
		return false;
	if (p->flags & PLACE_SEALED)
		return true;
	if (!(flags & LABEL_CONTAINED))
		return false;
	if (p->flags & PLACE_CONFIG)
		return true;
	if (p->flags & PLACE_DATA)
		return !((p->flags & PLACE_BY_ACCOUNT) && own_file(dentry));
	/* What may not be read may not be moved to where it could be, either. */
	return p->flags & PLACE_PRIVATE;
}

int refuse_change(struct place *p, __u64 dentry, __u32 op, struct label *l, __u32 flags)
{
	struct matter m = { .op = op, .control = CONTROL_WRITE, .flags = flags };

	if (!p)
		return 0;
	m.generation = generation();
	/* What is the guard's own no grant opens. */
	if (!(p->flags & PLACE_GUARD) && (descends(l, p->writers, m.generation) || granted(l, flags, dentry, TARGET_WRITE)))
		return 0;
	m.rule = p->write_rule;
	if (!(p->flags & (PLACE_SEALED | PLACE_CONFIG | PLACE_DATA | PLACE_SIGNPOST))) {
		if (descends(l, p->readers, m.generation))
			return 0;
		m.rule = p->private_rule;
	}
	m.place = p->flags;
	return refuse(&m, dentry);
}

#define PLACE_CLOSES (PLACE_SEALED | PLACE_CONFIG | PLACE_DATA | PLACE_PRIVATE)

int change_at(struct place *p, __u64 dentry, __u32 op, struct label *l)
{
	__u32 flags;

	if (!p || !(p->flags & PLACE_CLOSES))
		return 0;
	/* Nobody in particular: only sealed places are closed to him. */
	if (!l && !(p->flags & PLACE_SEALED))
		return 0;
	flags = flags_of(l);
	if (!closed(p, flags, dentry))
		return 0;
	return refuse_change(p, dentry, op, l, flags);
}

/* The place flags that could close something to a task: to one without a label, nothing
 * but sealed places. */
static __always_inline __u32 closing(bool labelled)
{
	return labelled ? PLACE_CLOSES | PLACE_DEPUTY | PLACE_HOLDS | PLACE_KERNEL : PLACE_SEALED | PLACE_HOLDS | PLACE_KERNEL;
}

/* Is it known already that a process may change what lies in this directory? */
static __always_inline bool open_to(bool labelled, struct inode *dir, struct super_block *sb, __u64 gen)
{
	__u32 flags;

	return dir && known_flags(dir, sb, gen, &flags) && !(flags & closing(labelled));
}

/* The same of the current process, and of what dentry names, which is there. */
static __always_inline bool is_open(struct dentry *dentry, __u64 gen)
{
	struct dentry *parent = dentry->d_parent;
	struct inode *inode = dentry->d_inode;

	return open_to(may_be_labelled(), inode && S_ISDIR(inode->i_mode) ? inode : parent->d_inode, parent->d_sb, gen);
}

int change_slowly(__u64 dentry, __u32 op, __u64 gen)
{
	struct place p = {};
	struct label *l;
	int verdict = 0;

	place_of(dentry, gen, &p);
	if (!(p.flags & (PLACE_CLOSES | PLACE_KERNEL)))
		return 0;
	l = find_label();
	if (p.flags & PLACE_KERNEL)
		verdict = change_kernel(dentry, l);
	return verdict ? verdict : change_at(&p, dentry, op, l);
}

/* A change of what dentry names: its content, mode, owner, attributes. */
static __always_inline int change(struct dentry *dentry, __u32 op)
{
	__u64 gen = generation();

	if (!gen || is_open(dentry, gen))
		return 0;
	return change_slowly(number(dentry), op, gen);
}

static __always_inline int replaces_deputy(struct place *p, __u64 dentry, __u32 op, struct label *l, __u64 gen)
{
	return p && (p->flags & PLACE_DEPUTY) && (flags_of(l) & LABEL_CONTAINED) ? refuse_deputy(p, dentry, op, l, gen) : 0;
}

/* A change of a name in its directory: create, remove, rename. Named places lie below
 * a signpost: a contained process that moved it could put others in their stead. */
int change_name(__u64 dentry, __u32 op, struct label *l, __u64 gen)
{
	struct place p = {};
	struct place *named;
	__u32 flags;
	int verdict;

	place_of_dir((__u64)READ(dentry, dentry, d_parent), gen, &p);
	named = place_named(&p, dentry, gen);
	/* Who puts his own socket where a deputy's was answers in its stead. */
	verdict = replaces_deputy(named ? named : &p, dentry, op, l, gen);
	if (verdict)
		return verdict;
	if (!named) {
		verdict = change_at(&p, dentry, op, l);
		if (verdict || !is_directory(dentry))
			return verdict;
		/* A directory that is named by itself, and lies elsewhere by now. */
		__builtin_memset(&p, 0, sizeof(p));
		place_of_dir(dentry, gen, &p);
		return p.flags & PLACE_EXACT ? change_at(&p, dentry, op, l) : 0;
	}
	p = *named;
	verdict = change_at(&p, dentry, op, l);
	if (verdict)
		return verdict;
	if ((p.flags & PLACE_SIGNPOST) && op != OP_MKDIR) {
		flags = flags_of(l);
		if (flags & LABEL_CONTAINED)
			return refuse_change(&p, dentry, op, l, flags);
	}
	/* A named place was made, moved or removed: the agent looks where it lies now. */
	if (!(p.flags & PLACE_FILE))
		note(OP_MOVED, 0, dentry, gen);
	return 0;
}

/* A change of a name that is no directory's: a new one, or that of a file. */
static __always_inline int name_changes(struct dentry *dentry, __u32 op)
{
	struct dentry *parent = dentry->d_parent;
	__u64 gen = generation();

	if (!gen || open_to(may_be_labelled(), parent->d_inode, parent->d_sb, gen))
		return 0;
	return change_name(number(dentry), op, find_label(), gen);
}

/* A deputy's socket is that by its name: a contained process gives it no other one unless
 * it may connect there. */
int keeps_name(__u64 dentry, __u32 op, struct label *l, __u64 gen)
{
	struct place p = {};

	if (!(flags_of(l) & LABEL_CONTAINED) || !READ(dentry, dentry, d_inode))
		return 0;
	place_of(dentry, gen, &p);
	return refuse_deputy(&p, dentry, op, l, gen);
}

/* What lies below a directory that something is mounted on is another's then. */
int covers_named(__u64 dentry, struct label *l, __u64 gen)
{
	__u32 flags = flags_of(l);
	struct place p = {};

	if (!l || !(flags & LABEL_CONTAINED))
		return 0;
	place_of(dentry, gen, &p);
	return p.flags & PLACE_SIGNPOST ? refuse_change(&p, dentry, OP_MOUNT, l, flags) : 0;
}

/* Does a directory that moves between these two change its place? */
int between_places(__u64 old, __u64 new, __u64 gen)
{
	struct place a = {}, b = {};
	__u32 flags;

	place_of_dir(old, gen, &b);
	flags = b.flags;
	__builtin_memset(&b, 0, sizeof(b));
	place_of_dir((__u64)READ(dentry, old, d_parent), gen, &a);
	place_of_dir((__u64)READ(dentry, new, d_parent), gen, &b);
	return a.node != b.node || a.flags != b.flags || (a.flags & (PLACE_NAMES | PLACE_HOLDS)) || (flags & PLACE_EXACT);
}

int rename_slowly(__u64 old, __u64 new, __u64 gen)
{
	struct label *l = find_label();
	int verdict = keeps_name(old, OP_RENAME, l, gen);

	if (!verdict)
		verdict = keeps_name(new, OP_RENAME, l, gen); /* it may be an exchange */
	if (!verdict)
		verdict = change_name(old, OP_RENAME, l, gen);
	if (!verdict)
		verdict = change_name(new, OP_RENAME, l, gen);
	if (!verdict && (is_directory(old) || is_directory(new)) && between_places(old, new, gen))
		moved();
	return verdict;
}

/* A file gets one more name. */
int link_slowly(__u64 dentry, __u64 gen)
{
	int verdict = keeps_name(dentry, OP_LINK, find_label(), gen);

	return verdict ? verdict : change_slowly(dentry, OP_LINK, gen);
}

/* Set-user-ID files and the like are privileges for later. */
int raise_file(__u64 dentry)
{
	struct matter m = { .op = OP_SETUID, .control = CONTROL_WRITE };

	m.flags = flags_of(find_label());
	m.generation = generation();
	if (!m.generation || !(m.flags & LABEL_CONTAINED))
		return 0;
	return refuse(&m, dentry);
}

/* Opened for writing: no directory. */
static __always_inline int on_open_write(struct dentry *dentry, struct inode *inode, struct task_struct *leader, bool labelled)
{
	struct super_block *sb = dentry->d_sb;
	__u64 gen = generation();
	struct label *l;
	int verdict;

	if (!gen)
		return 0;
	if (!open_to(labelled, dentry->d_parent->d_inode, sb, gen)) {
		verdict = change_slowly(number(dentry), OP_OPEN_WRITE, gen);
		if (verdict)
			return verdict;
	}
	l = labelled ? bpf_task_storage_get(&labels, leader, NULL, 0) : NULL;
	/* What is made without a name (O_TMPFILE) was not asked about before. */
	if (l && raising(inode->i_mode)) {
		verdict = raise_file(number(dentry));
		if (verdict)
			return verdict;
	}
	if (l || tree.made)
		remember_maker(inode, sb, l);
	return 0;
}

/* A contained process opens something for reading. */
int on_contained_read(__u64 dentry, struct label *l, __u32 flags, __u64 gen)
{
	struct matter m = { .op = OP_READ, .control = CONTROL_PRIVATE, .flags = flags, .generation = gen };
	struct place p = {};
	int verdict;

	place_of(dentry, gen, &p);
	if (!l || !(p.flags & PLACE_PRIVATE))
		return 0;
	verdict = check_privileges(flags, gen);
	if (verdict)
		return verdict;
	if (descends(l, p.readers, gen))
		return 0;
	m.rule = p.private_rule;
	m.place = p.flags;
	return refuse(&m, dentry);
}

#endif
