package cli

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/net/http/httpproxy"

	"github.com/kannuki/kannuki/command"
	"github.com/kannuki/kannuki/control"
	"github.com/kannuki/kannuki/feed"
	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/inventory"
	"github.com/kannuki/kannuki/report"
	"github.com/kannuki/kannuki/store"
)

// syncOptions are the flags of feed sync.
type syncOptions struct {
	json    bool
	cache   string
	mirrors []string // SOURCE=URL
}

func (a *app) feedSyncCommand() *cobra.Command {
	var opt syncOptions
	cmd := &cobra.Command{
		Use:     "sync [SOURCE...]",
		Short:   a.T("cli.sync.short"),
		Long:    a.T("cli.sync.long", strings.Join(officialNames(), ", ")),
		Example: "  kannuki feed sync\n  kannuki feed sync osv/debian kev epss\n  kannuki feed sync kev --mirror kev=https://mirror.example.com/kev/",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withStore(cmd.Context(), func(s store.Store) error { return a.sync(cmd, s, args, opt) })
		},
	}
	cmd.Flags().BoolVar(&opt.json, "json", false, a.T("cli.flag.json"))
	cmd.Flags().StringVar(&opt.cache, "cache", "", a.T("cli.flag.cache"))
	cmd.Flags().StringArrayVar(&opt.mirrors, "mirror", nil, a.T("cli.flag.mirror"))
	return cmd
}

func officialNames() []string {
	var names []string
	for _, s := range feed.Official() {
		names = append(names, s.Name)
	}
	return names
}

// sync fetches, then imports every file of the sources it fetched: those already
// imported cost nothing, and one whose import failed last time is tried again.
func (a *app) sync(cmd *cobra.Command, s store.Store, sources []string, opt syncOptions) error {
	ctx := cmd.Context()
	for _, name := range sources {
		if !slices.Contains(officialNames(), name) {
			return command.Usagef(cmd, "%s", a.T("cli.unknown-source", name, a.List(officialNames())))
		}
	}
	base, err := a.mirrors(cmd, opt.mirrors)
	if err != nil {
		return err
	}
	dir, err := a.cacheDir(opt.cache)
	if err != nil {
		return err
	}
	if len(sources) == 0 {
		if sources, err = a.neededSources(ctx, s); err != nil {
			return err
		}
	}
	bar := a.progress(a.T("cli.syncing"))
	synced, err := feed.Sync(ctx, sources, dir, feed.SyncOptions{
		Client: &http.Client{Transport: a.transport()}, Now: a.Now, Base: base,
		NVDKey: a.Getenv("NVD_API_KEY"), Version: tool().Version, Progress: bar.at,
	})
	bar.done()
	if err != nil {
		return err
	}
	return a.importSynced(ctx, s, synced, opt.json)
}

func (a *app) importSynced(ctx context.Context, s store.Store, synced []feed.SyncOutcome, asJSON bool) error {
	var files []string
	failed := 0
	for _, o := range synced {
		files = append(files, o.Files...)
		if o.Status == feed.Failed {
			failed++
		}
	}
	if !asJSON {
		if err := report.Synced(a.Stdout, synced, a.Printer, a.page()); err != nil {
			return err
		}
	}
	bar := a.progress(a.T("cli.importing"))
	outcomes, err := control.Import(ctx, s, files, feed.Options{Progress: bar.at})
	bar.done()
	if err != nil {
		return err
	}
	if asJSON {
		err = report.JSON(a.Stdout, struct {
			Sync   []feed.SyncOutcome `json:"sync"`
			Import []feed.Outcome     `json:"import"`
		}{synced, outcomes})
	} else if len(outcomes) > 0 {
		err = report.Outcomes(a.Stdout, outcomes, a.Printer, a.page())
	}
	if err != nil {
		return err
	}
	if failed > 0 {
		return errors.New(a.T("cli.sync-failed", failed))
	}
	return a.brokenFiles(outcomes)
}

// transport makes requests through the proxy the environment names.
func (a *app) transport() http.RoundTripper {
	proxies := httpProxies(a.Getenv)
	return &http.Transport{Proxy: func(r *http.Request) (*url.URL, error) { return proxies(r.URL) }, ForceAttemptHTTP2: true}
}

func (a *app) mirrors(cmd *cobra.Command, list []string) (map[string]*url.URL, error) {
	base := map[string]*url.URL{}
	for _, text := range list {
		name, address, ok := strings.Cut(text, "=")
		u, err := url.Parse(address)
		if !ok || err != nil || u.Host == "" || !slices.Contains(officialNames(), name) {
			return nil, command.Usagef(cmd, "%s", a.T("cli.bad-mirror", text))
		}
		if !strings.HasSuffix(u.Path, "/") {
			u.Path += "/"
		}
		base[name] = u
	}
	return base, nil
}

// cacheDir is where downloads are kept between syncs.
func (a *app) cacheDir(flag string) (string, error) {
	if flag != "" {
		return flag, nil
	}
	if dir := a.Getenv("XDG_CACHE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "kannuki", "feeds"), nil
	}
	if home := a.Getenv("HOME"); home != "" {
		return filepath.Join(home, ".cache", "kannuki", "feeds"), nil
	}
	return "", errors.New(a.T("cli.no-cache"))
}

// neededSources are those this machine and the hosts scanned before need.
func (a *app) neededSources(ctx context.Context, s store.Store) ([]string, error) {
	systems := []host.OS{}
	if inv, err := inventory.Collect(ctx, inventory.Options{Now: a.Now}); err == nil {
		systems = append(systems, inv.Host.OS)
	}
	names, err := control.NeededSources(ctx, s, systems)
	if a.Language() == "ja" && err == nil {
		names = append(names, "jvn")
	}
	return names, err
}

// httpProxies reads HTTPS_PROXY, HTTP_PROXY and NO_PROXY the way curl does.
func httpProxies(getenv func(string) string) func(*url.URL) (*url.URL, error) {
	config := httpproxy.Config{
		HTTPProxy:  cmp.Or(getenv("http_proxy"), getenv("HTTP_PROXY")),
		HTTPSProxy: cmp.Or(getenv("https_proxy"), getenv("HTTPS_PROXY")),
		NoProxy:    cmp.Or(getenv("no_proxy"), getenv("NO_PROXY")),
	}
	return config.ProxyFunc()
}
