# What the scenarios need in the machine, put there before there is a guard. Root's
# shell reads it from its input.
set -eu
umask 022
export DEBIAN_FRONTEND=noninteractive
mkdir -p /usr/lib/attacker /var/tmp/marks
chmod 1777 /var/tmp/marks

# What attacks start and load: a library that leaves a mark when it is loaded, a 32-bit
# program that makes a file, and a set-user-ID program.
cat >/tmp/mark.c <<'C'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
__attribute__((constructor)) static void leave(void)
{
	char beside[4096];
	Dl_info self;
	char *mark = getenv("LEAVE");
	if (!mark && dladdr(leave, &self)) {
		snprintf(beside, sizeof beside, "%s.loaded", self.dli_fname);
		mark = beside;
	}
	if (mark)
		close(open(mark, O_CREAT | O_WRONLY, 0644));
}
C
gcc -shared -fPIC -o /usr/lib/attacker/mark.so /tmp/mark.c
cat >/tmp/mark.s <<'S'
	.globl _start
_start:	movl 8(%esp), %ebx
	movl $0644, %ecx
	movl $8, %eax
	int $0x80
	xorl %ebx, %ebx
	movl $1, %eax
	int $0x80
S
as --32 -o /tmp/mark.o /tmp/mark.s
ld -m elf_i386 -o /usr/lib/attacker/mark32 /tmp/mark.o
install -m 4755 /usr/bin/touch /usr/lib/attacker/mark-setuid

# pkexec is not among the machine's packages. What stands in for it is set-user-ID root
# as well, and says with how many words and as whom it was started.
if [ ! -e /usr/bin/pkexec ]; then
	gcc -x c -o /usr/lib/attacker/pkexec - <<'C'
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	char *mark = getenv("LEAVE");
	FILE *f = mark ? fopen(mark, "w") : 0;
	if (f)
		fprintf(f, "%d words of %d, as %d\n", argc, getuid(), geteuid());
	return !f;
}
C
	install -m 4755 /usr/lib/attacker/pkexec /usr/bin/pkexec
fi

mkdir -p /tmp/attacked/DEBIAN
printf 'Package: attacked\nVersion: 1\nArchitecture: all\nMaintainer: tests <root@localhost>\nDescription: a package\n' >/tmp/attacked/DEBIAN/control
dpkg-deb -Znone --root-owner-group -b /tmp/attacked /usr/lib/attacker/attacked.deb >/dev/null

# The attacked services. They face the network, so they are contained where a guard is.
cat >/etc/systemd/system/attacker@.service <<'U'
[Unit]
Description=a service that was taken over, as %i
[Service]
User=%i
ExecStart=/bin/sh -c 'exec /usr/lib/attacker/attacker serve 0.0.0.0:$$((7001 + ($$(/usr/bin/id -u) == 0)))'
U
# Two more that were taken over: one that may change its account, and one that sees
# mounts of its own.
cat >/etc/systemd/system/attacker-accounts.service <<'U'
[Service]
User=www-data
AmbientCapabilities=CAP_SETUID CAP_SETGID
ExecStart=/usr/lib/attacker/attacker serve 0.0.0.0:7004
U
cat >/etc/systemd/system/attacker-mounts.service <<'U'
[Service]
PrivateMounts=yes
MountFlags=private
ExecStart=/usr/lib/attacker/attacker serve 0.0.0.0:7005
U
systemctl daemon-reload
systemctl start attacker@www-data attacker@root attacker-accounts attacker-mounts

# victim NAME: a service that sleeps, with a secret in its environment and another in a
# file that only root may open, which is its input. What attacks do to it can be seen.
cat >/usr/lib/attacker/victim <<'V'
#!/bin/sh
set -e
(umask 077; echo "secret of $1" >"/var/lib/$1.secret")
systemd-run --quiet --collect --unit="$1" -p Type=exec -p User=www-data -p StandardInput="file:/var/lib/$1.secret" \
	--setenv=SECRET="secret-of-$1" /bin/sleep 3600
# Until it sleeps it loads its libraries, and ends by itself where it may open no files.
pid=$(/usr/lib/attacker/of "$1")
for i in $(seq 100); do
	read -r _ _ state _ <"/proc/$pid/stat"
	[ "$state" = S ] && exit 0
	sleep 0.05
done
exit 1
V
# of NAME: the process of a service.
cat >/usr/lib/attacker/of <<'O'
#!/bin/sh
exec systemctl show --property=MainPID --value "$1"
O

# What stands in for daemons that start containers, virtual machines and packages: they
# do what anybody asks.
mkdir -p /run/docker/plugins /run/containerd /run/podman /run/crio /var/lib/lxd /var/lib/incus /run/libvirt /run/packagekit /run/lvm
cat >/etc/systemd/system/attacker-deputies.service <<'U'
[Service]
ExecStart=/usr/lib/attacker/attacker deputy /run/docker.sock /run/docker/plugins/a.sock /run/containerd/containerd.sock \
	/run/podman/podman.sock /run/crio/crio.sock /var/lib/lxd/unix.socket /var/lib/incus/unix.socket /run/libvirt/libvirt-sock \
	/run/snapd.socket /run/packagekit/packagekit.sock /run/lvm/lvmpolld.socket /run/multipathd.sock \
	@/org/kernel/linux/storage/multipathd @ISCSIADM_ABSTRACT_NAMESPACE
