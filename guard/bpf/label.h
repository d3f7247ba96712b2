/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a process is. Labels live on the thread group leader, are inherited at fork
 * and kept over exec. CONTAINED never goes away, except while a grant lives. */
#ifndef KANNUKI_LABEL_H
#define KANNUKI_LABEL_H

#include "maps.h"

/* Every pointer that a program follows from what the kernel vouches for (a task, what a
 * hook is handed) costs newer verifiers several searches through all types of the
 * kernel, millions of instructions each time they come by: half of what loading takes.
 * So a program follows each once, and hands on what it found; what lies behind a second
 * pointer costs nothing. This one is for what is seldom run. */
static __always_inline struct label *find_label(void)
{
	return bpf_task_storage_get(&labels, bpf_get_current_task_btf()->group_leader, NULL, 0);
}

/* For what is often run: most tasks have no storage at all, and that costs one load. */
static __always_inline struct label *label_of_current(void)
{
	struct task_struct *leader = bpf_get_current_task_btf()->group_leader;

	return leader->bpf_storage ? bpf_task_storage_get(&labels, leader, NULL, 0) : NULL;
}

/* Has the current process a label? Whoever has no storage has none. */
static __always_inline bool may_be_labelled(void)
{
	return bpf_get_current_task_btf()->group_leader->bpf_storage != NULL;
}

static __always_inline struct label *make_label(void)
{
	return bpf_task_storage_get(&labels, bpf_get_current_task_btf()->group_leader, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
}

/* The flags that count now of one that is an updater or has a grant: an updater whose
 * transaction has ended is none, what a living grant frees from everything is not
 * contained, what one with targets frees is what it was but for these, and what is left
 * of an ended one is contained. */
static __always_inline __u32 flags_by(__u64 id, __u32 flags)
{
	struct transaction *t = bpf_map_lookup_elem(&transactions, &id);

	if (t && (!t->until || bpf_ktime_get_boot_ns() < t->until))
		return (flags & LABEL_GRANT) && !t->targets ? flags & ~LABEL_CONTAINED : flags;
	if (flags & LABEL_GRANT)
		flags |= LABEL_CONTAINED;
	return flags & ~(LABEL_UPDATER | LABEL_GRANT);
}

/* The flags that count now. */
int flags_of(struct label *l)
{
	__u32 flags;

	if (!l)
		return 0;
	flags = l->flags | l->unit_flags;
	if (!(flags & (LABEL_UPDATER | LABEL_GRANT)))
		return flags;
	return flags_by(l->transaction, flags);
}

static __always_inline void gain(struct label *l, __u16 lineage)
{
	__u32 bit = lineage - 1;

	if (!lineage || bit >= LINEAGE_WORDS * 64)
		return;
	l->lineages[(bit >> 6) & (LINEAGE_WORDS - 1)] |= 1ULL << (bit & 63);
}

/* Does the process descend from somebody of the group? */
int descends(struct label *l, __u32 number, __u64 gen)
{
	struct group_key key = { .group = number, .generation = gen };
	struct group *g;
	__u64 temporary;

	if (!l || !number)
		return 0;
	g = bpf_map_lookup_elem(&groups, &key);
	if (!g)
		return 0;
	temporary = bpf_ktime_get_boot_ns() < g->until ? ~0ULL : 0;
#pragma unroll
	for (int i = 0; i < LINEAGE_WORDS; i++)
		if (l->lineages[i] & (g->members[i] | (temporary & g->temporary[i])))
			return 1;
	return 0;
}

/* Does the label say nothing that counts, nor will once the process is contained? */
static __always_inline bool says_nothing(struct label *l)
{
	__u64 lineages = 0;

#pragma unroll
	for (int i = 0; i < LINEAGE_WORDS; i++)
		lineages |= l->lineages[i];
	return !(l->flags | l->unit_flags) && !lineages && !l->exe;
}

/* Is the process in somebody's login session? */
static __always_inline bool in_session(void)
{
	return bpf_get_current_task_btf()->loginuid.val != (__u32)-1;
}

#endif
