//go:build ignore

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The hooks. Every decision is written once and attached in one of two ways: as a BPF
 * LSM program (tier 1), or where the kernel's LSM list lacks bpf as fmod_ret on the
 * security_* function that calls the list (tier 2). The loader takes one set. */
#include "kernel.h"
#include <bpf/bpf_endian.h>
#include "exec.h"
#include "script.h"
#include "write.h"
#include "contain.h"

/* Enumerations the Go side needs too: BTF keeps what something points to. */
const enum place_flag *keep_place_flag __attribute__((unused));
const enum control *keep_control __attribute__((unused));
const enum label_flag *keep_label_flag __attribute__((unused));
const enum option_how *keep_option_how __attribute__((unused));
const enum op *keep_op __attribute__((unused));
const enum surface *keep_surface __attribute__((unused));
const enum counter *keep_counter __attribute__((unused));
const struct event *keep_event __attribute__((unused));
const struct target *keep_target __attribute__((unused));

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* The verifier holds a hook to 0 or an error; it knows nothing of what a function that
 * takes numbers returns, and does not follow the compiler's way of writing "? :". */
#define VERDICT(body) ({ int __v = (body); if (__v) asm volatile("%0 = -1" : "=r"(__v)); __v; })

#define HOOK1(name, security, body, t1, a1)                                              \
	SEC("lsm/" #name) int BPF_PROG(lsm_##name, t1 a1) { return VERDICT(body); }                  \
	SEC("fmod_ret/" #security) int BPF_PROG(mod_##name, t1 a1) { return VERDICT(body); }
#define HOOK2(name, security, body, t1, a1, t2, a2)                                      \
	SEC("lsm/" #name) int BPF_PROG(lsm_##name, t1 a1, t2 a2) { return VERDICT(body); }           \
	SEC("fmod_ret/" #security) int BPF_PROG(mod_##name, t1 a1, t2 a2) { return VERDICT(body); }
#define HOOK3(name, security, body, t1, a1, t2, a2, t3, a3)                              \
	SEC("lsm/" #name) int BPF_PROG(lsm_##name, t1 a1, t2 a2, t3 a3) { return VERDICT(body); }    \
	SEC("fmod_ret/" #security) int BPF_PROG(mod_##name, t1 a1, t2 a2, t3 a3) { return VERDICT(body); }
#define HOOK4(name, security, body, t1, a1, t2, a2, t3, a3, t4, a4)                      \
	SEC("lsm/" #name) int BPF_PROG(lsm_##name, t1 a1, t2 a2, t3 a3, t4 a4) { return VERDICT(body); } \
	SEC("fmod_ret/" #security) int BPF_PROG(mod_##name, t1 a1, t2 a2, t3 a3, t4 a4) { return VERDICT(body); }

/* The agent opens a directory or file to learn its identity as this program sees it. */
static __always_inline void identify(struct inode *inode, struct super_block *sb)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct identity id = {};

	id.ino = inode->i_ino;
	id.dev = sb->s_dev;
	id.uid = inode->i_uid.val;
	id.mode = inode->i_mode;
	id.igen = inode->i_generation;
	id.magic = sb->s_magic;
	bpf_map_update_elem(&identities, &tid, &id, BPF_ANY);
}

/* Something is opened for reading by a process with a label. */
static __always_inline int on_labelled_read(struct opened *o, struct label *l, __u64 gen)
{
	__u32 flags;
	int verdict;

	if (!o || !l || !gen)
		return 0;
	flags = flags_of(l);
	if ((flags & LABEL_CONTAINED) && (o->place & (PLACE_PRIVATE | PLACE_HOLDS))) {
		verdict = on_contained_read(o->dentry, l, flags, gen);
		if (verdict)
			return verdict;
	}
	if (flags & LABEL_INTERPRETER)
		return on_script(o, l, gen);
	if (flags & (LABEL_LOADER | LABEL_MODULES))
		return on_module_file(o->dentry, flags, gen);
	return 0;
}

/* A read open must cost next to nothing: the mode first, then whether the task could
 * have a label at all, then whether anybody at all could be refused there. */
static __always_inline int on_open(struct file *file)
{
	struct task_struct *leader = bpf_get_current_task_btf()->group_leader;
	struct dentry *dentry = file->f_path.dentry;
	struct inode *inode = file->f_inode, *dir;
	bool labelled = leader->bpf_storage != NULL;
	struct opened o = {};
	__u64 gen = generation();
	struct label *l;
	__u32 flags, asked;

	if (file->f_mode & FMODE_WRITE) {
		int verdict = on_open_write(dentry, inode, leader, labelled);

		if (verdict || (!(file->f_mode & FMODE_READ) && S_ISREG(inode->i_mode)))
			return verdict;
	}
	if (!labelled)
		return 0;
	if (the_agent.asking) {
		l = bpf_task_storage_get(&labels, leader, NULL, 0);
		if (l && (l->flags & LABEL_AGENT)) {
			identify(inode, dentry->d_sb);
			return the_agent.canary && S_ISDIR(inode->i_mode) ? -EPERM : 0;
		}
	}
	if (!gen)
		return 0;
	if (S_ISBLK(inode->i_mode) || S_ISCHR(inode->i_mode))
		return open_device(number(dentry), bpf_task_storage_get(&labels, leader, NULL, 0));
	dir = S_ISDIR(inode->i_mode) ? inode : dentry->d_parent->d_inode;
	if (!dir || !known_flags(dir, dentry->d_sb, gen, &flags))
		flags = PLACE_PRIVATE | PLACE_HOLDS;
	if ((flags & (PLACE_LAUNCHES | PLACE_PRIVATE | PLACE_HOLDS)) == PLACE_LAUNCHES)
		return tree.linked ? link_opened(bpf_task_storage_get(&labels, leader, NULL, 0)) : 0;
	l = bpf_task_storage_get(&labels, leader, NULL, 0);
	if (!l)
		return 0;
	asked = LABEL_INTERPRETER | LABEL_LOADER | LABEL_MODULES;
	if (flags & (PLACE_PRIVATE | PLACE_HOLDS))
		asked |= LABEL_CONTAINED | LABEL_GRANT;
	if (!((l->flags | l->unit_flags) & asked))
		return 0;
	o.dentry = number(dentry);
	o.name = number(dentry->d_name.name);
	o.len = dentry->d_name.len;
	o.place = flags;
	o.regular = S_ISREG(inode->i_mode);
	return on_labelled_read(&o, l, gen);
}

static __always_inline int on_rename(struct dentry *old, struct dentry *new)
{
	struct dentry *parent = old->d_parent;
	__u64 gen = generation();

	if (!gen)
		return 0;
	if (!S_ISDIR(old->d_inode->i_mode) && parent == new->d_parent && !is_directory(number(new)) &&
	    open_to(may_be_labelled(), parent->d_inode, parent->d_sb, gen))
		return 0;
	return rename_slowly(number(old), number(new), gen);
}

/* A second name for a file of system space would let it be changed through that name. */
static __always_inline int on_link(struct dentry *old, struct dentry *new)
{
	int verdict = name_changes(new, OP_LINK);
	__u64 gen = generation();

	return verdict || !gen || is_open(old, gen) ? verdict : link_slowly(number(old), gen);
}

static __always_inline int on_rmdir(struct dentry *dentry)
{
	__u64 gen = generation();

	return gen ? change_name(number(dentry), OP_RMDIR, find_label(), gen) : 0;
}

static __always_inline int on_setattr(struct dentry *dentry, struct iattr *attr)
{
	int verdict;

	if (!(attr->ia_valid & ~ATTR_ATIME))
		return 0;
	verdict = change(dentry, OP_ATTR);
	if (!verdict && (attr->ia_valid & ATTR_MODE) && raising(attr->ia_mode) && !S_ISDIR(attr->ia_mode))
		verdict = raise_file(number(dentry));
	return verdict;
}

static __always_inline int on_create(struct dentry *dentry, umode_t mode, __u32 op)
{
	int verdict = name_changes(dentry, op);

	return verdict || !raising(mode) ? verdict : raise_file(number(dentry));
}

/* File capabilities are kept in an extended attribute. */
static __always_inline int on_setxattr(struct dentry *dentry, const char *name)
{
	int verdict = change(dentry, OP_XATTR);
	char got[24] = {};

	if (verdict || bpf_probe_read_kernel_str(got, sizeof(got), name) < 0)
		return verdict;
	if (__builtin_memcmp(got, "security.capability", 20))
		return 0;
	return raise_file(number(dentry));
}

/* The ioctls that change a file through a descriptor opened for reading. */
#define FS_IOC_SETFLAGS 0x40086602
#define FS_IOC32_SETFLAGS 0x40046602
#define FS_IOC_FSSETXATTR 0x401c5820
#define FS_IOC_SETVERSION 0x40087602 /* the inode's generation, by which places are known */
#define FS_IOC32_SETVERSION 0x40047602

static __always_inline int on_ioctl(struct file *file, unsigned int cmd)
{
	if (cmd == FIOSETOWN || cmd == SIOCSPGRP)
		return own_descriptor((__u32)-1);
	if (cmd != FS_IOC_SETFLAGS && cmd != FS_IOC32_SETFLAGS && cmd != FS_IOC_FSSETXATTR && cmd != FS_IOC_SETVERSION && cmd != FS_IOC32_SETVERSION)
		return 0;
	return change(file->f_path.dentry, OP_ATTR);
}

#define MS_REMOUNT 32 /* include/uapi/linux/mount.h */

/* A mount over something. In a mount namespace of its own a process changes what only
 * it and its children see, and what they launch is judged by where it really lies:
 * systemd makes services' sandboxes that way. Contained processes make none. */
static __always_inline int on_mount(struct dentry *dentry, unsigned long flags)
{
	struct label *l = find_label();
	bool contained = flags_of(l) & LABEL_CONTAINED;
	__u64 gen = generation();
	int verdict;

	if (READ(task_struct, bpf_get_current_task(), nsproxy, mnt_ns, ns.inum) != the_agent.mounts && !contained)
		return 0;
	/* Over the pins, or the way their file system is mounted. */
	verdict = refuse_pins(READ(dentry, number(dentry), d_sb, s_magic), l);
	if (verdict || !gen)
		return verdict;
	/* What is mounted already gets other options: nothing comes to lie over anything. */
	if ((flags & MS_REMOUNT) && !contained)
		return 0;
	verdict = change_slowly(number(dentry), OP_MOUNT, gen);
	return verdict ? verdict : covers_named(number(dentry), l, gen);
}

static __always_inline int listened(struct socket *sock)
{
	on_listen(sock);
	return 0;
}

static __always_inline int accepted(struct socket *sock)
{
	on_accept(sock);
	return 0;
}

static __always_inline int link_followed(struct dentry *dentry, struct inode *inode)
{
	on_link_followed(dentry, inode);
	return 0;
}

static __always_inline int forked(struct task_struct *task, unsigned long flags)
{
	struct label *l = label_of_current();
	int verdict = 0;
	__u32 label;

	if (!l)
		return 0;
	label = flags_of(l);
	if (flags & CLONE_NEW)
		verdict = use_surface(SURFACE_NAMESPACES, 0, l);
	if (!verdict && (flags & CLONE_INTO_CGROUP))
		verdict = refuse_joining(l);
	if (!verdict && (label & LABEL_CONTAINED))
		verdict = check_privileges(label, generation());
	return verdict ? verdict : on_fork(task, l, flags);
}

static __always_inline int taken_in(struct file *file, int id)
{
	int verdict = on_intake(id, file ? (__u64)READ(file, number(file), f_path.dentry) : 0, find_label());

	return verdict ? verdict : on_read_file(file, id);
}

static __always_inline int loaded(int id)
{
	struct label *l = find_label();
	int verdict = on_intake(id, 0, l);

	return verdict ? verdict : on_load_data(id, l);
}

HOOK1(bprm_creds_for_exec, security_bprm_creds_for_exec, on_exec(bprm), struct linux_binprm *, bprm)
HOOK1(bprm_check_security, security_bprm_check, on_check(bprm), struct linux_binprm *, bprm)
HOOK3(file_mprotect, security_file_mprotect, on_mprotect(vma, prot), struct vm_area_struct *, vma, unsigned long, reqprot, unsigned long, prot)
HOOK2(kernel_read_file, security_kernel_read_file, taken_in(file, id), struct file *, file, int, id)
HOOK1(file_open, security_file_open, on_open(file), struct file *, file)
HOOK3(inode_create, security_inode_create, on_create(dentry, mode, OP_CREATE), struct inode *, dir, struct dentry *, dentry, umode_t, mode)
HOOK2(inode_unlink, security_inode_unlink, name_changes(dentry, OP_UNLINK), struct inode *, dir, struct dentry *, dentry)
HOOK4(inode_rename, security_inode_rename, on_rename(old, new), struct inode *, old_dir, struct dentry *, old, struct inode *, new_dir, struct dentry *, new)
HOOK3(inode_link, security_inode_link, on_link(old, new), struct dentry *, old, struct inode *, dir, struct dentry *, new)
HOOK2(inode_symlink, security_inode_symlink, name_changes(dentry, OP_SYMLINK), struct inode *, dir, struct dentry *, dentry)
HOOK2(inode_mkdir, security_inode_mkdir, name_changes(dentry, OP_MKDIR), struct inode *, dir, struct dentry *, dentry)
HOOK2(inode_rmdir, security_inode_rmdir, on_rmdir(dentry), struct inode *, dir, struct dentry *, dentry)
HOOK3(inode_mknod, security_inode_mknod, on_create(dentry, mode, OP_MKNOD), struct inode *, dir, struct dentry *, dentry, umode_t, mode)
HOOK3(inode_setxattr, security_inode_setxattr, on_setxattr(dentry, name), void *, idmap, struct dentry *, dentry, const char *, name)
HOOK2(inode_removexattr, security_inode_removexattr, change(dentry, OP_XATTR), void *, idmap, struct dentry *, dentry)
HOOK2(inode_set_acl, security_inode_set_acl, change(dentry, OP_XATTR), void *, idmap, struct dentry *, dentry)
HOOK2(inode_remove_acl, security_inode_remove_acl, change(dentry, OP_XATTR), void *, idmap, struct dentry *, dentry)
HOOK2(file_ioctl_compat, security_file_ioctl_compat, on_ioctl(file, cmd), struct file *, file, unsigned int, cmd)
HOOK2(kernel_load_data, security_kernel_load_data, loaded(id), int, id, bool, contents)
HOOK2(inode_follow_link, security_inode_follow_link, link_followed(dentry, inode), struct dentry *, dentry, struct inode *, inode)
HOOK2(socket_accept, security_socket_accept, accepted(sock), struct socket *, sock, struct socket *, newsock)
HOOK2(unix_stream_connect, security_unix_stream_connect, on_connect_unix(other), struct sock *, sock, struct sock *, other)
HOOK2(unix_may_send, security_unix_may_send, on_connect_unix(other->sk), struct socket *, sock, struct socket *, other)
HOOK2(file_ioctl, security_file_ioctl, on_ioctl(file, cmd), struct file *, file, unsigned int, cmd)
HOOK4(sb_mount, security_sb_mount, on_mount(path->dentry, flags), const char *, dev, struct path *, path, const char *, type, unsigned long, flags)
HOOK2(move_mount, security_move_mount, on_mount(to->dentry, 0), struct path *, from, struct path *, to)
HOOK1(socket_listen, security_socket_listen, listened(sock), struct socket *, sock)
HOOK2(task_alloc, security_task_alloc, forked(task, flags), struct task_struct *, task, unsigned long, flags)

HOOK2(ptrace_access_check, security_ptrace_access_check, on_trace(child, mode), struct task_struct *, child, unsigned int, mode)
HOOK1(ptrace_traceme, security_ptrace_traceme, on_traceme(parent), struct task_struct *, parent)
HOOK3(task_kill, security_task_kill, on_signal(task, signal), struct task_struct *, task, void *, info, int, signal)
HOOK1(task_setscheduler, security_task_setscheduler, on_other(task, OP_TUNE), struct task_struct *, task)
HOOK1(task_setnice, security_task_setnice, on_other(task, OP_TUNE), struct task_struct *, task)
HOOK1(task_setioprio, security_task_setioprio, on_other(task, OP_TUNE), struct task_struct *, task)
HOOK1(task_setrlimit, security_task_setrlimit, on_other(task, OP_TUNE), struct task_struct *, task)
HOOK3(file_fcntl, security_file_fcntl, on_owner(cmd, arg), struct file *, file, unsigned int, cmd, unsigned long, arg)
HOOK2(task_fix_setuid, security_task_fix_setuid, on_ids(new, old), struct cred *, new, const struct cred *, old)
HOOK2(task_fix_setgid, security_task_fix_setgid, on_groups(new, old), struct cred *, new, const struct cred *, old)
HOOK2(task_fix_setgroups, security_task_fix_setgroups, on_groups(new, old), struct cred *, new, const struct cred *, old)
HOOK1(capset, security_capset, on_capset(new), struct cred *, new)

HOOK3(capable, security_capable, on_capable(cap), const struct cred *, cred, struct user_namespace *, ns, int, cap)
HOOK1(userns_create, security_create_user_ns, ask_surface(SURFACE_USERNS), const struct cred *, cred)
HOOK2(bpf, security_bpf, on_bpf(cmd, attr), int, cmd, void *, attr)
HOOK1(bpf_map, security_bpf_map, on_descriptor(map->id, 0), struct bpf_map *, map)
HOOK1(bpf_prog, security_bpf_prog, on_descriptor(prog->aux->id, 1), struct bpf_prog *, prog)
HOOK1(perf_event_open, security_perf_event_open, ask_surface(SURFACE_PERF), void *, attr)
HOOK1(locked_down, security_locked_down, on_locked(what), int, what)
HOOK1(kernel_module_request, security_kernel_module_request, ask_surface(SURFACE_MODULE_AUTOLOAD), char *, name)
HOOK2(inode_init_security_anon, security_inode_init_security_anon, on_anonymous(name), struct inode *, inode, const struct qstr *, name)
HOOK1(key_alloc, security_key_alloc, on_key(), void *, key)
HOOK1(key_permission, security_key_permission, on_key(), void *, key)
HOOK4(socket_create, security_socket_create, on_socket(family, type, protocol, kern), int, family, int, type, int, protocol, int, kern)
HOOK2(socket_connect, security_socket_connect, on_connect(address), struct socket *, sock, void *, address)
HOOK3(socket_setsockopt, security_socket_setsockopt, on_option(level, name), struct socket *, sock, int, level, int, name)
HOOK2(netlink_send, security_netlink_send, on_netlink(sk, skb), struct sock *, sk, struct sk_buff *, skb)
HOOK1(sb_umount, security_sb_umount, refuse_pins(READ(vfsmount, number(mnt), mnt_sb, s_magic), find_label()), struct vfsmount *, mnt)
HOOK1(sb_remount, security_sb_remount, refuse_pins(sb->s_magic, find_label()), struct super_block *, sb)

/* The second lock on ftrace_enabled, which needs no ftrace. */
SEC("cgroup/sysctl") int keep_ftrace(struct bpf_sysctl *ctx)
{
	struct matter m = { .op = OP_GUARD, .control = CONTROL_SELF };
	char name[24] = {};

	m.generation = generation();
	if (!m.generation || !ctx->write || bpf_sysctl_get_name(ctx, name, sizeof(name), 0) < 0 || __builtin_memcmp(name, "kernel/ftrace_enabled", 21))
		return 1;
	return refuse(&m, 0) ? 0 : 1;
}

#define READ_IMPLIES_EXEC 0x0400000 /* include/uapi/linux/personality.h */

/* What a process gets that asks to read: more, where it asked for that before. */
static __always_inline unsigned long becomes(unsigned long prot)
{
	return (prot & PROT_READ) && (bpf_get_current_task_btf()->personality & READ_IMPLIES_EXEC) ? prot | PROT_EXEC : prot;
}

/* The security_* function gets what was asked for, the hook also what it becomes. */
SEC("lsm/mmap_file") int BPF_PROG(lsm_mmap_file, struct file *file, unsigned long reqprot, unsigned long prot) { return VERDICT(on_mmap(file, prot | reqprot)); }
SEC("fmod_ret/security_mmap_file") int BPF_PROG(mod_mmap_file, struct file *file, unsigned long reqprot) { return VERDICT(on_mmap(file, becomes(reqprot))); }

/* inode_setattr has an argument more on newer kernels: the loader takes the one that
 * fits this kernel. */
SEC("lsm/inode_setattr") int BPF_PROG(lsm_inode_setattr, void *idmap, struct dentry *dentry, struct iattr *attr) { return VERDICT(on_setattr(dentry, attr)); }
SEC("lsm/inode_setattr") int BPF_PROG(lsm_inode_setattr_2, struct dentry *dentry, struct iattr *attr) { return VERDICT(on_setattr(dentry, attr)); }
SEC("fmod_ret/security_inode_setattr") int BPF_PROG(mod_inode_setattr, void *idmap, struct dentry *dentry, struct iattr *attr) { return VERDICT(on_setattr(dentry, attr)); }

/* Only datagram sockets come this way; the bind hook would cost every stream, too. */
SEC("fentry/udp_v4_get_port") int BPF_PROG(udp4_port, struct sock *sk, unsigned short port)
{
	on_port(sk, port);
	return 0;
}

SEC("fentry/udp_v6_get_port") int BPF_PROG(udp6_port, struct sock *sk, unsigned short port)
{
	on_port(sk, port);
	return 0;
}

/* The new program runs: the credentials are its own. */
SEC("fentry/security_bprm_committed_creds") int BPF_PROG(on_committed_creds, struct linux_binprm *bprm)
{
	on_committed(bprm);
	return 0;
}

/* A transaction ends with the process that began it. */
SEC("tp_btf/sched_process_exit") int BPF_PROG(on_exit, struct task_struct *task)
{
	struct transaction *t;
	struct label *l;
	__u64 id;

	if (task->signal->live.counter)
		return 0; /* other threads go on: an exec ends the old leader, not the process */
	l = bpf_task_storage_get(&labels, task->group_leader, NULL, 0);
	if (!l || !(l->flags & (LABEL_UPDATER | LABEL_GRANT)))
		return 0;
	id = l->transaction;
	t = bpf_map_lookup_elem(&transactions, &id);
	if (t && t->leader == (__u32)task->tgid) {
		bpf_map_delete_elem(&transactions, &id);
		note(OP_UPDATED, l->flags, 0, generation());
	}
	return 0;
}
