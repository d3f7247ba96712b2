package policy_test

import (
	"slices"
	"testing"
	"time"

	"github.com/kannuki/kannuki/host"
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

type row struct {
	name    string
	q       policy.Question
	control host.Control // refused by it; "" means allowed
	rule    string       // id, where it matters
}

func ask(op policy.Op, path string, as policy.As, by ...policy.Who) policy.Question {
	return policy.Question{Op: op, Path: path, As: as, By: by, At: noon}
}

func unit(name string) policy.Who    { return policy.Who{Unit: name} }
func program(path string) policy.Who { return policy.Who{Program: path} }
func user(name string) policy.Who    { return policy.Who{User: name} }

func setuid(q policy.Question) policy.Question {
	q.Setuid = true
	return q
}

func check(t *testing.T, p policy.Policy, rows []row) {
	t.Helper()
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			v := p.Explain(r.q)
			if v.Allowed != (r.control == "") || !v.Allowed && v.Control != r.control {
				t.Fatalf("%+v: %s", r.q, v)
			}
			if r.rule != "" && v.Rule != r.rule {
				t.Fatalf("rule %q, want %q: %s", v.Rule, r.rule, v)
			}
			if v.Why == "" || v.Rule == "" || !v.Allowed && v.WayOut == "" {
				t.Fatalf("a verdict without rule, reason or way out: %+v", v)
			}
			if v.Rule[0] >= 'a' && slices.Contains([]byte(v.Rule), ':') &&
				!slices.ContainsFunc(p.Rules(), func(r policy.Rule) bool { return r.ID == v.Rule }) {
				t.Fatalf("rule %q is in no list", v.Rule)
			}
		})
	}
}

