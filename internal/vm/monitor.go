//go:build linux

package vm

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// monitor speaks QMP, QEMU's control protocol: one JSON object a line.
type monitor struct {
	file  *os.File
	lines *bufio.Scanner
	ready bool
}

func newMonitor(file *os.File) *monitor {
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	return &monitor{file: file, lines: lines}
}

// human runs a command of QEMU's monitor for people, which prints nothing when all is well.
func (m *monitor) human(line string) error {
	if !m.ready {
		if _, err := m.command("qmp_capabilities", nil); err != nil {
			return err
		}
		m.ready = true
	}
	answer, err := m.command("human-monitor-command", map[string]string{"command-line": line})
	if err != nil {
		return err
	}
	var said string
	if err := json.Unmarshal(answer, &said); err != nil {
		return err
	}
	if said = strings.TrimSpace(said); said != "" {
		return fmt.Errorf("monitor: %s: %s", line, said)
	}
	return nil
}

// command sends one QMP command and skips greetings and events until its answer.
func (m *monitor) command(name string, arguments any) (json.RawMessage, error) {
	request := map[string]any{"execute": name}
	if arguments != nil {
		request["arguments"] = arguments
	}
	line, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	if _, err := m.file.Write(append(line, '\n')); err != nil {
		return nil, fmt.Errorf("monitor: %s: %w", name, err)
	}
	for m.lines.Scan() {
		var answer struct {
			Return json.RawMessage
			Error  *struct{ Desc string }
		}
		if err := json.Unmarshal(m.lines.Bytes(), &answer); err != nil {
			return nil, fmt.Errorf("monitor: %s: %w", name, err)
		}
		switch {
		case answer.Error != nil:
			return nil, fmt.Errorf("monitor: %s: %s", name, answer.Error.Desc)
		case answer.Return != nil:
			return answer.Return, nil
		}
	}
	return nil, fmt.Errorf("monitor: %s: QEMU has ended (%v)", name, m.lines.Err())
}

func (m *monitor) close() { m.file.Close() }
