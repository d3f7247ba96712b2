package agentcli_test

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// signalled is the context of a program that ends when it is told to.
func signalled() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
}
