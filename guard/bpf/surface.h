/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Surfaces of the kernel that contained processes do not get to, and what keeps the guard
 * itself in force, which nobody gets to. */
#ifndef KANNUKI_SURFACE_H
#define KANNUKI_SURFACE_H

#include <bpf/bpf_endian.h>

#include "process.h"

/* A contained process asks for a surface. */
int use_surface(__u32 surface, __u64 dentry, struct label *l)
{
	struct matter m = { .op = OP_SURFACE, .control = CONTROL_KERNEL };
	struct surface_rule *rule;
	struct config *c;
	int verdict;

	m.flags = flags_of(l);
	m.generation = generation();
	if (!l || !m.generation || !(m.flags & LABEL_CONTAINED))
		return 0;
	verdict = check_privileges(m.flags, m.generation);
	if (verdict)
		return verdict;
	c = bpf_map_lookup_elem(&configs, &m.generation);
	if (!c)
		return 0;
	rule = &c->surfaces[bounded(surface, SURFACE_MAX)];
	if (!rule->refused || descends(l, rule->allowed, m.generation))
		return 0;
	m.rule = rule->rule;
	return refuse(&m, dentry);
}

static __always_inline int ask_surface(__u32 surface)
{
	return use_surface(surface, 0, find_label());
}

/* ── System calls ─────────────────────────────────────────────────────────────────── */

/* The surface of the system call that the task is in. */
int surface_of_syscall(__u32 *surface)
{
	struct syscall_key key = {};
	__u64 task = bpf_get_current_task();
	__u32 *found;

	if (!surface)
		return 0;
	key.number = SYSCALL_OF(bpf_task_pt_regs(bpf_get_current_task_btf()));
	key.compat = COMPAT_OF(task);
	found = bpf_map_lookup_elem(&syscalls, &key);
	if (!found)
		return 0;
	*surface = *found;
	return 1;
}

/* include/uapi/linux/capability.h: those that stand before a surface without a hook. */
#define CAP_DAC_READ_SEARCH 2
#define CAP_NET_ADMIN 12
#define CAP_SYS_MODULE 16
#define CAP_SYS_RAWIO 17
#define CAP_SYS_ADMIN 21
#define CAP_SYS_PACCT 20
#define CAP_SYS_BOOT 22
#define CAP_SYS_TIME 25
#define CAP_AUDIT_CONTROL 30
#define CAPS_ASKED (1ULL << CAP_DAC_READ_SEARCH | 1ULL << CAP_NET_ADMIN | 1ULL << CAP_SYS_MODULE | 1ULL << CAP_SYS_RAWIO | 1ULL << CAP_SYS_ADMIN | 1ULL << CAP_SYS_PACCT | 1ULL << CAP_SYS_BOOT | 1ULL << CAP_SYS_TIME)

/* A contained process is about to do what only some may: the moment to look whether it
 * was one of them before. */
int use_capability(__u32 cap, struct label *l)
{
	__u32 flags = flags_of(l), surface = SURFACE_CLOCK;
	__u64 gen = generation();
	int verdict;

	if (!gen || !(flags & LABEL_CONTAINED))
		return 0;
	verdict = check_privileges(flags, gen);
	if (cap == CAP_AUDIT_CONTROL)
		return verdict ? verdict : use_surface(SURFACE_NETLINK, 0, l); /* what is recorded */
	if (verdict || cap > 63 || !(CAPS_ASKED >> (cap & 63) & 1))
		return verdict;
	if (cap != CAP_SYS_TIME && !surface_of_syscall(&surface))
		return 0;
	/* An ioctl is many things: one that takes this capability, and would get it, changes
	 * the network, or reaches below files. */
	if (surface == SURFACE_NETLINK) {
		if ((cap != CAP_NET_ADMIN && cap != CAP_SYS_ADMIN) || !(capabilities_of((__u64)READ(task_struct, bpf_get_current_task(), cred)) >> cap & 1))
			return 0;
		if (cap == CAP_SYS_ADMIN)
			surface = SURFACE_RAW_DISK;
	} else if (cap == CAP_NET_ADMIN) {
		return 0;
	}
	return use_surface(surface, 0, l);
}

static __always_inline int on_capable(int cap)
{
	struct label *l = label_of_current();

	return l ? use_capability(cap, l) : 0;
}

/* Keys are asked for by the kernel too; only the calls of processes are a surface. */
static __always_inline int on_key(void)
{
	__u32 surface = SURFACE_MAX;

	return surface_of_syscall(&surface) && surface == SURFACE_KEYCTL ? ask_surface(surface) : 0;
}

/* include/uapi/linux/sched.h */
#define CLONE_NEW (0x00000080 | 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x20000000 | 0x40000000)

