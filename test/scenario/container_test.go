//go:build linux && amd64

package scenario_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kannuki/kannuki/event"
	"github.com/kannuki/kannuki/internal/vm"
)

// A container as Docker makes it: an image's layer below, what is written above, runc in
// the unit that the policy knows as a runtime. The image is a shell with its libraries.
const container = `set -e
at=/var/lib/docker/overlay2
mkdir -p $at/image/bin $at/image/lib64 $at/image/lib/x86_64-linux-gnu $at/image/proc $at/image/dev $at/image/tmp $at/image/out $at/upper $at/work $at/bundle/rootfs /var/lib/docker/out
for program in sh cp touch; do
	cp /usr/bin/$program $at/image/bin/
	for library in $(ldd /usr/bin/$program | grep -o '/[^ ]*'); do cp $library $at/image$library; done
done
cat >$at/image/bin/main <<'M'
touch /out/image
cp /bin/touch /tmp/touch && /tmp/touch /out/written
cp /bin/touch /bin/over && /bin/over /out/beside
M
cd $at/bundle
runc spec
sed -i 's/"terminal": true/"terminal": false/; s/"sh"$/"\/bin\/sh", "\/bin\/main"/; s/"readonly": true/"readonly": false/' config.json
sed -i 's/"mounts": \[/"mounts": [{"destination": "\/out", "type": "bind", "source": "\/var\/lib\/docker\/out", "options": ["bind", "rw"]},/' config.json
cat >/etc/systemd/system/docker.service <<'U'
[Service]
Type=oneshot
WorkingDirectory=/var/lib/docker/overlay2/bundle
ExecStart=/bin/mount -t overlay overlay -o lowerdir=/var/lib/docker/overlay2/image,upperdir=/var/lib/docker/overlay2/upper,workdir=/var/lib/docker/overlay2/work rootfs
ExecStart=/usr/sbin/runc run demo
ExecStopPost=-/bin/umount rootfs
U
systemctl daemon-reload
`

// In a container what the image has launches, and what was written there does not:
// without the guard both do.
func TestAContainerLaunchesItsImageAndNotWhatWasWrittenThere(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, c vm.Config, _ string) {
		m := start(t, c)
		m.offer(t, otherKernel(t, seriesOf(c.Kernel)))
		m.must(t, "runc", "apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends runc")
		m.must(t, "container", container)
		if ran := m.contained(t); ran != "beside image written" {
			t.Fatalf("without the guard, of the image and of what was written over it ran: %q", ran)
		}
		m.install(t)
		since := m.now(t)
		if ran := m.contained(t); ran != "image" {
			t.Errorf("with the guard ran: %q, want only the image's", ran)
		}
		told := m.told(t)
		for _, name := range []string{"/tmp/touch", "/bin/over"} {
			if !slices.ContainsFunc(told, func(e event.Event) bool {
				return e.Kind == event.Refused && e.Control == "launch" && strings.HasSuffix(e.Path, name) && !e.At.Before(since)
			}) {
				t.Errorf("no event tells of %s: %s", name, listed(told))
			}
		}
	})
}

// contained runs the container once, with nothing written over its image yet, and returns
// which of its programs ran.
func (m *machine) contained(t *testing.T) string {
	t.Helper()
	said := m.Do(t, vm.Command{Args: []string{"sh", "-c", "rm -rf /var/lib/docker/out/* /var/lib/docker/overlay2/upper/*; systemctl restart docker; ls /var/lib/docker/out"}})
	ran := strings.Join(strings.Fields(said.Stdout), " ")
	if ran == "" {
		t.Log(fmt.Sprint(said.Output, m.Run(t, "", "journalctl", "-u", "docker", "--no-pager", "-n", "30").Output))
	}
	return ran
}
