package drill

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/kannuki/kannuki/host"
)

// What most steps meet where nobody refuses them and there was nothing to do.
var senseless = []error{unix.EINVAL, unix.EBADF}

// launching are programs and libraries from where files may change.
var launching = []Step{
	{Name: "launch-program", Technique: "T1105", Control: host.Launch, Op: "exec", makes: program, do: become,
		Does: "starts a program that was put into user space"},
	{Name: "launch-everybody", Technique: "T1105", Control: host.Launch, Op: "exec", Everybody: true, makes: program, do: become,
		Does: "an administrator starts a program of user space"},
	{Name: "launch-shared-memory", Technique: "T1105", Control: host.Launch, Op: "exec", aim: inMemory, do: copyAndBecome,
		Does: "starts a program in shared memory (/dev/shm)"},
	{Name: "launch-memfd", Technique: "T1620", Control: host.Launch, Op: "exec", aim: unlessMemfdIsOff, do: becomeMemory,
		Does: "starts a program that is in no directory (memfd_create)"},
	{Name: "launch-library", Technique: "T1574.006", Control: host.Launch, Op: "library", makes: program, do: mapLibrary,
		Does: "maps a file of user space as code, as a library is"},
	{Name: "launch-mprotect", Technique: "T1620", Control: host.Launch, Op: "mprotect", makes: program, do: turnIntoCode,
		Does: "turns a mapped file of user space into code"},
	{Name: "launch-loader", Technique: "T1036", Control: host.Launch, Op: "library", makes: program, aim: loaderHere, do: becomeByLoader,
		Does: "has the system's loader start a program of user space"},
	{Name: "launch-script", Technique: "T1059.004", Control: host.Launch, Op: "script", Everybody: true, makes: script, do: becomeByShell,
		Does: "an administrator's shell runs a script of user space"},
}

// writing is what starts later, or what somebody trusts.
var writing = []Step{
	{Name: "write-file", Technique: "T1554", Control: host.Write, Op: "write", makes: sealed, do: openToWrite,
		Does: "opens a file of system space for writing"},
	{Name: "write-create", Technique: "T1105", Control: host.Write, Op: "create", makes: nothing, aim: newInSystem, do: create,
		Does: "makes a file in system space"},
	{Name: "write-delete", Technique: "T1485", Control: host.Write, Op: "unlink", makes: sealed, do: remove,
		Does: "removes a file of system space"},
	{Name: "write-rename", Technique: "T1036.003", Control: host.Write, Op: "rename", makes: sealed, do: rename,
		Does: "renames a file of system space"},
	{Name: "write-link", Technique: "T1574", Control: host.Write, Op: "link", makes: sealed, do: hardLink,
		Does: "gives a file of system space a second name"},
	{Name: "write-mode", Technique: "T1222.002", Control: host.Write, Op: "attributes", makes: sealed, do: sameMode,
		Does: "sets the mode of a file of system space, to what it is"},
	{Name: "write-attribute", Technique: "T1222.002", Control: host.Write, Op: "extended-attributes", makes: sealed, do: setAttribute,
		Does: "sets an extended attribute of a file of system space"},
	{Name: "write-setuid", Technique: "T1548.001", Control: host.Write, Op: "make-setuid", makes: program, do: makeSetuid,
		Does: "makes a set-user-ID file"},
	{Name: "write-capability", Technique: "T1548.001", Control: host.Write, Op: "make-setuid", makes: program, do: makeCapable,
		Does: "gives a file capabilities"},
	{Name: "write-cron", Technique: "T1053.003", Control: host.Write, Op: "mkdir", Effect: true, aim: in("/etc/cron.d"), do: makeDirectory,
		Does: "makes something in /etc/cron.d: a directory, which cron ignores"},
	{Name: "write-unit", Technique: "T1543.002", Control: host.Write, Op: "mkdir", Effect: true, aim: in("/etc/systemd/system"), do: makeDirectory,
		Does: "makes something in /etc/systemd/system: a directory, which is no unit"},
	{Name: "write-profile", Technique: "T1546.004", Control: host.Write, Op: "mkdir", Effect: true, aim: in("/etc/profile.d"), do: makeDirectory,
		Does: "makes something in /etc/profile.d: a directory, which no shell reads"},
	{Name: "write-sudoers", Technique: "T1548.003", Control: host.Write, Op: "mkdir", Effect: true, aim: in("/etc/sudoers.d"), do: makeDirectory,
		Does: "makes something in /etc/sudoers.d: a directory, which sudo ignores"},
	{Name: "write-accounts", Technique: "T1136.001", Control: host.Write, Op: "write", aim: first("/etc/passwd"), do: openToWrite,
		Does: "opens the list of accounts for writing, and writes nothing"},
	{Name: "write-login", Technique: "T1556.003", Control: host.Write, Op: "write", aim: first("/etc/pam.d/common-auth", "/etc/pam.d/system-auth", "/etc/pam.d/login", "/etc/pam.d/sshd", "/etc/pam.d/other"), do: openToWrite,
		Does: "opens a rule of PAM for writing, and writes nothing"},
	{Name: "write-preload", Technique: "T1574.006", Control: host.Write, Op: "write", aim: first("/etc/ld.so.preload", "/etc/ld.so.cache", "/etc/ld.so.conf"), do: openToWrite,
		Does: "opens for writing what says which libraries programs load"},
	{Name: "write-log", Technique: "T1070.002", Control: host.Write, Op: "write", aim: first("/var/log/wtmp", "/var/log/auth.log", "/var/log/secure", "/var/log/syslog", "/var/log/messages"), do: openToWrite,
		Does: "opens a log for writing, and writes nothing"},
	{Name: "write-home", Technique: "T1486", Control: host.Write, Op: "attributes", aim: first("/root"), do: sameMode,
		Does: "sets the mode of the administrator's directory, to what it is"},
	{Name: "write-guard-policy", Technique: "T1685", Control: host.Write, Op: "attributes", Everybody: true, aim: theGuards("policy"), do: sameMode,
		Does: "an administrator sets the mode of the guard's policy, to what it is"},
	{Name: "write-guard-pins", Technique: "T1685", Control: host.Write, Op: "attributes", Everybody: true, aim: theGuards("pins"), do: sameMode,
		Does: "an administrator sets the mode of the guard's pins, to what it is"},
}

