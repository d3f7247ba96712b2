package triage

import (
	"cmp"
	"slices"
	"strings"

	"github.com/kannuki/kannuki/internal/nearest"
	"github.com/kannuki/kannuki/vuln"
)

// product is a product as an administrator names it.
type product struct {
	full   string // all of it, plain
	name   string // without the vendor, where one is told by ":"
	vendor string
	cpe    []string // the fields of a CPE 2.3 string, else nil
}

// parseProduct reads "Windows Server 2019", "microsoft windows_server_2019",
// "microsoft:windows_server_2019" or a CPE 2.3 string.
func parseProduct(text string) product {
	text = strings.TrimSpace(text)
	if f := vuln.CPEFields(strings.ToLower(text)); len(f) >= 5 {
		return product{full: plain(f[4]), name: plain(f[4]), vendor: plain(f[3]), cpe: f}
	}
	p := product{full: plain(text), name: plain(text)}
	if vendor, name, ok := strings.Cut(text, ":"); ok {
		p.vendor, p.name = plain(vendor), plain(name)
	}
	return p
}

// ProductMatches tells whether r says that product is vulnerable. Names are compared
// without regard to case, and to whether words are joined by spaces, underscores or
// hyphens; the vendor may stand before the name, and a CPE 2.3 string is taken by its
// fields. In configurations (NVD) only matches marked vulnerable count, never the
// platform something runs on, and no negated node. In a vendor's list (MSRC) the
// system itself and its Server Core installation count where they are known to be
// affected, never software that runs on them.
func ProductMatches(r vuln.Record, name string) bool {
	p := parseProduct(name)
	return p.matches(&r)
}

func (p *product) matches(r *vuln.Record) bool {
	if p.name == "" {
		return false
	}
	for i := range r.Products {
		if p.lists(&r.Products[i]) {
			return true
		}
	}
	for _, c := range r.Configurations {
		for _, n := range c.Nodes {
			if n.Negate {
				continue
			}
			for i := range n.Matches {
				if n.Matches[i].Vulnerable && p.isCPE(n.Matches[i].CPE) {
					return true
				}
			}
		}
	}
	return false
}

// lists tells whether a vendor's entry is this product, and affected.
func (p *product) lists(listed *vuln.Product) bool {
	return !listed.Component && strings.EqualFold(listed.Status, "Known Affected") && p.isNamed(listed.Name)
}