// The rows of GUARD.md section 4 that a question about a path can express.
func TestStandardRefusesTheAttackSteps(t *testing.T) {
	const contained = policy.AsContained
	web := unit("nginx.service")
	check(t, builtin(t, policyfile.Default), []row{
		{"G01 download and run", ask(policy.Exec, "/tmp/x", contained, web), host.Launch, "user-space"},
		{"G02 /dev/shm", ask(policy.Exec, "/dev/shm/x", contained, web), host.Launch, ""},
		{"G02 /var/tmp", ask(policy.Exec, "/var/tmp/x", contained, web), host.Launch, ""},
		{"G02 upload directory", ask(policy.Exec, "/var/www/shop/uploads/x", contained, web), host.Launch, ""},
		{"G02 /run/user", ask(policy.Exec, "/run/user/33/x", contained, web), host.Launch, ""},
		{"G02 for root and an administrator as well", ask(policy.Exec, "/tmp/x", policy.AsSession, user("root")), host.Launch, ""},
		{"G02 and for a daemon nobody contained", ask(policy.Exec, "/tmp/x", policy.AsAnyone), host.Launch, ""},
		{"G03 script of user space", ask(policy.Exec, "/tmp/x.sh", contained, web), host.Launch, ""},
		{"G04 python -c", ask(policy.Exec, "/usr/bin/python3.11", contained, web), host.Utility, "utility:language"},
		{"G05 awk", ask(policy.Exec, "/usr/bin/mawk", contained, web), host.Utility, ""},
		{"G05 busybox", ask(policy.Exec, "/bin/busybox", contained, web), host.Utility, "utility:shell"},
		{"G05 find -exec", ask(policy.Exec, "/usr/bin/find", contained, web), host.Utility, "utility:wrapper"},
		{"G05 vi", ask(policy.Exec, "/usr/bin/vim.basic", contained, web), host.Utility, "utility:editor"},
		{"G06 memfd", ask(policy.Exec, "/memfd:x (deleted)", contained, web), host.Launch, ""},
		{"G07 what the loader maps", ask(policy.Exec, "/tmp/x", contained, web), host.Launch, ""},
		{"G08 preloaded library", ask(policy.Exec, "/tmp/x.so", contained, web), host.Launch, ""},
		{"G09 ld.so.preload", ask(policy.Write, "/etc/ld.so.preload", contained, web), host.Write, "persistence:/etc/ld.so.preload"},
		{"G10 library from a writable place", ask(policy.Exec, "/var/lib/nginx/x.so", contained, web), host.Launch, ""},
		{"G10 curl --engine", ask(policy.Exec, "/usr/bin/curl", contained, web), host.Utility, "utility:transfer"},
		{"G11 compiler", ask(policy.Exec, "/usr/bin/gcc-12", contained, web), host.Utility, "utility:compiler"},
		{"G11 its output", ask(policy.Exec, "/tmp/a.out", contained, web), host.Launch, ""},
		{"G12 web shell into the web root", ask(policy.Write, "/var/www/html/shell.php", contained, unit("php8.2-fpm.service")), host.Write, "system:/var/www"},
		{"G13 web shell in uploads", ask(policy.Exec, "/var/www/html/wp-content/uploads/shell.php", contained, unit("php8.2-fpm.service")), host.Launch, ""},
		{"G19 shadow", ask(policy.Read, "/etc/shadow", contained, web), host.Private, "private:/etc/shadow"},
		{"G20 SSH keys", ask(policy.Read, "/home/aiko/.ssh/id_ed25519", contained, web), host.Private, "private:~/.ssh"},
		{"G20 host key", ask(policy.Read, "/etc/ssh/ssh_host_ed25519_key", contained, web), host.Private, ""},
		{"G20 TLS key of another service", ask(policy.Read, "/etc/ssl/private/mail.key", contained, unit("redis.service")), host.Private, "private:/etc/ssl/private"},
		{"G22 authorized_keys", ask(policy.Write, "/root/.ssh/authorized_keys", contained, web), host.Write, "persistence:~/.ssh"},
		{"G23 useradd", ask(policy.Exec, "/usr/sbin/useradd", contained, web), host.Utility, "utility:account"},
		{"G23 passwd", ask(policy.Write, "/etc/passwd", contained, web), host.Write, "persistence:/etc/passwd"},
		{"G23 a temporary name beside it", ask(policy.Write, "/etc/passwd+", contained, web), host.Write, "system:/etc"},
		{"G24 sudoers.d", ask(policy.Write, "/etc/sudoers.d/x", contained, web), host.Write, "persistence:/etc/sudoers.d"},
		{"G25 setcap", ask(policy.Exec, "/usr/sbin/setcap", contained, web), host.Utility, "utility:privilege"},
		{"G26 sudo", setuid(ask(policy.Exec, "/usr/bin/sudo", contained, web)), host.Containing, "setuid"},
		{"G26 mount", setuid(ask(policy.Exec, "/usr/bin/mount", contained, web)), host.Containing, "setuid"},
		{"G27 cron.d", ask(policy.Write, "/etc/cron.d/x", contained, web), host.Write, "persistence:/etc/cron.d"},
		{"G27 cron.daily", ask(policy.Write, "/etc/cron.daily/x", contained, web), host.Write, ""},
		{"G27 spool", ask(policy.Write, "/var/spool/cron/crontabs/root", contained, web), host.Write, "persistence:/var/spool/cron"},
		{"G28 crontab, set-group-ID", setuid(ask(policy.Exec, "/usr/bin/crontab", contained, web)), host.Containing, ""},
		{"G28 crontab", ask(policy.Exec, "/usr/bin/crontab", contained, web), host.Utility, "utility:scheduler"},
		{"G29 at", ask(policy.Exec, "/usr/bin/at", contained, web), host.Utility, ""},
		{"G29 its spool", ask(policy.Write, "/var/spool/cron/atjobs/a", contained, web), host.Write, ""},
		{"G30 unit", ask(policy.Write, "/etc/systemd/system/x.service", contained, web), host.Write, "persistence:/etc/systemd"},
		{"G30 unit until the next start", ask(policy.Write, "/run/systemd/system/x.service", contained, web), host.Write, ""},
		{"G30 unit of an account", ask(policy.Write, "/home/aiko/.config/systemd/user/x.service", contained, web), host.Write, ""},
		{"G31 systemd-run", ask(policy.Exec, "/usr/bin/systemd-run", contained, web), host.Utility, ""},
		{"G32 systemctl link", ask(policy.Exec, "/usr/bin/systemctl", contained, web), host.Utility, ""},
		{"G32 what the unit would start", ask(policy.Exec, "/tmp/x", policy.AsAnyone, unit("x.service")), host.Launch, ""},
		{"G33 profile.d", ask(policy.Write, "/etc/profile.d/x.sh", contained, web), host.Write, ""},
		{"G33 rc.local", ask(policy.Write, "/etc/rc.local", contained, web), host.Write, ""},
		{"G33 .bashrc of root", ask(policy.Write, "/root/.bashrc", contained, web), host.Write, "persistence:~/.bashrc"},
		{"G34 .pth of the system", ask(policy.Write, "/usr/lib/python3/dist-packages/x.pth", contained, web), host.Write, "system:/usr"},
		{"G34 .pth of an account", ask(policy.Write, "/home/aiko/.local/lib/python3.11/site-packages/x.pth", contained, web), host.Write, ""},
		{"G35 PAM rule", ask(policy.Write, "/etc/pam.d/sshd", contained, web), host.Write, "persistence:/etc/pam.d"},
		{"G35 PAM module", ask(policy.Write, "/lib/x86_64-linux-gnu/security/pam_x.so", contained, web), host.Write, ""},
		{"G36 udev rule", ask(policy.Write, "/etc/udev/rules.d/99-x.rules", contained, web), host.Write, "persistence:/etc/udev"},
		{"G46 chmod in system space", ask(policy.Write, "/usr/bin/passwd", contained, web), host.Write, "system:/usr"},
		{"G46 chattr", ask(policy.Exec, "/usr/bin/chattr", contained, web), host.Utility, "utility:attributes"},
		{"G47 rename over a program", ask(policy.Write, "/usr/bin/ls", contained, web), host.Write, ""},
		{"G47 also by an administrator", ask(policy.Write, "/usr/bin/ls", policy.AsSession, user("root")), host.Write, "system:/usr"},
		{"G48 apt", ask(policy.Exec, "/usr/bin/apt-get", contained, web), host.Utility, "utility:installer"},
		{"G48 pip", ask(policy.Exec, "/usr/bin/pip3", contained, web), host.Utility, ""},
		{"G53 root certificate", ask(policy.Write, "/usr/local/share/ca-certificates/x.crt", contained, web), host.Write, ""},
		{"G53 bundle", ask(policy.Write, "/etc/ssl/certs/ca-certificates.crt", contained, web), host.Write, "persistence:/etc/ssl/certs"},
		{"G56 another application's data", ask(policy.Write, "/srv/otherapp/db", contained, web), host.Write, "data:/srv"},
		{"G56 homes", ask(policy.Write, "/home/aiko/thesis.odt", contained, web), host.Write, "data:/home"},
		{"G56 backups", ask(policy.Write, "/var/backups/db.gz", contained, web), host.Write, "data:/var/backups"},
		{"G56 own data: documented as allowed", ask(policy.Write, "/var/lib/nginx/body/1", contained, web), "", ""},
		{"G57 boot", ask(policy.Write, "/boot/vmlinuz", contained, web), host.Write, "system:/boot"},
		{"G57 boot itself", ask(policy.Write, "/boot", contained, web), host.Write, "system:/boot"},
		{"G58 miner in an interpreter", ask(policy.Exec, "/tmp/miner.py", contained, web), host.Launch, ""},
		{"G61 COPY PROGRAM", ask(policy.Exec, "/usr/bin/curl", contained, unit("postgresql@15-main.service")), host.Utility, ""},
		{"G61 INTO OUTFILE", ask(policy.Write, "/var/www/html/s.php", contained, unit("mariadb.service")), host.Write, ""},
		{"the guard's own files, for root", ask(policy.Write, "/etc/kannuki/policy.yaml", policy.AsSession, user("root")), host.Self, "guard-places"},
	})
}

