// Package scenario holds what the guard must refuse and what it must let pass, in files
// that an administrator can read, and reads them. It promises that a file says nothing
// the reader does not understand: an unknown word, operation or actor is an error with
// its line. scenario_test.go runs them in Debian test machines (internal/vm), with and
// without the guard.
//
// A file *.txt has blocks, each a line at the left margin with indented lines below it.
// "#" starts a comment.
//
//	attack G07 T1036  the loader starts a program from /tmp
//		prepare  cp /usr/bin/touch $FILE
//		do       run /lib64/ld-linux-x86-64.so.2 $X $MARK
//		shows    test -e $MARK
//		refused  www-data root administrator  by launch
//
//	work  an administrator edits /etc
//		as       alice
//		do       sudo sed -i s/old/new/ $FILE
//		shows    grep -q new $FILE
//
// An attack's "prepare" lines are for root's shell, before there is a guard. "do" lines
// are operations (package attacker), done by each actor named in "refused" or "works":
// www-data and root are the attacked service under that account, administrator is a
// login session, visitor is somebody who only talks to the host's services. "shows" is
// a shell's condition: it holds where the attack has come off. Without the guard it
// must hold for every actor, or the attack proves nothing. With it, it must not hold
// for those refused, one event must tell of it, and it must hold for those that work.
// "by" names the controls that may refuse; "event" is what the event's path contains
// where that is not the step's own directory, and "any" where what is refused has no
// path; "unseen" says that there is no event, and why.
//
// "before" is for root's shell too, right before the step, and "undo" right after it,
// where it came off: both run with and without the guard. "stand-in" is a "before" that
// runs only where there is no guard: a step against the guard's own process, files or
// pins then acts on something at the same place that guards nothing
// (/usr/lib/attacker/stand-in, made by testdata/setup.sh), and so shows that it would
// come off. With the guard the same step acts on the guard.
//
// "at DIRECTORY" says below which directory $DIR is made (/tmp). "vary" runs the attack
// once for each way to spell the path: $FILE is the file as it lies there, named $N, $X the way.
// "alone" in "do" means a new process of the service; what follows happens in it. "within
// NAMESPACE …" is the same in namespaces of its own, "elsewhere ADDRESS" means another
// attacked service: 127.0.0.1:7004 is www-data that may change its account, 7005 root
// with mounts of its own.
//
// Work is done over ssh by the account named after "as", or by "system", which is
// root outside of any session, such as a timer. It must end well, "shows" must hold,
// and no refusal may be told, except where "refused CONTROL PATH" documents one.
//
// Operations. On files: write, append, patch, reopen (through /proc), tmpfile, copy,
// read, truncate, unlink, rmdir, remove (with all below), mkdir, fifo, socket, rename,
// exchange, link, symlink, chmod, fchmod, chown, fchown, setxattr, immutable, capability
// (in the file), mode-made (with its mode from the beginning), device, openat2,
// sendfile, map-copy, part and put-at (some bytes), list (a directory), follow (a link)
// call the kernel in the service's own process; i386-… and uring-… do the same through
// 32-bit system calls and io_uring. map and protect make a file's memory executable and
// then leave a mark.
//
// Programs: run starts one, pipe gives it an input, save keeps what it prints, env sets
// a variable for what follows, exec, execat, i386-exec and bare (without arguments)
// become it, memfd starts a copy that lies in memory only, daemon does an operation as
// an orphan, race starts what a changing link names, listen opens a port, sleep waits.
//
// Processes, by their unit: memory-write and memory-read (/proc/PID/mem), vm-write and
// vm-read, trace, borrow (an open file), proc-read, proc-write, signal, limit, priority,
// idle, move (to a control group); hollow and own-child are about children; setuid,
// setgid, setfsuid and capabilities change the process itself.
//
// The kernel: module, module-memory, module-remove, kexec, clock, adjust, reboot,
// swapon, account, io-port, hostname, domain, loop, mapper, key, fault (userfaultfd),
// ring (io_uring), perf; bpf-…; mount, mount-with, bind, remount, remount-fs, share,
// move-mount, unmount, fs-mount, tree-mount, mount-attr, mount-attr-clear, pivot, chroot, handle, unshare,
// enter (a namespace); family (a socket of it), hash, capture, forge, option, addresses,
// route-change, families, audit, xfrm-flush, nft.
//
// Deputies: talk (a line, to a socket's path, "@" and an abstract name, or an address),
// banner and banner-of (what a daemon says first, or to a line), flood, bus (a method of
// systemd over D-Bus), impersonate (a daemon). A "-" before an operation: it may fail. A
// path with a "*" is the first that there is.
//
// $N is the step's own name, $DIR its directory, $TMP one below /tmp, both its actor's;
// $MARK is a file that shows that something ran.
package scenario
