/* work actor operation...: what a server does, counted. Prints one line per operation: its
 * name and the instructions of one time, the least of several rounds. The machine's
 * time stamp counter counts instructions (-icount shift=0), so that the same program
 * gives the same figure whatever else the host does. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <x86intrin.h>

#define DATA "/var/tmp/bench" /* user space that everybody may change */
#define SYSTEM "/usr/libexec/bench"
#define CONFIG "/etc/bench"

static void fail(const char *what)
{
	fprintf(stderr, "work: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int must(int value, const char *what)
{
	if (value < 0)
		fail(what);
	return value;
}

static void run(char *const args[])
{
	int status;
	pid_t pid = must(fork(), "fork");

	if (!pid) {
		execv(args[0], args);
		_exit(127);
	}
	must(waitpid(pid, &status, 0), "wait");
	if (status) {
		fprintf(stderr, "work: %s ended with %x\n", args[0], status);
		exit(1);
	}
}

static void exec_static(void) { run((char *[]){ SYSTEM "/true", NULL }); }
static void exec_dynamic(void) { run((char *[]){ "/bin/true", NULL }); }
static void just_fork(void)
{
	int status;
	pid_t pid = must(fork(), "fork");

	if (!pid)
		_exit(0);
	must(waitpid(pid, &status, 0), "wait");
}

static void open_close(const char *path, int flags)
{
	close(must(open(path, flags), path));
}

static void open_system(void) { open_close(SYSTEM "/file", O_RDONLY); }
static void open_config(void) { open_close(CONFIG "/file", O_RDONLY); }
static void open_user(void) { open_close(DATA "/file", O_RDONLY); }
static void open_code(void) { open_close(SYSTEM "/file.py", O_RDONLY); }
static void open_write(void) { open_close(DATA "/file", O_WRONLY); }

static void open_read(void)
{
	char buf[4096];
	int fd = must(open(DATA "/file", O_RDONLY), DATA "/file");

	must(read(fd, buf, sizeof(buf)), "read");
	close(fd);
}

static void create_unlink(void)
{
	close(must(open(DATA "/new", O_CREAT | O_EXCL | O_WRONLY, 0644), "create"));
	must(unlink(DATA "/new"), "unlink");
}

static void rename_file(void)
{
	static int there;

	if (there)
		must(rename(DATA "/name2", DATA "/name1"), "rename");
	else
		must(rename(DATA "/name1", DATA "/name2"), "rename");
	there = !there;
}

static void chmod_file(void)
{
	static int odd;

	must(chmod(DATA "/file", odd ? 0644 : 0640), "chmod");
	odd = !odd;
}

static int library = -1;

static void map_library(void)
{
	void *at;

	if (library < 0)
		library = must(open(SYSTEM "/true", O_RDONLY), "library");
	at = mmap(NULL, 65536, PROT_READ | PROT_EXEC, MAP_PRIVATE, library, 0);
	if (at == MAP_FAILED)
		fail("mmap");
	munmap(at, 65536);
}

static void stat_file(void)
{
	struct stat st;

	must(stat(DATA "/file", &st), "stat");
}

static struct sockaddr_in loopback(int port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static int listener(struct sockaddr_in at)
{
	int one = 1, fd = must(socket(AF_INET, SOCK_STREAM, 0), "socket");

	must(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), "reuse");
	must(bind(fd, (struct sockaddr *)&at, sizeof(at)), "bind");
	must(listen(fd, 16), "listen");
	return fd;
}

static void listen_close(void) { close(listener(loopback(7001))); }

static void connect_close(void)
{
	static int fd = -1;
	struct sockaddr_in to = loopback(7002);
	struct linger now = { 1, 0 };
	int out, in;

	if (fd < 0)
		fd = listener(to);
	out = must(socket(AF_INET, SOCK_STREAM, 0), "socket");
	must(connect(out, (struct sockaddr *)&to, sizeof(to)), "connect");
	in = must(accept(fd, NULL, NULL), "accept");
	setsockopt(out, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(out);
	close(in);
}

/* What tar does: a folder, files with content and modes, and away again. */
static void untar(void)
{
	static char content[2048];
	char path[64];
	int fd;

	must(mkdir(DATA "/tree", 0755), "mkdir");
	for (int i = 0; i < 10; i++) {
		snprintf(path, sizeof(path), DATA "/tree/file%d", i);
		fd = must(open(path, O_CREAT | O_EXCL | O_WRONLY, 0600), path);
		must(write(fd, content, sizeof(content)), "write");
		futimens(fd, NULL);
		fchmod(fd, 0644);
		close(fd);
	}
	for (int i = 0; i < 10; i++) {
		snprintf(path, sizeof(path), DATA "/tree/file%d", i);
		must(unlink(path), path);
	}
	must(rmdir(DATA "/tree"), "rmdir");
}

static void build(void)
{
	run((char *[]){ "/usr/bin/gcc", "-O1", "-o", DATA "/built", DATA "/build.c", NULL });
	must(unlink(DATA "/built"), "built");
}

static void nothing(void) { }

static const struct op {
	const char *name;
	void (*once)(void);
	int times;
} ops[] = {
	{ "nothing", nothing, 1000 },
	{ "fork", just_fork, 10 },
	{ "exec-static", exec_static, 8 },
	{ "exec-dynamic", exec_dynamic, 5 },
	{ "open-system", open_system, 200 },
	{ "open-config", open_config, 200 },
	{ "open-user", open_user, 200 },
	{ "open-code", open_code, 200 },
	{ "open-read", open_read, 200 },
	{ "open-write", open_write, 200 },
	{ "create-unlink", create_unlink, 50 },
	{ "rename", rename_file, 50 },
	{ "chmod", chmod_file, 200 },
	{ "mmap-library", map_library, 200 },
	{ "stat", stat_file, 200 },
	{ "listen", listen_close, 50 },
	{ "connect", connect_close, 20 },
	{ "untar", untar, 2 },
	{ "build", build, 0 },
};

#define ROUNDS 15

static double measure(const struct op *op)
{
	unsigned long long began, took, least = ~0ULL;
	int times = op->times ? op->times : 1, rounds = op->times ? ROUNDS : 2;

	for (int i = 0; i < times; i++)
		op->once(); /* caches, page tables and the kernel's own are warm after this */
	for (int r = 0; r < rounds; r++) {
		began = __rdtsc();
		for (int i = 0; i < times; i++)
			op->once();
		took = __rdtsc() - began;
		if (took < least)
			least = took;
	}
	return (double)least / times;
}

int main(int argc, char **argv)
{
	const size_t n = sizeof(ops) / sizeof(*ops);
	struct sockaddr_in all = { .sin_family = AF_INET, .sin_port = htons(7003) };

	if (argc < 3) {
		fprintf(stderr, "usage: work plain|contained|interpreter operation...\n");
		return 2;
	}
	/* Where the kernel puts stack and mappings is luck, and costs page tables. */
	if (!(personality(0xffffffff) & ADDR_NO_RANDOMIZE)) {
		personality(ADDR_NO_RANDOMIZE);
		execv("/proc/self/exe", argv);
		fail("exec");
	}
	if (!strcmp(argv[1], "contained")) /* who listens beyond loopback is contained */
		listener(all);
	for (int a = 2; a < argc; a++)
		for (size_t i = 0; i < n; i++)
			if (!strcmp(argv[a], "all") ? ops[i].times != 0 : !strcmp(argv[a], ops[i].name)) {
				printf("%s %.1f\n", ops[i].name, measure(&ops[i]));
				fflush(stdout);
			}
	return 0;
}
