/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the programs know: the policy by generation, the labels of tasks, and what
 * goes out to the agent. */
#ifndef KANNUKI_MAPS_H
#define KANNUKI_MAPS_H

#include "kernel.h"
#include "guard.h"

/* The generation in force. Generation 0 is no policy: everything is allowed. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct state);
} in_force SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__type(key, __u64);
	__type(value, struct config);
} configs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 32768);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct root_key);
	__type(value, struct root);
} roots SEC(".maps");

/* Filesystems that hold a root: any other is user space without a walk. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct root_key); /* ino 0 */
	__type(value, __u32);
} filesystems SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct program_key);
	__type(value, struct program);
} programs SEC(".maps");

/* Code extensions of scripts, with the dot, as a number whose lowest byte comes
 * first: ".py" is 0x79702e. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
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

/* Directories whose space is known. What is evicted is worked out again. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct place_key);
	__type(value, struct place);
} places SEC(".maps");

/* Moves of directories seen: a cached place from before a move does not count. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} tree SEC(".maps");

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

/* The agent's process, whose opening of a directory is a question: which identity?
 * While canary is set the answer is a refusal: it shows that refusals are heard. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct agent);
} the_agent SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 64);
	__type(key, __u32); /* thread id */
	__type(value, struct identity);
} identities SEC(".maps");

static __always_inline __u64 generation(void)
{
	__u32 zero = 0;
	struct state *s = bpf_map_lookup_elem(&in_force, &zero);

	return s ? s->generation : 0;
}

static __always_inline void count(__u32 what)
{
	__u64 *n = bpf_map_lookup_elem(&counters, &what);

	if (n)
		(*n)++;
}

#endif