// isCPE compares with a CPE 2.3 string of a record. Where the product is one itself,
// fields it leaves open ("*") match anything, and so do fields the record leaves open.
func (p *product) isCPE(cpe string) bool {
	f := vuln.CPEFields(strings.ToLower(cpe))
	if len(f) < 5 {
		return false
	}
	if p.cpe == nil {
		edition := ""
		if len(f) > 5 {
			edition = f[5]
		}
		return p.isPair(f[3], f[4], edition)
	}
	for i := 2; i < min(len(p.cpe), len(f)); i++ {
		a, b := strings.ReplaceAll(p.cpe[i], `\`, ""), strings.ReplaceAll(f[i], `\`, "")
		if a != b && a != "*" && (b != "*" || i < 5) {
			return false
		}
	}
	return true
}

// isPair compares with a CPE's vendor and product; "windows server 2012 r2" is the
// product windows_server_2012 with the version r2, so a version of letters may be
// part of the name.
func (p *product) isPair(vendor, name, edition string) bool {
	vendor, name = plain(vendor), plain(name)
	if p.vendor != "" {
		return p.vendor == vendor && p.name == name
	}
	rest, ok := strings.CutPrefix(p.full, name)
	if !ok {
		rest, ok = strings.CutPrefix(p.full, vendor+"_"+name)
	}
	if !ok {
		return false
	}
	return rest == "" || edition != "" && 'a' <= edition[0] && edition[0] <= 'z' && rest == "_"+plain(edition)
}

// isNamed compares with a vendor's own product name.
func (p *product) isNamed(name string) bool {
	const vendor, core = "microsoft_", "_(server_core_installation)"
	listed := strings.TrimPrefix(plain(name), vendor)
	asked := strings.TrimPrefix(p.name, vendor)
	return listed == asked || strings.TrimSuffix(listed, core) == asked
}

// plain writes a name in one way: lower case, words joined by one underscore, no escapes.
func plain(name string) string {
	var b strings.Builder
	b.Grow(len(name))
	gap := false
	for _, r := range strings.ToLower(name) {
		switch r {
		case '\\':
		case ' ', '_', '-', '\t', '\u00a0':
			gap = b.Len() > 0
		default:
			if gap {
				b.WriteByte('_')
				gap = false
			}
			b.WriteRune(r)
		}
	}
	return b.String()
}

// ProductsNamed returns those of all – "vendor:product" of CPEs, or a vendor's own
// names – that the administrator's product may mean, in their order.
func ProductsNamed(name string, all []string) []string {
	p := parseProduct(name)
	var out []string
	for _, candidate := range all {
		if p.means(candidate) {
			out = append(out, candidate)
		}
	}
	return out
}

func (p *product) means(candidate string) bool {
	if p.name == "" {
		return false
	}
	vendor, name, pair := strings.Cut(strings.ReplaceAll(candidate, `\:`, ""), ":")
	if !pair {
		return p.isNamed(candidate)
	}
	vendor, name = plain(vendor), plain(name)
	if p.vendor != "" {
		return p.vendor == vendor && p.name == name
	}
	for _, whole := range []string{name, vendor + "_" + name} {
		// One more word of letters may be the version: "windows server 2012 r2".
		if rest, ok := strings.CutPrefix(p.full, whole); ok && (rest == "" || isEdition(rest)) {
			return true
		}
	}
	return false
}

// isEdition tells "_r2" and "_sp1" from "_2019".
func isEdition(rest string) bool {
	return len(rest) > 1 && rest[0] == '_' && 'a' <= rest[1] && rest[1] <= 'z' && strings.Count(rest, "_") == 1 && len(rest) <= 5
}

// NearestProducts returns up to n of all that are most like product, the nearest
// first, for "did you mean". Names that share nothing with it are left out.
func NearestProducts(product string, all []string, n int) []string {
	p := parseProduct(product)
	if p.name == "" || n <= 0 {
		return nil
	}
	type near struct {
		name     string
		distance float64
	}
	var list []near
	for _, name := range all {
		if d := p.distance(name); d < 0.6 {
			list = append(list, near{name, d})
		}
	}
	slices.SortFunc(list, func(a, b near) int {
		return cmp.Or(cmp.Compare(a.distance, b.distance), cmp.Compare(len(a.name), len(b.name)), cmp.Compare(a.name, b.name))
	})
	list = slices.CompactFunc(list, func(a, b near) bool { return a.name == b.name })
	var out []string
	for _, x := range list[:min(n, len(list))] {
		out = append(out, x.name)
	}
	return out
}

// distance is 0 for the same name and 1 for nothing in common: the share of letters
// to change, or less where one name holds the other or shares its words.
func (p *product) distance(candidate string) float64 {
	_, name, pair := strings.Cut(candidate, ":")
	if !pair {
		name = candidate
	}
	name = plain(name)
	if name == "" {
		return 1
	}
	longer := max(len(name), len(p.name))
	d := float64(nearest.Distance(p.name, name)) / float64(longer)
	if strings.Contains(name, p.name) || strings.Contains(p.name, name) {
		d = min(d, 0.5*(1-float64(min(len(name), len(p.name)))/float64(longer)))
	}
	return min(d, 0.1+0.9*(1-sharedWords(p.name, name)))
}

// sharedWords is the share of words the two names have in common.
func sharedWords(a, b string) float64 {
	words, others := strings.Split(a, "_"), strings.Split(b, "_")
	shared := 0
	for _, w := range words {
		if slices.Contains(others, w) {
			shared++
		}
	}
	return float64(shared) / float64(max(len(words), len(others)))
}
