/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Process: contained processes do not reach into others, and gain no privileges. */
#ifndef KANNUKI_PROCESS_H
#define KANNUKI_PROCESS_H

#include "exec.h"

/* include/linux/ptrace.h */
#define PTRACE_MODE_ATTACH 0x02
#define PTRACE_MODE_NOAUDIT 0x04

/* Is the task one of the agent? */
static __always_inline bool of_agent(struct task_struct *task)
{
	struct label *l = bpf_task_storage_get(&labels, task->group_leader, NULL, 0);

	return l && (l->flags & LABEL_AGENT);
}

/* The service a task runs in, as a number: its uppermost control group called *.service,
 * or where there is none the group itself. */
static __always_inline __u64 service_of(__u64 task)
{
	struct unit_name u = {};
	__u64 kn = (__u64)READ(task_struct, task, cgroups, dfl_cgrp, kn);

	u.at = (struct kernfs_node *)kn;
	bpf_loop(MAX_CGROUPS, find_unit, &u, 0);
	return u.found ? (__u64)u.found : kn;
}

/* What concerns another process is refused to a contained one. */
int refuse_other(__u64 task, __u32 op, __u64 dentry, struct label *l)
{
	struct matter m = { .op = op, .control = CONTROL_PROCESS };
	__u64 current = bpf_get_current_task();
	struct config *c;

	m.flags = flags_of(l);
	m.generation = generation();
	if (!l || !m.generation || !(m.flags & LABEL_CONTAINED) || READ(task_struct, task, tgid) == READ(task_struct, current, tgid))
		return 0;
	if (op == OP_TRACE || op == OP_INSPECT) {
		c = bpf_map_lookup_elem(&configs, &m.generation);
		if (c && descends(l, c->tracers, m.generation))
			return 0;
	}
	if (op != OP_TRACE && service_of(task) == service_of(current))
		return 0;
	return refuse(&m, dentry);
}

/* What concerns the agent is refused to everybody but itself and the first process, which
 * starts and stops it. */
int refuse_about_agent(__u32 op, struct label *l)
{
	struct matter m = { .op = op, .control = CONTROL_SELF };

	m.flags = l ? l->flags : 0;
	m.generation = generation();
	if (!m.generation || (m.flags & LABEL_AGENT) || bpf_get_current_pid_tgid() >> 32 == 1)
		return 0;
	return refuse(&m, 0);
}

static __always_inline int about_other(struct task_struct *task, __u32 op, struct label *l)
{
	if (of_agent(task))
		return refuse_about_agent(op, l);
	return l ? refuse_other(number(task), op, 0, l) : 0;
}

static __always_inline int on_other(struct task_struct *task, __u32 op)
{
	return about_other(task, op, find_label());
}

/* Everybody sees which processes there are and what state they are in: there the kernel
 * asks without a record, for what it leaves out if need be. Contained processes get no
 * further: not to what another service has in its environment, nor to its open files and
 * its root directory. */
static __always_inline int on_trace(struct task_struct *task, __u32 mode)
{
	struct label *l = find_label();
	__u32 op = mode & PTRACE_MODE_ATTACH ? OP_TRACE : OP_INSPECT;

	if (op == OP_INSPECT && ((mode & PTRACE_MODE_NOAUDIT) || !(flags_of(l) & LABEL_CONTAINED)))
		return 0;
	return about_other(task, op, l);
}

/* A contained process offers itself to its parent, who is contained as well. */
static __always_inline int on_traceme(struct task_struct *parent)
{
	struct label *l = find_label();

	return l ? refuse_other(number(parent), OP_TRACE, 0, l) : 0;
}

#define SIGKILL 9
#define SIGTERM 15

/* Signal 0 asks whether it is there. Root ends the agent if he wants to and is not
 * contained: what is in force stays so, and systemd starts it again. Nobody stops it for a
 * while: that would only blind it. */
static __always_inline int on_signal(struct task_struct *task, int signal)
{
	struct label *l;

	if (!signal)
		return 0;
	l = find_label();
	if (!of_agent(task))
		return l ? refuse_other(number(task), OP_SIGNAL, 0, l) : 0;
	if ((signal == SIGKILL || signal == SIGTERM) && !(flags_of(l) & LABEL_CONTAINED))
		return 0;
	return refuse_about_agent(OP_SIGNAL, l);
}

