/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a process is. Labels live on the thread group leader, are inherited at fork
 * and kept over exec. CONTAINED never goes away, except while a grant lives. */
#ifndef KANNUKI_LABEL_H
#define KANNUKI_LABEL_H

#include "maps.h"

static __always_inline struct label *label_of_current(void)
{
	struct task_struct *task = bpf_get_current_task_btf();

	return bpf_task_storage_get(&labels, task->group_leader, NULL, 0);
}

static __always_inline struct label *make_label(void)
{
	struct task_struct *task = bpf_get_current_task_btf();

	return bpf_task_storage_get(&labels, task->group_leader, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
}

static __always_inline bool lives(__u64 id)
{
	struct transaction *t = bpf_map_lookup_elem(&transactions, &id);

	return t && (!t->until || bpf_ktime_get_boot_ns() < t->until);
}

/* The flags that count now: an updater or grant whose transaction has ended is none,
 * and what a living grant frees is not contained. */
static __always_inline __u32 flags_of(struct label *l)
{
	__u32 flags;

	if (!l)
		return 0;
	flags = l->flags;
	if (flags & (LABEL_UPDATER | LABEL_GRANT)) {
		if (!lives(l->transaction))
			flags &= ~(LABEL_UPDATER | LABEL_GRANT);
		else if (flags & LABEL_GRANT)
			flags &= ~LABEL_CONTAINED;
	}
	return flags;
}

static __always_inline struct agent *agent_of_current(void)
{
	__u32 zero = 0;
	struct agent *a = bpf_map_lookup_elem(&the_agent, &zero);

	if (!a || !a->tgid || a->tgid != bpf_get_current_pid_tgid() >> 32)
		return NULL;
	return a;
}

static __always_inline bool is_agent(void)
{
	return agent_of_current() != NULL;
}

#endif
