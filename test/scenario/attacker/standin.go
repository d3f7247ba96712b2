//go:build linux && amd64

package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// What the stand-in has in common with the agent it stands in for.
const (
	agentName   = "kannuki-agent"
	agentSocket = "/run/kannuki/agent.sock"
	agentPins   = "/sys/fs/bpf/kannuki/stand_in-1"
)

// standIn is what stands in for the agent where there is none, under its name and in
// its unit: it pins a map, a program and a link that refuse nothing, and listens to
// whoever asks it to observe.
func standIn(args []string) error {
	switch {
	case len(args) == 1 && args[0] == "run":
		return stand()
	case len(args) == 1 && args[0] == "observe":
		return talk(agentSocket, "POST /v1/fallback HTTP/1.0")
	case len(args) == 2 && args[0] == "status" && args[1] == "--json":
		c, err := dial(agentSocket)
		if err != nil {
			return err
		}
		defer c.Close()
		if _, err := io.WriteString(c, "GET /v1/status HTTP/1.0\r\n\r\n"); err != nil {
			return err
		}
		_, err = io.Copy(os.Stdout, c)
		return err
	}
	return fmt.Errorf("a stand-in for the agent runs, observes and tells its status --json, and does not %s", strings.Join(args, " "))
}

func stand() error {
	if err := pins(); err != nil {
		return err
	}
	_ = os.Remove(agentSocket)
	l, err := net.Listen("unix", agentSocket)
	if err != nil {
		return err
	}
	var relaxed atomic.Bool
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		if line, err := bufio.NewReader(c).ReadString('\n'); err == nil {
			relaxed.Store(relaxed.Load() || strings.HasPrefix(line, "POST"))
			fmt.Fprintf(c, "{\"enforcing\": %v}\n", !relaxed.Load())
		}
		c.Close()
	}
}

// pins makes what the attacks take: the program is attached to the uppermost control
// group, as the agent's is, the link to the stand-in's own.
func pins() error {
	if err := os.RemoveAll(agentPins); err != nil {
		return err
	}
	if err := os.MkdirAll(agentPins, 0o700); err != nil {
		return err
	}
	if err := pinnedMap(agentPins + "/map_configs"); err != nil {
		return err
	}
	program, err := newProgram()
	if err != nil {
		return err
	}
	defer unix.Close(program)
	if _, err := objectAt(unix.BPF_OBJ_PIN, agentPins+"/prog_keep_ftrace", program); err != nil {
		return err
	}
	// What an earlier stand-in attached would be there for ever.
	if _, _, err := detachAll(); err != nil {
		return err
	}
	if err := attach(allGroups, program); err != nil {
		return err
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return err
	}
	_, group, _ := strings.Cut(strings.TrimSpace(string(own)), "::")
	at, err := unix.Open(filepath.Join(allGroups, group), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(at)
	held, err := bpf(unix.BPF_LINK_CREATE, &[16]uint64{pair(uint32(program), uint32(at)), unix.BPF_CGROUP_SYSCTL})
	if err != nil {
		return fmt.Errorf("a link to %s: %w", group, err)
	}
	defer unix.Close(held)
	_, err = objectAt(unix.BPF_OBJ_PIN, agentPins+"/link_stand_in", held)
	return err
}
