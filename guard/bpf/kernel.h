/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The few kernel structures the guard reads, with only the fields it reads. The
 * loader relocates every access against the running kernel's BTF (CO-RE), so the
 * order and the missing fields do not matter. */
#ifndef KANNUKI_KERNEL_H
#define KANNUKI_KERNEL_H

#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

#ifndef NULL
#define NULL ((void *)0)
#endif
#define true 1
#define false 0

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef _Bool bool;
typedef unsigned short umode_t;

typedef struct { unsigned int val; } kuid_t;

struct block_device;
struct dentry;

struct super_block {
	unsigned int s_dev;
	unsigned long s_magic;
	struct block_device *s_bdev;
	struct dentry *s_root;
};

struct inode {
	umode_t i_mode;
	kuid_t i_uid;
	struct super_block *i_sb;
	unsigned long i_ino;
	__u32 i_generation;
	unsigned int i_nlink;
	unsigned int i_rdev;
	char *i_link;
};

struct qstr {
	union {
		struct {
			__u32 hash;
			__u32 len;
		};
	};
	const unsigned char *name;
};

struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
	struct super_block *d_sb;
};

struct vfsmount {
	struct super_block *mnt_sb;
};

/* fs/mount.h */
struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct file {
	unsigned int f_mode;
	struct path f_path;
	struct inode *f_inode;
};

struct anon_vma;

struct vm_area_struct {
	struct file *vm_file;
	struct anon_vma *anon_vma;
	unsigned long vm_flags;
};

struct user_namespace;

/* A set of capabilities: 64 bits, whatever the kernel calls them. */
typedef struct { __u32 cap[2]; } kernel_cap_t;

struct group_info {
	int ngroups;
	kuid_t gid[1];
};

struct cred {
	kuid_t uid;
	kuid_t gid;
	kuid_t suid;
	kuid_t sgid;
	kuid_t euid;
	kuid_t egid;
	kuid_t fsuid;
	kuid_t fsgid;
	unsigned int securebits;
	kernel_cap_t cap_inheritable;
	kernel_cap_t cap_permitted;
	kernel_cap_t cap_effective;
	kernel_cap_t cap_bset;
	struct user_namespace *user_ns;
	struct group_info *group_info;
};

struct kernfs_node {
	struct kernfs_node *parent;
	const char *name;
	__u64 id;
};

/* 6.15 gave the parent another name and RCU. */
struct kernfs_node___rcu {
	struct kernfs_node *__parent;
};

struct cgroup {
	struct kernfs_node *kn;
};

struct css_set {
	struct cgroup *dfl_cgrp;
};

struct mm_struct {
	struct file *exe_file;
	unsigned long arg_start;
	unsigned long arg_end;
};

struct filename {
	const char *name;
};

/* fs/namei.c: a path on its way. */
struct nameidata {
	struct filename *name;
	int total_link_count;
};

struct bpf_local_storage;

typedef struct { int counter; } atomic_t;

struct ns_common {
	unsigned int inum;
};

struct mnt_namespace {
	struct ns_common ns;
};

struct nsproxy {
	struct mnt_namespace *mnt_ns;
};

struct signal_struct {
	atomic_t live;
};

struct hlist_node {
	struct hlist_node *next;
};

struct hlist_head {
	struct hlist_node *first;
};

struct upid {
	int nr;
};

struct pid {
	unsigned int level;
	struct hlist_head tasks[4];
	struct upid numbers[1];
};

/* fs/proc/internal.h */
struct proc_inode {
	struct pid *pid;
	void *sysctl;
	struct inode vfs_inode;
};

/* Which system call a task is in: its number, and whether it is one of the 32-bit table. */
#ifdef __TARGET_ARCH_x86
struct pt_regs {
	unsigned long orig_ax;
};
struct thread_info {
	__u32 status;
};
#define SYSCALL_OF(regs) ((__u32)READ(pt_regs, regs, orig_ax))
#define COMPAT_OF(task) (!!(READ(task_struct, task, thread_info.status) & 0x2)) /* TS_COMPAT */
#else
struct pt_regs {
	int syscallno;
};
struct thread_info {
	unsigned long flags;
};
#define SYSCALL_OF(regs) ((__u32)READ(pt_regs, regs, syscallno))
#define COMPAT_OF(task) (!!(READ(task_struct, task, thread_info.flags) & (1UL << 22))) /* TIF_32BIT */
#endif

