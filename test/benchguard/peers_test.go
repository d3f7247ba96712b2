//go:build benchguard && linux

package benchguard

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// peerPackages are the peers as Debian has them, with the libraries the test machine
// lacks.
var peerPackages = []string{"fapolicyd", "libcap-ng0", "liblmdb0", "libmagic1", "libmagic-mgc", "libseccomp2", "apparmor"}

// peers is the folder with their packages, downloaded where they are missing; empty
// where they cannot be had.
func (m *rig) peers() string {
	dir, err := filepath.Abs("../../.cache/peers/debs")
	if err != nil {
		m.t.Fatal(err)
	}
	if found, _ := filepath.Glob(filepath.Join(dir, "*.deb")); len(found) >= len(peerPackages) {
		return dir
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		m.t.Fatal(err)
	}
	get := exec.Command("apt-get", append([]string{"download", "-q"}, peerPackages...)...)
	get.Dir = dir
	if out, err := get.CombinedOutput(); err != nil {
		m.notes = append(m.notes, "no peers: apt-get download: "+err.Error()+" "+lastLine(string(out)))
		return ""
	}
	return dir
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

// unpackPeers unpacks the peers without running what would start their services, and
// gives their settings the names configuring would. It is false where there are none.
func (m *rig) unpackPeers() bool {
	m.t.Helper()
	debs := m.peers()
	if debs == "" {
		return false
	}
	m.Push(m.t, debs, "/root/debs")
	m.shell(`[ ! -e /root/unpacked ] || exit 0
dpkg --force-depends --unpack /root/debs/*.deb >/root/unpacked 2>&1 || { cat /root/unpacked >&2; exit 1; }
find /etc -name '*.dpkg-new' | while read -r f; do mv "$f" "${f%.dpkg-new}"; done
ldconfig`)
	return true
}

// fapolicyd runs Debian's daemon with the rules its maintainers ship as the usual set
// (known-libs) and everything in the machine's system space trusted. Debian builds it
// without a list of dpkg's files, so the list is a file; integrity checks are off, as
// shipped, so the digests in it are not read.
func (m *rig) fapolicyd() func() {
	m.t.Helper()
	if !m.unpackPeers() {
		return nil
	}
	m.shell(`getent passwd fapolicyd >/dev/null || useradd --system --home-dir /run/fapolicyd fapolicyd
mkdir -p /run/fapolicyd /var/lib/fapolicyd; chown fapolicyd:fapolicyd /run/fapolicyd /var/lib/fapolicyd
cd /usr/share/fapolicyd/sample-rules
rm -f /etc/fapolicyd/rules.d/*
cp 10-languages.rules 20-dracut.rules 21-updaters.rules 30-patterns.rules 40-bad-elf.rules 41-shared-obj.rules \
	42-trusted-elf.rules 70-trusted-lang.rules 72-shell.rules 90-deny-execute.rules 95-allow-open.rules /etc/fapolicyd/rules.d/
fagenrules >/dev/null 2>&1 || true
sed -i 's/^trust = .*/trust = file/' /etc/fapolicyd/fapolicyd.conf
find /usr/bin /usr/sbin /usr/lib /usr/libexec -type f ! -name '* *' -printf '%p %s 0000000000000000000000000000000000000000000000000000000000000000\n' >/etc/fapolicyd/fapolicyd.trust
chgrp -R fapolicyd /etc/fapolicyd
/usr/sbin/fapolicyd >/run/fapolicyd.log 2>&1
n=0; until grep -qs fanotify /proc/$(cat /run/fapolicyd.pid 2>/dev/null)/fdinfo/*; do sleep 0.1; n=$((n+1)); [ $n -lt 1200 ] || { cat /run/fapolicyd.log >&2; exit 1; }; done
sleep 5`)
	said := m.shell(`p=$(cat /run/fapolicyd.pid); awk '/VmRSS/{print $2}' /proc/$p/status; wc -l </etc/fapolicyd/fapolicyd.trust; grep -c . /etc/fapolicyd/compiled.rules`)
	f := strings.Fields(said)
	m.notes = append(m.notes, "fapolicyd: "+f[0]+" kB resident, "+f[1]+" trusted files, "+f[2]+" rules")
	return func() {
		m.shell("p=$(cat /run/fapolicyd.pid); kill $p; while [ -e /proc/$p ]; do sleep 0.1; done; sleep 3")
	}
}

// profile confines the work program as a service's file profile does.
const profile = `#include <tunables/global>
profile bench ` + lib + `/confined {
  #include <abstractions/base>
  capability,
  network inet stream,
  network inet dgram,
  / r,
  /usr/** mrix,
  /etc/** r,
  /proc/** r,
  /tmp/** rw,
  /var/tmp/bench/** rw,
}
`

// appArmor confines every actor by a file profile.
func (m *rig) appArmor() func() {
	m.t.Helper()
	if !m.unpackPeers() {
		return nil
	}
	m.Write(m.t, "/root/bench.profile", []byte(profile), 0o600, "")
	m.shell("/sbin/apparmor_parser --skip-cache -r /root/bench.profile")
	for actor := range m.programs {
		m.programs[actor] = lib + "/confined"
	}
	return func() {
		m.shell("/sbin/apparmor_parser -R /root/bench.profile")
		m.programs = programs()
	}
}
