/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What running a program makes of a process: its lineages, its flags, and for contained
 * processes whether it may run at all. */
#ifndef KANNUKI_EXEC_H
#define KANNUKI_EXEC_H

#include "launch.h"

static __always_inline struct program *program_of(__u64 dentry, __u64 gen, struct name_key *key)
{
	struct place dir = {};

	place_of_dir((__u64)READ(dentry, dentry, d_parent), gen, &dir);
	if (!(dir.flags & PLACE_PROGRAMS))
		return NULL;
	key->node = dir.node;
	key->generation = gen;
	if (!name_key_of(key, dentry))
		return NULL;
	return bpf_map_lookup_elem(&programs, key);
}

/* A number for a named program that survives updates of the file and of the policy. */
static __always_inline __u64 identity_of(__u64 dentry, struct name_key *key)
{
	__u64 dir = (__u64)READ(dentry, dentry, d_parent, d_inode);
	__u64 n = READ(inode, dir, i_ino) ^ ((__u64)READ(inode, dir, i_sb, s_dev) << 32);

#pragma unroll
	for (int i = 0; i < NAME_LEN; i += 8)
		n = (n ^ *(__u64 *)(key->name + i)) * 0x9e3779b97f4a7c15ULL;
	return n | 1;
}

#define MAX_CGROUPS 32

struct unit_name {
	struct unit_key key;
	struct kernfs_node *at;
	struct kernfs_node *found;
	__u32 sign; /* position of '@' in the name plus 1 */
	__u32 named; /* by the policy */
};

/* Two functions, because the compiler would work out both offsets before it knows which
 * of them this kernel has. */
static __noinline struct kernfs_node *parent_rcu(struct kernfs_node *kn)
{
	return BPF_CORE_READ((struct kernfs_node___rcu *)kn, __parent);
}

static __noinline struct kernfs_node *parent_plain(struct kernfs_node *kn)
{
	return BPF_CORE_READ(kn, parent);
}

static __always_inline struct kernfs_node *parent_of(struct kernfs_node *kn)
{
	if (bpf_core_field_exists(struct kernfs_node___rcu, __parent))
		return parent_rcu(kn);
	return parent_plain(kn);
}

#define DOT_SERVICE 0x656369767265732eULL /* ".service", first byte lowest */

/* Does a name of n bytes, its end counted, end with ".service"? */
static __always_inline bool is_service(char *s, long n)
{
	__u64 tail = 0;
	__u32 dot;

	if (n < 10 || n >= UNIT_LEN)
		return false;
	dot = n - 9;
	if (dot >= UNIT_LEN - 9)
		return false;
	__builtin_memcpy(&tail, s + dot, 8);
	return tail == DOT_SERVICE;
}

static long find_unit(__u32 i, struct unit_name *u)
{
	struct kernfs_node *kn = u->at;
	const char *name;

	if (!kn)
		return 1;
	name = BPF_CORE_READ(kn, name);
	if (is_service(u->key.name, bpf_probe_read_kernel_str(u->key.name, UNIT_LEN, name)))
		u->found = kn;
	u->at = parent_of(kn);
	return 0;
}

/* The unit a process runs in: the uppermost cgroup called *.service, so that nobody
 * makes himself a unit by making a cgroup below his own. */
static __always_inline bool unit_of(struct unit_name *u)
{
	struct kernfs_node *kn;
	const char *name;

	bpf_loop(MAX_CGROUPS, find_unit, u, 0);
	__builtin_memset(u->key.name, 0, UNIT_LEN);
	kn = u->found;
	if (!kn || u->at) /* so deep that the uppermost was not reached */
		return false;
	name = BPF_CORE_READ(kn, name);
	return bpf_probe_read_kernel_str(u->key.name, UNIT_LEN, name) > 0;
}

/* Cuts an instance off: what follows the '@' goes. */
static long cut_instance(__u32 i, struct unit_name *u)
{
	char c;

	if (i >= UNIT_LEN)
		return 1;
	c = u->key.name[i];
	if (u->sign)
		u->key.name[i] = 0;
	else if (c == '@')
		u->sign = i + 1;
	return 0;
}

/* "postgresql@15-main.service" is an instance of "postgresql@.service". */
static __always_inline bool template_of(struct unit_name *u)
{
	__u64 suffix = DOT_SERVICE;
	__u32 at;

	begin_at_zero(u->sign);
	bpf_loop(UNIT_LEN, cut_instance, u, 0);
	at = u->sign;
	if (!at || at >= UNIT_LEN - 9)
		return false;
	__builtin_memcpy(u->key.name + at, &suffix, 8);
	return true;
}

