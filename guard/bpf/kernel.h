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

struct super_block {
	unsigned int s_dev;
	unsigned long s_magic;
};

struct inode {
	umode_t i_mode;
	kuid_t i_uid;
	struct super_block *i_sb;
	unsigned long i_ino;
	__u32 i_generation;
	unsigned int i_nlink;
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

struct path {
	struct dentry *dentry;
};

struct file {
	unsigned int f_mode;
	unsigned int f_flags;
	struct path f_path;
	struct inode *f_inode;
};

struct vm_area_struct {
	struct file *vm_file;
	unsigned long vm_flags;
};

struct cred {
	kuid_t uid;
	kuid_t euid;
};

struct task_struct {
	int pid;
	int tgid;
	unsigned int flags;
	struct task_struct *group_leader;
	struct task_struct *real_parent;
	const struct cred *cred;
	kuid_t loginuid;
	char comm[16];
};

struct linux_binprm {
	struct file *file;
	struct file *executable;
	struct file *interpreter;
	const char *filename;
	const char *interp;
};

struct iattr {
	unsigned int ia_valid;
	umode_t ia_mode;
};

struct sock_common {
	unsigned short skc_family;
	__u32 skc_rcv_saddr;
	struct { union { __u8 u6_addr8[16]; __u32 u6_addr32[4]; } in6_u; } skc_v6_rcv_saddr;
	__u16 skc_num;
};

struct sock {
	struct sock_common __sk_common;
	__u16 sk_type;
	__u16 sk_protocol;
};

struct socket {
	short type;
	struct sock *sk;
};

#pragma clang attribute pop

/* include/linux/fs.h */
#define FMODE_READ 0x1
#define FMODE_WRITE 0x2
#define FMODE_EXEC 0x20
#define ATTR_MODE (1 << 0)
#define ATTR_UID (1 << 1)
#define ATTR_GID (1 << 2)
#define ATTR_SIZE (1 << 3)
#define ATTR_ATIME (1 << 4)

#define S_IFMT 00170000
#define S_IFREG 0100000
#define S_IFCHR 0020000
#define S_IFDIR 0040000
#define S_ISREG(m) (((m) & S_IFMT) == S_IFREG)
#define S_ISCHR(m) (((m) & S_IFMT) == S_IFCHR)
#define S_ISDIR(m) (((m) & S_IFMT) == S_IFDIR)

#define PROT_WRITE 0x2
#define PROT_EXEC 0x4
#define VM_EXEC 0x4

#define CLONE_THREAD 0x00010000

#define AF_INET 2
#define AF_INET6 10
#define SOCK_DGRAM 2

#define EPERM 1

#endif
