package cli_test

import (
	"compress/gzip"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kannuki/kannuki/cli"
	"github.com/kannuki/kannuki/internal/realdata"
)

// row is one line of a type table.
type row struct {
	Year     int
	Distinct int
	Types    map[string]int
	Untyped  int
	Sum      int
}

// typeRows asks report types.
func typeRows(t *testing.T, db string, args ...string) []row {
	t.Helper()
	out, code := kannuki(t, append([]string{"report", "types", "--format", "json", "--db", db}, args...)...)
	if code != cli.ExitOK {
		t.Fatalf("report types %s: exit code %d", strings.Join(args, " "), code)
	}
	var table struct{ Rows []row }
	if err := json.Unmarshal([]byte(out), &table); err != nil {
		t.Fatal(err)
	}
	return table.Rows
}

func TestTypeTablesOfRealNVDFeeds(t *testing.T) {
	db := filepath.Join(t.TempDir(), "k.db")
	nvd := realdata.Path(t, "nvd")
	if _, code := kannuki(t, "feed", "import", nvd, "--db", db); code != cli.ExitOK {
		t.Fatalf("import: exit code %d", code)
	}
	t.Run("Windows Server 2019 is counted as published", func(t *testing.T) {
		got := typeRows(t, db, "--product", "Windows Server 2019", "--year", "2018..2019", "--rules", "cvedetails", "--source", "nvd")
		want := map[string]int{"dos": 35, "exec": 144, "overflow": 111, "memcorr": 8, "sqli": 0, "xss": 1, "traversal": 0, "splitting": 0,
			"bypass": 19, "info": 99, "priv": 0, "csrf": 0, "inclusion": 0}
		if len(got) != 2 || got[0].Year != 2018 || got[0].Distinct != 54 {
			t.Fatalf("rows %+v; want 2018 with 54 distinct, then 2019", got)
		}
		if diff := cmp.Diff(row{2019, 434, want, 130, 417}, got[1]); diff != "" {
			t.Errorf("2019 (-want +got):\n%s", diff)
		}
	})
	t.Run("other products and years agree with an independent count", func(t *testing.T) {
		items, counted := readNVD11(t, nvd), 0
		for _, product := range []string{"microsoft:windows_server_2016", "microsoft:windows_server_2019", "linux:linux_kernel", "google:chrome",
			"google:android", "openssl:openssl", "apache:http_server", "oracle:mysql", "wordpress:wordpress", "adobe:acrobat_dc", "debian:debian_linux", "gitlab:gitlab"} {
			want := countTypes(items, product, 2017, 2025)
			got := typeRows(t, db, "--product", product, "--year", "2017..2025", "--rules", "cvedetails")
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-counted here +reported):\n%s", product, diff)
			}
			of := 0
			for _, r := range want {
				of += r.Distinct
			}
			if counted += of; of == 0 {
				t.Errorf("%s: nothing counted: it proves nothing", product)
			}
		}
		t.Logf("%d items read, %d counted for the products", len(items), counted)
	})
}

// nvdItem is what the count below needs of one item.
type nvdItem struct {
	published string
	modified  string
	text      string          // English, lower case
	cwes      []string        //
	products  map[string]bool // vendor:product of CPEs marked vulnerable
}

type nvdNode struct {
	Children []nvdNode
	Match    []struct {
		Vulnerable bool
		CPE        string `json:"cpe23Uri"`
	} `json:"cpe_match"`
}

func (n nvdNode) vulnerable(products map[string]bool) {
	for _, m := range n.Match {
		if parts := strings.SplitN(m.CPE, ":", 6); m.Vulnerable && len(parts) == 6 {
			products[parts[3]+":"+parts[4]] = true
		}
	}
	for _, child := range n.Children {
		child.vulnerable(products)
	}
}