/* The number a process has in its own namespace. */
static __always_inline int own_number(void)
{
	__u64 pid = (__u64)READ(task_struct, bpf_get_current_task(), group_leader, thread_pid);
	__u64 at = pid + bpf_core_field_offset(struct pid, numbers) + (__u64)READ(pid, pid, level) * bpf_core_type_size(struct upid);
	int nr = 0;

	bpf_probe_read_kernel(&nr, sizeof(nr), (void *)(at + bpf_core_field_offset(struct upid, nr)));
	return nr;
}

#define F_SETOWN 8
#define F_SETOWN_EX 15
#define FIOSETOWN 0x8901
#define SIOCSPGRP 0x8902

/* Whom a descriptor sends signals to is a way to send them: to itself, or to nobody. What
 * lies behind a pointer may be another's by the time it is read. */
int own_descriptor(__u64 whom)
{
	struct matter m = { .op = OP_SIGNAL, .control = CONTROL_PROCESS };

	m.flags = flags_of(find_label());
	m.generation = generation();
	if (!m.generation || !(m.flags & LABEL_CONTAINED) || !(int)whom || (int)whom == own_number())
		return 0;
	return refuse(&m, 0);
}

static __always_inline int on_owner(unsigned int cmd, unsigned long arg)
{
	if (cmd != F_SETOWN && cmd != F_SETOWN_EX)
		return 0;
	return own_descriptor(cmd == F_SETOWN ? arg : (__u32)-1);
}

#define CLONE_INTO_CGROUP 0x200000000ULL

/* A child that begins in another control group would be of another unit. */
int refuse_joining(struct label *l)
{
	struct matter m = { .op = OP_JOIN, .control = CONTROL_CONTAIN };

	m.flags = flags_of(l);
	m.generation = generation();
	return m.generation && (m.flags & LABEL_CONTAINED) ? refuse(&m, 0) : 0;
}

/* ── Privileges ───────────────────────────────────────────────────────────────────── */

/* What a set of credentials may do, and could. */
static __always_inline __u64 capabilities_of(__u64 cred)
{
	__u64 permitted = 0, effective = 0;

	bpf_probe_read_kernel(&permitted, 8, (void *)(cred + bpf_core_field_offset(struct cred, cap_permitted)));
	bpf_probe_read_kernel(&effective, 8, (void *)(cred + bpf_core_field_offset(struct cred, cap_effective)));
	return permitted | effective;
}

/* What the current thread may do now. Not what it borrowed: file systems borrow root's
 * credentials for a moment. */
static __always_inline void privileges_now(struct privileges *p)
{
	__u64 cred = (__u64)READ(task_struct, bpf_get_current_task(), real_cred);

	p->caps = capabilities_of(cred);
	p->userns = (__u64)READ(cred, cred, user_ns);
	p->root = !READ(cred, cred, uid.val) || !READ(cred, cred, euid.val) || !READ(cred, cred, suid.val);
}