static __always_inline bool take(struct next *n, struct lineage *lineage, __u16 *slot)
{
	if (!lineage)
		return false;
	*slot = lineage->lineage;
	n->unit_flags |= lineage->flags & (LABEL_EXEMPT | LABEL_BUILDER | LABEL_WX);
	if (lineage->flags & LABEL_CONTAINED) {
		n->flags |= LABEL_CONTAINED;
		n->rule = lineage->rule;
	}
	if (lineage->flags & LABEL_UPDATER)
		n->begins = 1;
	return true;
}

/* A control group and a generation as one word, so that it is read and written whole; 0
 * for a group whose number has no room in it. */
static __always_inline __u64 plain_group(__u64 cgroup, __u64 gen)
{
	return cgroup >> 40 ? 0 : cgroup << 24 | (gen & 0xffffff);
}

static __always_inline volatile __u64 *plain_spot(__u64 cgroup)
{
	return &plain_groups[(cgroup * 0x9e3779b97f4a7c15ULL) >> (64 - PLAIN_GROUPS_BITS)];
}

/* What the unit gives, when the process has moved to another cgroup since last time. */
int read_unit(struct label *l, struct next *n, __u64 gen)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct kernfs_node *kn = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn);
	struct unit_name u = {};

	if (!n || !kn)
		return 0;
	n->cgroup = BPF_CORE_READ(kn, id);
	if (l && l->cgroup == n->cgroup) {
		n->unit_flags = l->unit_flags;
		return 0;
	}
	if (plain_group(n->cgroup, gen) && *plain_spot(n->cgroup) == plain_group(n->cgroup, gen))
		return 0;
	u.key.generation = gen;
	u.at = kn;
	if (unit_of(&u)) {
		u.named = take(n, bpf_map_lookup_elem(&units, &u.key), &n->lineages[1]);
		if (template_of(&u) && take(n, bpf_map_lookup_elem(&units, &u.key), &n->lineages[2]))
			u.named = 1;
	}
	if (!u.named)
		*plain_spot(n->cgroup) = plain_group(n->cgroup, gen);
	return 0;
}

int read_account(struct label *l, struct next *n, __u64 gen)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct account_key key = { .uid = task->loginuid.val, .generation = gen };

	/* Whoever has no login uid may give himself one: a contained process gains nothing. */
	if (!n || key.uid == (__u32)-1 || (flags_of(l) & LABEL_CONTAINED))
		return 0;
	n->loginuid = key.uid + 1;
	if (l && l->loginuid == n->loginuid)
		return 0;
	take(n, bpf_map_lookup_elem(&accounts, &key), &n->lineages[3]);
	return 0;
}

#define LABEL_OF_PROGRAM (LABEL_AGENT | LABEL_EXEMPT | LABEL_INTERPRETER | LABEL_LOADER | LABEL_MODULES | LABEL_EDGE)

/* What the program makes of the process. */
static __always_inline void read_program(struct label *l, struct program *p, __u64 exe, __u32 flags, struct next *n)
{
	n->exe = exe;
	n->lineages[0] = p->lineage;
	n->flags |= p->flags & (LABEL_INTERPRETER | LABEL_CONTAINED | LABEL_LOADER | LABEL_MODULES | LABEL_BUILDER | LABEL_WX);
	/* Nobody who logged in is the agent, and nothing contained: the first process starts it. */
	if (!(flags & LABEL_CONTAINED) && !in_session() && !READ(task_struct, bpf_get_current_task(), cred, uid.val))
		n->flags |= p->flags & LABEL_AGENT;
	if (!(flags & LABEL_CONTAINED))
		n->flags |= p->flags & LABEL_EXEMPT;
	if (p->flags & LABEL_CONTAINED)
		n->rule = p->rule;
	if (p->flags & LABEL_UPDATER)
		n->begins = 1;
	n->options = p->options;
}

/* May this program run in a contained process? Not unless it is no utility, or somebody
 * excepted runs it, or it is the program that runs already (workers of a service). */
int may_run(struct label *l, struct program *p, __u64 exe, struct next *n, __u64 gen)
{
	int edge;

	if (!l || !n)
		return 0;
	edge = p ? descends(l, p->runs, gen) : 0;
	if (edge)
		n->flags |= LABEL_EDGE;
	if (l->flags & LABEL_POPEN)
		return !edge;
	if (!p || !p->utility || edge)
		return 0;
	if (exe && exe == l->exe)
		return 0;
	if (descends(l, p->popen, gen)) {
		n->flags |= LABEL_POPEN;
		return 0;
	}
	return 1;
}

