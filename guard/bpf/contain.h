/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Containment follows exposure: who listens beyond loopback is contained from then
 * on, with every later child. */
#ifndef KANNUKI_CONTAIN_H
#define KANNUKI_CONTAIN_H

#include "label.h"
#include "event.h"

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
	struct root none = {};
	struct label *l;

	if (!c || !c->listeners || bpf_get_current_pid_tgid() >> 32 == 1 || is_agent())
		return;
	l = make_label();
	if (!l || (l->flags & (LABEL_CONTAINED | LABEL_EXEMPT)) || (flags_of(l) & (LABEL_UPDATER | LABEL_GRANT)))
		return;
	l->flags |= LABEL_CONTAINED;
	tell(OP_CONTAINED, CONTROL_CONTAIN, false, NULL, &none, l->flags);
}

static __always_inline void on_listen(struct socket *sock)
{
	__u64 gen = generation();
	struct sock *sk = sock->sk;
	__u32 a[4];

	if (!gen || !sk)
		return;
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

struct sockaddr_any {
	__u16 family;
	__u16 port;
	__u32 addr4; /* flowinfo of an IPv6 address */
	__u32 addr6[4];
};

/* A datagram socket has no listen: binding it to a port is the same promise. */
static __always_inline void on_bind(struct socket *sock, void *address, int len)
{
	struct sockaddr_any a = {};
	__u64 gen = generation();

	if (!gen || sock->type != SOCK_DGRAM || len < 8)
		return;
	if (bpf_probe_read_kernel(&a, len < sizeof(a) ? 8 : sizeof(a), address))
		return;
	if (!a.port)
		return;
	if (a.family == AF_INET && is_loopback4(a.addr4))
		return;
	if (a.family == AF_INET6 && is_loopback6(a.addr6))
		return;
	if (a.family != AF_INET && a.family != AF_INET6)
		return;
	contain(gen);
}

/* A child is what its parent is. */
static __always_inline void on_fork(struct task_struct *task, unsigned long clone_flags)
{
	struct label *parent, *child;

	if (clone_flags & CLONE_THREAD)
		return;
	parent = label_of_current();
	if (!parent)
		return;
	child = bpf_task_storage_get(&labels, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (child)
		*child = *parent;
}

#endif