static __always_inline struct privileges *privileges_of_current(void)
{
	return bpf_task_storage_get(&privileges, bpf_get_current_task_btf(), NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
}

static __always_inline bool more(struct privileges *now, struct privileges *had)
{
	return had->userns == now->userns && ((now->root && !had->root) || (!had->root && (now->caps & ~had->caps)));
}

/* Has a contained thread become more than it was? Then something of the kernel was made to
 * do it, or a program that runs: the process ends before it gets to use it. */
int check_gain(__u32 flags, __u64 gen, __u64 dentry)
{
	struct matter m = { .op = OP_GAIN, .control = CONTROL_PROCESS, .flags = flags, .generation = gen };
	struct privileges *had = privileges_of_current();
	struct privileges now = {};
	int verdict = 0;

	if (!had)
		return 0;
	privileges_now(&now);
	if (had->userns && more(&now, had)) {
		verdict = refuse(&m, dentry);
		if (verdict)
			bpf_send_signal(SIGKILL);
	}
	*had = now;
	return verdict;
}

static __always_inline int check_privileges(__u32 flags, __u64 gen)
{
	return check_gain(flags, gen, 0);
}

/* The privileges that a hook was asked for are no gain. What was had stays: the call may
 * still fail, and the next look takes it off again. */
int expect_privileges(__u64 new)
{
	struct privileges *had = privileges_of_current();

	if (!had)
		return 0;
	had->caps |= capabilities_of(new);
	return 0;
}

static __always_inline bool never_root(__u64 cred)
{
	return READ(cred, cred, uid.val) && READ(cred, cred, euid.val) && READ(cred, cred, suid.val);
}

/* A process takes other group ids, or more of them: root's is none for whoever was neither
 * root nor of that group. */
int change_groups(__u64 new, __u64 old)
{
	struct matter m = { .op = OP_GAIN, .control = CONTROL_PROCESS };
	__u64 list = (__u64)READ(cred, new, group_info), before = (__u64)READ(cred, old, group_info);
	bool joins;

	m.flags = flags_of(find_label());
	m.generation = generation();
	if (!m.generation || !(m.flags & LABEL_CONTAINED) || !never_root(old) || !READ(cred, old, gid.val) || !READ(cred, old, egid.val) ||
	    !READ(cred, old, sgid.val))
		return 0;
	joins = !READ(cred, new, gid.val) || !READ(cred, new, egid.val) || !READ(cred, new, sgid.val) || !READ(cred, new, fsgid.val);
	/* The list is in order: root's is the first. */
	if (!joins && list != before && READ(group_info, list, ngroups) > 0 && !READ(group_info, list, gid[0].val))
		joins = READ(group_info, before, ngroups) <= 0 || READ(group_info, before, gid[0].val);
	return joins ? refuse(&m, 0) : 0;
}

static __always_inline int on_groups(const struct cred *new, const struct cred *old)
{
	return change_groups(number(new), number(old));
}

/* A process takes other user ids. One that has been root may be it again; one that never
 * was, with the capability for it, may not. */
int change_ids(__u64 new, __u64 old)
{
	struct matter m = { .op = OP_GAIN, .control = CONTROL_PROCESS };
	struct privileges *had;
	int verdict;

	m.flags = flags_of(find_label());
	m.generation = generation();
	if (!m.generation || !(m.flags & LABEL_CONTAINED))
		return 0;
	verdict = check_privileges(m.flags, m.generation);
	if (verdict)
		return verdict;
	if ((!READ(cred, new, uid.val) || !READ(cred, new, euid.val) || !READ(cred, new, suid.val) || !READ(cred, new, fsuid.val)) &&
	    never_root(old)) {
		verdict = refuse(&m, 0);
		had = verdict ? NULL : privileges_of_current();
		if (had)
			had->root = 1;
	}
	return verdict ? verdict : expect_privileges(new);
}

static __always_inline int on_ids(const struct cred *new, const struct cred *old)
{
	return change_ids(number(new), number(old));
}

static __always_inline int on_capset(const struct cred *new)
{
	__u32 flags = flags_of(find_label());
	__u64 gen = generation();
	int verdict;

	if (!gen || !(flags & LABEL_CONTAINED))
		return 0;
	verdict = check_privileges(flags, gen);
	return verdict ? verdict : expect_privileges(number(new));
}

/* A program that runs has more privileges than the one before it where it may have them:
 * through an edge, or where root starts it. */
int run_with_privileges(__u32 flags, __u32 raises, __u64 gen, __u64 dentry)
{
	struct privileges *had;

	if (!raises)
		return check_gain(flags, gen, dentry);
	had = privileges_of_current();
	if (had)
		privileges_now(had);
	return 0;
}

/* A new thread or child of a contained process has what its maker has. */
static __always_inline void inherit_privileges(struct task_struct *task)
{
	struct privileges *had = bpf_task_storage_get(&privileges, bpf_get_current_task_btf(), NULL, 0);
	struct privileges *its;

	if (!had)
		return;
	its = bpf_task_storage_get(&privileges, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (its)
		*its = *had;
}

/* ── Memory ───────────────────────────────────────────────────────────────────────── */

/* A process that is held to it runs no code of its own making. */
int refuse_own_code(void)
{
	struct matter m = { .op = OP_WX, .control = CONTROL_PROCESS };

	m.flags = flags_of(find_label());
	m.generation = generation();
	return m.generation && (m.flags & LABEL_WX) ? refuse(&m, 0) : 0;
}

/* Is this the program that an exec under way brings in? That was asked about before. */
static __always_inline bool brought_in(struct inode *inode)
{
	__u64 task = bpf_get_current_task();

	return bpf_core_field_exists(struct task_struct, in_execve) && BPF_CORE_READ_BITFIELD_PROBED((struct task_struct *)task, in_execve) &&
	       (__u64)READ(task_struct, task, mm, exe_file, f_inode) == number(inode);
}

static __always_inline int on_mmap(struct file *file, unsigned long prot)
{
	struct dentry *dentry;
	struct inode *inode;
	int verdict;

	if (!(prot & PROT_EXEC))
		return 0;
	if (!file)
		return refuse_own_code();
	inode = file->f_inode;
	/* Mapping a character device such as /dev/zero is anonymous memory. */
	if (S_ISCHR(inode->i_mode))
		return refuse_own_code();
	verdict = prot & PROT_WRITE ? refuse_own_code() : 0;
	if (verdict || brought_in(inode))
		return verdict;
	dentry = file->f_path.dentry;
	verdict = launch(dentry, OP_LIBRARY);
	return verdict ? verdict : on_program_mapped(dentry);
}

static __always_inline int on_mprotect(struct vm_area_struct *vma, unsigned long prot)
{
	struct file *file = vma->vm_file;
	int verdict;

	if (!(prot & PROT_EXEC))
		return 0;
	verdict = prot & PROT_WRITE ? refuse_own_code() : 0;
	if (verdict || (vma->vm_flags & VM_EXEC))
		return verdict;
	if (!file || S_ISCHR(file->f_inode->i_mode))
		return refuse_own_code();
	verdict = launch(file->f_path.dentry, OP_MPROTECT);
	return verdict || !vma->anon_vma ? verdict : refuse_own_code(); /* pages of its own have been written there */
}

/* ── What runs next ────────────────────────────────────────────────────────────────── */

/* No way back: the new program runs. */
static __always_inline void on_committed(struct linux_binprm *bprm)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	__u64 gen = generation();
	struct label *l;
	struct next *n;
	__u64 *since;

	if (!gen || !task->bpf_storage)
		return;
	l = bpf_task_storage_get(&labels, task, NULL, 0);
	if (!l || !l->next.set)
		return;
	n = &l->next;
	since = bpf_map_lookup_elem(&just_contained, &tgid);
	if (since && *since == task->start_boottime)
		l->flags |= LABEL_CONTAINED;
	l->flags = (l->flags & ~LABEL_OF_PROGRAM) | n->flags;
	if (n->leaves)
		l->flags &= ~(LABEL_CONTAINED | LABEL_POPEN);
	if (!(n->flags & LABEL_POPEN))
		l->flags &= ~LABEL_POPEN;
	if (n->rule)
		l->rule = n->rule;
	if (n->cgroup)
		l->cgroup = n->cgroup;
	if (n->loginuid)
		l->loginuid = n->loginuid;
	l->unit_flags = n->unit_flags;
	l->exe = n->exe;
	l->options = n->options;
	l->arguments_read = 0;
	l->found = 0;
	l->any_script = 0;
	l->linked = 0;
#pragma unroll
	for (int i = 0; i < 4; i++)
		gain(l, n->lineages[i]);
	if (n->begins)
		begin(l, gen);
	if ((flags_of(l) & LABEL_CONTAINED) || n->leaves)
		run_with_privileges(l->flags, n->raises, gen, (__u64)READ(linux_binprm, number(bprm), file, f_path.dentry));
	l->next.set = 0;
	l->next.exe = 0;
	l->next.flags = 0;
	/* Who is nobody again costs nothing from here on. The agent may have written the label
	 * anew meanwhile: that one stays. */
	if (says_nothing(l) && bpf_task_storage_get(&labels, task, NULL, 0) == l)
		bpf_task_storage_delete(&labels, task);
}

#endif
