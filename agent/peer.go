package agent

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"syscall"
)

// peer is the process at the other end of a connection, as the kernel says.
type peer struct {
	uid, pid int
	login    int   // uid of the login session it belongs to; -1: none
	err      error // why the kernel would not say
}

type peerKey struct{}

// peerOf asks the kernel who connected.
func peerOf(c net.Conn) peer {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return peer{uid: -1, err: fmt.Errorf("a %s connection names no process", c.LocalAddr().Network())}
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return peer{uid: -1, err: err}
	}
	var cred *syscall.Ucred
	var credErr error
	err = raw.Control(func(fd uintptr) {
		cred, credErr = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	if err == nil {
		err = credErr
	}
	if err != nil {
		return peer{uid: -1, err: err}
	}
	return peer{uid: int(cred.Uid), pid: int(cred.Pid)}
}

func withPeer(ctx context.Context, p peer) context.Context {
	return context.WithValue(ctx, peerKey{}, p)
}

func peerIn(ctx context.Context) peer {
	if p, ok := ctx.Value(peerKey{}).(peer); ok {
		return p
	}
	return peer{uid: -1, err: fmt.Errorf("the connection names no process")}
}

// admit decides who may ask. Reading the status is all a contained process may do: what
// it says about the guard it could find out by trying.
func (s *server) admit(p peer, anyRoot bool) *Error {
	switch {
	case p.err != nil:
		return &Error{Code: http.StatusForbidden, Message: fmt.Sprintf("the kernel does not say who asks: %v", p.err), Hint: "use kannuki-agent on this host"}
	case p.uid != 0:
		return &Error{Code: http.StatusForbidden, Message: fmt.Sprintf("the agent answers to root only, and this is user %d", p.uid), Hint: "use sudo"}
	case anyRoot || s.enforcer == nil:
		return nil
	}
	label, err := s.enforcer.Label(p.pid)
	switch {
	case err != nil:
		return &Error{Code: http.StatusForbidden, Message: fmt.Sprintf("whether process %d is contained cannot be found out: %v", p.pid, err),
			Hint: "ask again from a login session; the process that connects has to live until it is answered"}
	case label.Contained:
		by := ""
		if label.Rule != "" {
			by = " (rule " + label.Rule + ")"
		}
		return &Error{Code: http.StatusForbidden, Message: fmt.Sprintf("process %d is contained%s: what faces the network changes nothing of the guard", p.pid, by),
			Hint: "ask from a login session"}
	}
	return nil
}
