package report

import (
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/lang"
	"github.com/kannuki/kannuki/triage"
	"github.com/kannuki/kannuki/vuln"
)

func TestReasonsAreSpokenInTheReadersLanguage(t *testing.T) {
	r := func(code string, args ...string) triage.Reason { return triage.Reason{Code: code, Args: args} }
	for _, c := range []struct {
		reason triage.Reason
		en, ja string
	}{
		{r(triage.CodeMoved, "out-of-cycle", "scheduled", "contained"),
			"the guard moves it from out of cycle to scheduled (contained)", "防御により「臨時」から「定例」に緩めます（封じ込め）"},
		{r(triage.CodeExploitKEV, "2026-11-20"), "known exploited (CISA KEV since 2026-11-20)", "悪用が確認されています（CISA KEV、2026年11月20日から）"},
		{r(triage.CodeExposureListens, "sshd", "0.0.0.0:22", "open"), "sshd listens on 0.0.0.0:22: open", "sshd が 0.0.0.0:22 で待ち受けています（外部公開）"},
		{r(triage.CodeUnproven, "launch, utility", "contained", "limited"),
			"unproven: no drill in force stands behind launch control, utility control, so contained counts as limited",
			"未実証：起動制御、ユーティリティ制御を裏付ける有効な訓練がないため、封じ込めを被害限定とみなします"},
		{r(triage.CodeProtectionStale, "never", "15m0s"),
			"the protection was last confirmed never, more than 15 minutes ago: decided as without the guard",
			"防御の最終確認（未確認）から15分を超えたため、防御なしとして判定します"},
		{triage.Reason{Code: "no.such.code", Text: "as it came"}, "as it came", "as it came"},
		{r("no.such.code", "a", "b"), "no.such.code a b", "no.such.code a b"},
	} {
		if got := ReasonText(lang.New("en"), c.reason); got != c.en {
			t.Errorf("%s in English: %q, want %q", c.reason.Code, got, c.en)
		}
		if got := ReasonText(lang.New("ja"), c.reason); got != c.ja {
			t.Errorf("%s in Japanese: %q, want %q", c.reason.Code, got, c.ja)
		}
	}
}

func TestADecisionRowIsSpokenInputByInput(t *testing.T) {
	r := triage.Reason{Code: triage.CodeDecisionRow, Args: []string{"ssvc", "exploitation=active, exposure=open, automatable=yes, human-impact=very-high", "immediate"}}
	got := ReasonText(lang.New("ja"), r)
	for _, want := range []string{"悪用=悪用を確認", "露出=外部公開", "自動化=はい", "重要度=最高", "即時"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q lacks %q", got, want)
		}
	}
}

// Words of triage's vocabularies must not reach a Japanese reader untranslated.
func TestEveryWordOfAVocabularyHasAMessage(t *testing.T) {
	p := lang.New("ja")
	words := map[string][]string{
		"exploitation.": {triage.NotExploited, triage.PoC, triage.Active},
		"exposure.":     {triage.Small, triage.Controlled, triage.Open},
		"effect.":       {string(triage.Prevented), string(triage.Contained), string(triage.Limited), string(triage.None)},
		"control.":      {"launch", "write", "process", "utility", "contain", "kernel", "private", "self"},
		"change.":       {string(vuln.ChangeNew), string(vuln.ChangeScored), string(vuln.ChangeExploited), string(vuln.ChangeFixed), string(vuln.ChangeRejected)},
		"state.":        {"reboot-needed", "restart-needed"},
	}
	for _, name := range triage.TableNames {
		table, err := triage.BuiltinTable(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range table.Actions {
			words["decision."] = append(words["decision."], string(a.Action))
			words["decision.when."] = append(words["decision.when."], string(a.Action))
		}
		for _, in := range table.Inputs {
			words["input."] = append(words["input."], in.Name)
			words["value."] = append(words["value."], in.Values...)
			if in.Name == "human-impact" {
				words["importance."] = append(words["importance."], in.Values...)
			}
		}
	}
	for prefix, list := range words {
		for _, w := range list {
			if !p.Has(prefix + w) {
				t.Errorf("no message %q", prefix+w)
			}
		}
	}
}

// Every code with as many arguments as its template asks for: none may be left over.
func TestNoReasonShowsAPlaceholder(t *testing.T) {
	number := regexp.MustCompile(`\{(\d+)\}`)
	for code, template := range triage.ReasonCodes {
		args := make([]string, len(number.FindAllString(template, -1)))
		for i := range args {
			args[i] = "x"
		}
		for _, l := range lang.Languages {
			if got := ReasonText(lang.New(l), triage.Reason{Code: code, Args: args}); strings.ContainsAny(got, "{}") {
				t.Errorf("%s in %s: %q", code, l, got)
			}
		}
		if n := len(argumentKinds[code]); n > len(args) {
			t.Errorf("%s has kinds for %d arguments but takes %d", code, n, len(args))
		}
	}
}

// Of what a collector says only names of files, fields and programs are left in English.
func TestWhyACollectorCouldNotReadSomethingIsSaidInTheReadersLanguage(t *testing.T) {
	names := regexp.MustCompile(`Ubuntu Pro|KEY=value|X:value|MiB|URL|Source|Status|name \(version\)|half-installed|apt-get install -f|dpkg|root|ASCII`)
	english := regexp.MustCompile(`[a-z]{3,} [a-z]{2,}`)
	var numbers []string
	for i := range 9 {
		numbers = append(numbers, strconv.Itoa(i))
	}
	for code, template := range host.FaultCodes() {
		f := host.Fault{Code: code, Args: numbers[:strings.Count(template, "{")]}
		u := host.NotRead("processes", f)
		args := append([]string{u.What, u.Why, u.Code}, u.Args...)
		if got, want := ReasonText(lang.New("en"), triage.Reason{Code: triage.CodeSkipUnread, Args: args}), "processes could not be read: "+u.Why; got != want {
			t.Errorf("%s: %q, want %q", code, got, want)
		}
		inv := smallInventory()
		inv.Unread = []host.Unread{u}
		for _, text := range []string{ReasonText(lang.New("ja"), triage.Reason{Code: triage.CodeSkipUnread, Args: args}), unreadPart(string(render(t, inventoryPage(inv), "ja", Page{Width: 400})))} {
			if !strings.Contains(text, "プロセス") || english.MatchString(names.ReplaceAllString(text, "")) {
				t.Errorf("%s: %q", code, text)
			}
			for _, a := range f.Args {
				if !strings.Contains(text, a) {
					t.Errorf("%s: %q does not say %q", code, text, a)
				}
			}
		}
	}
	if got := ReasonText(lang.New("ja"), triage.Reason{Code: triage.CodeSkipUnread, Args: []string{"x", "of an older program"}}); !strings.Contains(got, "of an older program") {
		t.Errorf("without a code: %q", got)
	}
}

// unreadPart is what an inventory's page says of what could not be read.
func unreadPart(page string) string {
	_, part, _ := strings.Cut(page, lang.New("ja").T("inventory.unread", 1))
	return part
}
