package agentcli

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/kannuki/kannuki/agent"
	"github.com/kannuki/kannuki/agent/export"
	"github.com/kannuki/kannuki/command"
)

func (a *app) runCommand() *cobra.Command {
	var opt struct {
		policy, state string
		exports       []string
		reduced       bool
	}
	cmd := &cobra.Command{
		Use:     "run",
		Short:   a.T("agent.run.short"),
		Long:    a.T("agent.run.long"),
		Example: "  kannuki-agent run\n  kannuki-agent run --export udp://127.0.0.1:514 --export http://127.0.0.1:4318",
		Args:    a.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg := agent.Config{Policy: opt.policy, State: opt.state, Socket: a.socket}
			for _, addr := range opt.exports {
				x, err := export.Parse(addr)
				if err != nil {
					return command.Usagef(cmd, "--export: %w", err)
				}
				cfg.Exports = append(cfg.Exports, x)
			}
			return a.run(cmd.Context(), cfg, opt.reduced)
		},
	}
	cmd.Flags().StringVar(&opt.policy, "policy", agent.DefaultPolicy, a.T("agent.flag.run-policy"))
	cmd.Flags().StringVar(&opt.state, "state", agent.DefaultState, a.T("agent.flag.state"))
	cmd.Flags().BoolVar(&opt.reduced, "reduced", false, a.T("agent.flag.reduced"))
	cmd.Flags().StringArrayVar(&opt.exports, "export", nil, a.T("agent.flag.export"))
	return cmd
}

// run is the agent: put together here, run until it is told to end. Where nothing can
// be enforced it says why in one line and goes on without, or reduced where that is asked
// for.
func (a *app) run(ctx context.Context, cfg agent.Config, reduce bool) error {
	cfg.Started = a.Now()
	debug.SetMemoryLimit(loading)
	cfg.Log = slog.New(slog.NewTextHandler(a.Stderr, nil))
	cfg.Version, cfg.Now, cfg.HostID, cfg.Drill = command.Version(), a.Now, a.HostID, a.Drill
	cfg.Notify, cfg.Watchdog = a.Getenv("NOTIFY_SOCKET"), watchdog(a.Getenv)
	enforcer, err := a.OpenGuard(reduce)
	if err != nil {
		cfg.Reason = err
	} else {
		cfg.Enforcer = enforcer
	}
	staySmall()
	hangups := make(chan os.Signal, 1) // more than one at a time ask for the same
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	cfg.Reload = hangups
	err = agent.Run(ctx, cfg)
	if errors.Is(err, context.Canceled) {
		return nil // told to end
	}
	return err
}

// What the agent's own memory is kept near, in bytes. While it loads the guard a server
// waits for its protection: collecting all the time then takes as long as half of the
// loading (measured), so it may be large for these seconds.
const (
	loading = 96 << 20
	running = 24 << 20
)

// staySmall makes the collector of memory run sooner than usual: what the agent holds is
// a few megabytes, what it goes over when it starts and once a day is several times
// that, and it shares a server with what the server is for.
func staySmall() {
	debug.SetGCPercent(40)
	debug.SetMemoryLimit(running)
}

// watchdog is how often systemd wants to hear from this process; 0 for never. The
// variable names the process it is for, because children inherit it.
func watchdog(getenv func(string) string) time.Duration {
	if pid := getenv("WATCHDOG_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0
	}
	usec, err := strconv.ParseInt(getenv("WATCHDOG_USEC"), 10, 64)
	if err != nil || usec < 0 {
		return 0
	}
	return time.Duration(usec) * time.Microsecond
}