// The rows of GUARD.md section 5, with no edit of the policy.
func TestStandardLetsDailyWorkPass(t *testing.T) {
	const contained, session, updater, anyone = policy.AsContained, policy.AsSession, policy.AsUpdater, policy.AsAnyone
	check(t, builtin(t, policyfile.Default), []row{
		{"1 apt replaces a program", ask(policy.Write, "/usr/bin/ls", updater, program("/usr/bin/dpkg")), "", ""},
		{"1 maintainer script", ask(policy.Exec, "/var/lib/dpkg/info/nginx.postinst", updater, program("/usr/bin/dpkg")), "", ""},
		{"1 script of an unpacking package", ask(policy.Exec, "/var/lib/dpkg/tmp.ci/preinst", updater, program("/usr/bin/dpkg")), "", ""},
		{"2 scriptlet of rpm", ask(policy.Exec, "/var/tmp/rpm-tmp.4xZ", updater, program("/usr/bin/dnf")), "", ""},
		{"3 kernel and initramfs", ask(policy.Write, "/boot/initrd.img-6.1.0-40-amd64", updater, program("/usr/sbin/update-initramfs")), "", ""},
		{"3 boot loader's note", ask(policy.Write, "/boot/grub/grubenv", anyone, unit("grub-common.service")), "", ""},
		{"4 DKMS builds", ask(policy.Exec, "/var/lib/dkms/x/build/conftest", updater, program("/usr/sbin/dkms")), "", ""},
		{"5 needrestart", ask(policy.Exec, "/usr/sbin/needrestart", updater), "", ""},
		{"6 logrotate", ask(policy.Exec, "/usr/sbin/logrotate", anyone, unit("logrotate.service")), "", ""},
		{"6 rotated log", ask(policy.Write, "/var/log/nginx/access.log.1", anyone, unit("logrotate.service")), "", ""},
		{"6 its postrotate", ask(policy.Exec, "/usr/bin/sh", anyone, unit("logrotate.service")), "", ""},
		{"7 tmpfiles", ask(policy.Write, "/etc/motd", anyone, unit("systemd-tmpfiles-setup.service")), "", ""},
		{"8 system cron", ask(policy.Exec, "/etc/cron.daily/apt-compat", anyone, unit("cron.service")), "", ""},
		{"9 user crontab with ~/bin: documented as refused", ask(policy.Exec, "/home/aiko/bin/report.sh", anyone, unit("cron.service")), host.Launch, "user-space"},
		{"10 systemctl edit", ask(policy.Write, "/etc/systemd/system/nginx.service.d/override.conf", session, user("root")), "", ""},
		{"10 systemctl restart", ask(policy.Exec, "/usr/bin/systemctl", session, user("root")), "", ""},
		{"11 certbot renews", ask(policy.Write, "/etc/letsencrypt/archive/shop/privkey2.pem", anyone, unit("certbot.service")), "", ""},
		{"11 and its hook", ask(policy.Exec, "/etc/letsencrypt/renewal-hooks/deploy/reload", anyone, unit("certbot.service")), "", ""},
		{"12 nginx reads its key on reload", ask(policy.Read, "/etc/letsencrypt/archive/shop/privkey2.pem", contained, unit("nginx.service")), "", ""},
		{"12 nginx upgrades itself", ask(policy.Exec, "/usr/sbin/nginx", contained, unit("nginx.service")), "", ""},
		{"13 opcache writes", ask(policy.Write, "/var/cache/php/opcache/x.php.bin", contained, unit("php8.2-fpm.service")), "", ""},
		{"13 PHP opens its application", ask(policy.Exec, "/var/www/html/index.php", contained, unit("php8.2-fpm.service")), "", ""},
		{"13 visitors upload", ask(policy.Write, "/var/www/html/wp-content/uploads/2026/cat.jpg", contained, unit("php8.2-fpm.service")), "", ""},
		{"14 CMS updates itself: documented as refused", ask(policy.Write, "/var/www/html/wp-includes/version.php", contained, unit("php8.2-fpm.service")), host.Write, ""},
		{"14 an administrator updates it", ask(policy.Write, "/var/www/html/wp-includes/version.php", session, user("root")), "", ""},
		{"15 vacuum", ask(policy.Write, "/var/lib/postgresql/15/main/base/1", contained, unit("postgresql@15-main.service")), "", ""},
		{"16 archive_command's shell", ask(policy.Exec, "/usr/bin/dash", contained, unit("postgresql@15-main.service")), "", ""},
		{"16 archive_command's cp", ask(policy.Exec, "/usr/bin/cp", contained, unit("postgresql@15-main.service")), "", ""},
		{"16 archive_command's rsync", ask(policy.Exec, "/usr/bin/rsync", contained, unit("postgresql@15-main.service")), "", ""},
		{"19 tar reads", ask(policy.Read, "/etc/shadow", anyone, unit("backup.service")), "", ""},
		{"20 restic reads keys", ask(policy.Read, "/root/.ssh/id_ed25519", session, user("root")), "", ""},
		{"21 restore into /etc", ask(policy.Write, "/etc/nginx/nginx.conf", session, user("root")), "", ""},
		{"22 make runs its output", ask(policy.Exec, "/home/aiko/src/hello", session, user("aiko"), program("/usr/bin/make")), "", ""},
		{"22 outside of it the output does not run", ask(policy.Exec, "/home/aiko/src/hello", session, user("aiko")), host.Launch, ""},
		{"22 nor below a service", ask(policy.Exec, "/tmp/hello", contained, unit("nginx.service"), program("/usr/bin/make")), host.Launch, ""},
		{"25 Ansible's file without a grant: documented as refused", ask(policy.Exec, "/home/ansible/.ansible/tmp/x/AnsiballZ_setup.py", session, user("ansible")), host.Launch, ""},
		{"26 Puppet fetches", ask(policy.Write, "/opt/puppetlabs/puppet/cache/lib/x.rb", anyone, unit("puppet.service")), "", ""},
		{"26 and runs what it fetched", ask(policy.Exec, "/opt/puppetlabs/puppet/cache/lib/x.rb", anyone, unit("puppet.service")), "", ""},
		{"27 sftp stores", ask(policy.Write, "/home/aiko/file", session, user("aiko")), "", ""},
		{"28 ./fix.sh: refused without a grant", ask(policy.Exec, "/root/fix.sh", session, user("root")), host.Launch, ""},
		{"31 plugin in /usr/local", ask(policy.Exec, "/usr/local/bin/node_exporter", anyone, unit("node_exporter.service")), "", ""},
		{"31 installing one", ask(policy.Write, "/usr/local/bin/node_exporter", session, user("root")), "", ""},
		{"31 check script of NRPE", ask(policy.Exec, "/usr/bin/perl", contained, unit("nagios-nrpe-server.service")), "", ""},
		{"32 nft reload by its unit", ask(policy.Exec, "/usr/sbin/nft", anyone, unit("nftables.service")), "", ""},
		{"32 OpenVPN sets its address", ask(policy.Exec, "/usr/bin/ip", contained, unit("openvpn-server@office.service")), "", ""},
		{"33 snap", ask(policy.Exec, "/snap/core22/1/bin/bash", anyone), "", ""},
		{"35 mail() of PHP: shell", ask(policy.Exec, "/usr/bin/dash", contained, unit("php8.2-fpm.service")), "", ""},
		{"35 mail() of PHP: sendmail", ask(policy.Exec, "/usr/sbin/sendmail", contained, unit("php8.2-fpm.service")), "", ""},
		{"35 sendmail to postdrop", setuid(ask(policy.Exec, "/usr/sbin/postdrop", contained, unit("php8.2-fpm.service"), program("/usr/sbin/sendmail"))), "", ""},
		{"35 but not PHP itself", setuid(ask(policy.Exec, "/usr/sbin/postdrop", contained, unit("php8.2-fpm.service"))), host.Containing, ""},
		{"35 unix_chkpwd", setuid(ask(policy.Exec, "/usr/sbin/unix_chkpwd", contained, unit("dovecot.service"))), "", ""},
		{"35 ping of monitoring", setuid(ask(policy.Exec, "/usr/bin/ping", contained, unit("zabbix-server.service"))), "", ""},
		{"DHCP sets the address", ask(policy.Exec, "/usr/sbin/dhclient-script", contained, program("/usr/sbin/dhclient")), "", ""},
		{"the directory server keeps its settings", ask(policy.Write, "/etc/ldap/slapd.d/cn=config.ldif", contained, unit("slapd.service")), "", ""},
	})
}