/* ── Sockets ──────────────────────────────────────────────────────────────────────── */

#define AF_UNIX 1
#define AF_KEY 15
#define AF_NETLINK 16
#define AF_PACKET 17
#define AF_RXRPC 33
#define AF_ALG 38
#define AF_VSOCK 40
#define SOCK_RAW 3
#define SOCK_PACKET 10

#define NETLINK_ROUTE 0
#define NETLINK_XFRM 6
#define NETLINK_AUDIT 9
#define NETLINK_NETFILTER 12
#define NETLINK_KOBJECT_UEVENT 15

static __always_inline int surface_of_netlink(int protocol)
{
	switch (protocol) {
	case NETLINK_ROUTE:
	case NETLINK_AUDIT:
	case NETLINK_KOBJECT_UEVENT:
		return -1;
	case NETLINK_XFRM:
		return SURFACE_XFRM;
	case NETLINK_NETFILTER:
		return SURFACE_NF_TABLES;
	}
	return SURFACE_NETLINK;
}

static __always_inline int surface_of_socket(int family, int type, int protocol)
{
	switch (family) {
	case AF_UNIX:
		return -1;
	case AF_INET:
	case AF_INET6:
		if (type == SOCK_PACKET)
			return SURFACE_AF_PACKET;
		return type == SOCK_RAW ? SURFACE_RAW_SOCKET : -1;
	case AF_NETLINK:
		return surface_of_netlink(protocol);
	case AF_KEY:
		return SURFACE_XFRM;
	case AF_PACKET:
		return SURFACE_AF_PACKET;
	case AF_RXRPC:
		return SURFACE_RXRPC;
	case AF_ALG:
		return SURFACE_AF_ALG;
	case AF_VSOCK:
		return SURFACE_VSOCK;
	}
	return SURFACE_SOCKET_FAMILIES;
}

static __always_inline int on_socket(int family, int type, int protocol, int kern)
{
	int surface = surface_of_socket(family, type, protocol);

	return kern || surface < 0 ? 0 : ask_surface(surface);
}

struct nlmsghdr {
	__u32 len;
	__u16 type;
	__u16 flags;
	__u32 seq;
	__u32 pid;
};

#define RTM_BASE 16
#define RTM_GET 2 /* of the four kinds of every object: new, del, get, set */
#define MAX_MESSAGES 64

struct messages {
	__u64 at, end;
	__u32 changes;
};

static long look_at_message(__u32 i, struct messages *m)
{
	struct nlmsghdr h = {};

	if (m->at + sizeof(h) > m->end)
		return 1;
	if (bpf_probe_read_kernel(&h, sizeof(h), (void *)m->at) || h.len < sizeof(h))
		return 1;
	if (h.type >= RTM_BASE && ((h.type - RTM_BASE) & 3) != RTM_GET) {
		m->changes = 1;
		return 1;
	}
	m->at += (h.len + 3) & ~3U;
	return 0;
}

/* Questions about the network are everybody's; changes of it are the surface. */
int send_route(__u64 skb, struct label *l)
{
	struct messages m = {};

	m.at = (__u64)READ(sk_buff, skb, data);
	m.end = m.at + READ(sk_buff, skb, len);
	if (bpf_loop(MAX_MESSAGES, look_at_message, &m, 0) < MAX_MESSAGES && !m.changes)
		return 0;
	return use_surface(SURFACE_NETLINK, 0, l);
}

static __always_inline int on_netlink(struct sock *sk, struct sk_buff *skb)
{
	struct label *l = find_label();

	if (!l)
		return 0;
	/* What is told there daemons take for the kernel's own word. */
	if (sk->sk_protocol == NETLINK_KOBJECT_UEVENT)
		return use_surface(SURFACE_NETLINK, 0, l);
	return sk->sk_protocol == NETLINK_ROUTE ? send_route(number(skb), l) : 0;
}

#define SOL_IP 0
#define SOL_IPV6 41

/* The options of iptables, arptables and ebtables: IPT_SO_SET_* and their like. */
static __always_inline int on_option(int level, int name)
{
	if ((level != SOL_IP || (name != 64 && name != 65 && name != 96 && name != 97 && name != 128 && name != 129)) &&
	    (level != SOL_IPV6 || (name != 64 && name != 65)))
		return 0;
	return ask_surface(SURFACE_NF_TABLES);
}

