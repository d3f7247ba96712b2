//go:build ignore

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The hooks. Every decision is written once and attached in one of two ways: as a BPF
 * LSM program (tier 1), or where the kernel's LSM list lacks bpf as fmod_ret on the
 * security_* function that calls the list (tier 2). The loader takes one set. */
#include "kernel.h"
#include <bpf/bpf_endian.h>
#include "launch.h"
#include "write.h"
#include "contain.h"

/* Enumerations the Go side needs too: BTF keeps what something points to. */
const enum space *keep_space __attribute__((unused));
const enum control *keep_control __attribute__((unused));
const enum label_flag *keep_label_flag __attribute__((unused));
const enum op *keep_op __attribute__((unused));
const enum counter *keep_counter __attribute__((unused));
const struct event *keep_event __attribute__((unused));
const struct agent *keep_agent __attribute__((unused));

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define HOOK1(name, security, body, t1, a1)                                              \
	SEC("lsm/" #name) int BPF_PROG(lsm_##name, t1 a1) { return body; }                  \
	SEC("fmod_ret/" #security) int BPF_PROG(mod_##name, t1 a1) { return body; }
#define HOOK2(name, security, body, t1, a1, t2, a2)                                      \
	SEC("lsm/" #name) int BPF_PROG(lsm_##name, t1 a1, t2 a2) { return body; }           \
	SEC("fmod_ret/" #security) int BPF_PROG(mod_##name, t1 a1, t2 a2) { return body; }
#define HOOK3(name, security, body, t1, a1, t2, a2, t3, a3)                              \
	SEC("lsm/" #name) int BPF_PROG(lsm_##name, t1 a1, t2 a2, t3 a3) { return body; }    \
	SEC("fmod_ret/" #security) int BPF_PROG(mod_##name, t1 a1, t2 a2, t3 a3) { return body; }
#define HOOK4(name, security, body, t1, a1, t2, a2, t3, a3, t4, a4)                      \
	SEC("lsm/" #name) int BPF_PROG(lsm_##name, t1 a1, t2 a2, t3 a3, t4 a4) { return body; } \
	SEC("fmod_ret/" #security) int BPF_PROG(mod_##name, t1 a1, t2 a2, t3 a3, t4 a4) { return body; }

/* The agent opens a directory to learn its identity as this program sees it. */
static __always_inline void identify(struct file *file)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct inode *inode = file->f_inode;
	struct identity id = {};

	id.ino = inode->i_ino;
	id.dev = inode->i_sb->s_dev;
	id.uid = inode->i_uid.val;
	id.mode = inode->i_mode;
	id.igen = inode->i_generation;
	id.magic = inode->i_sb->s_magic;
	bpf_map_update_elem(&identities, &tid, &id, BPF_ANY);
}

/* A read open must cost next to nothing: the mode first, then the label, and a walk
 * only for an interpreter that opens a file with a code extension. */
static __always_inline int on_open(struct file *file)
{
	struct agent *a;
	struct label *l;
	__u64 gen;

	if (file->f_mode & FMODE_WRITE)
		return change(file->f_path.dentry, OP_OPEN_WRITE);
	if (S_ISDIR(file->f_inode->i_mode)) {
		a = agent_of_current();
		if (!a)
			return 0;
		identify(file);
		return a->canary ? -EPERM : 0;
	}
	l = label_of_current();
	if (!l || !(l->flags & LABEL_INTERPRETER))
		return 0;
	gen = generation();
	return gen ? on_script(file, flags_of(l), gen) : 0;
}

static __always_inline int on_rename(struct dentry *old, struct dentry *new)
{
	struct inode *inode = old->d_inode;
	int verdict = change_name(old, OP_RENAME);

	if (!verdict)
		verdict = change_name(new, OP_RENAME);
	if (!verdict && inode && S_ISDIR(inode->i_mode))
		moved();
	return verdict;
}

/* A second name for a file of system space would let it be changed through that name. */
static __always_inline int on_link(struct dentry *old, struct dentry *new)
{
	int verdict = change_name(new, OP_LINK);

	return verdict ? verdict : change(old, OP_LINK);
}

static __always_inline int on_rmdir(struct dentry *dentry)
{
	int verdict = change_name(dentry, OP_RMDIR);

	if (!verdict)
		moved(); /* its number may come again elsewhere */
	return verdict;
}

static __always_inline int on_setattr(struct dentry *dentry, struct iattr *attr)
{
	if (!(attr->ia_valid & ~ATTR_ATIME))
		return 0;
	return change(dentry, OP_ATTR);
}

/* The ioctls that change a file through a descriptor opened for reading. */
#define FS_IOC_SETFLAGS 0x40086602
#define FS_IOC32_SETFLAGS 0x40046602
#define FS_IOC_FSSETXATTR 0x401c5820

static __always_inline int on_ioctl(struct file *file, unsigned int cmd)
{
	if (cmd != FS_IOC_SETFLAGS && cmd != FS_IOC32_SETFLAGS && cmd != FS_IOC_FSSETXATTR)
		return 0;
	return change(file->f_path.dentry, OP_ATTR);
}

static __always_inline int listened(struct socket *sock)
{
	on_listen(sock);
	return 0;
}

static __always_inline int bound(struct socket *sock, void *address, int len)
{
	on_bind(sock, address, len);
	return 0;
}

static __always_inline int forked(struct task_struct *task, unsigned long flags)
{
	on_fork(task, flags);
	return 0;
}

HOOK1(bprm_creds_for_exec, security_bprm_creds_for_exec, on_exec(bprm), struct linux_binprm *, bprm)
HOOK1(bprm_check_security, security_bprm_check, launch(bprm->file, OP_EXEC), struct linux_binprm *, bprm)
HOOK3(file_mprotect, security_file_mprotect, on_mprotect(vma, prot), struct vm_area_struct *, vma, unsigned long, reqprot, unsigned long, prot)
HOOK2(kernel_read_file, security_kernel_read_file, on_read_file(file, id), struct file *, file, int, id)
HOOK1(file_open, security_file_open, on_open(file), struct file *, file)
HOOK2(inode_create, security_inode_create, change_name(dentry, OP_CREATE), struct inode *, dir, struct dentry *, dentry)
HOOK2(inode_unlink, security_inode_unlink, change_name(dentry, OP_UNLINK), struct inode *, dir, struct dentry *, dentry)
HOOK4(inode_rename, security_inode_rename, on_rename(old, new), struct inode *, old_dir, struct dentry *, old, struct inode *, new_dir, struct dentry *, new)
HOOK3(inode_link, security_inode_link, on_link(old, new), struct dentry *, old, struct inode *, dir, struct dentry *, new)
HOOK2(inode_symlink, security_inode_symlink, change_name(dentry, OP_SYMLINK), struct inode *, dir, struct dentry *, dentry)
HOOK2(inode_mkdir, security_inode_mkdir, change_name(dentry, OP_MKDIR), struct inode *, dir, struct dentry *, dentry)
HOOK2(inode_rmdir, security_inode_rmdir, on_rmdir(dentry), struct inode *, dir, struct dentry *, dentry)
HOOK2(inode_mknod, security_inode_mknod, change_name(dentry, OP_MKNOD), struct inode *, dir, struct dentry *, dentry)
HOOK2(inode_setxattr, security_inode_setxattr, change(dentry, OP_XATTR), void *, idmap, struct dentry *, dentry)
HOOK2(inode_removexattr, security_inode_removexattr, change(dentry, OP_XATTR), void *, idmap, struct dentry *, dentry)
HOOK2(inode_set_acl, security_inode_set_acl, change(dentry, OP_XATTR), void *, idmap, struct dentry *, dentry)
HOOK2(inode_remove_acl, security_inode_remove_acl, change(dentry, OP_XATTR), void *, idmap, struct dentry *, dentry)
HOOK2(file_ioctl, security_file_ioctl, on_ioctl(file, cmd), struct file *, file, unsigned int, cmd)
HOOK2(sb_mount, security_sb_mount, change(path->dentry, OP_MOUNT), const char *, dev, struct path *, path)
HOOK2(move_mount, security_move_mount, change(to->dentry, OP_MOUNT), struct path *, from, struct path *, to)
HOOK1(socket_listen, security_socket_listen, listened(sock), struct socket *, sock)
HOOK3(socket_bind, security_socket_bind, bound(sock, address, len), struct socket *, sock, void *, address, int, len)
HOOK2(task_alloc, security_task_alloc, forked(task, flags), struct task_struct *, task, unsigned long, flags)

/* The security_* function gets what was asked for, the hook also what it becomes. */
SEC("lsm/mmap_file") int BPF_PROG(lsm_mmap_file, struct file *file, unsigned long reqprot, unsigned long prot) { return on_mmap(file, prot | reqprot); }
SEC("fmod_ret/security_mmap_file") int BPF_PROG(mod_mmap_file, struct file *file, unsigned long reqprot) { return on_mmap(file, reqprot); }

/* inode_setattr has an argument more on newer kernels: the loader takes the one that
 * fits this kernel. */
SEC("lsm/inode_setattr") int BPF_PROG(lsm_inode_setattr, void *idmap, struct dentry *dentry, struct iattr *attr) { return on_setattr(dentry, attr); }
SEC("lsm/inode_setattr") int BPF_PROG(lsm_inode_setattr_2, struct dentry *dentry, struct iattr *attr) { return on_setattr(dentry, attr); }
SEC("fmod_ret/security_inode_setattr") int BPF_PROG(mod_inode_setattr, void *idmap, struct dentry *dentry, struct iattr *attr) { return on_setattr(dentry, attr); }

/* After the fact: the move has happened, and what was worked out during it is void. */
SEC("fexit/vfs_rename") int BPF_PROG(after_rename)
{
	moved();
	return 0;
}

/* A transaction ends with the process that began it. */
SEC("tp_btf/sched_process_exit") int BPF_PROG(on_exit, struct task_struct *task)
{
	struct label *l;
	struct transaction *t;
	__u64 id;

	if (task->pid != task->tgid)
		return 0;
	l = bpf_task_storage_get(&labels, task, NULL, 0);
	if (!l || !(l->flags & LABEL_UPDATER))
		return 0;
	id = l->transaction;
	t = bpf_map_lookup_elem(&transactions, &id);
	if (t && t->leader == (__u32)task->tgid)
		bpf_map_delete_elem(&transactions, &id);
	return 0;
}
