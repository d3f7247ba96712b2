/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Telling the agent. By the time anything here runs the verdict stands: a full ring
 * loses an event and is counted, it never allows. */
#ifndef KANNUKI_EVENT_H
#define KANNUKI_EVENT_H

#include "maps.h"

#define QUIET_NS 1000000000ULL /* the same event within a second is only counted */

/* The names from dentry upwards, as many as fit; the agent turns them round. */
static __always_inline void name_path(struct event *e, struct dentry *dentry)
{
	struct dentry *d = dentry;
	struct dentry *parent;

#pragma unroll
	for (int i = 0; i < PATH_PARTS; i++) {
		bpf_probe_read_kernel_str(e->path[i], PART_LEN, d->d_name.name);
		e->parts = i + 1;
		parent = d->d_parent;
		if (parent == d)
			break;
		d = parent;
	}
}

/* How many events of this kind to say now: 0 when one was said a moment ago. */
static __always_inline __u32 how_many(struct told_key *key)
{
	__u64 now = bpf_ktime_get_boot_ns();
	struct told *t = bpf_map_lookup_elem(&told, key);
	struct told fresh = { .at = now };
	__u32 n;

	if (!t) {
		bpf_map_update_elem(&told, key, &fresh, BPF_ANY);
		return 1;
	}
	if (now - t->at < QUIET_NS) {
		__sync_fetch_and_add(&t->count, 1);
		return 0;
	}
	n = t->count + 1;
	t->count = 0;
	t->at = now;
	return n;
}

static __always_inline void fill(struct event *e, __u32 op, __u32 control, bool refused, struct root *r, __u32 flags)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct task_struct *parent = task->real_parent;

	e->at = bpf_ktime_get_boot_ns();
	e->op = op;
	e->control = control;
	e->refused = refused;
	e->rule = r->rule;
	e->space = r->space;
	e->flags = flags;
	e->pid = task->tgid;
	e->ppid = parent->tgid;
	e->uid = task->cred->uid.val;
	e->loginuid = task->loginuid.val;
	bpf_probe_read_kernel_str(e->comm, sizeof(e->comm), task->comm);
	bpf_probe_read_kernel_str(e->parent_comm, sizeof(e->parent_comm), parent->comm);
}

static __always_inline void tell(__u32 op, __u32 control, bool refused, struct dentry *dentry, struct root *r, __u32 flags)
{
	struct told_key key = { .tgid = bpf_get_current_pid_tgid() >> 32, .op = op, .rule = r->rule };
	struct inode *inode = dentry ? dentry->d_inode : NULL;
	struct event *e;
	__u32 n;

	count(refused ? COUNT_REFUSED : COUNT_OBSERVED);
	if (inode)
		key.ino = inode->i_ino;
	n = how_many(&key);
	if (!n) {
		count(COUNT_SUMMED);
		return;
	}
	if (refused)
		e = bpf_ringbuf_reserve(&refusals, sizeof(*e), 0);
	else
		e = bpf_ringbuf_reserve(&notes, sizeof(*e), 0);
	if (!e) {
		count(refused ? COUNT_LOST : COUNT_NOTES_LOST);
		return;
	}
	__builtin_memset(e, 0, sizeof(*e));
	fill(e, op, control, refused, r, flags);
	e->count = n;
	if (dentry) {
		e->ino = key.ino;
		e->dev = dentry->d_sb->s_dev;
		name_path(e, dentry);
	}
	bpf_ringbuf_submit(e, 0);
}

/* The verdict on something the policy refuses: refused where the control enforces,
 * told where it observes. */
static __always_inline int refuse(__u32 op, __u32 control, struct dentry *dentry, struct root *r, __u32 flags, __u64 gen)
{
	struct config *c = bpf_map_lookup_elem(&configs, &gen);
	bool enforce;

	if (!c || !((c->enforce | c->observe) & control))
		return 0;
	enforce = c->enforce & control;
	tell(op, control, enforce, dentry, r, flags);
	return enforce ? -EPERM : 0;
}

#endif
