/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Launch: nothing runs from user space – no program, no library, no module. */
#ifndef KANNUKI_LAUNCH_H
#define KANNUKI_LAUNCH_H

#include "walk.h"
#include "label.h"
#include "event.h"

/* The account builders build for: the login's, else the one they run as. */
static __always_inline __u32 account(void)
{
	__u64 task = bpf_get_current_task();

	return in_session() ? READ(task_struct, task, loginuid.val) : READ(task_struct, task, cred, uid.val);
}

#define MADE_BY_ACCOUNT (1ULL << 63)

/* Who made what: the transaction of an updater, the account of a builder. */
static __always_inline __u64 maker(struct label *l, __u32 flags)
{
	if (!l)
		return 0;
	if (flags & LABEL_UPDATER)
		return l->transaction;
	if (flags & LABEL_BUILDER)
		return MADE_BY_ACCOUNT | account();
	return 0;
}

static __always_inline bool made_by(__u64 inode, __u64 who)
{
	struct inode_key key = {};
	__u64 *m;

	inode_key_at(&key, inode);
	m = bpf_map_lookup_elem(&made, &key);
	return m && who && *m == who;
}

/* A file of user space is being opened for writing: from now on it is of this maker,
 * or of nobody. */
static __always_inline void remember_maker(struct inode *inode, struct super_block *sb, struct label *l)
{
	__u64 who = maker(l, flags_of(l));
	struct inode_key key = {};
	__u64 *m;

	if (!who && !tree.made) /* on most hosts nothing ever is */
		return;
	key.ino = inode->i_ino;
	*(__u64 *)&key.dev = rest_of_key(inode, sb);
	if (who) {
		tree.made = 1;
		bpf_map_update_elem(&made, &key, &who, BPF_ANY);
		return;
	}
	m = bpf_map_lookup_elem(&made, &key);
	if (m)
		bpf_map_delete_elem(&made, &key);
}

struct within {
	__u64 dentry;
	__u64 from;
	struct transaction *t;
	__u32 what;
	__u16 at; /* the target that is tried */
	__u16 hit;
};

static long look_up(__u32 i, struct within *w)
{
	__u64 inode = (__u64)READ(dentry, w->dentry, d_inode);
	__u64 parent = (__u64)READ(dentry, w->dentry, d_parent);
	struct transaction *t = w->t;
	struct target *target;

	if (!t)
		return 1;
	target = &t->target[bounded(w->at, GRANT_TARGETS)];
	if (inode && READ(inode, inode, i_ino) == target->ino && READ(inode, inode, i_generation) == target->igen &&
	    READ(inode, inode, i_sb, s_dev) == target->dev) {
		w->hit = 1;
		return 1;
	}
	if (parent == w->dentry)
		return 1;
	w->dentry = parent;
	return 0;
}

static long try_target(__u32 i, struct within *w)
{
	struct transaction *t = w->t;
	__u32 at = i;

	if (!t || i >= t->targets)
		return 1;
	at = bounded(at, GRANT_TARGETS);
	if (!(t->target[at].what & w->what))
		return 0;
	w->at = at;
	w->dentry = w->from;
	bpf_loop(MAX_DEPTH, look_up, w, 0);
	return w->hit != 0;
}

/* Does the process's grant, if it has one, reach this? */
int granted(struct label *l, __u32 flags, __u64 dentry, __u32 what)
{
	struct within w = { .from = dentry, .what = what };
	__u64 id;

	if (!l || !(flags & LABEL_GRANT))
		return 0;
	id = l->transaction;
	w.t = bpf_map_lookup_elem(&transactions, &id);
	if (!w.t)
		return 0;
	if (!w.t->targets)
		return 1;
	bpf_loop(GRANT_TARGETS, try_target, &w, 0);
	return w.hit;
}

#define OVERLAYFS_SUPER_MAGIC 0x794c7630 /* include/uapi/linux/magic.h */

/* Was the file of an overlay written there, or copied up to be? Then its upper dentry
 * stands right behind its inode (struct ovl_inode of fs/overlayfs/ovl_entry.h, whose
 * module describes its types apart from the kernel). */
static __always_inline bool is_written_over(__u64 inode)
{
	__u64 upper = 1;

	bpf_probe_read_kernel(&upper, sizeof(upper), (void *)(inode + bpf_core_type_size(struct inode)));
	return upper;
}

/* A container's own files lie on an overlay that no place of the host is on. What a
 * container runtime has started launches from the layers of its image, not what was
 * written over them. */
static __always_inline bool in_container(struct label *l, __u64 dentry, __u64 inode, struct place *p, struct config *c, __u64 gen)
{
	return c && !p->node && READ(dentry, dentry, d_sb, s_magic) == OVERLAYFS_SUPER_MAGIC && descends(l, c->runtimes, gen) && !is_written_over(inode);
}

#define TMPFS_MAGIC 0x01021994 /* include/uapi/linux/magic.h */

