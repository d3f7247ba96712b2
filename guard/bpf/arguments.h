/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Reading the arguments of an interpreter as it does itself: which of them are code.
 * Does what ruleset.ScriptArguments of Go does, function by function, and is held to it
 * by tests; where it cannot follow, everything is taken for code. */
#ifndef KANNUKI_ARGUMENTS_H
#define KANNUKI_ARGUMENTS_H

#include "launch.h"

#define PART_OF_WORD 256 /* what is read of a word at a time, with its end */
#define MAX_PARTS 1024   /* no argument is longer: MAX_ARG_STRLEN of the kernel */
#define MAX_WORDS 1024
#define MAX_LETTERS 4096
#define MAX_BOXES 16

/* Where reading has got to. It lies in a map and not on the stack of the program: there
 * the verifier would follow every combination of values. It is the task's own, because
 * a program can be preempted. */
struct reading {
	__u64 at, end; /* the next word, and the end of all */
	__u64 start;   /* of the word that is looked at */
	__u64 value;   /* start of the piece that is measured or added */
	__u64 hash;    /* of what stands behind the last slash of it */
	__u64 first;   /* up to eight bytes of that, the first lowest */
	__u32 value_len, len;
	__u32 behind;    /* bytes behind the last slash */
	__u32 part;      /* which letter of the word is the first in word[] */
	__u32 sign;      /* the first '=' of the word, plus 1 */
	__u32 separated; /* ':' or '=' is in it */
	__u32 given, ended, doubt, once; /* as in Go */
	__u32 doubtful;                  /* doubt of the word that is looked at */
	__u32 found;
	__u32 all;    /* every file may be the script */
	__u32 unread; /* the memory is not there just now */
	__u64 scripts[MAX_SCRIPTS];
	char word[PART_OF_WORD];
	char piece[PART_OF_WORD];
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct reading);
} readings SEC(".maps");

/* What does not change while arguments are read. */
struct interpreter {
	struct reading *r;
	struct label *label;
};

/* FNV-1a, of the last element of a path. Two names with one hash are a refusal too many,
 * never one too few. */
#define HASH_SEED 0xcbf29ce484222325ULL
#define HASH_PRIME 0x100000001b3ULL

static long hash_byte(__u32 i, struct interpreter *in)
{
	struct reading *r = in->r;
	__u64 c;

	if (!r || i >= PART_OF_WORD)
		return 1;
	c = (unsigned char)r->piece[bounded(i, PART_OF_WORD)];
	if (!c)
		return 1;
	if (c == '/') {
		r->hash = HASH_SEED;
		r->first = 0;
		r->behind = 0;
		return 0;
	}
	r->hash = (r->hash ^ c) * HASH_PRIME;
	if (r->behind < 8)
		r->first |= c << ((r->behind & 7) * 8);
	r->behind++;
	return 0;
}

static __always_inline void begin_hash(struct reading *r)
{
	r->hash = HASH_SEED;
	r->first = 0;
	r->behind = 0;
}

/* What a script is known by: the first four letters of its name, and half of its hash
 * above them. Most names are told from it by the letters. */
#define WORD_FIRST 0xffffffffULL

static __always_inline __u64 word_of(struct reading *r)
{
	return (r->hash & ~WORD_FIRST) | (r->first & WORD_FIRST);
}

/* Hashes the last element of what lies in the arguments: names are shorter than a part,
 * so the end will do. */
static __always_inline bool hash_argument(struct interpreter *in, struct reading *r, __u64 at, __u32 len)
{
	if (len >= PART_OF_WORD)
		at += len - (PART_OF_WORD - 1);
	begin_hash(r);
	if (bpf_probe_read_user_str(r->piece, PART_OF_WORD, (void *)at) < 0) {
		r->unread = 1;
		return false;
	}
	bpf_loop(PART_OF_WORD, hash_byte, in, 0);
	return true;
}

static __always_inline void add(struct interpreter *in, struct reading *r, __u64 at, __u32 len)
{
	__u32 n = r->found;

	if (!hash_argument(in, r, at, len))
		return;
	asm volatile("" : "+r"(n));
	if (n >= MAX_SCRIPTS) {
		r->all = 1;
		return;
	}
	r->scripts[n] = word_of(r);
	r->found = n + 1;
}

static long measure_part(__u32 i, struct interpreter *in)
{
	struct reading *r = in->r;
	long n;

	if (!r)
		return 1;
	n = bpf_probe_read_user_str(r->piece, PART_OF_WORD, (void *)(r->value + r->value_len));
	if (n < 0) {
		r->unread = 1;
		return 1;
	}
	if (n) /* an empty word has no length, others count their end */
		r->value_len += n - 1;
	return n < PART_OF_WORD;
}