/* A deputy that listens on a port of this host. */
int connect_port(__u64 address, struct label *l)
{
	struct matter m = { .op = OP_CONNECT, .control = CONTROL_CONTAIN };
	struct address_key own_address = {};
	struct port_key key = {};
	struct port *port;
	__u16 number = 0;

	m.flags = flags_of(l);
	m.generation = generation();
	if (!l || !m.generation || !(m.flags & LABEL_CONTAINED))
		return 0;
	bpf_probe_read_kernel(&own_address.family, 2, (void *)address);
	bpf_probe_read_kernel(&number, 2, (void *)(address + 2));
	key.port = bpf_ntohs(number);
	key.generation = m.generation;
	port = bpf_map_lookup_elem(&ports, &key);
	if (!port || descends(l, port->connectors, m.generation))
		return 0;
	if (own_address.family == AF_INET)
		bpf_probe_read_kernel(own_address.words, 4, (void *)(address + 4));
	else if (own_address.family == AF_INET6)
		bpf_probe_read_kernel(own_address.words, 16, (void *)(address + 8));
	else
		return 0;
	if (own_address.family == AF_INET6 && !own_address.words[0] && !own_address.words[1] && own_address.words[2] == bpf_htonl(0xffff)) {
		own_address.family = AF_INET;
		own_address.words[0] = own_address.words[3];
		own_address.words[2] = own_address.words[3] = 0;
	}
	/* Nowhere is here, too. */
	if (!(own_address.family == AF_INET && (own_address.words[0] & 0xff) == 127) &&
	    (own_address.words[0] | own_address.words[1] | own_address.words[2] | own_address.words[3]) && !bpf_map_lookup_elem(&addresses, &own_address))
		return 0;
	m.rule = port->rule;
	return refuse(&m, 0);
}

static __always_inline int on_connect(void *address)
{
	struct label *l = label_of_current();

	return l ? connect_port(number(address), l) : 0;
}

/* ── Files that are no files ──────────────────────────────────────────────────────── */

#define BPF_FS_MAGIC 0xcafe4a11 /* include/uapi/linux/magic.h */

static __always_inline __u64 name_at(__u64 dentry)
{
	__u64 first = 0;

	bpf_probe_read_kernel(&first, 8, READ(dentry, dentry, d_name.name)); /* names are stored in 32 bytes or more */
	return first;
}

#define FTRACE_E 0x655f656361727466ULL /* "ftrace_e", the first byte lowest */
#define SYSRQ_TR 0x72742d7172737973ULL /* "sysrq-tr" */

/* Whoever switches ftrace off switches every program off that hangs on it, and the guard
 * with them: nobody does. */
int refuse_switching_off(__u64 dentry, struct label *l)
{
	struct matter m = { .op = OP_GUARD, .control = CONTROL_SELF };

	m.flags = flags_of(l);
	m.generation = generation();
	return m.generation ? refuse(&m, dentry) : 0;
}

#define PIDTYPE_PID 0

/* A file of /proc: of a process, a switch, or one of the rest. */
int write_proc(__u64 dentry, __u64 inode, struct label *l)
{
	__u64 proc = inode - bpf_core_field_offset(struct proc_inode, vfs_inode);
	__u64 pid = (__u64)READ(proc_inode, proc, pid);
	__u64 first = name_at(dentry);

	if (READ(proc_inode, proc, sysctl)) {
		if (first == FTRACE_E)
			return refuse_switching_off(dentry, l);
		return use_surface(SURFACE_SYSCTL, dentry, l);
	}
	if (pid) {
		__u64 link = (__u64)READ(pid, pid, tasks[PIDTYPE_PID].first);

		return link ? refuse_other(link - bpf_core_field_offset(struct task_struct, pid_links), OP_TUNE, dentry, l) : 0;
	}
	return use_surface(first == SYSRQ_TR ? SURFACE_SYSRQ : SURFACE_SYSCTL, dentry, l);
}

/* A switch of the kernel is opened for writing or changed. */
int change_kernel(__u64 dentry, struct label *l)
{
	__u64 inode = (__u64)READ(dentry, dentry, d_inode);
	unsigned long magic = READ(dentry, dentry, d_sb, s_magic);

	if (magic == PROC_SUPER_MAGIC)
		return inode ? write_proc(dentry, inode, l) : 0;
	return use_surface(magic == BINFMTFS_MAGIC ? SURFACE_BINFMT : SURFACE_SYSFS, dentry, l);
}

#define MAJOR(dev) ((dev) >> 20)
#define MINOR(dev) ((dev) & 0xfffff)

/* Devices that lie below files: block devices, and the character devices that the agent
 * lists. */
int open_device(__u64 dentry, struct label *l)
{
	__u64 inode = (__u64)READ(dentry, dentry, d_inode);
	__u32 dev = READ(inode, inode, i_rdev);
	struct device_key key = { .major = MAJOR(dev), .minor = MINOR(dev) };
	__u32 *surface;

	if (S_ISBLK(READ(inode, inode, i_mode)))
		return use_surface(SURFACE_RAW_DISK, dentry, l);
	surface = bpf_map_lookup_elem(&devices, &key);
	if (!surface) {
		key.minor = ANY_MINOR;
		surface = bpf_map_lookup_elem(&devices, &key);
	}
	return surface ? use_surface(*surface, dentry, l) : 0;
}