func TestStrictSealsWhatAdministratorsChange(t *testing.T) {
	p := builtin(t, "strict")
	check(t, p, []row{
		{"configuration", ask(policy.Write, "/etc/nginx/nginx.conf", policy.AsSession, user("root")), host.Write, "system:/etc"},
		{"units", ask(policy.Write, "/etc/systemd/system/x.service", policy.AsSession, user("root")), host.Write, "persistence:/etc/systemd"},
		{"own programs", ask(policy.Write, "/usr/local/bin/x", policy.AsSession, user("root")), host.Write, ""},
		{"updates still pass", ask(policy.Write, "/etc/nginx/nginx.conf", policy.AsUpdater, program("/usr/bin/dpkg")), "", ""},
		{"people change their password", ask(policy.Write, "/etc/shadow", policy.AsSession, user("aiko"), program("/usr/bin/passwd")), "", ""},
		{"certbot renews", ask(policy.Write, "/etc/letsencrypt/live/x", policy.AsAnyone, program("/usr/bin/certbot")), "", ""},
		{"make runs nothing", ask(policy.Exec, "/home/aiko/a.out", policy.AsSession, program("/usr/bin/make")), host.Launch, ""},
	})
	p.Grants = []policy.Grant{{ID: "window", To: user("aiko"), Write: []string{"/etc/nginx"}, Expires: noon.Add(time.Hour), Reason: "change 4711", Owner: "aiko"}}
	check(t, p, []row{
		{"granted", ask(policy.Write, "/etc/nginx/nginx.conf", policy.AsSession, user("aiko")), "", "window"},
		{"granted to one only", ask(policy.Write, "/etc/nginx/nginx.conf", policy.AsSession, user("root")), host.Write, ""},
		{"granted there only", ask(policy.Write, "/etc/passwd", policy.AsSession, user("aiko")), host.Write, ""},
	})
}

