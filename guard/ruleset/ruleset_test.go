package ruleset_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"io/fs"

	"github.com/kannuki/kannuki/guard/ruleset"
	"github.com/kannuki/kannuki/policy"
	"github.com/kannuki/kannuki/policyfile"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func builtin(t testing.TB, name string) policy.Policy {
	t.Helper()
	p, err := policyfile.Builtin(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// files makes a file system of lines: "usr/bin/" a directory, "bin -> usr/bin" a link,
// "usr/bin/ls" a file, "etc/x = text" one with a content.
func files(lines string) fstest.MapFS {
	out := fstest.MapFS{}
	for line := range strings.Lines(lines) {
		line = strings.TrimSpace(line)
		from, to, linked := strings.Cut(line, " -> ")
		name, text, filled := strings.Cut(line, " = ")
		switch {
		case line == "":
		case linked:
			out[from] = &fstest.MapFile{Mode: fs.ModeSymlink | 0o777, Data: []byte(to)}
		case filled:
			out[name] = &fstest.MapFile{Mode: 0o644, Data: []byte(strings.ReplaceAll(text, `\n`, "\n"))}
		case strings.HasSuffix(line, "/"):
			out[strings.TrimSuffix(line, "/")] = &fstest.MapFile{Mode: fs.ModeDir | 0o755}
		default:
			out[line] = &fstest.MapFile{Mode: 0o755}
		}
	}
	return out
}

// debian is a small Debian 12 as its packages leave it.
func debian() ruleset.Host {
	return ruleset.Host{
		FS: files(`
			bin -> usr/bin
			sbin -> usr/sbin
			lib -> usr/lib
			lib64 -> usr/lib64
			boot/grub/grubenv
			boot/efi/
			dev/shm/
			etc/passwd
			etc/shadow
			etc/ssh/ssh_host_ed25519_key
			etc/ssl/private/
			etc/systemd/system/timers.target.wants/apt-daily.timer -> /usr/lib/systemd/system/apt-daily.timer
			etc/systemd/system/e2scrub_all.timer -> /dev/null
			etc/systemd/system/linked.timer -> /home/aiko/linked.timer
			etc/alternatives/awk -> /usr/bin/mawk
			etc/alternatives/vi -> /usr/bin/vim.basic
			etc/alternatives/java -> /usr/lib/jvm/java-17-openjdk-amd64/bin/java
			etc/alternatives/nc -> /bin/nc.openbsd
			home/aiko/.ssh/
			home/aiko/linked.timer = [Timer]\nUnit=evil.service
			opt/
			root/.ssh/
			run/user/
			srv/
			tmp/
			usr/bin/awk -> /etc/alternatives/awk
			usr/bin/mawk
			usr/bin/vi -> /etc/alternatives/vi
			usr/bin/vim.basic
			usr/bin/java -> /etc/alternatives/java
			usr/lib/jvm/java-17-openjdk-amd64/bin/java
			usr/bin/nc -> /etc/alternatives/nc
			usr/bin/nc.openbsd
			usr/bin/sh -> dash
			usr/bin/dash
			usr/bin/bash
			usr/bin/busybox
			usr/bin/perl
			usr/bin/perl5.36.0
			usr/bin/perl5.36-x86_64-linux-gnu
			usr/bin/python3 -> python3.11
			usr/bin/python3.11
			usr/bin/find
			usr/bin/curl
			usr/bin/rsync
			usr/bin/cp
			usr/bin/test
			usr/bin/ls
			usr/bin/sudo
			usr/bin/ping
			usr/bin/dpkg
			usr/bin/apt-get
			usr/bin/make
			usr/bin/kmod
			usr/sbin/depmod -> ../bin/kmod
			usr/sbin/insmod -> ../bin/kmod
			usr/sbin/modprobe -> ../bin/kmod
			usr/sbin/nginx
			usr/sbin/sshd
			usr/sbin/sendmail
			usr/sbin/postdrop
			usr/sbin/unix_chkpwd
			usr/lib/systemd/system/apt-daily.timer = [Unit]\nDescription=Daily\n[Timer]\nOnCalendar=*-*-* 6,18:00
			usr/lib/systemd/system/e2scrub_all.timer = [Timer]\nOnCalendar=Sun
			usr/lib/systemd/system/logrotate.timer = [Timer]\nUnit = rotate-logs.service
			usr/lib/systemd/system/reach.timer = [Timer]\nUnit=reach.target
			usr/lib/postgresql/15/bin/postgres
			usr/local/bin/
			var/lib/dpkg/info/
			var/lib/nginx/
			var/lib/postgresql/15/main/
			var/log/
			var/run -> /run
			var/tmp/
			var/www/html/uploads/
		`),
		Homes:    []string{"/home/aiko", "/root"},
		Accounts: map[string]int{"root": 0, "aiko": 1000, "deploy": 1001},
	}
}

func compile(t testing.TB, p policy.Policy, h ruleset.Host) (ruleset.Ruleset, []ruleset.Gap) {
	t.Helper()
	p.Fill()
	if problems := p.Validate(); len(problems) > 0 {
		t.Fatalf("not a policy one could apply: %v", problems)
	}
	return ruleset.Compile(p, h, noon)
}

var flagNames = []struct {
	flag ruleset.PlaceFlags
	name string
}{
	{ruleset.Launches, "launches"}, {ruleset.Sealed, "sealed"}, {ruleset.Config, "config"}, {ruleset.Data, "data"},
	{ruleset.User, "user"}, {ruleset.Persist, "persist"}, {ruleset.ByAccount, "by-account"}, {ruleset.Private, "private"},
	{ruleset.Names, "names"}, {ruleset.Scratch, "scratch"}, {ruleset.Output, "output"}, {ruleset.File, "file"}, {ruleset.Deputy, "deputy"}, {ruleset.Guard, "guard"},
}

func placeFlags(f ruleset.PlaceFlags) string {
	var out []string
	for _, n := range flagNames {
		if f&n.flag != 0 {
			out = append(out, n.name)
		}
	}
	return strings.Join(out, "+")
}

func programFlags(f ruleset.Flags) string {
	var out []string
	for _, n := range []struct {
		flag ruleset.Flags
		name string
	}{
		{ruleset.Contained, "contained"}, {ruleset.Exempt, "exempt"}, {ruleset.Updater, "updater"}, {ruleset.Builder, "builder"},
		{ruleset.Interpreter, "interpreter"}, {ruleset.Utilities, "utility"}, {ruleset.Loader, "loader"}, {ruleset.Modules, "modules"},
	} {
		if f&n.flag != 0 {
			out = append(out, n.name)
		}
	}
	return strings.Join(out, "+")
}

func members(rs ruleset.Ruleset, group uint16) string {
	var out []string
	for _, n := range rs.Groups[group].Members {
		out = append(out, rs.Lineages[n].Name)
	}
	slices.Sort(out)
	for _, n := range rs.Groups[group].Temporary {
		out = append(out, rs.Lineages[n].Name+" until "+rs.Groups[group].Until.Format(time.RFC3339))
	}
	return strings.Join(out, ", ")
}

// listing is a ruleset as a reader checks it: numbers are looked up.
func listing(rs ruleset.Ruleset, programs func(ruleset.Program) bool) string {
	var b strings.Builder
	say := func(key, value string) {
		if value != "" {
			fmt.Fprintf(&b, "    %s: %s\n", key, value)
		}
	}
	fmt.Fprintf(&b, "enforce %b observe %b listeners %v builders anywhere %v\n", rs.Enforce, rs.Observe, rs.Listeners, rs.BuildersAnywhere)
	fmt.Fprintf(&b, "extensions %s\nuser names %s\nstarters %s\n", strings.Join(rs.Extensions, " "), strings.Join(userNames(rs), " "), members(rs, rs.Starters))
	b.WriteString("\n-- surfaces --\n")
	for i, surface := range rs.Surfaces {
		if surface.Refused {
			fmt.Fprintf(&b, "%s\n", policy.Surfaces()[i])
			say("rule", rs.Rules[surface.Rule])
			say("allowed", members(rs, surface.Allowed))
		}
	}
	b.WriteString("\n-- deputies without a file --\n")
	for _, p := range rs.Ports {
		fmt.Fprintf(&b, "port %d\n", p.Port)
		say("rule", rs.Rules[p.Rule])
		say("connectors", members(rs, p.Connectors))
	}
	for _, a := range rs.Abstract {
		fmt.Fprintf(&b, "@%s\n", a.Name)
		say("rule", rs.Rules[a.Rule])
		say("connectors", members(rs, a.Connectors))
	}
	b.WriteString("\n-- places --\n")
	for _, p := range rs.Places {
		fmt.Fprintf(&b, "%s %s\n", p.Path, placeFlags(p.Flags))
		say("launch", rs.Rules[p.LaunchRule])
		say("write", rs.Rules[p.WriteRule])
		say("private", rs.Rules[p.PrivateRule])
		say("deputy", rs.Rules[p.DeputyRule])
		say("writers", members(rs, p.Writers))
		say("readers", members(rs, p.Readers))
		say("launchers", members(rs, p.Launchers))
		say("coders", members(rs, p.Coders))
		say("connectors", members(rs, p.Connectors))
	}
	b.WriteString("\n-- programs --\n")
	for _, p := range rs.Programs {
		if !programs(p) {
			continue
		}
		fmt.Fprintf(&b, "%s %s\n", p.Path, programFlags(p.Flags))
		say("rule", rs.Rules[p.Rule])
		say("utility", rs.Rules[p.Utility])
		if p.Lineage > 0 {
			say("lineage", rs.Lineages[p.Lineage-1].Name)
		}
		say("runs", members(rs, p.Runs))
		say("setuid", members(rs, p.Setuid))
		say("leaves", members(rs, p.Leaves))
		say("popen", members(rs, p.Popen))
	}
	b.WriteString("\n-- lineages that are something --\n")
	for _, l := range rs.Lineages {
		if l.Flags != 0 {
			fmt.Fprintf(&b, "%s %s: %s\n", l.Name, programFlags(l.Flags), rs.Rules[l.Rule])
		}
	}
	return b.String()
}

func lstat(h ruleset.Host, at string) (fs.FileInfo, error) { return fs.Lstat(h.FS, at[1:]) }

func userNames(rs ruleset.Ruleset) (names []string) {
	for _, u := range rs.UserNames {
		names = append(names, u.Name)
	}
	return names
}
