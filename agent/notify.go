package agent

import (
	"log/slog"
	"net"
	"strings"
)

// systemd is its notification socket: datagrams of NAME=value lines, as sd_notify(3)
// says. "" is a host without systemd.
type systemd struct {
	socket string
	log    *slog.Logger
}

// tell sends lines; that nobody listens is worth a line of log and no more.
func (s systemd) tell(lines ...string) {
	if s.socket == "" {
		return
	}
	// A name that begins with @ is abstract, to package net as to systemd.
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Net: "unixgram", Name: s.socket})
	if err == nil {
		_, err = c.Write([]byte(strings.Join(lines, "\n")))
		c.Close()
	}
	if err != nil {
		s.log.Warn("systemd cannot be told", "error", err)
	}
}