/* How long is the argument there? */
static __always_inline void measure(struct interpreter *in, struct reading *r, __u64 at)
{
	r->value = at;
	r->value_len = 0;
	if (bpf_loop(MAX_PARTS, measure_part, in, 0) == MAX_PARTS)
		r->all = 1;
}

/* Takes the next word as a value. */
static __always_inline bool take_word(struct interpreter *in, struct reading *r)
{
	if (r->at >= r->end)
		return false;
	measure(in, r, r->at);
	r->at += r->value_len + 1;
	return true;
}

/* Is the next word plain? */
static __always_inline bool plain_follows(struct reading *r)
{
	char c = 0;

	if (r->at >= r->end)
		return false;
	if (bpf_probe_read_user(&c, 1, (void *)r->at)) {
		r->unread = 1;
		return false;
	}
	return c != '-' && c != '+';
}

static __always_inline bool maybe(struct interpreter *in, struct reading *r)
{
	if (!plain_follows(r) || !take_word(in, r))
		return false;
	add(in, r, r->value, r->value_len);
	return true;
}

static __always_inline __u64 letter_bit(char c)
{
	if (c >= 'a' && c <= 'z')
		return 1ULL << ((c - 'a') & 31);
	if (c >= 'A' && c <= 'Z')
		return 1ULL << (26 + ((c - 'A') & 31));
	return 1ULL << (c == '-' ? 52 : 63);
}

/* "-" and "--" end the options, or are standard input. */
static __always_inline void dashes(struct interpreter *in, struct reading *r)
{
	bool input = r->len == 1 && (in->label->options.inline_code & letter_bit('-'));

	if (!input && !r->given && r->at < r->end) {
		measure(in, r, r->at);
		add(in, r, r->value, r->value_len);
	}
	r->ended = !r->doubtful;
}

static long find_sign(__u32 i, struct interpreter *in)
{
	struct reading *r = in->r;
	char c;

	if (!r || i >= PART_OF_WORD)
		return 1;
	c = r->word[bounded(i, PART_OF_WORD)];
	if (c == ':' || c == '=')
		r->separated = 1;
	if (c == '=')
		r->sign = i + 1;
	return !c || c == '=';
}

static __always_inline void find_signs(struct interpreter *in, struct reading *r)
{
	r->sign = 0;
	r->separated = 0;
	bpf_loop(PART_OF_WORD, find_sign, in, 0);
	/* No option has a name that long. */
	if (!r->separated && r->len >= PART_OF_WORD)
		r->all = 1;
}

static __always_inline void long_option(struct interpreter *in, struct reading *r)
{
	find_signs(in, r);
	if (r->sign)
		add(in, r, r->start + r->sign, r->len - r->sign);
	else
		r->doubt = !maybe(in, r);
}

static __always_inline void whole_option(struct interpreter *in, struct reading *r)
{
	struct options *o = &in->label->options;
	__u64 bit;

	find_signs(in, r);
	if (r->separated)
		return;
	bit = letter_bit(r->word[bounded(r->len - 1, PART_OF_WORD)]);
	if (o->inline_code & bit)
		r->given = 1;
	if (!((o->valued | o->script) & bit))
		return;
	maybe(in, r);
	if (o->script & bit)
		r->given = 1;
}

/* One option of a bundle; rest bytes follow in its word, from at. */
static __always_inline void one_letter(struct interpreter *in, struct reading *r, __u64 bit, __u64 at, __u32 rest)
{
	struct options *o = &in->label->options;
	bool valued = o->valued & bit;
	bool attached = rest && (o->attached & bit);
	bool script = o->script & bit;
	bool added = script && rest;

	if (script) {
		r->value = at;
		r->value_len = rest;
		if (!rest)
			added = take_word(in, r);
		if (!valued && !(r->doubtful && rest))
			r->given = 1;
	} else if (o->inline_code & bit) {
		if (r->doubtful) {
			r->once |= valued;
			return;
		}
		r->given = 1;
		r->ended |= !valued;
		if (valued && !attached)
			take_word(in, r);
	} else if (valued && !attached) {
		if (!r->doubtful)
			take_word(in, r);
		else
			added = plain_follows(r) && take_word(in, r);
	}
	if (added)
		add(in, r, r->value, r->value_len);
}

