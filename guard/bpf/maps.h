/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the programs know: the policy by generation, the labels of tasks, and what
 * goes out to the agent. */
#ifndef KANNUKI_MAPS_H
#define KANNUKI_MAPS_H

#include "kernel.h"
#include "guard.h"

/* Variables in sections of their own are maps of one element that programs read and
 * write without asking anybody: what every hook needs. */

/* The generation in force; the agent writes it. 0 is no policy: everything is allowed. */
volatile struct state in_force SEC(".data.force");

/* What the agent asks just now; it writes it. */
volatile struct agent the_agent SEC(".data.agent");

/* What the programs themselves count and keep. */
volatile struct tree tree;

/* Directories whose place is known, each at one spot: what takes its spot is worked out
 * again. */
#define PLACES_BITS 13
volatile struct cached_place places[1 << PLACES_BITS];

/* Control groups whose unit the policy does not name, each at one spot: plain_group. */
#define PLAIN_GROUPS_BITS 9
volatile __u64 plain_groups[1 << PLAIN_GROUPS_BITS];

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__type(key, __u64);
	__type(value, struct config);
} configs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct root_key);
	__type(value, struct place);
} roots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 131072);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct name_key);
	__type(value, struct place);
} names SEC(".maps");

/* Directory names that are user space below places with PLACE_NAMES. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct name_key); /* node 0 */
	__type(value, __u32);         /* rule */
} user_names SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct name_key);
	__type(value, struct program);
} programs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct group_key);
	__type(value, struct group);
} groups SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct unit_key);
	__type(value, struct lineage);
} units SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct account_key);
	__type(value, struct lineage);
} accounts SEC(".maps");

/* Which bit a lineage has, by its name: the agent's memory, kept here because labels
 * that outlive it hold the bits. */
struct lineage_name {
	char name[128];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct lineage_name);
	__type(value, __u32);
} lineages SEC(".maps");

/* Code extensions of scripts, with the dot, as a number whose lowest byte comes
 * first: ".py" is 0x79702e. */
struct extension_key {
	__u64 extension;
	__u64 generation;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct extension_key);
	__type(value, __u32);
} extensions SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct label);
} labels SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct transaction);
} transactions SEC(".maps");

/* Files of user space that an updater or a builder wrote last, and which: the
 * transaction, or the account with the highest bit set. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct inode_key);
	__type(value, __u64);
} made SEC(".maps");

/* Processes that became contained while another thread of theirs was running exec: the
 * label would be lost with the old leader. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);   /* thread group */
	__type(value, __u64); /* since when it runs: its number may come again */
} just_contained SEC(".maps");

/* System calls that ask for a surface of the kernel; enum surface. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 128);
	__type(key, struct syscall_key);
	__type(value, __u32);
} syscalls SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct device_key);
	__type(value, __u32); /* enum surface */
} devices SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct own_key);
	__type(value, __u32);
} own SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct port_key);
	__type(value, struct port);
} ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct address_key);
	__type(value, __u32);
} addresses SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct privileges);
} privileges SEC(".maps");

/* Refusals have a ring of their own, so that noise cannot crowd them out. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 * 1024);
} refusals SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 * 1024);
} notes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, COUNT_MAX);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

/* Events told a moment ago: the same again is only counted. */
struct told_key {
	__u64 ino;
	__u32 tgid;
	__u16 op;
	__u16 rule;
};

struct told {
	__u64 at;
	__u32 count;
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct told_key);
	__type(value, struct told);
} told SEC(".maps");

/* Answers to the agent's questions. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 64);
	__type(key, __u32); /* thread id */
	__type(value, struct identity);
} identities SEC(".maps");

static __always_inline __u64 generation(void)
{
	return in_force.generation;
}

static __always_inline void count(__u32 what)
{
	__u64 *n = bpf_map_lookup_elem(&counters, &what);

	if (n)
		__sync_fetch_and_add(n, 1); /* a program can be preempted by another on its CPU */
}

#endif
