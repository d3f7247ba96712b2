package ruleset_test

import (
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/kannuki/kannuki/guard/ruleset"
	"github.com/kannuki/kannuki/policy"
)

// hosts are ways in which distributions lay out programs that go by several names: what
// the kernel is asked about is the file a link leads to, by its directory and name.
var hosts = []struct {
	name, files string
	rules       map[string]string // rule that refuses the file; "": none does
	runs        map[string]string // who runs it all the same, one of them
}{
	{name: "alternatives", files: `
		usr/bin/vi -> /etc/alternatives/vi
		etc/alternatives/vi -> /usr/bin/vim.basic
		usr/bin/vim.basic
		usr/bin/editor -> /etc/alternatives/editor
		etc/alternatives/editor -> /bin/nano
		bin -> usr/bin
		usr/bin/nano
		usr/bin/w -> /etc/alternatives/w
		etc/alternatives/w -> /usr/bin/w.special
		usr/bin/w.special
		usr/bin/pager -> /etc/alternatives/pager
		etc/alternatives/pager -> /usr/bin/nothing
	`, rules: map[string]string{"/usr/bin/vi": "utility:editor", "/usr/bin/vim.basic": "utility:editor", "/usr/bin/nano": "utility:editor",
		"/usr/bin/w.special": "utility:discovery-session", "/usr/bin/editor": "", "/usr/bin/nothing": "", "/etc/alternatives/vi": ""}},

	{name: "busybox beside the real programs (Debian)", files: `
		usr/bin/busybox
		usr/bin/sh -> dash
		usr/bin/dash
		usr/bin/cat
		usr/lib/initramfs-tools/bin/busybox
	`, rules: map[string]string{"/usr/bin/busybox": "utility:shell", "/usr/bin/dash": "utility:shell", "/usr/bin/cat": ""}},

	{name: "busybox is everything (Alpine)", files: `
		bin/busybox
		bin/sh -> /bin/busybox
		bin/cat -> /bin/busybox
		bin/kill -> /bin/busybox
		usr/bin/env -> /bin/busybox
		usr/bin/wget -> /bin/busybox
		sbin/insmod -> /bin/busybox
		bin/bash
	`, rules: map[string]string{"/bin/busybox": "utility:shell", "/bin/bash": "utility:shell", "/usr/bin/env": "utility:wrapper", "/sbin/insmod": "utility:kernel"}},

	{name: "toybox under another name", files: `
		usr/bin/toybox
		usr/bin/nc -> toybox
		usr/bin/ls -> toybox
	`, rules: map[string]string{"/usr/bin/toybox": "utility:shell"}},

	{name: "coreutils in one file (coreutils-single), by links and by scripts that name it", files: `
		usr/bin/coreutils
		usr/bin/env -> coreutils
		usr/bin/ls -> coreutils
		usr/bin/nohup = #!/usr/bin/coreutils --coreutils-prog-shebang=nohup
		usr/bin/cat = #!/usr/bin/coreutils --coreutils-prog-shebang=cat
	`, rules: map[string]string{"/usr/bin/coreutils": "utility:wrapper-box", "/usr/bin/nohup": "utility:wrapper", "/usr/bin/cat": ""},
		runs: map[string]string{"/usr/bin/coreutils": "unit nrpe.service"}},

	{name: "uutils by links (Ubuntu 26.04)", files: `
		usr/bin/env -> ../lib/cargo/bin/coreutils/env
		usr/bin/base64 -> ../lib/cargo/bin/coreutils/base64
		usr/bin/cat -> ../lib/cargo/bin/coreutils/cat
		usr/lib/cargo/bin/coreutils/env -> coreutils
		usr/lib/cargo/bin/coreutils/base64 -> coreutils
		usr/lib/cargo/bin/coreutils/cat -> coreutils
		usr/lib/cargo/bin/coreutils/coreutils
		usr/bin/gnuenv
	`, rules: map[string]string{"/usr/lib/cargo/bin/coreutils/coreutils": "utility:wrapper-box", "/usr/bin/gnuenv": "utility:wrapper-gnu"},
		runs: map[string]string{"/usr/lib/cargo/bin/coreutils/coreutils": "unit nrpe.service"}},

	{name: "uutils by links to /usr/bin/coreutils", files: `
		usr/bin/timeout -> ../lib/cargo/bin/coreutils/timeout
		usr/lib/cargo/bin/coreutils/timeout -> ../../../../bin/coreutils
		usr/bin/coreutils
	`, rules: map[string]string{"/usr/bin/coreutils": "utility:wrapper-box"}},

	{name: "uutils by hard links (Ubuntu 25.10): a name is a file", files: `
		usr/bin/env -> ../lib/cargo/bin/coreutils/env
		usr/bin/cat -> ../lib/cargo/bin/coreutils/cat
		usr/lib/cargo/bin/coreutils/env
		usr/lib/cargo/bin/coreutils/cat
	`, rules: map[string]string{"/usr/lib/cargo/bin/coreutils/env": "utility:wrapper", "/usr/lib/cargo/bin/coreutils/cat": ""}},

	{name: "sudo in Rust", files: `
		usr/bin/sudo -> /etc/alternatives/sudo
		etc/alternatives/sudo -> /usr/lib/cargo/bin/sudo
		usr/lib/cargo/bin/sudo
		usr/bin/sudo.ws
	`, rules: map[string]string{"/usr/lib/cargo/bin/sudo": "utility:privilege", "/usr/bin/sudo.ws": "utility:privilege"}},

	{name: "kmod", files: `
		sbin -> usr/sbin
		usr/bin/kmod
		usr/sbin/insmod -> ../bin/kmod
		usr/sbin/modprobe -> ../bin/kmod
		usr/sbin/lsmod -> ../bin/kmod
	`, rules: map[string]string{"/usr/bin/kmod": "utility:kernel"}, runs: map[string]string{"/usr/bin/kmod": "unit openvpn@.service"}},

	{name: "names of systemctl", files: `
		usr/bin/systemctl
		usr/sbin/reboot -> ../bin/systemctl
		usr/sbin/init -> ../lib/systemd/systemd
		usr/lib/systemd/systemd
	`, rules: map[string]string{"/usr/bin/systemctl": "utility:scheduler-bus", "/usr/lib/systemd/systemd": "utility:scheduler-services"},
		runs: map[string]string{"/usr/bin/systemctl": "unit nrpe.service"}},

	{name: "iptables", files: `
		usr/sbin/iptables -> /etc/alternatives/iptables
		etc/alternatives/iptables -> /usr/sbin/iptables-nft
		usr/sbin/iptables-nft -> xtables-nft-multi
		usr/sbin/iptables-save -> xtables-nft-multi
		usr/sbin/xtables-nft-multi
	`, rules: map[string]string{"/usr/sbin/xtables-nft-multi": "utility:defence-firewall", "/usr/sbin/iptables": "utility:defence-firewall"},
		runs: map[string]string{"/usr/sbin/xtables-nft-multi": "unit openvpn@.service"}},

	{name: "versions and machines", files: `
		usr/bin/cc -> /etc/alternatives/cc
		etc/alternatives/cc -> /usr/bin/gcc
		usr/bin/gcc -> gcc-12
		usr/bin/gcc-12 -> x86_64-linux-gnu-gcc-12
		usr/bin/x86_64-linux-gnu-gcc-12
		usr/bin/python3 -> python3.13
		usr/bin/python3.13
		usr/bin/python3-config
		usr/bin/perl5.40-x86_64-linux-gnu
	`, rules: map[string]string{"/usr/bin/x86_64-linux-gnu-gcc-12": "utility:compiler", "/usr/bin/gcc-12": "utility:compiler",
		"/usr/bin/python3.13": "utility:language", "/usr/bin/python3-config": "", "/usr/bin/perl5.40-x86_64-linux-gnu": "utility:language"}},
}