#define SECURE_NOROOT 1 /* include/uapi/linux/securebits.h */

/* Root that has given up what it may do has all of it again with the next program: as
 * much as its bounding set lets it. */
static __always_inline bool regains(void)
{
	__u64 cred = (__u64)READ(task_struct, bpf_get_current_task(), cred);
	__u64 bounds = 0, permitted = 0;

	if ((READ(cred, cred, uid.val) && READ(cred, cred, euid.val)) || (READ(cred, cred, securebits) & SECURE_NOROOT))
		return false;
	bpf_probe_read_kernel(&bounds, 8, (void *)(cred + bpf_core_field_offset(struct cred, cap_bset)));
	bpf_probe_read_kernel(&permitted, 8, (void *)(cred + bpf_core_field_offset(struct cred, cap_permitted)));
	return bounds & ~permitted;
}

/* A contained process gains nothing by a set-user-ID program, nor by a script that has
 * one as its interpreter. */
int refuse_raising(__u64 dentry, struct label *l, struct program *p, __u32 flags, __u64 gen)
{
	struct matter m = { .control = CONTROL_CONTAIN, .op = OP_SETUID_EXEC, .flags = flags, .generation = gen };

	if (!l || !(raising(READ(dentry, dentry, d_inode, i_mode)) || regains()) || (p && descends(l, p->setuid, gen)))
		return 0;
	return refuse(&m, dentry);
}

static __always_inline int on_contained_exec(__u64 dentry, struct label *l, struct program *p, __u32 flags, struct next *n, __u64 gen)
{
	struct matter m = { .control = CONTROL_UTILITY, .op = OP_UTILITY, .flags = flags, .generation = gen };
	int verdict = refuse_raising(dentry, l, p, flags, gen);

	if (verdict)
		return verdict;
	if (!may_run(l, p, n->exe, n, gen))
		return 0;
	m.rule = p ? p->utility : 0;
	return refuse(&m, dentry);
}

static __always_inline bool changes(struct label *l, struct next *n)
{
	return l || n->exe || n->flags || n->lineages[0] || n->lineages[1] || n->lineages[2] || n->lineages[3] || n->begins || n->unit_flags;
}

/* What the program makes of the process, and whether it may run in a contained one. */
static __always_inline int become(__u64 dentry, struct label *l, struct next *n, __u64 gen)
{
	struct name_key key = {};
	struct program *p = program_of(dentry, gen, &key);
	__u32 flags = flags_of(l);
	int verdict;

	if (!n)
		return 0;
	if (p)
		read_program(l, p, identity_of(dentry, &key), flags, n);
	if (!(flags & LABEL_CONTAINED) || !l)
		return 0;
	verdict = on_contained_exec(dentry, l, p, flags, n, gen);
	if (verdict)
		return verdict;
	/* Whoever is contained becomes nobody by running his program, but by an edge. */
	if (!(n->flags & LABEL_EDGE))
		n->lineages[0] = 0;
	n->leaves = p && descends(l, p->leaves, gen);
	n->raises = n->leaves || (p && descends(l, p->setuid, gen));
	return 0;
}

static __always_inline bool is_leader(void)
{
	__u64 id = bpf_get_current_pid_tgid();

	return (__u32)id == id >> 32;
}

/* The program of the file is asked for: what it would make of the process is noted, and
 * comes true when there is no way back. */
int prepare(__u64 dentry, __u64 gen)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct label *l = label_of_current();
	struct next n = { .set = 1 };
	struct label *own;
	int verdict;

	read_unit(l, &n, gen);
	read_account(l, &n, gen);
	verdict = become(dentry, l, &n, gen);
	if (verdict)
		return verdict;
	/* A thread that is not the leader takes the leader's place: its own storage has to
	 * hold the label by then, also one that the leader gets meanwhile. */
	if (is_leader() && !changes(l, &n))
		return 0;
	own = bpf_task_storage_get(&labels, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!own)
		return -EPERM;
	if (l && own != l)
		*own = *l;
	own->next = n;
	return 0;
}

static __always_inline int on_exec(struct linux_binprm *bprm)
{
	struct dentry *dentry = bprm->file->f_path.dentry;
	__u64 gen = generation();
	int verdict;

	if (!gen)
		return 0;
	verdict = launch(dentry, OP_EXEC);
	return verdict ? verdict : prepare(number(dentry), gen);
}

