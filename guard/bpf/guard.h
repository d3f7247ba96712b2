/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The shapes the kernel programs and the Go side share. bpf2go turns them into Go
 * types: nothing here is written twice. All sizes are multiples of 8 and all padding
 * is spelled out, so that keys compare equal byte for byte. */
#ifndef KANNUKI_GUARD_H
#define KANNUKI_GUARD_H

#include <linux/types.h>

/* What holds at a place. The bits up to PLACE_DEPUTY are those of ruleset.PlaceFlags. */
enum place_flag {
	PLACE_LAUNCHES = 1 << 0, /* system space */
	PLACE_SEALED = 1 << 1,   /* only updaters and writers change it */
	PLACE_CONFIG = 1 << 2,   /* contained processes only where they are writers */
	PLACE_DATA = 1 << 3,     /* the same, or by account */
	PLACE_USER = 1 << 4,
	PLACE_PERSIST = 1 << 5, /* beside SEALED or CONFIG */
	PLACE_BY_ACCOUNT = 1 << 6,
	PLACE_PRIVATE = 1 << 7,
	PLACE_NAMES = 1 << 8,   /* directories with names of user_names below are user space */
	PLACE_SCRATCH = 1 << 9,
	PLACE_OUTPUT = 1 << 10,
	PLACE_FILE = 1 << 11,
	PLACE_DEPUTY = 1 << 12,
	PLACE_GUARD = 1 << 13, /* beside SEALED: the guard's own; updaters change its single files only */
	/* The loader's own. */
	PLACE_HOLDS = 1 << 16,    /* there are named places in this very directory */
	PLACE_PROGRAMS = 1 << 17, /* there are named programs in this very directory */
	PLACE_SIGNPOST = 1 << 18, /* named places lie below: contained processes do not move it */
	PLACE_EXACT = 1 << 19,    /* this very directory is named, not one above it */
	PLACE_KERNEL = 1 << 20,   /* files here are switches of the kernel (proc, sysfs and the like) */
};

/* The controls, as bits of config.enforce and config.observe. */
enum control {
	CONTROL_LAUNCH = 1 << 0,
	CONTROL_WRITE = 1 << 1,
	CONTROL_CONTAIN = 1 << 2,
	CONTROL_PROCESS = 1 << 3,
	CONTROL_UTILITY = 1 << 4,
	CONTROL_KERNEL = 1 << 5,
	CONTROL_PRIVATE = 1 << 6,
	CONTROL_SELF = 1 << 7,
};

/* What a task is, and what a program or lineage makes of it. The bits up to
 * LABEL_LOADER are those of ruleset.Flags. */
enum label_flag {
	LABEL_CONTAINED = 1 << 0,
	LABEL_EXEMPT = 1 << 1,      /* never contained by listening (sshd, runtimes) */
	LABEL_UPDATER = 1 << 2,     /* while its transaction lives */
	LABEL_GRANT = 1 << 3,       /* while its grant lives; contained after it */
	LABEL_INTERPRETER = 1 << 4, /* runs a listed interpreter */
	LABEL_AGENT = 1 << 5, /* the agent itself, not its children */
	LABEL_BUILDER = 1 << 6, /* launches what its account's builders have built */
	LABEL_UTILITY = 1 << 7, /* of programs only */
	LABEL_LOADER = 1 << 8,  /* hands modules to the kernel from memory (kmod) */
	LABEL_EDGE = 1 << 9,    /* what runs was started by an edge: its interpreter may, too */
	LABEL_POPEN = 1 << 10,  /* a shell that starts only what edges lead to */
	LABEL_WX = 1 << 11,     /* runs no code of its own making */
	LABEL_MODULES = 1 << 12, /* the same as LOADER, and opens other files too (udev) */
};

/* Why an event was emitted; the Go side has the words. */
enum op {
	OP_EXEC = 1,
	OP_LIBRARY = 2,
	OP_MPROTECT = 3,
	OP_SCRIPT = 4,
	OP_MODULE = 5,
	OP_UTILITY = 6,
	OP_SETUID_EXEC = 7,
	OP_READ = 8,
	OP_CONNECT = 9,
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
	OP_SETUID = 22,
	OP_TRACE = 23,   /* another process: its memory, its descriptors */
	OP_SIGNAL = 24,  /* another service */
	OP_GAIN = 25,    /* more privileges than the process had */
	OP_SURFACE = 26, /* a surface of the kernel; the rule says which */
	OP_WX = 27,      /* memory that is written and run */
	OP_TUNE = 28,    /* another process's limits and priority */
	OP_GUARD = 29,   /* what keeps the guard in force */
	OP_JOIN = 30,    /* another unit */
	OP_INSPECT = 31, /* another process's environment, open files, root directory */
	OP_CONTAINED = 64, /* notes from here: the task became contained */
	OP_MOVED = 65,     /* a named place was moved, removed or made */
	OP_UPDATED = 66,   /* an updater's transaction has ended */
};