// reading is of secrets: they are opened and not read.
var reading = []Step{
	{Name: "private-passwords", Technique: "T1003.008", Control: host.Private, Op: "read", aim: first("/etc/shadow"), do: openToRead,
		Does: "opens the password hashes, and reads nothing"},
	{Name: "private-ssh-key", Technique: "T1552.004", Control: host.Private, Op: "read", aim: first("/etc/ssh/ssh_host_ed25519_key", "/etc/ssh/ssh_host_ecdsa_key", "/etc/ssh/ssh_host_rsa_key"), do: openToRead,
		Does: "opens the host's SSH key, and reads nothing"},
	{Name: "private-tls-key", Technique: "T1552.004", Control: host.Private, Op: "read", aim: first("/etc/ssl/private", "/etc/pki/tls/private", "/etc/letsencrypt/live"), do: openToRead,
		Does: "opens the directory of TLS keys, and lists nothing"},
}

// reaching is into other processes: into one of the drill's own, and where signals and
// priorities are concerned into the kernel's own second process, which takes none.
var reaching = []Step{
	{Name: "process-trace", Technique: "T1055.008", Control: host.ProcessCtl, Op: "trace", aim: unlessYama, do: func(o Order) error { return seize(o.Scene.Victim) },
		Does: "traces a process (ptrace)"},
	{Name: "process-memory", Technique: "T1055.009", Control: host.ProcessCtl, Op: "trace", aim: unlessYama, do: openMemory,
		Does: "opens a process's memory (/proc/PID/mem)"},
	{Name: "process-memory-read", Technique: "T1003.007", Control: host.ProcessCtl, Op: "trace", aim: unlessYama, do: readMemory,
		Does: "reads a process's memory (process_vm_readv)"},
	{Name: "process-descriptor", Technique: "T1055", Control: host.ProcessCtl, Op: "trace", aim: unlessYama, do: takeDescriptor,
		Does: "takes an open file of a process (pidfd_getfd)"},
	{Name: "process-signal", Technique: "T1489", Control: host.ProcessCtl, Op: "signal", aim: kernelThread, do: func(Order) error { return unix.Kill(kthreadd, unix.SIGCONT) },
		Does: "signals a process of another service: one of the kernel, which heeds none"},
	{Name: "process-owner", Technique: "T1489", Control: host.ProcessCtl, Op: "signal", do: giveAway,
		Does: "has a descriptor signal another process, which nothing brings about"},
	{Name: "process-priority", Technique: "T1489", Control: host.ProcessCtl, Op: "tune-process", aim: kernelThread, do: samePriority,
		Does: "sets the priority of a process of the kernel, to what it is"},
	{Name: "process-gain", Technique: "T1068", Control: host.ProcessCtl, Op: "gain-privileges", do: becomeRoot,
		Does: "becomes root again after it gave that up"},
}