struct task_struct {
	struct thread_info thread_info;
	int pid;
	int tgid;
	struct pid *thread_pid;
	struct task_struct *group_leader;
	struct task_struct *real_parent;
	unsigned int personality;
	unsigned int in_execve : 1;
	const struct cred *real_cred;
	const struct cred *cred;
	kuid_t loginuid;
	struct hlist_node pid_links[4];
	char comm[16];
	__u64 start_boottime;
	struct css_set *cgroups;
	struct mm_struct *mm;
	struct signal_struct *signal;
	struct nsproxy *nsproxy;
	struct nameidata *nameidata;
	struct bpf_local_storage *bpf_storage;
};

struct linux_binprm {
	struct file *file;
	const char *filename;
	const char *interp; /* another one than filename from the first interpreter on */
};

struct iattr {
	unsigned int ia_valid;
	umode_t ia_mode;
};

struct sock_common {
	unsigned short skc_family;
	__u32 skc_rcv_saddr;
	struct { union { __u8 u6_addr8[16]; __u32 u6_addr32[4]; } in6_u; } skc_v6_rcv_saddr;
};

struct sock {
	struct sock_common __sk_common;
	__u16 sk_protocol;
};

struct socket {
	struct sock *sk;
};

struct unix_sock {
	struct unix_address *addr;
	struct path path;
};

struct sockaddr_un {
	unsigned short sun_family;
	char sun_path[108];
};

struct unix_address {
	int len;
	struct sockaddr_un name[];
};

struct sk_buff {
	unsigned char *data;
	unsigned int len;
};

struct bpf_map {
	__u32 id;
};

struct bpf_prog_aux {
	__u32 id;
};

struct bpf_prog {
	struct bpf_prog_aux *aux;
};

enum lockdown_reason {
	LOCKDOWN_DEV_MEM,
	LOCKDOWN_PCI_ACCESS,
	LOCKDOWN_IOPORT,
	LOCKDOWN_MSR,
	LOCKDOWN_ACPI_TABLES,
	LOCKDOWN_KEXEC,
	LOCKDOWN_HIBERNATION,
	LOCKDOWN_KCORE,
	LOCKDOWN_MMIOTRACE,
	LOCKDOWN_DEBUGFS,
	LOCKDOWN_TRACEFS,
	LOCKDOWN_KPROBES,
};

#pragma clang attribute pop

/* include/linux/fs.h */
#define FMODE_READ 0x1
#define FMODE_WRITE 0x2
#define ATTR_MODE (1 << 0)
#define ATTR_ATIME (1 << 4)

#define S_IFMT 00170000
#define S_IFREG 0100000
#define S_IFCHR 0020000
#define S_IFDIR 0040000
#define S_IFBLK 0060000
#define S_ISUID 0004000
#define S_ISGID 0002000
#define S_IXGRP 0000010
#define S_ISREG(m) (((m) & S_IFMT) == S_IFREG)
#define S_ISCHR(m) (((m) & S_IFMT) == S_IFCHR)
#define S_ISBLK(m) (((m) & S_IFMT) == S_IFBLK)
#define S_ISDIR(m) (((m) & S_IFMT) == S_IFDIR)

#define PROT_READ 0x1
#define PROT_WRITE 0x2
#define PROT_EXEC 0x4
#define VM_EXEC 0x4

#define CLONE_THREAD 0x00010000

#define AF_INET 2
#define AF_INET6 10

#define EPERM 1

/* A pointer as a number. The verifier goes through a function that takes numbers once,
 * and through one that takes pointers once for every call and state of its callers; so
 * all that is seldom run takes numbers and reads with READ. */
static __always_inline __u64 number(const void *p)
{
	const void *on_stack = p;
	__u64 n = 0;

	bpf_probe_read_kernel(&n, sizeof(n), &on_stack);
	return n;
}

/* The number is taken first, or where it comes from would be looked for in the kernel. */
#define READ(type, n, ...) ({ __u64 __n = (__u64)(n); BPF_CORE_READ((struct type *)__n, __VA_ARGS__); })

#endif
