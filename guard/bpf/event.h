/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Telling the agent. By the time anything here runs the verdict stands: a full ring
 * loses an event and is counted, it never allows. */
#ifndef KANNUKI_EVENT_H
#define KANNUKI_EVENT_H

#include "walk.h"

#define QUIET_NS 1000000000ULL /* the same event within a second is only counted */

struct naming {
	struct event *e;
	__u64 dentry;
};

static long name_part(__u32 i, struct naming *n)
{
	struct event *e = n->e;
	__u64 parent;

	if (!e || i >= PATH_PARTS)
		return 1;
	bpf_probe_read_kernel_str(e->path[bounded(i, PATH_PARTS)], PART_LEN, READ(dentry, n->dentry, d_name.name));
	e->parts = i + 1;
	parent = (__u64)READ(dentry, n->dentry, d_parent);
	if (parent == n->dentry)
		return 1;
	n->dentry = parent;
	return 0;
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

/* What is told about. */
struct matter {
	__u32 op;
	__u32 control;
	__u32 rule;
	__u32 place; /* enum place_flag */
	__u32 flags; /* the actor's */
	__u32 refused;
	__u64 generation;
};

static __always_inline void fill(struct event *e, struct matter *m)
{
	__u64 task = bpf_get_current_task();
	__u64 parent = (__u64)READ(task_struct, task, real_parent);

	e->at = bpf_ktime_get_boot_ns();
	e->op = m->op;
	e->control = m->control;
	e->refused = m->refused;
	e->rule = m->rule;
	e->place = m->place;
	e->flags = m->flags;
	e->generation = m->generation;
	e->pid = READ(task_struct, task, tgid);
	e->ppid = READ(task_struct, parent, tgid);
	e->uid = READ(task_struct, task, cred, uid.val);
	e->loginuid = READ(task_struct, task, loginuid.val);
	BPF_CORE_READ_STR_INTO(&e->comm, (struct task_struct *)task, comm);
	BPF_CORE_READ_STR_INTO(&e->parent_comm, (struct task_struct *)parent, comm);
}

int tell(struct matter *m, __u64 dentry)
{
	struct told_key key = { .tgid = bpf_get_current_pid_tgid() >> 32 };
	struct naming naming = { .dentry = dentry };
	struct event *e;
	__u64 ino = 0;
	__u32 n;

	if (!m)
		return 0;
	key.op = m->op;
	key.rule = m->rule;
	if (m->op < OP_CONTAINED)
		count(m->refused ? COUNT_REFUSED : COUNT_OBSERVED);
	if (dentry)
		ino = READ(dentry, dentry, d_inode, i_ino);
	/* What is not there yet is told from other names that are not. */
	key.ino = ino ? ino : dentry;
	n = how_many(&key);
	if (!n) {
		count(COUNT_SUMMED);
		return 0;
	}
	if (m->refused)
		e = bpf_ringbuf_reserve(&refusals, sizeof(*e), 0);
	else
		e = bpf_ringbuf_reserve(&notes, sizeof(*e), 0);
	if (!e) {
		count(m->refused ? COUNT_LOST : COUNT_NOTES_LOST);
		return 0;
	}
	__builtin_memset(e, 0, sizeof(*e));
	fill(e, m);
	e->count = n;
	if (dentry) {
		e->ino = ino;
		e->dev = READ(dentry, dentry, d_sb, s_dev);
		naming.e = e;
		bpf_loop(PATH_PARTS, name_part, &naming, 0);
	}
	bpf_ringbuf_submit(e, 0);
	return 0;
}

/* The verdict on something the policy refuses: refused where the control enforces,
 * told where it observes. */
int refuse(struct matter *m, __u64 dentry)
{
	struct config *c;
	__u32 enforce;
	__u64 gen;

	if (!m)
		return 0;
	gen = m->generation;
	c = bpf_map_lookup_elem(&configs, &gen);
	if (!c || !((c->enforce | c->observe) & m->control))
		return 0;
	enforce = c->enforce;
	if (c->relaxed && bpf_ktime_get_boot_ns() < c->relaxed_until)
		enforce &= ~c->relaxed;
	m->refused = !!(enforce & m->control);
	tell(m, dentry);
	return m->refused ? -EPERM : 0;
}

/* A note: nothing was asked. */
static __always_inline void note(__u32 op, __u32 flags, __u64 dentry, __u64 gen)
{
	struct matter m = { .op = op, .flags = flags, .generation = gen };

	tell(&m, dentry);
}

#endif