static long read_letter(__u32 i, struct interpreter *in)
{
	struct reading *r = in->r;
	struct label *l = in->label;
	__u32 at = i + 1;
	__u64 bit;
	char c;

	if (!r || !l || at >= r->len || r->unread)
		return 1;
	if (r->ended && !r->doubtful && !l->options.script)
		return 1; /* nothing more comes of it */
	if (at - r->part >= PART_OF_WORD - 1) {
		r->part = at;
		if (bpf_probe_read_user_str(r->word, PART_OF_WORD, (void *)(r->start + at)) < 0) {
			r->unread = 1;
			return 1;
		}
	}
	c = r->word[bounded(at - r->part, PART_OF_WORD)];
	if (c == '-')
		return 0;
	bit = letter_bit(c);
	one_letter(in, r, bit, r->start + at + 1, r->len - at - 1);
	return at + 1 < r->len && ((l->options.attached | l->options.script) & bit);
}

static __always_inline void bundle(struct interpreter *in, struct reading *r)
{
	struct options *o = &in->label->options;

	if (!(o->inline_code | o->valued | o->script))
		return;
	if (bpf_loop(MAX_LETTERS, read_letter, in, 0) == MAX_LETTERS)
		r->all = 1;
}

static __always_inline void plain_word(struct interpreter *in, struct reading *r)
{
	if (r->given) {
		r->ended = 1;
		return;
	}
	add(in, r, r->start, r->len);
	if (r->word[0] == '+') {
		maybe(in, r);
		return;
	}
	r->given = r->once;
	r->ended = !r->once;
}

/* A word nobody knows the meaning of: it, and what it may have as a value. */
static __always_inline void any_word(struct interpreter *in, struct reading *r)
{
	add(in, r, r->start, r->len);
	find_signs(in, r);
	if (r->sign)
		add(in, r, r->start + r->sign, r->len - r->sign);
}

static long read_argument(__u32 i, struct interpreter *in)
{
	struct reading *r = in->r;

	if (!r || !in->label || r->ended || r->all || r->unread || !take_word(in, r))
		return 1;
	r->start = r->value;
	r->len = r->value_len;
	r->part = 0;
	r->doubtful = r->doubt;
	r->doubt = 0;
	if (bpf_probe_read_user_str(r->word, PART_OF_WORD, (void *)r->start) < 0) {
		r->unread = 1;
		return 1;
	}
	if (in->label->options.how & OPTIONS_UNKNOWN)
		any_word(in, r);
	else if (r->word[0] != '-')
		plain_word(in, r);
	else if (r->len == 1 || (r->len == 2 && r->word[1] == '-'))
		dashes(in, r);
	else if (r->word[1] == '-')
		long_option(in, r);
	else if (in->label->options.how & OPTIONS_WORDS)
		whole_option(in, r);
	else
		bundle(in, r);
	return 0;
}

#define BUSYBOX 0x786f6279737562ULL /* the bytes of "busybox", the first lowest */
#define TOYBOX 0x786f62796f74ULL

/* A program of many names, called by its own: the next word is the name. */
static long read_box(__u32 i, struct interpreter *in)
{
	struct reading *r = in->r;
	__u64 first;

	if (!r || !hash_argument(in, r, r->value, r->value_len))
		return 1;
	first = r->first;
	if ((first & 0xff) == '-')
		first >>= 8;
	if ((first & 0xffffffffffffffULL) != BUSYBOX && (first & 0xffffffffffffULL) != TOYBOX)
		return 1;
	return !take_word(in, r);
}

/* Reads all arguments and notes in the label what of them is code. It tells whether they
 * could be read. */
int read_arguments(struct label *l, struct reading *r)
{
	__u64 mm = (__u64)READ(task_struct, bpf_get_current_task(), mm);
	struct interpreter in = { .r = r, .label = l };

	if (!mm || !l || !r)
		return 0;
	r->at = READ(mm_struct, mm, arg_start);
	r->end = READ(mm_struct, mm, arg_end);
	r->given = l->options.how & OPTIONS_NOSCRIPT;
	r->ended = r->doubt = r->once = 0;
	r->found = r->all = r->unread = 0;
	take_word(&in, r);
	if ((l->options.how & OPTIONS_APPLET) && bpf_loop(MAX_BOXES, read_box, &in, 0) == MAX_BOXES)
		r->all = 1;
	if (bpf_loop(MAX_WORDS, read_argument, &in, 0) == MAX_WORDS)
		r->all = 1;
	if (r->unread)
		return 0;
	__builtin_memcpy(l->scripts, r->scripts, sizeof(l->scripts));
	l->found = r->found;
	l->any_script = r->all;
	/* Others of the process may look at any moment. */
	asm volatile("" ::: "memory");
	l->arguments_read = 1;
	return 1;
}

#endif
