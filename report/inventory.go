package report

import (
	"cmp"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/lang"
)

// Inventory writes what is installed and running on one host: packages by manager,
// kernels, what listens, what waits for a restart, and what could not be read.
func Inventory(w io.Writer, inv host.Inventory, p lang.Printer, layout Page) error {
	pg := newPage(w, p, layout)
	pg.Sides(bold, p.T("inventory.title", hostName(inv.Host)), p.DateTime(inv.Collected))
	pg.Line(plain, strings.Join(notEmpty(osName(inv.Host.OS), inv.Host.Arch, pg.optional("origin.", inv.Origin)), " / "))
	if inv.Windows == nil || len(inv.Packages) > 0 {
		pg.packages(inv)
	}
	pg.kernel(inv.Kernel)
	pg.windows(inv.Windows)
	pg.listeners(inv.Processes)
	pg.restarts(inv.Processes)
	pg.unread(inv.Unread)
	return pg.Err()
}

func (p *page) packages(inv host.Inventory) {
	type unit struct{ source, version string }
	kinds, sources := map[string]int{}, map[string]map[unit]bool{}
	for _, k := range inv.Packages {
		kinds[k.Kind]++
		if sources[k.Kind] == nil {
			sources[k.Kind] = map[unit]bool{}
		}
		sources[k.Kind][unit{k.Source, k.SourceVersion}] = true
	}
	p.Heading(p.T("inventory.packages"))
	if len(kinds) == 0 {
		p.Text(2, p.T("inventory.packages.none"))
		return
	}
	for _, k := range slices.Sorted(maps.Keys(kinds)) {
		p.Text(2, p.T("inventory.packages.kind", k, kinds[k], len(sources[k])))
	}
}

func (p *page) kernel(k host.Kernel) {
	if k.Running == "" && len(k.Installed) == 0 {
		return
	}
	p.Heading(p.T("inventory.kernel"))
	running := cmp.Or(k.Running, p.T("inventory.kernel.unknown"))
	if k.Running != "" && k.RunningPackage == "" {
		running += p.T("inventory.kernel.unowned")
	}
	p.Item(2, p.T("inventory.kernel.running"), running)
	var installed []string
	for _, i := range k.Installed {
		text := i.Release
		if i.Version != "" {
			text += " (" + i.Version + ")"
		}
		installed = append(installed, text)
	}
	if len(installed) > 0 {
		p.Item(2, p.T("inventory.kernel.installed"), p.List(installed))
	}
	if rebootNeeded(k) {
		p.Item(2, "! ", p.T("inventory.kernel.reboot"))
	}
}

// rebootNeeded tells whether the running kernel is known to be none of those
// installed, or another build of the installed one of the same name. Which of several
// installed kernels is newer is for triage to say.
func rebootNeeded(k host.Kernel) bool {
	if k.Running == "" || len(k.Installed) == 0 {
		return false
	}
	i := slices.IndexFunc(k.Installed, func(i host.InstalledKernel) bool { return i.Release == k.Running })
	if i < 0 {
		return true
	}
	installed := k.Installed[i].Version
	return installed != "" && k.RunningVersion != "" && installed != k.RunningVersion
}

func (p *page) windows(w *host.Windows) {
	if w == nil {
		return
	}
	p.Heading("Windows")
	p.Text(2, strings.Join(notEmpty(w.Product, w.Build), " / "))
	p.Text(2, p.T("inventory.updates", len(w.KBs)))
	p.windowsStates(w)
}

func (p *page) listeners(processes []host.Process) {
	p.Heading(p.T("inventory.listeners"))
	t := table{Indent: 2, Columns: []column{{Head: p.T("head.address"), Flex: true}, {Head: p.T("head.process"), Flex: true},
		{Head: p.T("head.user"), Flex: true}, {Head: p.T("head.unit"), Flex: true}, {Head: p.T("head.package"), Flex: true}}}
	type row struct {
		port  int
		cells []string
	}
	var rows []row
	for _, proc := range processes {
		for _, l := range proc.Listeners {
			address := l.Address
			if strings.Contains(address, ":") {
				address = "[" + address + "]"
			}
			rows = append(rows, row{l.Port, []string{strings.TrimSuffix(l.Protocol, "6") + " " + address + ":" + strconv.Itoa(l.Port), proc.Name, proc.User, proc.Unit, proc.Package}})
		}
	}
	slices.SortStableFunc(rows, func(a, b row) int {
		return cmp.Or(cmp.Compare(a.port, b.port), slices.Compare(a.cells, b.cells))
	})
	rows = slices.CompactFunc(rows, func(a, b row) bool { return slices.Equal(a.cells, b.cells) })
	for _, r := range rows {
		t.Add(plain, r.cells...)
	}
	switch {
	case processes == nil:
		p.Text(2, p.T("inventory.listeners.unknown"))
	case len(rows) == 0:
		p.Text(2, p.T("inventory.listeners.none"))
	default:
		p.Table(&t)
	}
}

// restarts lists the processes that still run replaced files.
func (p *page) restarts(processes []host.Process) {
	names := map[string][]string{}
	for _, proc := range processes {
		name := cmp.Or(proc.Unit, proc.Name)
		for _, r := range proc.Replaced {
			if what := cmp.Or(r.Package, r.Path); !slices.Contains(names[name], what) {
				names[name] = append(names[name], what)
			}
		}
	}
	if len(names) == 0 {
		return
	}
	p.Heading(p.T("inventory.restarts"))
	t := table{Indent: 2, Columns: []column{{Flex: true}, {Wrap: true}}}
	for _, n := range slices.Sorted(maps.Keys(names)) {
		slices.Sort(names[n])
		t.Add(amber, "! "+n, p.T("inventory.restarts.old", p.Folded(names[n], shownProducts)))
	}
	p.Table(&t)
}

func (p *page) unread(unread []host.Unread) {
	if len(unread) == 0 {
		return
	}
	p.Heading(p.T("inventory.unread", len(unread)))
	why := map[string][]string{}
	for _, u := range unread {
		k := p.fault(u.Why, u.Code, u.Args)
		why[k] = append(why[k], p.word("text.", u.What))
	}
	for _, k := range slices.Sorted(maps.Keys(why)) {
		slices.Sort(why[k])
		p.Item(2, p.Number(len(why[k]))+"  ", k+p.T("notjudged.items", p.Folded(why[k], examples)))
	}
}