func TestAProgramOfSeveralNamesIsTheFileTheyLeadTo(t *testing.T) {
	for _, h := range hosts {
		t.Run(h.name, func(t *testing.T) {
			rs, gaps := ruleset.Compile(builtin(t, "standard"), ruleset.Host{FS: files(h.files)}, noon)
			for at, want := range h.rules {
				if got := rs.Rules[program(rs, at).Utility]; got != want {
					t.Errorf("%s is refused by %q, want %q", at, got, want)
				}
			}
			for at, want := range h.runs {
				if got := members(rs, program(rs, at).Runs); !slices.Contains(strings.Split(got, ", "), want) {
					t.Errorf("%s is run by %q, want %s among them", at, got, want)
				}
			}
			for _, g := range gaps {
				if g.Control == "utility" {
					t.Errorf("a gap: %+v", g)
				}
			}
		})
	}
}

// What a package brings is named before it is there, and goes on being named by the same
// directory and name when an update replaces it, or an alternative leads elsewhere.
func TestAnUpdateOrAnotherAlternativeLeavesNoUtilityUnnamed(t *testing.T) {
	states := []string{
		"usr/bin/",
		"usr/bin/nc -> /etc/alternatives/nc\netc/alternatives/nc -> /bin/nc.openbsd\nbin -> usr/bin\nusr/bin/nc.openbsd = one version",
		"usr/bin/nc -> /etc/alternatives/nc\netc/alternatives/nc -> /bin/nc.openbsd\nbin -> usr/bin\nusr/bin/nc.openbsd = the next",
		"usr/bin/nc -> /etc/alternatives/nc\netc/alternatives/nc -> /usr/bin/ncat\nusr/bin/nc.openbsd\nusr/bin/ncat",
		"usr/bin/nc = a file in place of the link",
	}
	for _, s := range states {
		rs, _ := ruleset.Compile(builtin(t, "standard"), ruleset.Host{FS: files(s)}, noon)
		for _, at := range []string{"/usr/bin/nc", "/usr/bin/nc.openbsd", "/usr/bin/ncat"} {
			if got := rs.Rules[program(rs, at).Utility]; got != "utility:relay" {
				t.Errorf("%q: %s is refused by %q", s, at, got)
			}
		}
	}
}

