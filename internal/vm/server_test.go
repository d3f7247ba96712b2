//go:build linux

package vm_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kannuki/kannuki/internal/vm"
)

// What a server of today is expected to do, asked for inside it.
var services = []struct {
	name, user string
	command    string
	want       string // in what it prints
}{
	{"everything started", "", "systemctl is-system-running || systemctl --failed", "running"},
	{"systemd is process 1", "", "cat /proc/1/comm", "systemd"},
	{"nginx answers", "alice", "curl -sS http://127.0.0.1/index.nginx-debian.html", "Welcome to nginx"},
	{"php runs behind it", "alice", "curl -sS http://127.0.0.1/app.php", "php answers 42"},
	{"ssh logs in", "alice", "ssh-keygen -q -t ed25519 -N '' -f ~/.ssh/id && cp ~/.ssh/id.pub ~/.ssh/authorized_keys && " +
		"ssh -i ~/.ssh/id -o StrictHostKeyChecking=accept-new 127.0.0.1 'id -un; cat /proc/self/loginuid'", "alice\n1000"},
	{"sudo works", "alice", "sudo id -u", "0"},
	{"redis answers", "www-data", "redis-cli ping", "PONG"},
	{"PostgreSQL answers", "postgres", "psql -Atc 'select 6*7'", "42"},
	{"cron runs", "", "systemctl is-active cron atd", "active\nactive"},
	{"logs are written", "", "logger -t kannuki-test written && sleep 1 && grep -c 'kannuki-test: written' /var/log/syslog", "1"},
	{"logrotate rotates", "", "logrotate -f /etc/logrotate.d/rsyslog && ls /var/log/syslog.1", "/var/log/syslog.1"},
	{"a compiler compiles", "alice", "cd && echo 'int main(){return 42;}' > a.c && gcc -o a a.c; ./a; echo $?", "42"},
	{"the kernel is installed too", "", "dpkg -s linux-image-$(uname -r) | grep Status", "install ok installed"},
	{"modules load", "", "modprobe overlay && grep -c ^overlay /proc/modules", "1"},
	{"there is no network", "", "ls /sys/class/net | paste -sd ' ' | sed 's/^/only: /'", "only: lo\n"},
	{"the root is ext4 on a disk", "", "stat -f -c %T / && findmnt -no SOURCE /", "ext2/ext3\n/dev/vda"},
}

func TestADebianServerServes(t *testing.T) {
	for _, series := range vm.Matrix() {
		t.Run(series, func(t *testing.T) {
			kernel := vm.Kernel(t, series)
			began := time.Now()
			d := vm.Debian(t, vm.Config{Kernel: kernel})
			t.Logf("there after %.1f s", time.Since(began).Seconds())
			if d.Kernel() != kernel.Release() {
				t.Errorf("it runs kernel %s, want %s", d.Kernel(), kernel.Release())
			}
			for _, s := range services {
				t.Run(s.name, func(t *testing.T) {
					r := d.Run(t, s.user, "sh", "-c", s.command)
					if !strings.Contains(r.Stdout, s.want) {
						t.Errorf("%s\nprinted %q (exit status %d), want %q", s.command, r.Output, r.ExitCode, s.want)
					}
				})
			}
			d.GoTest(t, "inside", "guest", "-test.run=TestMachine|Unprivileged|Token|Testdata|Loopback|Clock")
		})
	}
}

// Whatever a scenario does to the machine, the next one starts from the same moment.
func TestRestoreUndoesEverything(t *testing.T) {
	d := vm.Debian(t, vm.Config{Kernel: vm.Kernel(t, "6.1")})
	state := func() string {
		return d.Run(t, "", "sh", "-c", "cat /proc/sys/kernel/random/boot_id; systemctl is-active nginx redis-server; "+
			"ls /etc/nginx/nginx.conf /root/marker /run/marker 2>&1; pgrep -c sleep").Output
	}
	before := state()
	d.Run(t, "", "sh", "-c", "systemctl stop nginx; kill -9 $(pidof redis-server); rm -rf /etc/nginx; touch /root/marker /run/marker; sync; sleep 1000 &")
	if after := state(); after == before {
		t.Fatalf("nothing was changed:\n%s", after)
	}
	began := time.Now()
	d.Restore(t)
	took := time.Since(began)
	if after := state(); after != before {
		t.Errorf("before:\n%s\nrestored in %s:\n%s", before, took, after)
	}
	t.Logf("restored in %.2f s", took.Seconds())
	if out := d.Run(t, "", "date", "+%s"); out.ExitCode == 0 {
		var guest int64
		fmt.Sscan(out.Stdout, &guest)
		if off := time.Now().Unix() - guest; off < -5 || off > 5 {
			t.Errorf("the restored clock is %d s off", off)
		}
	}
}

// Packages come from a folder, through apt, with their maintainer scripts: as an
// upgrade of a server does, without a network.
func TestAptInstallsFromAFolder(t *testing.T) {
	d := vm.Debian(t, vm.Config{Kernel: vm.Kernel(t, "6.12")})
	archive := t.TempDir()
	deb(t, archive, "kannuki-probe", "1.2")
	d.Push(t, archive, "/srv/archive")
	d.Write(t, "/etc/apt/sources.list.d/folder.list", []byte("deb [trusted=yes] file:/srv/archive ./\n"), 0o644, "")
	r := d.Run(t, "alice", "sh", "-c", "sudo apt-get update -q && sudo DEBIAN_FRONTEND=noninteractive apt-get install -q -y kannuki-probe")
	if r.ExitCode != 0 {
		t.Fatalf("exit status %d:\n%s", r.ExitCode, r.Output)
	}
	if got := string(d.Pull(t, "/var/lib/kannuki-probe")); got != "configured as 0\n" {
		t.Errorf("the maintainer script left %q", got)
	}
	if got := d.Run(t, "alice", "kannuki-probe").Stdout; got != "probe 1.2\n" {
		t.Errorf("the program says %q", got)
	}
	if r := d.Run(t, "", "sh", "-c", "apt-get purge -q -y kannuki-probe && ! command -v kannuki-probe"); r.ExitCode != 0 {
		t.Errorf("purge: exit status %d:\n%s", r.ExitCode, r.Output)
	}
}

// deb puts one small package and its index into a folder.
func deb(t *testing.T, archive, name, version string) {
	t.Helper()
	root := t.TempDir()
	control := fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: kannuki tests <root@localhost>\nDescription: a probe\n", name, version)
	for path, file := range map[string]struct {
		content string
		mode    os.FileMode
	}{
		"DEBIAN/control":  {control, 0o644},
		"DEBIAN/postinst": {"#!/bin/sh\nset -e\necho configured as $(id -u) > /var/lib/" + name + "\n", 0o755},
		"usr/bin/" + name: {"#!/bin/sh\necho probe " + version + "\n", 0o755},
	} {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(file.content), file.mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(archive, name+".deb")
	if out, err := exec.Command("dpkg-deb", "--root-owner-group", "-b", root, file).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	index := fmt.Sprintf("%sFilename: ./%s.deb\nSize: %d\nSHA256: %x\n", control, name, len(content), sha256.Sum256(content))
	if err := os.WriteFile(filepath.Join(archive, "Packages"), []byte(index), 0o644); err != nil {
		t.Fatal(err)
	}
}