// running is of what attackers live off.
var running = []Step{
	{Name: "utility-shell", Technique: "T1059.004", Control: host.Utility, Op: "utility", aim: first("/bin/sh"), do: becomeShell,
		Does: "starts a shell"},
	{Name: "utility-language", Technique: "T1059.006", Control: host.Utility, Op: "utility", aim: firstTool("python3", "perl", "ruby", "awk"), do: becomeVersion,
		Does: "starts an interpreter (--version)"},
	{Name: "utility-download", Technique: "T1105", Control: host.Utility, Op: "utility", aim: firstTool("curl", "wget", "nc", "openssl", "ssh"), do: becomeVersion,
		Does: "starts a program that fetches (--version)"},
	{Name: "utility-discovery", Technique: "T1033", Control: host.Utility, Op: "utility", aim: firstTool("id", "whoami", "ps"), do: becomeVersion,
		Does: "asks as whom it runs (id --version)"},
	{Name: "utility-packages", Technique: "T1195.002", Control: host.Utility, Op: "utility", aim: firstTool("dpkg", "rpm", "apk"), do: becomeVersion,
		Does: "starts the package manager (--version)"},
}

// containing is what would leave containment, or have somebody else act.
var containing = []Step{
	{Name: "contain-setuid", Technique: "T1548.001", Control: host.Containing, Op: "setuid", aim: setuidTool, do: becomeVersion,
		Does: "starts a set-user-ID program (su --version)"},
	{Name: "contain-systemd", Technique: "T1569.003", Control: host.Containing, Op: "connect", aim: first("/run/systemd/private"), do: connect,
		Does: "connects to systemd's own socket, and says nothing"},
	{Name: "contain-bus", Technique: "T1569.003", Control: host.Containing, Op: "connect", aim: first("/run/dbus/system_bus_socket"), do: connect,
		Does: "connects to the system bus, and says nothing"},
	{Name: "contain-runtime", Technique: "T1610", Control: host.Containing, Op: "connect",
		aim: first("/run/docker.sock", "/run/containerd/containerd.sock", "/run/podman/podman.sock", "/run/crio/crio.sock", "/run/libvirt/libvirt-sock", "/run/snapd.socket"), do: connect,
		Does: "connects to a container runtime, and says nothing"},
	{Name: "contain-agent", Technique: "T1685", Control: host.Containing, Op: "connect", aim: theGuards("socket"), do: connect,
		Does: "connects to the guard's agent, and says nothing"},
	{Name: "contain-cgroup", Technique: "T1543", Control: host.Containing, Op: "join-unit", do: beginHere,
		Does: "begins a child in a control group it names, which is its own"},
	{Name: "contain-orphan", Technique: "T1543", Control: host.Containing, Op: "connect", aim: theGuards("socket"), do: connectAsOrphan,
		Does: "leaves a child behind in a session of its own, which connects to the agent"},
}

// guarding is of the guard itself.
var guarding = []Step{
	{Name: "self-ftrace", Technique: "T1685", Control: host.Self, Op: "guard", aim: first("/proc/sys/kernel/ftrace_enabled"), do: openToWrite,
		Does: "opens for writing what switches the guard's hooks off (ftrace_enabled)"},
	{Name: "self-ftrace-everybody", Technique: "T1685", Control: host.Self, Op: "guard", Everybody: true, aim: first("/proc/sys/kernel/ftrace_enabled"), do: openToWrite,
		Does: "an administrator opens it for writing (ftrace_enabled)"},
	{Name: "self-signal", Technique: "T1685", Control: host.Self, Op: "signal", do: func(o Order) error { return unix.Kill(o.Scene.Agent, unix.SIGCONT) },
		Does: "signals the agent (SIGCONT, which does nothing)"},
	{Name: "self-trace", Technique: "T1055.008", Control: host.Self, Op: "trace", aim: unlessYama, do: func(o Order) error { return seize(o.Scene.Agent) },
		Does: "traces the agent"},
	{Name: "self-map", Technique: "T1685", Control: host.Self, Op: "guard", Everybody: true, aim: pinnedMap, do: openPin,
		Does: "an administrator opens a map of the guard's"},
	{Name: "self-detach", Technique: "T1685", Control: host.Self, Op: "guard", Everybody: true, do: detachNothing, past: senseless,
		Does: "an administrator detaches a program from nowhere, as one would detach the guard's"},
}

// absent are the errors of what a kernel does not have.
var absent = []error{unix.ENOSYS, unix.EAFNOSUPPORT, unix.EPROTONOSUPPORT, unix.ESOCKTNOSUPPORT, unix.EOPNOTSUPP, unix.ENODEV, unix.ENXIO, unix.ENOENT, unix.ECONNREFUSED}

// went sorts the error a step met.
func (s Step) went(err error) Went {
	is := func(list []error) bool {
		for _, e := range list {
			if errors.Is(err, e) {
				return true
			}
		}
		return false
	}
	switch {
	case errors.Is(err, errPrepare):
		return WentWrong
	case err == nil, is(s.past):
		return WentThrough
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return WentRefused
	case is(absent):
		return WentAbsent
	}
	return WentWrong
}