// readNVD11 reads every feed of a folder; of an item that two feeds hold the one
// modified last counts.
func readNVD11(t *testing.T, dir string) map[string]nvdItem {
	paths, err := filepath.Glob(filepath.Join(dir, "*.json.gz"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no feeds in %s: %v", dir, err)
	}
	items := map[string]nvdItem{}
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		z, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		var doc struct {
			Items []struct {
				CVE struct {
					Meta        struct{ ID string } `json:"CVE_data_meta"`
					Description struct {
						Data []struct{ Lang, Value string } `json:"description_data"`
					}
					Problem struct {
						Data []struct{ Description []struct{ Value string } } `json:"problemtype_data"`
					} `json:"problemtype"`
				}
				Configurations   struct{ Nodes []nvdNode }
				PublishedDate    string
				LastModifiedDate string
			} `json:"CVE_Items"`
		}
		if err := json.NewDecoder(z).Decode(&doc); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		f.Close()
		for _, d := range doc.Items {
			it := nvdItem{published: d.PublishedDate, modified: d.LastModifiedDate, products: map[string]bool{}}
			for _, text := range d.CVE.Description.Data {
				if text.Lang == "en" {
					it.text += strings.ToLower(text.Value) + "\n"
				}
			}
			for _, p := range d.CVE.Problem.Data {
				for _, cwe := range p.Description {
					it.cwes = append(it.cwes, cwe.Value)
				}
			}
			for _, n := range d.Configurations.Nodes {
				n.vulnerable(it.products)
			}
			if old, ok := items[d.CVE.Meta.ID]; !ok || old.modified <= it.modified {
				items[d.CVE.Meta.ID] = it
			}
		}
	}
	return items
}

// publishedRules are the rules of the cvedetails set as TRIAGE.md section 1a writes
// them: an expression, or a CWE.
var publishedRules = map[string]struct{ text, cwe string }{
	"dos":       {`denial of service`, ""},
	"exec":      {`execut\w*\W+(?:\w+\W+){0,6}?(?:code|command|commands|program|sql|bytecode)\b|(?:code|command|javascript)\W+execut|arbitrary (?:code|command)`, ""},
	"overflow":  {`overflow`, "CWE-119"},
	"memcorr":   {`memory corruption|corrupt\w*\W+(?:\w+\W+){0,3}memory|(?:memory|heap)\W+(?:\w+\W+){0,2}corrupt`, ""},
	"sqli":      {`sql injection`, "CWE-89"},
	"xss":       {`xss|cross-site scripting`, "CWE-79"},
	"traversal": {`directory traversal`, "CWE-22"},
	"splitting": {`response splitting`, ""},
	"bypass":    {`bypass`, ""},
	"info": {`(?:obtain|gain|disclos|leak|expos|access)\w*\W+(?:\w+\W+){0,4}sensitive\W+(?:\w+\W+){0,3}information|obtain\W+(?:\w+\W+){0,4}information`,
		"CWE-200"},
	"priv":      {`gain\w*\W+(?:\w+\W+){0,4}privilege|gain\w*\W+(?:root|admin)`, ""},
	"csrf":      {`csrf|cross-site request forgery`, ""},
	"inclusion": {`file inclusion|(?s)inclusion.*file|(?s)file.*inclusion`, ""},
}

func countTypes(items map[string]nvdItem, product string, from, to int) []row {
	compiled := map[string]*regexp.Regexp{}
	for name, rule := range publishedRules {
		compiled[name] = regexp.MustCompile(rule.text)
	}
	var rows []row
	for year := from; year <= to; year++ {
		r := row{Year: year, Types: map[string]int{}}
		for name := range publishedRules {
			r.Types[name] = 0
		}
		for _, id := range slices.Sorted(maps.Keys(items)) {
			it := items[id]
			if !it.products[product] || !strings.HasPrefix(it.published, strconv.Itoa(year)+"-") ||
				strings.HasPrefix(strings.TrimSpace(it.text), "** reject") || strings.HasPrefix(strings.TrimSpace(it.text), "rejected reason") {
				continue
			}
			r.Distinct++
			typed := false
			for name, rule := range publishedRules {
				if compiled[name].MatchString(it.text) || rule.cwe != "" && slices.Contains(it.cwes, rule.cwe) {
					r.Types[name]++
					r.Sum++
					typed = true
				}
			}
			if !typed {
				r.Untyped++
			}
		}
		rows = append(rows, r)
	}
	return rows
}