/* A directory of the policy, in one generation of it. The inode's generation tells a
 * directory from another one that was given its number later. */
struct root_key {
	__u64 ino;
	__u32 dev;
	__u32 igen;
	__u64 generation;
};

/* A name in a directory of the policy: it stays named when it is replaced, and before
 * it is there. */
#define NAME_LEN 40
#define NODE_ABSTRACT 0xffffffff /* of sockets whose names lie in no directory */
struct name_key {
	__u32 node; /* place.node of the directory */
	__u32 generation;
	char name[NAME_LEN];
};

/* What holds at a place, everything: nothing else has to be looked up. */
struct place {
	__u32 flags; /* enum place_flag */
	__u32 node;  /* its number, for names in it */
	/* numbers of the policy's rules, for events */
	__u16 launch_rule;
	__u16 write_rule;
	__u16 private_rule;
	__u16 deputy_rule;
	/* groups that are excepted; 0: nobody */
	__u16 writers;
	__u16 readers;
	__u16 launchers;
	__u16 coders;
	__u16 connectors;
	__u16 pad[3];
};

/* Who exceptions are for: lineages are bits, a group is a set of them. */
#define LINEAGE_WORDS 8
struct group_key {
	__u32 group;
	__u32 generation;
};

struct group {
	__u64 members[LINEAGE_WORDS];
	__u64 temporary[LINEAGE_WORDS]; /* members until `until` only */
	__u64 until;                    /* boot time, ns */
};

/* A lineage by the unit or the account it starts with. */
#define UNIT_LEN 60
struct unit_key {
	__u32 generation;
	char name[UNIT_LEN];
};

struct account_key {
	__u32 uid;
	__u32 generation;
};

struct lineage {
	__u32 flags;   /* enum label_flag it gives */
	__u16 lineage; /* its bit plus 1; 0: none */
	__u16 rule;
};

/* Options of an interpreter, by letter: a-z are bits 0-25, A-Z 26-51, a lone "-" 52. What
 * they mean stands at ruleset.Options. */
struct options {
	__u64 inline_code;
	__u64 valued;
	__u64 attached;
	__u64 script;
	__u64 how; /* enum option_how */
};

enum option_how {
	OPTIONS_NOSCRIPT = 1 << 0,
	OPTIONS_WORDS = 1 << 1,
	OPTIONS_APPLET = 1 << 2,
	/* How the interpreter was called is not known: any of its arguments may be its script. */
	OPTIONS_UNKNOWN = 1 << 3,
};

#define MAX_SCRIPTS 6 /* ruleset.MaxScripts */

/* A program of the policy. */
struct program {
	__u32 flags; /* enum label_flag it gives */
	__u16 lineage;
	__u16 rule;
	__u16 utility; /* rule that refuses it to contained processes; 0: none */
	__u16 runs;    /* groups: who may run it all the same */
	__u16 setuid;  /* who keep its privileges */
	__u16 leaves;  /* for whom it leaves containment */
	__u16 popen;   /* for whom it is a shell that starts helpers */
	__u16 pad[3];
	struct options options;
};

/* The surfaces of the kernel, in the order of policy.Surfaces. */
enum surface {
	SURFACE_USERNS,
	SURFACE_NAMESPACES,
	SURFACE_MOUNT,
	SURFACE_FILE_HANDLE,
	SURFACE_MODULE,
	SURFACE_MODULE_AUTOLOAD,
	SURFACE_BPF,
	SURFACE_PERF,
	SURFACE_KEXEC,
	SURFACE_RAW_MEMORY,
	SURFACE_RAW_DISK,
	SURFACE_SYSCTL,
	SURFACE_BINFMT,
	SURFACE_SYSRQ,
	SURFACE_SYSFS,
	SURFACE_AF_ALG,
	SURFACE_AF_PACKET,
	SURFACE_RAW_SOCKET,
	SURFACE_VSOCK,
	SURFACE_XFRM,
	SURFACE_NF_TABLES,
	SURFACE_RXRPC,
	SURFACE_NETLINK,
	SURFACE_SOCKET_FAMILIES,
	SURFACE_IO_URING,
	SURFACE_KEYCTL,
	SURFACE_USERFAULTFD,
	SURFACE_CLOCK,
	SURFACE_REBOOT,
	SURFACE_FANOTIFY,
	SURFACE_MAX = 32,
};

/* A surface as the policy has it. */
struct surface_rule {
	__u16 refused;
	__u16 rule;
	__u16 allowed; /* group: who may use it all the same */
	__u16 pad;
};

/* A system call that asks for a surface, by its number: there is no hook of its own, only
 * the question for a capability. */
struct syscall_key {
	__u32 number;
	__u32 compat; /* of the 32-bit table */
};

