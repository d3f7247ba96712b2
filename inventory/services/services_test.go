package services

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kannuki/kannuki/host"
)

// helperVariable makes the test program play the process that is looked at.
const helperVariable = "KANNUKI_TEST_HELPER"

func TestMain(m *testing.M) {
	switch os.Getenv(helperVariable) {
	case "":
		os.Exit(m.Run())
	case "listen":
		helperListen()
	case "map":
		helperMap(os.Args[1:])
	case "read":
		helperRead()
	}
}

// helperListen accepts traffic on one port of each protocol, and has connections
// and sockets that accept none.
func helperListen() {
	tcp, err := net.Listen("tcp4", "127.0.0.1:0")
	check(err)
	udp, err := net.ListenPacket("udp4", "127.0.0.1:0")
	check(err)
	client, err := net.Dial("tcp4", tcp.Addr().String())
	check(err)
	defer client.Close()
	talker, err := net.Dial("udp4", udp.LocalAddr().String())
	check(err)
	defer talker.Close()
	fmt.Printf("tcp %d udp %d\n", tcp.Addr().(*net.TCPAddr).Port, udp.LocalAddr().(*net.UDPAddr).Port)
	io.Copy(io.Discard, os.Stdin)
}

// helperMap maps files as code.
func helperMap(paths []string) {
	for _, p := range paths {
		file, err := os.Open(p)
		check(err)
		_, err = syscall.Mmap(int(file.Fd()), 0, 4096, syscall.PROT_READ|syscall.PROT_EXEC, syscall.MAP_PRIVATE)
		check(err)
		file.Close()
	}
	fmt.Println("mapped")
	io.Copy(io.Discard, os.Stdin)
}

// helperRead takes a snapshot and prints what it could not read.
func helperRead() {
	s, err := Read(context.Background(), Proc, nil)
	check(err)
	json.NewEncoder(os.Stdout).Encode(s.Unread)
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// start runs the test program as a helper until the test ends, and returns its
// process id and the first line it prints.
func start(t *testing.T, role string, args ...string) (pid int, line string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), helperVariable+"="+role)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); cmd.Wait() })
	line, err = bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("helper %s: %v", role, err)
	}
	return cmd.Process.Pid, line
}

// owners answers from a table; what it was asked about versions is kept.
type owners struct {
	table map[string]string
	since time.Time
}

func (o *owners) Owner(path string) *host.Package {
	if n, ok := o.table[path]; ok {
		return &host.Package{Name: n}
	}
	return nil
}

func (o *owners) VersionAt(_ *host.Package, at time.Time) string { o.since = at; return "old" }

