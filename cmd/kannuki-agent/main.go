// Command kannuki-agent guards the server it runs on. All it does is in package
// agentcli; here it gets the guard of this kernel.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/kannuki/kannuki/agent/setup"
	"github.com/kannuki/kannuki/agentcli"
)

func main() {
	// contain and grant become another program, from the thread that leads this process.
	runtime.LockOSThread()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := agentcli.Main(ctx, agentcli.OS(), agentcli.Program{OpenGuard: openGuard, Host: setup.ThisHost})
	stop()
	os.Exit(code)
}
