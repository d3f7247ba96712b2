/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The shapes the kernel programs and the Go side share. bpf2go turns them into Go
 * types: nothing here is written twice. All sizes are multiples of 8 and all padding
 * is spelled out, so that keys compare equal byte for byte. */
#ifndef KANNUKI_GUARD_H
#define KANNUKI_GUARD_H

#include <linux/types.h>

/* Where a file lives. */
enum space {
	SPACE_UNKNOWN = 0, /* nothing named: user space */
	SPACE_SYSTEM = 1,  /* sealed: updaters change it, everybody may launch from it */
	SPACE_CONFIG = 2,  /* system space that administrators may change */
	SPACE_USER = 3,    /* named: may be changed, may not launch */
	SPACE_DATA = 4,    /* user space that belongs to one domain of contained processes */
	SPACE_PERSIST = 5, /* contained processes may not change it */
	SPACE_PRIVATE = 6, /* contained processes may not read it */
};

/* The controls, as bits of config.enforce and config.observe. */
enum control {
	CONTROL_LAUNCH = 1 << 0,
	CONTROL_WRITE = 1 << 1,
	CONTROL_CONTAIN = 1 << 2,
};

/* What a task is. */
enum label_flag {
	LABEL_CONTAINED = 1 << 0,
	LABEL_EXEMPT = 1 << 1,      /* never contained by listening (sshd, runtimes) */
	LABEL_UPDATER = 1 << 2,     /* while its transaction lives */
	LABEL_GRANT = 1 << 3,       /* while its grant lives */
	LABEL_INTERPRETER = 1 << 4, /* runs a listed interpreter */
	LABEL_AGENT = 1 << 5,
};

/* Why an event was emitted; the Go side has the words. */
enum op {
	OP_EXEC = 1,
	OP_LIBRARY = 2,
	OP_MPROTECT = 3,
	OP_SCRIPT = 4,
	OP_MODULE = 5,
	OP_OPEN_WRITE = 10,
	OP_CREATE = 11,
	OP_UNLINK = 12,
	OP_RENAME = 13,
	OP_LINK = 14,
	OP_SYMLINK = 15,
	OP_MKDIR = 16,
	OP_RMDIR = 17,
	OP_MKNOD = 18,
	OP_ATTR = 19,
	OP_XATTR = 20,
	OP_MOUNT = 21,
	OP_CONTAINED = 30, /* a note: the task became contained */
	OP_ROOT_MOVED = 31, /* a note: a named directory was renamed or removed */
};

/* A directory of the policy, in one generation of it. */
struct root_key {
	__u64 ino;
	__u32 dev;
	__u32 generation;
};

struct root {
	__u32 space;  /* enum space */
	__u32 rule;   /* number of the policy's rule, for events */
	__u32 domain; /* of SPACE_DATA */
	__u32 pad;
};

/* A program of the policy: by the directory it lies in and its name, which survives
 * package updates. */
#define NAME_LEN 40
struct program_key {
	__u64 ino; /* of the directory */
	__u32 dev;
	__u32 generation;
	char name[NAME_LEN];
};

struct program {
	__u32 flags; /* enum label_flag it gives */
	__u32 rule;
};

/* A policy in force, by generation. One write to state.generation swaps it. */
struct config {
	__u32 enforce; /* enum control bits */
	__u32 observe;
	__u32 listeners; /* listening beyond loopback contains */
	__u32 pad;
};

struct state {
	__u64 generation;
};

/* A directory whose space has been worked out. Valid while both numbers are current. */
struct place_key {
	__u64 ino;
	__u32 dev;
	__u32 igen;
};

struct place {
	__u64 generation;
	__u64 tree; /* moves of directories seen so far */
	struct root root;
};

/* What a process is; kept on the thread group leader. */
struct label {
	__u32 flags;
	__u32 rule;
	__u64 transaction; /* of LABEL_UPDATER and LABEL_GRANT */
	__u32 domain;
	__u32 pad;
};

/* A running transaction or grant. */
struct transaction {
	__u64 until; /* boot time in ns; 0: while the entry is here */
	__u32 leader; /* pid whose end ends it; 0: nobody's */
	__u32 pad;
};

/* One event. */
#define PATH_PARTS 8
#define PART_LEN 32
struct event {
	__u64 at; /* boot time, ns */
	__u32 op;
	__u32 control;
	__u32 refused; /* 1 refused, 0 observed or a note */
	__u32 rule;
	__u32 space;
	__u32 flags; /* the actor's label */
	__u32 pid;
	__u32 ppid;
	__u32 uid;
	__u32 loginuid;
	__u64 ino;
	__u32 dev;
	__u32 count; /* events of this kind since the last one told */
	char comm[16];
	char parent_comm[16];
	__u32 parts; /* names in path, the file's own first */
	__u32 pad;
	char path[PATH_PARTS][PART_LEN];
};

/* What is counted, per CPU. */
enum counter {
	COUNT_REFUSED = 0,
	COUNT_OBSERVED = 1,
	COUNT_LOST = 2,      /* refusals whose event found no room */
	COUNT_NOTES_LOST = 3,
	COUNT_SUMMED = 4,    /* refusals folded into another's event */
	COUNT_MAX = 8,
};

/* The agent, by its thread group. */
struct agent {
	__u32 tgid;
	__u32 canary;
};

/* An identity as the kernel sees it, reported to the agent. */
struct identity {
	__u64 ino;
	__u32 dev;
	__u32 uid;
	__u32 mode;
	__u32 igen;
	__u64 magic;
};

#endif