func TestAGrantThatHasEndedDoesNothing(t *testing.T) {
	p := builtin(t, policyfile.Default)
	p.Grants = []policy.Grant{{ID: "ansible", To: user("ansible"), Launch: []string{"~/.ansible/tmp"}, Expires: noon, Reason: "playbooks", Owner: "ops"}}
	q := ask(policy.Exec, "/home/ansible/.ansible/tmp/x.py", policy.AsSession, user("ansible"))
	q.At = noon.Add(-time.Second)
	if v := p.Explain(q); !v.Allowed || v.Rule != "ansible" {
		t.Errorf("a second before its end: %s", v)
	}
	q.At = noon
	if v := p.Explain(q); v.Allowed {
		t.Errorf("at its end: %s", v)
	}
}

func TestObserveSaysTheSameAndRefusesNothing(t *testing.T) {
	q := ask(policy.Exec, "/tmp/x", policy.AsContained)
	standard, observe := builtin(t, "standard").Explain(q), builtin(t, "observe").Explain(q)
	if standard.Mode != policy.Enforce || observe.Mode != policy.Observe {
		t.Fatalf("modes %q and %q", standard.Mode, observe.Mode)
	}
	observe.Mode = standard.Mode
	if observe != standard {
		t.Errorf("observe says %+v, standard %+v", observe, standard)
	}
}