/* A policy in force, by generation. One write to state.generation swaps it. */
struct config {
	__u32 enforce; /* enum control bits */
	__u32 observe;
	__u32 listeners; /* listening beyond loopback contains */
	__u32 builders_anywhere;
	__u32 starters; /* group: who start updaters without a login session */
	__u32 runtimes; /* group: who start containers */
	__u32 tracers;  /* group: contained processes that trace others all the same */
	__u32 relaxed;  /* controls that only observe, by whose leave so ever, */
	__u64 relaxed_until; /* until then (boot time, ns): nobody has to be there to end it */
	struct surface_rule surfaces[SURFACE_MAX];
};

struct state {
	__u64 generation;
};

/* An inode, told from others that had its number. */
struct inode_key {
	__u64 ino;
	__u32 dev;
	__u32 igen;
};

/* A directory whose place has been worked out. Valid while generation and tree are
 * current, and version is even and the same before and after reading. */
struct cached_place {
	__u64 version; /* odd while somebody writes */
	struct inode_key key;
	__u64 generation;
	__u64 tree; /* moves of directories seen so far */
	struct place place;
};

/* What runs next in a process, from the moment it is asked for until there is no way
 * back: an exec that fails changes nothing. */
struct next {
	__u32 set;
	__u32 flags;
	__u32 rule;
	__u32 loginuid;
	__u16 lineages[4]; /* that it gains, plus 1: program, unit, its template, account */
	__u64 cgroup;
	__u64 exe;
	struct options options;
	__u32 begins;      /* an updater: a transaction begins */
	__u32 leaves;      /* containment */
	__u32 unit_flags;
	__u32 raises; /* it may have more privileges than what runs now */
};

/* What privileges a thread of a contained process was last seen to have. More can come
 * only by a hook that was asked, or by a fault of the kernel. */
struct privileges {
	__u64 caps;
	__u64 userns; /* the namespace they count in */
	__u32 root;   /* one of its user ids is 0 */
	__u32 pad;
};

/* What a process is; kept on the thread group leader. */
struct label {
	__u32 flags; /* first in every version, LABEL_AGENT and LABEL_CONTAINED the same: the next takes them over */
	__u32 rule;
	__u64 transaction; /* of LABEL_UPDATER and LABEL_GRANT */
	__u64 cgroup;      /* the one its unit was last read from */
	__u64 exe;         /* the named program that runs */
	__u32 unit_flags;  /* what its unit gives while it is in it */
	__u32 loginuid;    /* plus 1: last seen */
	__u64 lineages[LINEAGE_WORDS];
	struct options options; /* of the interpreter that runs */
	/* The arguments that are code, by the word of their last element (word_of); from the moment
	 * they are first asked for. */
	__u32 arguments_read;
	__u32 found;
	__u64 scripts[MAX_SCRIPTS];
	__u32 any_script; /* there are more, or they cannot be told: any file may be one */
	__u32 linked;     /* a link of theirs was followed, nobody knows where to: the same */
	struct next next;
};

/* A running transaction or grant. */
#define GRANT_TARGETS 8
#define TARGET_LAUNCH 1
#define TARGET_WRITE 2
struct target {
	__u64 ino;
	__u32 dev;
	__u32 igen;
	__u64 what;
};

struct transaction {
	__u64 until;   /* boot time in ns; 0: while the entry is here */
	__u32 leader;  /* pid whose end ends it; 0: nobody's */
	__u32 targets; /* 0: anywhere */
	struct target target[GRANT_TARGETS];
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
	__u32 place; /* enum place_flag */
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
	__u32 generation; /* what rule is a number of */
	char path[PATH_PARTS][PART_LEN];
};

/* A character device that is a surface, by its numbers; ANY_MINOR for all of a driver's. */
#define ANY_MINOR 0xffffffff
struct device_key {
	__u32 major;
	__u32 minor;
};

/* The guard's own programs and maps, by their ids: nobody else gets a descriptor of them. */
struct own_key {
	__u32 id;
	__u32 program; /* else a map */
};

/* A deputy that listens on a port of this host. */
struct port_key {
	__u32 port;
	__u32 generation;
};

struct port {
	__u16 rule;
	__u16 connectors;
	__u32 pad;
};

/* An address of this host, as sockets have it; IPv4 in the first word. */
struct address_key {
	__u32 family;
	__u32 words[4];
	__u32 pad;
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

/* While asking is set, a file the agent opens is a question: which identity? While
 * canary is set, the answer to one about a directory is a refusal: it shows that
 * refusals are heard. */
struct agent {
	__u32 asking;
	__u32 canary;
	__u32 mounts; /* the host's mount namespace, by its inode number */
	__u32 pad;
};

/* What holds for the whole file tree. */
struct tree {
	__u64 moves;   /* of directories between places: a place kept before one does not count */
	__u64 settled; /* until when (boot time, ns) a move may still be under way */
	__u64 made;    /* whether an updater or builder has made anything in user space */
	__u64 linked;  /* whether any label has been linked */
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
