package policyfile_test

import (
	"bufio"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/kannuki/kannuki/internal/realdata"
	"github.com/kannuki/kannuki/policy"
	"github.com/kannuki/kannuki/policyfile"
)

func standard(t *testing.T) policy.Policy {
	t.Helper()
	p, err := policyfile.Builtin(policyfile.Default)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestEveryUtilityHasACategoryATechniqueAndAReasonOfItsGroup(t *testing.T) {
	group, why, names := map[string]string{}, map[string]string{}, 0
	for _, u := range standard(t).Utilities.Refuse {
		if u.Technique == "" || len(strings.Fields(u.Why)) < 7 {
			t.Errorf("%s: technique %q, reason %q", u.ID, u.Technique, u.Why)
		}
		if u.ID != "utility:"+u.Category && !strings.HasPrefix(u.ID, "utility:"+u.Category+"-") {
			t.Errorf("%s is of category %s: events would mislead", u.ID, u.Category)
		}
		if other := why[u.Why]; other != "" {
			t.Errorf("%s and %s have one reason: join them", other, u.ID)
		}
		why[u.Why] = u.ID
		for _, n := range u.Names {
			names++
			if other := group[n]; other != "" {
				t.Errorf("%s is in %s and in %s", n, other, u.ID)
			}
			group[n] = u.ID
		}
	}
	if names < 800 || len(group) != names {
		t.Errorf("%d utilities, %d names", names, len(group))
	}
}

// A category's first group goes by the category: policies that name it keep working.
func TestEveryCategoryOfUtilitiesHasAGroupByItsName(t *testing.T) {
	p := standard(t)
	for _, u := range p.Utilities.Refuse {
		if !slices.ContainsFunc(p.Utilities.Refuse, func(o policy.Utility) bool { return o.ID == "utility:"+u.Category }) {
			t.Errorf("there is no utility:%s", u.Category)
		}
	}
}

// Contained processes run no interpreter anyway; as a utility each has a technique and a
// reason too.
func TestEveryInterpreterIsAUtility(t *testing.T) {
	p := standard(t)
	for _, i := range p.Interpreters.Programs {
		for _, n := range i.Names {
			if !slices.ContainsFunc(p.Utilities.Refuse, func(u policy.Utility) bool { return slices.Contains(u.Names, n) }) {
				t.Errorf("%s is no utility", n)
			}
		}
	}
}

// leftOut are programs with which one gets further, as GTFOBins has shown, and which are
// no utilities all the same, by the reason. docs/limits.md tells it.
var leftOut = map[string]string{
	"what scripts are made of: where they write the place decides, and what they start is asked about itself": "chmod chown cp csplit dos2unix iconv install ln mv sed shuf sort tee",
	"every program needs it: what it is told to start is asked about itself":                                  "ld.so ldconfig",
	"a server's own program, or one that servers hand mail, documents, pictures and checks to":                "asterisk cancel certbot check_by_ssh check_log check_ssl_cert dhclient dnsmasq enscript exiftool ffmpeg latex latexmk lp lualatex luatex nginx nroff openvpn pandoc pdflatex pdftex pic procmail redis rsyslogd tex varnishncsa dvips ispell",
	"of desktops, laboratories and developers: a server has it when somebody put it there": `acr ansible-test aoss apport-cli arch-nspawn arj autoheader bashbug bee byebug cabal cdist cobc code codex cowsay
		cowthink csvtool dosbox easyrsa eb forge genie gimp ginsh grc gtester jtag minicom msgfilter multitime mypy opencode perlbug pexec pkg plymouth pry psftp rc rtorrent runscript rustdoc scrot slsh
		softlimit task tasksh tsc volatility xdg-user-dir xdotool yt-dlp zathura zic`,
}

// What others have found a way out in is here, or left out for a reason that is written
// down: a new one has to be judged.
func TestEveryKnownWayOutIsAUtilityOrLeftOutForAReason(t *testing.T) {
	p := standard(t)
	refused := func(name string) bool {
		return slices.ContainsFunc(p.Utilities.Refuse, func(u policy.Utility) bool { _, ok := policy.NamedProgram(u.Names, name); return ok })
	}
	judged := map[string]bool{}
	for _, names := range leftOut {
		for _, n := range strings.Fields(names) {
			if judged[n] = true; refused(n) {
				t.Errorf("%s is left out and refused", n)
			}
		}
	}
	seen := 0
	for name, text := range realdata.Members(t, "gtfobins/gtfobins.tar.zst") {
		if path.Base(path.Dir(name)) != "_gtfobins" || !waysOut(t, text) {
			continue
		}
		seen++
		n := path.Base(name)
		if !refused(n) && !judged[n] {
			t.Errorf("%s is neither a utility nor left out", n)
		}
		delete(judged, n)
	}
	if seen < 300 {
		t.Errorf("only %d programs were read", seen)
	}
	for n := range judged {
		t.Errorf("%s is left out, and nobody knows a way out in it", n)
	}
}

var wayOut = regexp.MustCompile(`^  (shell|command|reverse-shell|bind-shell|library-load|file-write|privilege-escalation|upload|download|inherit):`)

// waysOut tells whether an entry is of more than reading a file its caller may read.
func waysOut(t *testing.T, text io.Reader) bool {
	t.Helper()
	found := false
	lines := bufio.NewScanner(text)
	for lines.Scan() {
		found = found || wayOut.MatchString(lines.Text())
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return found
}