U
systemctl daemon-reload

# soon COMMAND: tries it for a few seconds, for what somebody else does a moment later;
# only twice where the step before it has failed.
cat >/usr/lib/attacker/soon <<'O'
#!/bin/sh
for i in 1 2 ${STEP_FAILED:-3 4 5 6 7 8 9 10 11 12}; do
	[ "$i" -gt 0 ] 2>/dev/null || break
	"$@" && exit 0
	sleep 0.25
done
exit 1
O

# unload MODULE …: takes modules out that may be in use for a moment longer.
cat >/usr/lib/attacker/unload <<'L'
#!/bin/sh
for module in "$@"; do
	for i in $(seq 25); do
		grep -q "^$module " /proc/modules || break
		modprobe -r "$module" 2>/dev/null && break
		sleep 0.2
	done
	! grep "^$module " /proc/modules || exit 1
done
L

# stand-in: where there is no guard, its files, its unit, its pins and its process, by
# something that guards nothing. Whatever the step before did to them, they are whole.
cat >/usr/lib/attacker/kannuki-agent.service <<'U'
[Unit]
StartLimitIntervalSec=0
[Service]
ExecStart=/usr/sbin/kannuki-agent run
Restart=always
RestartSec=200ms
OOMScoreAdjust=-900
RuntimeDirectory=kannuki
RuntimeDirectoryMode=0700
[Install]
WantedBy=sysinit.target
U
cat >/usr/lib/attacker/stand-in <<'S'
#!/bin/sh
set -e
units=/etc/systemd/system
unit=$units/kannuki-agent.service
group=/sys/fs/cgroup/system.slice/kannuki-agent.service
answers() { kannuki-agent status --json 2>/dev/null | grep -q true; }

mountpoint -q /sys/fs/bpf || mount -t bpf bpf /sys/fs/bpf -o mode=700
[ -d /etc/kannuki ] && [ -d /var/lib/kannuki/events ] || mkdir -p /etc/kannuki /var/lib/kannuki/events
echo 'version: 1' >/etc/kannuki/policy.yaml
echo 'what was refused' >/var/lib/kannuki/events/1
cmp -s /usr/lib/attacker/attacker /usr/sbin/kannuki-agent || install /usr/lib/attacker/attacker /usr/sbin/kannuki-agent
[ ! -e $group ] || echo 0 >$group/cgroup.freeze
if [ -L $unit ] || [ -e $unit.d ] || [ -e /run/systemd/system/kannuki-agent.service ] || ! cmp -s /usr/lib/attacker/kannuki-agent.service $unit ||
	[ ! -L $units/sysinit.target.wants/kannuki-agent.service ]; then
	rm -rf $unit $unit.d /run/systemd/system/kannuki-agent.service*
	cp /usr/lib/attacker/kannuki-agent.service $unit
	ln -sf $unit $units/sysinit.target.wants/
	systemctl daemon-reload
fi
if [ -e /sys/fs/bpf/kannuki/stand_in-1/link_stand_in ] && [ -e /sys/fs/bpf/kannuki/stand_in-1/map_configs ] &&
	[ -e /sys/fs/bpf/kannuki/stand_in-1/prog_keep_ftrace ] && answers; then
	exit 0
fi
systemctl restart kannuki-agent
for i in $(seq 40); do
	answers && exit 0
	sleep 0.25
done
systemctl status kannuki-agent
exit 1
S
chmod 755 /usr/lib/attacker/victim /usr/lib/attacker/of /usr/lib/attacker/soon /usr/lib/attacker/unload /usr/lib/attacker/stand-in

# An image of the boot's file system is made with every upgrade of udev and the kernel:
# by the same scripts, of fewer modules, or it takes minutes where every instruction is
# interpreted.
printf 'MODULES=list\nCOMPRESS=gzip\nCOMPRESSLEVEL=1\n' >/etc/initramfs-tools/conf.d/small

# PostgreSQL faces the network too.
echo "listen_addresses = '*'" >/etc/postgresql/15/main/conf.d/attacked.conf
systemctl restart postgresql

# Logins by key, over one connection each: a handshake takes long where every
# instruction is interpreted.
install -d -m 700 /root/.ssh && install -d -o alice -g alice -m 700 /home/alice/.ssh
[ -e /root/.ssh/id_ed25519 ] || ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519
cp /root/.ssh/id_ed25519.pub /root/.ssh/authorized_keys
install -o alice -g alice -m 600 /root/.ssh/id_ed25519.pub /home/alice/.ssh/authorized_keys
cat >/root/.ssh/config <<'S'
Host *
	StrictHostKeyChecking accept-new
	LogLevel ERROR
	ControlMaster auto
	ControlPath /run/ssh-%r
	ControlPersist 20m
S