// Whoever may write a place must not be able to launch from it, or the model is void:
// for every named place, no contained lineage without a name has both.
func TestNothingAContainedProcessWritesLaunches(t *testing.T) {
	for _, name := range policyfile.BuiltinNames() {
		p := builtin(t, name)
		places := []string{"/tmp/x", "/srv/x", "/var/lib/x", "/var/www/a/uploads/x", "/home/a/x", "/run/x", "/opt/x", "/etc/x"}
		for _, r := range p.Spaces.System {
			places = append(places, r.Place.String(), r.Place.String()+"/x")
		}
		for _, at := range places {
			w := p.Explain(ask(policy.Write, at, policy.AsContained))
			for _, as := range []policy.As{policy.AsContained, policy.AsSession, policy.AsAnyone} {
				if x := p.Explain(ask(policy.Exec, at, as)); w.Allowed && x.Allowed {
					t.Errorf("%s: %s may be written (%s) and launched by %s (%s)", name, at, w.Rule, as, x.Rule)
				}
			}
		}
	}
}

func TestPlacesCompareByWholeNames(t *testing.T) {
	p := builtin(t, policyfile.Default)
	for at, launches := range map[string]bool{
		"/usr/bin/true": true, "/bin/true": true, "/usrx/bin/true": false, "/optical/x": false, "/usr": true,
		"/var/lib/dpkgx/y": false, "/var/www/uploads": true, "/var/www/uploads/x": false, "/var/www/myuploads/x": true,
	} {
		if v := p.Explain(ask(policy.Exec, at, policy.AsAnyone)); v.Allowed != launches {
			t.Errorf("%s: %s", at, v)
		}
	}
	// A single file is its name, not what begins like it or lies below it.
	for at, private := range map[string]bool{"/etc/shadow": true, "/etc/shadows": false, "/etc/shadow/x": false} {
		if v := p.Explain(ask(policy.Read, at, policy.AsContained)); v.Allowed == private {
			t.Errorf("%s: %s", at, v)
		}
	}
}

