/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Launch: nothing runs from user space – no program, no library, no module, no script
 * through a listed interpreter. */
#ifndef KANNUKI_LAUNCH_H
#define KANNUKI_LAUNCH_H

#include "walk.h"
#include "label.h"
#include "event.h"

static __always_inline bool launchable(struct root *r)
{
	return r->space == SPACE_SYSTEM || r->space == SPACE_CONFIG || r->space == SPACE_PERSIST;
}

/* May file be launched by the current task? */
static __always_inline int launch(struct file *file, __u32 op)
{
	__u64 gen = generation();
	struct dentry *dentry = file->f_path.dentry;
	struct inode *inode = file->f_inode;
	struct root r;
	__u32 flags;

	if (!gen)
		return 0;
	space_of(dentry, gen, &r);
	/* An unlinked file (memfd, fexecve of a deleted file) lies nowhere. */
	if (launchable(&r) && inode->i_nlink)
		return 0;
	flags = flags_of(label_of_current());
	/* Maintainer scripts and installers run what they have unpacked elsewhere. */
	if (flags & (LABEL_UPDATER | LABEL_GRANT))
		return 0;
	return refuse(op, CONTROL_LAUNCH, dentry, &r, flags, gen);
}

static __always_inline int on_mmap(struct file *file, unsigned long prot)
{
	struct inode *inode;

	if (!file || !(prot & PROT_EXEC))
		return 0;
	inode = file->f_inode;
	/* Mapping a character device such as /dev/zero is anonymous memory. */
	if (S_ISCHR(inode->i_mode))
		return 0;
	return launch(file, OP_LIBRARY);
}

static __always_inline int on_mprotect(struct vm_area_struct *vma, unsigned long prot)
{
	struct file *file = vma->vm_file;

	if (!(prot & PROT_EXEC) || (vma->vm_flags & VM_EXEC))
		return 0;
	if (!file || S_ISCHR(file->f_inode->i_mode))
		return 0;
	return launch(file, OP_MPROTECT);
}

/* What a program of the policy gives the process that runs it. */
static __always_inline struct program *program_of(struct file *file, __u64 gen)
{
	struct dentry *dentry = file->f_path.dentry;
	struct inode *dir = dentry->d_parent->d_inode;
	struct program_key key = {};

	key.ino = dir->i_ino;
	key.dev = dir->i_sb->s_dev;
	key.generation = gen;
	/* A longer name is cut, so it must not be taken for a listed one: listed names
	 * are shorter than the key (checked where the policy is compiled). */
	if (bpf_probe_read_kernel_str(key.name, NAME_LEN, dentry->d_name.name) >= NAME_LEN)
		return NULL;
	return bpf_map_lookup_elem(&programs, &key);
}

#define LABEL_OF_PROGRAM (LABEL_EXEMPT | LABEL_INTERPRETER)

/* An updater begins a transaction when a process that may starts it. */
static __always_inline void begin(struct label *l, struct program *p)
{
	__u64 id = bpf_get_current_pid_tgid() >> 32;
	struct transaction t = {};

	if (flags_of(l) & (LABEL_UPDATER | LABEL_CONTAINED))
		return;
	t.leader = id;
	id = id << 32 | (bpf_ktime_get_boot_ns() & 0xffffffff);
	if (bpf_map_update_elem(&transactions, &id, &t, BPF_ANY))
		return;
	l->transaction = id;
	l->flags |= LABEL_UPDATER;
	l->rule = p->rule;
}

/* The program of file is about to run in this process: what the last one gave goes,
 * what this one gives comes. */
static __always_inline void relabel(struct file *file, __u64 gen)
{
	struct program *p = program_of(file, gen);
	struct label *l = p && p->flags ? make_label() : label_of_current();

	if (!l)
		return;
	l->flags &= ~LABEL_OF_PROGRAM;
	if (!p)
		return;
	if (l->flags & LABEL_CONTAINED)
		l->flags |= p->flags & LABEL_INTERPRETER;
	else
		l->flags |= p->flags & LABEL_OF_PROGRAM;
	if (p->flags & LABEL_CONTAINED) {
		l->flags |= LABEL_CONTAINED;
		l->rule = p->rule;
	}
	if (p->flags & LABEL_UPDATER)
		begin(l, p);
}

/* A thread that is not the leader takes the leader's place when it runs a program:
 * its own storage has to hold the label by then. */
static __always_inline void keep_label(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct label *old, *own;

	if (task->pid == task->tgid)
		return;
	old = label_of_current();
	if (!old)
		return;
	own = bpf_task_storage_get(&labels, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (own)
		*own = *old;
}

static __always_inline int on_exec(struct linux_binprm *bprm)
{
	__u64 gen = generation();
	int verdict;

	if (!gen)
		return 0;
	verdict = launch(bprm->file, OP_EXEC);
	if (verdict)
		return verdict;
	relabel(bprm->file, gen);
	keep_label();
	return 0;
}

/* The extension of a name, with its dot, is the key: the last eight bytes of the name
 * as a number, first byte lowest, shifted until the last dot is the first byte. */
static __always_inline bool has_code_extension(struct dentry *dentry)
{
	const unsigned char *name = dentry->d_name.name;
	__u32 len = dentry->d_name.len;
	__u64 tail = 0, ext = 0;

	if (len < 3)
		return false;
	if (len >= 8) {
		if (bpf_probe_read_kernel(&tail, 8, name + len - 8))
			return false;
	} else {
		if (bpf_probe_read_kernel(&tail, 8, name)) /* names are stored in 32 bytes or more */
			return false;
		tail <<= (8 - len) * 8;
	}
#pragma unroll
	for (int i = 0; i < 7; i++)
		if (((tail >> (i * 8)) & 0xff) == '.')
			ext = tail >> (i * 8);
	return ext && bpf_map_lookup_elem(&extensions, &ext) != NULL;
}

/* An interpreter opens a file for reading: its script may not lie in user space. */
static __always_inline int on_script(struct file *file, __u32 flags, __u64 gen)
{
	struct dentry *dentry = file->f_path.dentry;
	struct root r;

	if (!S_ISREG(file->f_inode->i_mode) || !has_code_extension(dentry))
		return 0;
	space_of(dentry, gen, &r);
	if (launchable(&r) || (flags & (LABEL_UPDATER | LABEL_GRANT)))
		return 0;
	return refuse(OP_SCRIPT, CONTROL_LAUNCH, dentry, &r, flags, gen);
}

#define READING_MODULE 2 /* enum kernel_read_file_id, include/linux/kernel_read_file.h */
#define LOADING_MODULE 2 /* enum kernel_load_data_id, the same numbers */

static __always_inline int on_read_file(struct file *file, int id)
{
	if (id != READING_MODULE || !file)
		return 0;
	return launch(file, OP_MODULE);
}

#endif
