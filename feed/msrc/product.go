package msrc

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/kannuki/kannuki/vuln"
)

// affected lists the products of all statuses, each with the updates that fix it.
func (v vulnerability) affected(tree map[string]product) ([]vuln.Product, error) {
	var out []vuln.Product
	place := map[string]int{}
	for _, s := range v.Statuses {
		for _, id := range s.Products {
			p, known := tree[id]
			if !known {
				return nil, fmt.Errorf("product %q is not in the product tree", id)
			}
			if _, seen := place[id]; seen || p.none {
				continue
			}
			place[id] = len(out)
			out = append(out, vuln.Product{ID: id, Name: p.name, Component: !p.system, Family: p.family, Status: s.Type})
		}
	}
	for _, r := range v.Remediations {
		if r.Type != "Vendor Fix" {
			continue
		}
		fixes := r.fixes()
		for _, id := range r.Products {
			if i, ok := place[id]; ok {
				out[i].Fixes = union(out[i].Fixes, fixes, sameFix)
			}
		}
	}
	return out, nil
}

func sameFix(a, b vuln.Fix) bool {
	return a.KB == b.KB && a.Build == b.Build && a.URL == b.URL && a.Restart == b.Restart && a.Kind == b.Kind &&
		slices.Equal(a.Supersedes, b.Supersedes)
}

var (
	kbNumber = regexp.MustCompile(`^(?i:KB)?(\d{5,8})$`)
	kbInList = regexp.MustCompile(`\d{5,8}`)
	// build is what stands for a version: "10.0.17763.864", "v1.2.3", "2.4.1-3", "git1c3b9fd-2".
	build = regexp.MustCompile(`^v?\d[\w.+~-]*$`)
)

// fixes reads one remediation. It is one fix, unless it names several fixed builds
// ("4.0.1 & 4.1.2"): then there is one for each.
func (r remediation) fixes() []vuln.Fix {
	f := vuln.Fix{
		URL:        strings.TrimSpace(r.URL),
		Restart:    strings.TrimSpace(r.Restart),
		Kind:       strings.TrimSpace(r.SubType),
		Supersedes: supersedes(r.Supersedes),
	}
	if m := kbNumber.FindStringSubmatch(strings.TrimSpace(r.Description)); m != nil {
		f.KB = m[1]
	}
	builds := builds(r.Build)
	if len(builds) == 0 {
		return []vuln.Fix{f}
	}
	var out []vuln.Fix
	for _, b := range builds {
		f.Build = b
		out = append(out, f)
	}
	return out
}

// supersedes finds the KB numbers in "4520008; 4519338", "KB4520008, 4519338", "4520008<br>4519338".
func supersedes(s string) []string {
	var out []string
	for _, kb := range kbInList.FindAllString(s, -1) {
		if !slices.Contains(out, kb) {
			out = append(out, kb)
		}
	}
	return out
}

// builds finds the versions in a FixedBuild, which also holds links and words: of each
// part between "&" or "and" the first word that looks like a version.
func builds(s string) []string {
	var out []string
	for part := range strings.SplitSeq(strings.ReplaceAll(s, " and ", "&"), "&") {
		for word := range strings.FieldsSeq(part) {
			word = strings.TrimRight(word, ".,;")
			if build.MatchString(word) {
				out = union(out, []string{word}, func(x, y string) bool { return x == y })
				break
			}
		}
	}
	return out
}

// impacts groups the products by what Microsoft says an attacker gains on them. One
// word for all affected products needs no list.
func (v vulnerability) impacts(products []vuln.Product) []vuln.Impact {
	var out []vuln.Impact
	general := map[string]bool{}
	for _, t := range v.Threats {
		word := strings.TrimSpace(t.Description)
		if t.Type != "Impact" || word == "" {
			continue
		}
		i := slices.IndexFunc(out, func(x vuln.Impact) bool { return x.Word == word })
		if i < 0 {
			i = len(out)
			out = append(out, vuln.Impact{Word: word, Source: Source})
		}
		general[word] = general[word] || len(t.Products) == 0
		out[i].Products = union(out[i].Products, t.Products, func(x, y string) bool { return x == y })
	}
	for i := range out {
		all := !slices.ContainsFunc(products, func(p vuln.Product) bool { return !slices.Contains(out[i].Products, p.ID) })
		if all || general[out[i].Word] {
			out[i].Products = nil
		}
	}
	return out
}
