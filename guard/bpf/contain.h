/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Containment follows exposure: who listens beyond loopback is contained from then
 * on, with every later child. */
#ifndef KANNUKI_CONTAIN_H
#define KANNUKI_CONTAIN_H

#include "walk.h"
#include "label.h"
#include "event.h"
#include "surface.h"

static __always_inline bool is_loopback4(__u32 addr)
{
	return (addr & 0xff) == 127; /* network byte order, little-endian host */
}

static __always_inline bool is_loopback6(const __u32 *a)
{
	if (a[0] || a[1])
		return false;
	if (!a[2])
		return a[3] == bpf_htonl(1);
	return a[2] == bpf_htonl(0xffff) && is_loopback4(a[3]);
}

static __always_inline void contain(__u64 gen)
{
	struct config *c = bpf_map_lookup_elem(&configs, &gen);
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	__u64 since = READ(task_struct, bpf_get_current_task(), group_leader, start_boottime);
	struct label *l;

	if (!c || !c->listeners || tgid == 1)
		return;
	if (!(c->enforce & CONTROL_CONTAIN)) {
		note(OP_CONTAINED, 0, 0, gen);
		return;
	}
	l = make_label();
	if (!l || ((l->flags | l->unit_flags) & (LABEL_EXEMPT | LABEL_AGENT)) || (l->flags & LABEL_CONTAINED))
		return;
	/* Noted first: the agent may write this label just now, and looks there after it. */
	bpf_map_update_elem(&just_contained, &tgid, &since, BPF_ANY);
	l->flags |= LABEL_CONTAINED;
	/* What listens is no updater, even where one started it. */
	l->flags &= ~LABEL_UPDATER;
	note(OP_CONTAINED, l->flags, 0, gen);
}

/* Does a socket with this address of its own face the network? */
static __always_inline void faces(struct sock *sk, __u64 gen)
{
	__u32 a[4];

	switch (sk->__sk_common.skc_family) {
	case AF_INET:
		if (is_loopback4(sk->__sk_common.skc_rcv_saddr))
			return;
		break;
	case AF_INET6:
		a[0] = sk->__sk_common.skc_v6_rcv_saddr.in6_u.u6_addr32[0];
		a[1] = sk->__sk_common.skc_v6_rcv_saddr.in6_u.u6_addr32[1];
		a[2] = sk->__sk_common.skc_v6_rcv_saddr.in6_u.u6_addr32[2];
		a[3] = sk->__sk_common.skc_v6_rcv_saddr.in6_u.u6_addr32[3];
		if (is_loopback6(a))
			return;
		break;
	default:
		return;
	}
	contain(gen);
}

static __always_inline void on_listen(struct socket *sock)
{
	__u64 gen = generation();
	struct sock *sk = sock->sk;

	if (gen && sk)
		faces(sk, gen);
}

/* A datagram socket has no listen: giving it a port of its own is the same promise. */
static __always_inline void on_port(struct sock *sk, unsigned short port)
{
	__u64 gen = generation();

	if (gen && port)
		faces(sk, gen);
}

/* Whoever accepts on a socket that somebody else opened (socket activation) faces the
 * network as much as who opened it. */
static __always_inline void on_accept(struct socket *sock)
{
	struct label *l = label_of_current();

	if (l && (l->flags & LABEL_CONTAINED))
		return;
	on_listen(sock);
}

/* Sockets behind which somebody with more rights acts on request: only connectors of the
 * place have to do with them. */
int refuse_deputy(struct place *p, __u64 dentry, __u32 op, struct label *l, __u64 gen)
{
	struct matter m = { .op = op, .control = CONTROL_CONTAIN, .generation = gen };

	if (!p || !(p->flags & PLACE_DEPUTY) || descends(l, p->connectors, gen))
		return 0;
	m.flags = flags_of(l);
	m.rule = p->deputy_rule;
	m.place = p->flags;
	return refuse(&m, dentry);
}

int connect_slowly(__u64 dentry, __u64 mnt, struct label *l, __u64 gen)
{
	__u64 mount = mnt - bpf_core_field_offset(struct mount, mnt);
	struct place p = {};

	place_of_name(dentry, gen, &p);
	/* Every account has a file system of its own below /run/user. Where it is mounted for
	 * the one that listens is nothing that who connects could change. */
	if (mnt && !(p.flags & PLACE_DEPUTY)) {
		__builtin_memset(&p, 0, sizeof(p));
		place_of_dir((__u64)READ(mount, mount, mnt_mountpoint), gen, &p);
	}
	return refuse_deputy(&p, dentry, OP_CONNECT, l, gen);
}

/* A socket with a name that lies in no directory. */
int connect_abstract(__u64 address, struct label *l, __u64 gen)
{
	struct name_key key = { .node = NODE_ABSTRACT, .generation = gen };
	char name[64] = {};
	struct place *p;
	int len;

	if (!address)
		return 0;
	len = READ(unix_address, address, len) - 3; /* behind the family and the first byte, which is 0 */
	if (len <= 0 || len >= NAME_LEN)
		return 0;
	bpf_probe_read_kernel(name, bounded(len, 64), (void *)(address + bpf_core_field_offset(struct unix_address, name) + 3));
	__builtin_memcpy(key.name, name, NAME_LEN);
	p = bpf_map_lookup_elem(&names, &key);
	return p ? refuse_deputy(p, 0, OP_CONNECT, l, gen) : 0;
}

static __always_inline int on_connect_unix(struct sock *other)
{
	struct label *l = label_of_current();
	__u64 gen = generation();
	struct unix_sock *peer;
	__u64 dentry;

	if (!other || !gen || !(flags_of(l) & LABEL_CONTAINED))
		return 0;
	peer = bpf_skc_to_unix_sock(other);
	if (!peer)
		return 0;
	dentry = number(peer->path.dentry);
	return dentry ? connect_slowly(dentry, number(peer->path.mnt), l, gen) : connect_abstract(number(peer->addr), l, gen);
}

/* A child is what its parent is, or is none. */
static __always_inline int on_fork(struct task_struct *task, struct label *parent, unsigned long clone_flags)
{
	struct label *child;

	if (parent->flags & LABEL_CONTAINED)
		inherit_privileges(task);
	if (clone_flags & CLONE_THREAD)
		return 0;
	child = bpf_task_storage_get(&labels, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!child)
		return -EPERM;
	*child = *parent;
	child->flags &= ~LABEL_AGENT;
	child->next.set = 0;
	return 0;
}

#endif