/* Before it makes a container, its runtime starts a copy of itself from memory, so that the
 * container cannot write its file. In the container, where mounts are others, nobody does. */
static __always_inline bool is_copy_of_runtime(struct label *l, __u64 dentry, __u64 inode, struct config *c, __u64 gen)
{
	return c && !READ(inode, inode, i_nlink) && READ(dentry, dentry, d_sb, s_magic) == TMPFS_MAGIC &&
	       READ(task_struct, bpf_get_current_task(), nsproxy, mnt_ns, ns.inum) == the_agent.mounts && descends(l, c->runtimes, gen);
}

/* Exceptions for what lies in user space: own output and named services. */
int excepted(__u64 dentry, struct place *p, __u32 op, struct label *l, __u64 gen)
{
	__u64 inode = (__u64)READ(dentry, dentry, d_inode);
	__u32 flags = flags_of(l);
	struct config *c;

	if (!l || !inode || !p)
		return 0;
	if (granted(l, flags, dentry, TARGET_LAUNCH))
		return 1;
	if (descends(l, op == OP_SCRIPT ? p->coders : p->launchers, gen))
		return 1;
	c = bpf_map_lookup_elem(&configs, &gen);
	if (in_container(l, dentry, inode, p, c, gen))
		return 1;
	if (flags & LABEL_CONTAINED)
		return 0;
	if (is_copy_of_runtime(l, dentry, inode, c, gen))
		return 1;
	if (flags & LABEL_UPDATER)
		return (p->flags & PLACE_SCRATCH) && made_by(inode, l->transaction);
	if (!(flags & LABEL_BUILDER))
		return 0;
	if (!(p->flags & PLACE_OUTPUT) && !(c && c->builders_anywhere))
		return 0;
	/* A build runs the scripts of its sources too: those of the account itself. */
	if (op == OP_SCRIPT && READ(inode, inode, i_uid.val) == account() && !(READ(inode, inode, i_mode) & 022))
		return 1;
	return made_by(inode, MADE_BY_ACCOUNT | account());
}

/* Does a mode raise the privileges of whoever runs the file? */
static __always_inline bool raising(umode_t mode)
{
	return (mode & S_ISUID) || (mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP);
}

/* What is not launched from this place, but by who is excepted. */
int refuse_launch(__u64 dentry, struct place *p, __u32 op, __u64 gen)
{
	struct matter m = { .op = op, .control = CONTROL_LAUNCH, .generation = gen };
	struct label *l = find_label();

	if (!p || excepted(dentry, p, op, l, gen))
		return 0;
	m.rule = p->launch_rule;
	m.place = p->flags;
	m.flags = flags_of(l);
	return refuse(&m, dentry);
}

/* May the file be launched by the current task? */
int launch_slowly(__u64 dentry, __u32 op, __u64 gen)
{
	__u64 inode = (__u64)READ(dentry, dentry, d_inode);
	struct place p = {};

	place_of_name(dentry, gen, &p);
	/* An unlinked file (memfd, fexecve of a deleted file) lies nowhere. */
	if ((p.flags & PLACE_LAUNCHES) && inode && READ(inode, inode, i_nlink))
		return 0;
	return refuse_launch(dentry, &p, op, gen);
}

static __always_inline int launch(struct dentry *dentry, __u32 op)
{
	struct inode *dir = dentry->d_parent->d_inode, *inode = dentry->d_inode;
	__u64 gen = generation();
	__u32 flags;

	if (!gen)
		return 0;
	if (dir && inode && known_flags(dir, dentry->d_sb, gen, &flags) && (flags & (PLACE_LAUNCHES | PLACE_HOLDS)) == PLACE_LAUNCHES && inode->i_nlink)
		return 0;
	return launch_slowly(number(dentry), op, gen);
}

#define READING_MODULE 2 /* enum kernel_read_file_id, include/linux/kernel_read_file.h */
#define LOADING_MODULE 2 /* enum kernel_load_data_id, the same numbers */

static __always_inline int on_read_file(struct file *file, int id)
{
	if (id != READING_MODULE || !file)
		return 0;
	return launch(file->f_path.dentry, OP_MODULE);
}

/* A module from memory lies nowhere. kmod unpacks compressed modules itself and hands
 * them over this way, and so does udev, which has its library; what they open is looked at
 * when they open it. */
static __always_inline int on_load_data(int id, struct label *l)
{
	struct matter m = { .op = OP_MODULE, .control = CONTROL_LAUNCH };
	__u64 gen = generation();
	__u32 flags;

	if (!gen || id != LOADING_MODULE)
		return 0;
	flags = flags_of(l);
	if ((flags & (LABEL_LOADER | LABEL_MODULES)) && !(flags & LABEL_CONTAINED))
		return 0;
	m.generation = gen;
	m.flags = flags;
	return refuse(&m, 0);
}

#endif