/* A utility that a contained process comes to without asking for it: as the interpreter
 * of a script, or through the loader. */
int refuse_utility(__u64 dentry, struct program *p, struct label *l, __u64 gen)
{
	struct matter m = { .control = CONTROL_UTILITY, .op = OP_UTILITY, .generation = gen };

	if (!p || !l)
		return 0;
	m.flags = flags_of(l);
	if (!(m.flags & LABEL_CONTAINED) || !p->utility || descends(l, p->runs, gen))
		return 0;
	m.rule = p->utility;
	return refuse(&m, dentry);
}

/* The interpreter of a script, which was prepared under another name. */
int prepare_interpreter(__u64 dentry, __u64 gen)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct name_key key = {};
	struct program *p = program_of(dentry, gen, &key);
	struct label *own = find_label();
	__u32 flags = flags_of(own);
	int verdict;

	if ((flags & LABEL_CONTAINED) && own) {
		verdict = refuse_raising(dentry, own, p, flags, gen);
		if (verdict)
			return verdict;
	}
	if (!p)
		return 0;
	own = bpf_task_storage_get(&labels, task, NULL, p->flags & LABEL_INTERPRETER ? BPF_LOCAL_STORAGE_GET_F_CREATE : 0);
	if (!own || own->next.exe == identity_of(dentry, &key))
		return 0; /* it is what was prepared */
	if (p->flags & LABEL_INTERPRETER) {
		own->next.set = 1;
		own->next.flags |= LABEL_INTERPRETER;
		own->next.options = p->options;
	}
	return own->next.flags & LABEL_EDGE ? 0 : refuse_utility(dentry, p, own, gen);
}

/* Every file on the way: the script, then its interpreter. The first is the one that was
 * asked for, which on_exec has decided about; the kernel notes each further one. */
static __always_inline int on_check(struct linux_binprm *bprm)
{
	__u64 gen = generation();
	struct dentry *dentry;
	int verdict;

	if (!gen || bprm->interp == bprm->filename)
		return 0;
	dentry = bprm->file->f_path.dentry;
	verdict = launch(dentry, OP_EXEC);
	return verdict ? verdict : prepare_interpreter(number(dentry), gen);
}

/* The loader was told to start a program (/lib64/ld-linux-x86-64.so.2 /bin/sh): it maps
 * what nobody asked to run. */
int program_mapped(__u64 dentry, __u64 gen)
{
	struct name_key key = {};
	struct program *p = program_of(dentry, gen, &key);
	struct label *l;

	if (!p || !(p->utility || (p->flags & LABEL_INTERPRETER)))
		return 0;
	l = bpf_task_storage_get(&labels, bpf_get_current_task_btf()->group_leader, NULL,
				 p->flags & LABEL_INTERPRETER ? BPF_LOCAL_STORAGE_GET_F_CREATE : 0);
	if (!l || l->exe == identity_of(dentry, &key) || (l->flags & (LABEL_INTERPRETER | LABEL_EDGE)))
		return 0;
	if (refuse_utility(dentry, p, l, gen))
		return 1;
	if (p->flags & LABEL_INTERPRETER) {
		l->flags |= LABEL_INTERPRETER;
		l->options.how = OPTIONS_UNKNOWN;
		l->arguments_read = 0;
	}
	return 0;
}

static __always_inline int on_program_mapped(struct dentry *dentry)
{
	struct inode *dir = dentry->d_parent->d_inode;
	__u64 gen = generation();
	__u32 flags;

	if (!gen || (dir && known_flags(dir, dentry->d_sb, gen, &flags) && !(flags & PLACE_PROGRAMS)))
		return 0;
	return program_mapped(number(dentry), gen);
}

/* An updater begins a transaction when somebody who may starts it: a login session,
 * one of the starters, another updater, never a contained process. */
int begin(struct label *l, __u64 gen)
{
	__u64 id = bpf_get_current_pid_tgid() >> 32;
	struct config *c = bpf_map_lookup_elem(&configs, &gen);
	struct transaction t = {};

	if (!l || (flags_of(l) & (LABEL_UPDATER | LABEL_CONTAINED | LABEL_GRANT)))
		return 0;
	if (!in_session() && !(c && descends(l, c->starters, gen)))
		return 0;
	t.leader = id;
	id = id << 32 | (bpf_ktime_get_boot_ns() & 0xffffffff);
	if (bpf_map_update_elem(&transactions, &id, &t, BPF_ANY))
		return 0;
	l->transaction = id;
	l->flags |= LABEL_UPDATER;
	return 0;
}

#endif