func live(t *testing.T) *Snapshot {
	t.Helper()
	if _, err := os.Stat(Proc + "/self/maps"); err != nil {
		t.Skipf("SKIPPED: no /proc here: %v", err)
	}
	s, err := Read(context.Background(), Proc, map[string]string{"0": "root"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func find(t *testing.T, processes []host.Process, pid int) host.Process {
	t.Helper()
	i := slices.IndexFunc(processes, func(p host.Process) bool { return p.PID == pid })
	if i < 0 {
		t.Fatalf("process %d is not in the list", pid)
	}
	return processes[i]
}

func TestListeningProcessIsFoundWithItsPorts(t *testing.T) {
	pid, line := start(t, "listen")
	var tcp, udp int
	if _, err := fmt.Sscanf(line, "tcp %d udp %d", &tcp, &udp); err != nil {
		t.Fatal(err)
	}
	p := find(t, live(t).Processes(&owners{}), pid)
	want := []host.Listener{{Protocol: "tcp", Address: "127.0.0.1", Port: tcp}, {Protocol: "udp", Address: "127.0.0.1", Port: udp}}
	slices.SortFunc(want, compareListeners)
	if d := cmp.Diff(want, p.Listeners); d != "" {
		t.Errorf("listeners (-want +got):\n%s", d)
	}
	exe, err := os.Executable()
	if err != nil || p.Exe != exe || p.Name == "" || p.User == "" {
		t.Errorf("process %+v; want exe %s", p, exe)
	}
}

func TestReplacedAndDeletedLibrariesAreFound(t *testing.T) {
	dir := t.TempDir()
	paths := map[string]string{}
	for _, name := range []string{"libkept.so.1", "libreplaced.so.1", "libgone.so.2.1.0", "scratch"} {
		paths[name] = filepath.Join(dir, name)
		if err := os.WriteFile(paths[name], make([]byte, 8192), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	pid, _ := start(t, "map", paths["libkept.so.1"], paths["libreplaced.so.1"], paths["libgone.so.2.1.0"], paths["scratch"])
	// As a package manager does: write beside it, then rename over it.
	if err := os.WriteFile(paths["libreplaced.so.1"]+".new", make([]byte, 8192), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(paths["libreplaced.so.1"]+".new", paths["libreplaced.so.1"]); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(paths["scratch"]); err != nil {
		t.Fatal(err)
	}
	table := &owners{table: map[string]string{paths["libkept.so.1"]: "libkept", paths["libreplaced.so.1"]: "libreplaced"}}
	s := live(t)
	for path := range table.table {
		if !slices.Contains(s.Paths(), path) {
			t.Errorf("%s is not among the paths asked for", path)
		}
	}
	p := find(t, s.Processes(table), pid)
	if d := cmp.Diff([]host.Replaced{{Path: paths["libreplaced.so.1"], Package: "libreplaced", Version: "old"}}, p.Replaced); d != "" {
		t.Errorf("replaced (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"libkept", "libreplaced"}, p.Libraries); d != "" {
		t.Errorf("libraries (-want +got):\n%s", d)
	}
	if age := table.since.Sub(began).Abs(); age > 5*time.Second {
		t.Errorf("the process is said to have begun at %v; it began at %v", table.since, began)
	}
}

func TestProcessesOfOthersAreCountedWhereTheyMayNotBeRead(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: needs root to start a process of another user")
	}
	dir, err := os.MkdirTemp("", "kannuki-services-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "read")
	data, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, data, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	pid, line := start(t, "listen") // somebody else's listener
	var tcp, udp int
	if _, err := fmt.Sscanf(line, "tcp %d udp %d", &tcp, &udp); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program)
	cmd.Env, cmd.Dir = []string{helperVariable + "=read"}, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("as another user: %v", err)
	}
	var unread []host.Unread
	if err := json.Unmarshal(out, &unread); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprint(unread)
	for _, want := range []string{"processes", "permission denied", "run as root", fmt.Sprintf("tcp 127.0.0.1:%d", tcp)} {
		if !strings.Contains(text, want) {
			t.Errorf("unread %s; want %q in it (helper %d)", text, want, pid)
		}
	}
}

// fake is a /proc we made: what a machine with network namespaces, a container and
// kernel threads shows.
func fake(t *testing.T) string {
	t.Helper()
	proc, otherRoot := t.TempDir(), t.TempDir()
	const heading = "  sl  local_address rem_address   st\n"
	socket := func(local, remote, state string, inode int) string {
		return fmt.Sprintf("   0: %s %s %s 00000000:00000000 00:00000000 00000000     0        0 %d 1 x\n", local, remote, state, inode)
	}
	files := map[string]string{
		"stat":     "cpu 1\nbtime 1700000000\n",
		"1/comm":   "systemd\n",
		"1/cgroup": "0::/init.scope\n",
		"1/status": "Name:\tsystemd\nUid:\t0\t0\t0\t0\n",
		"1/stat":   "1 (systemd) S 0 1 1 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 500 0",
		"1/maps":   "",
		"1/net/tcp": heading + socket(nativeHex("0.0.0.0")+":0016", "00000000:0000", "0A", 100) + socket(nativeHex("127.0.0.1")+":1F90", nativeHex("127.0.0.1")+":9C40", "01", 101) +
			socket(nativeHex("0.0.0.0")+":0801", "00000000:0000", "0A", 0),
		"1/net/udp6": heading + socket(strings.Repeat("00000000", 4)+":0222", strings.Repeat("00000000", 4)+":0000", "07", 102),
		"2/comm":     "kthreadd\n", "2/stat": "2 (kthreadd) S 0 0 0 0 -1 2129984 0",
		"30/comm": "a) name (\n", "30/cgroup": "1:name=systemd:/system.slice/web@1.service\n5:devices:/other.service\n",
		"30/status": "Uid:\t33\t1000\t33\t33\n", "30/stat": "30 (a) name () S 1 30 30 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 12345 0", "30/maps": "",
		"40/comm": "nginx\n", "40/cgroup": "0::/system.slice/docker-abc.scope\n", "40/status": "Uid:\t0\t0\t0\t0\n", "40/stat": "40 (nginx) S 1 1 1 0 -1 0 0",
		"40/maps":    "00400000-00500000 r-xp 00000000 fe:00 12 /usr/lib/never-looked-at.so\n",
		"40/net/tcp": heading + socket(nativeHex("10.0.0.2")+":0050", "00000000:0000", "0A", 200),
	}
	links := map[string]string{
		"self/ns/mnt": "mnt:[1]", "1/ns/mnt": "mnt:[1]", "1/ns/net": "net:[1]", "1/exe": "/usr/lib/systemd/systemd", "1/root": "/", "1/fd/7": "socket:[102]",
		"30/exe": "/usr/sbin/web (deleted)", "30/ns/mnt": "mnt:[5]", "30/ns/net": "net:[1]", "30/root": "/", "30/fd/3": "socket:[100]", "30/fd/4": "socket:[101]", "30/fd/5": "/dev/null",
		"40/exe": "/usr/sbin/nginx", "40/ns/mnt": "mnt:[9]", "40/ns/net": "net:[2]", "40/root": otherRoot, "40/fd/6": "socket:[200]",
	}
	for name, text := range files {
		path := filepath.Join(proc, name)
		os.MkdirAll(filepath.Dir(path), 0o755)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range links {
		path := filepath.Join(proc, name)
		os.MkdirAll(filepath.Dir(path), 0o755)
		if err := os.Symlink(target, path); err != nil {
			t.Fatal(err)
		}
	}
	return proc
}

// nativeHex writes an address as the kernel of this machine does.
func nativeHex(addr string) string {
	a := net.ParseIP(addr).To4()
	if v, _, ok := parseAddress(fmt.Sprintf("%02X%02X%02X%02X:0001", a[0], a[1], a[2], a[3])); ok && v.String() == addr {
		return fmt.Sprintf("%02X%02X%02X%02X", a[0], a[1], a[2], a[3])
	}
	return fmt.Sprintf("%02X%02X%02X%02X", a[3], a[2], a[1], a[0])
}

func TestNamespacesContainersAndKernelThreads(t *testing.T) {
	s, err := Read(context.Background(), fake(t), map[string]string{"0": "root", "1000": "web"})
	if err != nil {
		t.Fatal(err)
	}
	table := &owners{table: map[string]string{"/usr/lib/systemd/systemd": "systemd", "/usr/sbin/web": "web", "/usr/sbin/nginx": "nginx", "/usr/lib/never-looked-at.so": "x"}}
	want := []host.Process{
		{PID: 1, Name: "systemd", Exe: "/usr/lib/systemd/systemd", Unit: "init.scope", User: "root", Package: "systemd",
			Listeners: []host.Listener{{Protocol: "udp6", Address: "::", Port: 546}}},
		{PID: 30, Name: "a) name (", Exe: "/usr/sbin/web", Unit: "web@1.service", User: "web", Package: "web",
			Listeners: []host.Listener{{Protocol: "tcp", Address: "0.0.0.0", Port: 22}}},
		// In a container: it listens, but the packages of this machine are not its.
		{PID: 40, Name: "nginx", Exe: "/usr/sbin/nginx", Unit: "docker-abc.scope", User: "root",
			Listeners: []host.Listener{{Protocol: "tcp", Address: "10.0.0.2", Port: 80}}},
	}
	if d := cmp.Diff(want, s.Processes(table)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	text := fmt.Sprint(s.Unread)
	for _, part := range []string{"containers", "1 processes run from another root", "listeners", "tcp 0.0.0.0:2049"} {
		if !strings.Contains(text, part) {
			t.Errorf("unread %s; want %q in it", text, part)
		}
	}
	if slices.Contains(s.Paths(), "/usr/sbin/nginx") {
		t.Error("the path of a contained program is asked for")
	}
}

func TestSnapshotStopsWhenAsked(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Read(ctx, fake(t), nil); err == nil {
		t.Error("no error from a cancelled context")
	}
	if _, err := Read(context.Background(), filepath.Join(t.TempDir(), "gone"), nil); err == nil {
		t.Error("no error without a /proc")
	}
}

func TestRemovedLibraryIsTracedByItsSoname(t *testing.T) {
	got := sonames("/usr/lib/x/libxml2.so.2.9.14")
	if d := cmp.Diff([]string{"/usr/lib/x/libxml2.so.2.9", "/usr/lib/x/libxml2.so.2", "/usr/lib/x/libxml2.so"}, got); d != "" {
		t.Error(d)
	}
	for _, path := range []string{"/usr/bin/python3.11", "/usr/lib/libx.so", "/a"} {
		if got := sonames(path); len(got) > 0 {
			t.Errorf("sonames(%q) = %q", path, got)
		}
	}
	p := process{replaced: []string{"/usr/lib/libx.so.1.2"}}
	p.name(&owners{table: map[string]string{"/usr/lib/libx.so.1": "libx1"}})
	if len(p.Replaced) != 1 || p.Replaced[0].Package != "libx1" || p.Replaced[0].Version != "" {
		t.Errorf("replaced %+v; want package libx1, and no version where the start is unknown", p.Replaced)
	}
}

func TestSocketLines(t *testing.T) {
	tests := []struct {
		name, line, protocol string
		want                 host.Listener
		ok                   bool
	}{
		{"listening", " 0: " + nativeHex("192.0.2.1") + ":0050 00000000:0000 0A 0:0 0:0 0 0 0 77 1", "tcp", host.Listener{Protocol: "tcp", Address: "192.0.2.1", Port: 80}, true},
		{"connected", " 0: " + nativeHex("192.0.2.1") + ":0050 01020304:0050 01 0:0 0:0 0 0 0 77 1", "tcp", host.Listener{}, false},
		{"bound UDP", " 0: " + nativeHex("0.0.0.0") + ":0035 00000000:0000 07 0:0 0:0 0 0 0 77 1", "udp", host.Listener{Protocol: "udp", Address: "0.0.0.0", Port: 53}, true},
		{"connected UDP", " 0: " + nativeHex("0.0.0.0") + ":0035 01020304:0035 01 0:0 0:0 0 0 0 77 1", "udp", host.Listener{}, false},
		{"no port", " 0: " + nativeHex("0.0.0.0") + ":0000 00000000:0000 0A 0:0 0:0 0 0 0 77 1", "tcp", host.Listener{}, false},
		{"short", " 0: 0:0", "tcp", host.Listener{}, false},
		{"no hex", " 0: ZZZZZZZZ:0050 00000000:0000 0A 0:0 0:0 0 0 0 77 1", "tcp", host.Listener{}, false},
		{"odd length", " 0: 000000:0050 00000000:0000 0A 0:0 0:0 0 0 0 77 1", "tcp", host.Listener{}, false},
	}
	for _, test := range tests {
		inode, l, ok := parseSocket(test.line, test.protocol)
		if ok != test.ok || l != test.want || ok && inode != 77 {
			t.Errorf("%s: %d, %+v, %v", test.name, inode, l, ok)
		}
	}
}

func TestMappingLines(t *testing.T) {
	tests := []struct {
		line string
		want mapping
		ok   bool
	}{
		{"7f76d3d01000-7f76d3e57000 r-xp 00026000 fe:00 326269                     /usr/lib/libc.so.6", mapping{span: "7f76d3d01000-7f76d3e57000", inode: 326269, path: "/usr/lib/libc.so.6"}, true},
		{"7f0-7f1 r-xs 00026000 fe:00 5 /usr/lib/a b.so (deleted)", mapping{span: "7f0-7f1", inode: 5, path: "/usr/lib/a b.so", deleted: true}, true},
		{`7f0-7f1 r-xp 00026000 fe:00 5 /usr/lib/a\012b`, mapping{span: "7f0-7f1", inode: 5, path: "/usr/lib/a\nb"}, true},
		{"7f0-7f1 r--p 00026000 fe:00 5 /usr/lib/a", mapping{}, false},
		{"7f0-7f1 r-xp 00000000 00:00 0                          [vdso]", mapping{}, false},
		{"7f0-7f1 r-xp 00000000 00:00 0 ", mapping{}, false},
		{"7f0-7f1 r-xp 00000000 00:00", mapping{}, false},
		{"", mapping{}, false},
	}
	for _, test := range tests {
		if m, ok := parseMapping(test.line); ok != test.ok || m != test.want {
			t.Errorf("parseMapping(%q) = %+v, %v", test.line, m, ok)
		}
	}
}

func FuzzMapping(f *testing.F) {
	f.Add("7f76d3d01000-7f76d3e57000 r-xp 00026000 fe:00 326269                     /usr/lib/libc.so.6")
	f.Add("7f0-7f1 r-xs 0 fe:00 5 / (deleted)")
	f.Fuzz(func(t *testing.T, line string) {
		if m, ok := parseMapping(line); ok && (!strings.HasPrefix(m.path, "/") && !m.deleted || m.inode == 0) {
			t.Fatalf("%q gives %+v", line, m)
		}
	})
}

func FuzzSocket(f *testing.F) {
	f.Add("   0: 0100007F:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1146 1 x", "tcp")
	f.Add(" 0: 00000000000000000000000000000000:0222 00000000000000000000000000000000:0000 07 0:0 0:0 0 0 0 7 1", "udp6")
	f.Fuzz(func(t *testing.T, line, protocol string) {
		if _, l, ok := parseSocket(line, protocol); ok && (l.Port < 1 || l.Port > 65535 || net.ParseIP(l.Address) == nil) {
			t.Fatalf("%q gives %+v", line, l)
		}
	})
}