/* ── The rest ─────────────────────────────────────────────────────────────────────── */

#define LOCKED(name, surface)                                                                                \
	if (bpf_core_enum_value_exists(enum lockdown_reason, name) && what == bpf_core_enum_value(enum lockdown_reason, name)) \
		return use_surface(surface, 0, l);

/* What the kernel itself asks about where it is locked down. Not all of it: what programs
 * of the guard read is asked about here, too. */
int use_locked(__u32 what, struct label *l)
{
	LOCKED(LOCKDOWN_DEV_MEM, SURFACE_RAW_MEMORY)
	LOCKED(LOCKDOWN_PCI_ACCESS, SURFACE_RAW_MEMORY)
	LOCKED(LOCKDOWN_IOPORT, SURFACE_RAW_MEMORY)
	LOCKED(LOCKDOWN_MSR, SURFACE_RAW_MEMORY)
	LOCKED(LOCKDOWN_ACPI_TABLES, SURFACE_RAW_MEMORY)
	LOCKED(LOCKDOWN_KCORE, SURFACE_RAW_MEMORY)
	LOCKED(LOCKDOWN_MMIOTRACE, SURFACE_RAW_MEMORY)
	LOCKED(LOCKDOWN_KEXEC, SURFACE_KEXEC)
	LOCKED(LOCKDOWN_HIBERNATION, SURFACE_KEXEC)
	LOCKED(LOCKDOWN_DEBUGFS, SURFACE_SYSFS)
	LOCKED(LOCKDOWN_TRACEFS, SURFACE_SYSFS)
	LOCKED(LOCKDOWN_KPROBES, SURFACE_PERF)
	return 0;
}

static __always_inline int on_locked(int what)
{
	struct label *l = find_label();

	return l ? use_locked(what, l) : 0;
}

#define READING_KEXEC_IMAGE 3 /* enum kernel_read_file_id; those of kernel_load_data are the same */
#define READING_KEXEC_INITRAMFS 4

/* What the kernel takes in: modules, kernels. */
static __always_inline int on_intake(int id, __u64 dentry, struct label *l)
{
	if (id == READING_MODULE)
		return use_surface(SURFACE_MODULE, dentry, l);
	return id == READING_KEXEC_IMAGE || id == READING_KEXEC_INITRAMFS ? use_surface(SURFACE_KEXEC, dentry, l) : 0;
}

/* Files without a place, by the name of their kind: "[userfaultfd]", "[io_uring]". */
static __always_inline int on_anonymous(const struct qstr *name)
{
	char kind[8] = {};

	bpf_probe_read_kernel(kind, sizeof(kind), READ(qstr, number(name), name));
	if (kind[1] == 'u' && kind[2] == 's')
		return ask_surface(SURFACE_USERFAULTFD);
	return kind[1] == 'i' && kind[2] == 'o' ? ask_surface(SURFACE_IO_URING) : 0;
}

/* ── The guard's own ──────────────────────────────────────────────────────────────── */

int is_own(__u32 id, __u32 program)
{
	struct own_key key = { .id = id, .program = program };

	return bpf_map_lookup_elem(&own, &key) != NULL;
}

/* Nobody but the agent gets a descriptor of its programs and maps. */
static __always_inline int on_descriptor(__u32 id, __u32 program)
{
	return is_own(id, program) ? refuse_about_agent(OP_GUARD, find_label()) : 0;
}

struct detach_attr {
	__u32 target_fd;
	__u32 attach_bpf_fd;
	__u32 attach_type;
};

static __always_inline int on_bpf(int cmd, void *attr)
{
	struct label *l = find_label();
	struct detach_attr a = {};

	/* The second lock on ftrace_enabled hangs on a control group. */
	if (cmd == BPF_PROG_DETACH && !bpf_probe_read_kernel(&a, sizeof(a), attr) && a.attach_type == BPF_CGROUP_SYSCTL)
		return refuse_about_agent(OP_GUARD, l);
	return use_surface(SURFACE_BPF, 0, l);
}

/* Where the pins lie nobody takes away, covers or remounts; the first process does at the
 * end. In a mount namespace of its own a process does what only it sees. */
int refuse_pins(__u64 magic, struct label *l)
{
	if (magic != BPF_FS_MAGIC || READ(task_struct, bpf_get_current_task(), nsproxy, mnt_ns, ns.inum) != the_agent.mounts)
		return 0;
	return refuse_about_agent(OP_GUARD, l);
}

#endif