// /bin is a directory of its own on some hosts and another name of /usr/bin on most: then
// its programs are named once.
func TestADirectoryWithTwoNamesIsReadOnce(t *testing.T) {
	p := policy.Policy{Version: 1, Name: "test", Mode: policy.Enforce, Programs: []policy.ProgramDir{{Path: "/usr/bin"}, {Path: "/bin"}}}
	p.Utilities.Refuse = []policy.Utility{{Category: "relay", Names: []string{"nc"}}}
	p.Fill()
	named := func(lines string) (out []string) {
		rs, _ := ruleset.Compile(p, ruleset.Host{FS: files(lines)}, noon)
		for _, p := range rs.Programs {
			if p.Utility != 0 {
				out = append(out, p.Path)
			}
		}
		return out
	}
	if got := named("bin -> usr/bin\nusr/bin/nc"); !slices.Equal(got, []string{"/usr/bin/nc"}) {
		t.Errorf("merged: %q", got)
	}
	if got := named("bin/nc\nusr/bin/"); !slices.Equal(got, []string{"/bin/nc", "/usr/bin/nc"}) {
		t.Errorf("apart: %q", got)
	}
}

// Commands are named before they are there, in the directories they are installed to;
// elsewhere what is there is.
func TestOnlyDirectoriesOfCommandsAreNamedInAdvance(t *testing.T) {
	rs, _ := ruleset.Compile(builtin(t, "standard"), ruleset.Host{FS: files("usr/libexec/\nusr/libexec/gdb\nusr/bin/\nusr/local/sbin/")}, noon)
	for at, want := range map[string]string{"/usr/libexec/gdb": "utility:tracer", "/usr/libexec/curl": "", "/usr/bin/curl": "utility:transfer", "/usr/local/sbin/curl": "utility:transfer"} {
		if got := rs.Rules[program(rs, at).Utility]; got != want {
			t.Errorf("%s is refused by %q, want %q", at, got, want)
		}
	}
}

// What cannot be listed is named by all names there are, links followed.
func TestADirectoryThatCannotBeListedIsNamedWhole(t *testing.T) {
	rs, gaps := ruleset.Compile(builtin(t, "standard"), ruleset.Host{FS: unlistable{files("usr/bin/nc -> /etc/alternatives/nc\netc/alternatives/nc -> /usr/bin/nc.special\nusr/bin/nc.special")}}, noon)
	for _, at := range []string{"/usr/bin/nc", "/usr/bin/nc.special", "/usr/bin/curl"} {
		if program(rs, at).Utility == 0 {
			t.Errorf("%s is no utility", at)
		}
	}
	if !hasGap(gaps, "", "/usr/bin") {
		t.Errorf("gaps %v", gaps)
	}
}

// unlistable is a file system whose directories of programs may not be read.
type unlistable struct{ fs.ReadLinkFS }

func (u unlistable) ReadDir(name string) ([]fs.DirEntry, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
}

// These every program needs: a policy that took one for a utility would stop services.
func TestNothingEveryProgramNeedsIsAUtility(t *testing.T) {
	h := debian()
	h.FS = files(`
		usr/bin/ld.so -> ../lib64/ld-linux-x86-64.so.2
		usr/lib64/ld-linux-x86-64.so.2
		usr/bin/cat
		usr/bin/cp
		usr/bin/sed
		usr/bin/grep
		usr/sbin/nginx
		usr/sbin/sendmail -> postfix
		usr/sbin/postfix
	`)
	rs, _ := compile(t, builtin(t, "strict"), h)
	for _, p := range rs.Programs {
		for _, at := range []string{"ld-linux-x86-64.so.2", "cat", "cp", "sed", "grep", "nginx", "sendmail", "postfix"} {
			if strings.HasSuffix(p.Path, "/"+at) && p.Utility != 0 {
				t.Errorf("%s is refused by %s", p.Path, rs.Rules[p.Utility])
			}
		}
	}
}