func TestHomesAreThoseOfTheAccounts(t *testing.T) {
	p := builtin(t, policyfile.Default)
	q := ask(policy.Read, "/srv/git/.ssh/id_rsa", policy.AsContained)
	if v := p.Explain(q); !v.Allowed {
		t.Errorf("no account lives there: %s", v)
	}
	q.Homes = []string{"/root", "/srv/git"}
	if v := p.Explain(q); v.Allowed {
		t.Errorf("an account lives there: %s", v)
	}
}

func TestNamedProgramAllowsAVersionOnly(t *testing.T) {
	for base, want := range map[string]string{"python": "python", "python3": "python", "python3.11": "python", "python3-config": "", "pythonx": "", "gcc-12": "gcc"} {
		if got, _ := policy.NamedProgram([]string{"python", "gcc"}, base); got != want {
			t.Errorf("%s: %q, want %q", base, got, want)
		}
	}
}

func TestWhatNoListNamesIsClosedAllTheSame(t *testing.T) {
	const contained = policy.AsContained
	p := builtin(t, policyfile.Default)
	p.Trusted = []policy.Trusted{{ID: "tool", File: "/var/lib/tool", To: []policy.Who{unit("nginx.service")}}}
	check(t, p, []row{
		{"moving into another unit", ask(policy.Write, "/sys/fs/cgroup/system.slice/cron.service/cgroup.procs", contained), host.Write, "control-groups"},
		{"an administrator may", ask(policy.Write, "/sys/fs/cgroup/system.slice/cron.service/cgroup.procs", policy.AsSession), "", ""},
		{"what the guard recorded", ask(policy.Read, "/var/lib/kannuki/events/1", contained), host.Private, "guard-places"},
		{"read by an administrator", ask(policy.Read, "/var/lib/kannuki/events/1", policy.AsSession), "", ""},
		{"a trusted file, by whom it is for", ask(policy.Write, "/var/lib/tool", contained, unit("nginx.service")), host.Write, "tool"},
		{"a trusted file, by an administrator", ask(policy.Write, "/var/lib/tool", policy.AsSession), "", ""},
		{"scratch of an updater that another one started", ask(policy.Exec, "/var/lib/snapd/hook", policy.AsUpdater, program("/usr/bin/dpkg")), "", "updater:/usr/lib/snapd/snapd"},
		{"one's own scratch first", ask(policy.Exec, "/tmp/hook", policy.AsUpdater, program("/usr/bin/dnf")), "", "updater:/usr/bin/dnf"},
		{"perl by the name its library package gives it", ask(policy.Exec, "/usr/bin/perl5.36-x86_64-linux-gnu", contained), host.Utility, "utility:language"},
	})
}
