package triage

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/kannuki/kannuki/vuln"
)

func builtin(t testing.TB, name string) *Table {
	t.Helper()
	table, err := BuiltinTable(name)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// deployer is SSVC's deployer table as TRIAGE.md prints it: one letter for each
// human impact from low to very high.
const deployer = `
none   small      DDSS DSSS
none   controlled DSSS SSSS
none   open       DSSS SSSO
poc    small      DSSS SSSS
poc    controlled DSSS SSSO
poc    open       SSSO SSOO
active small      SSOO SOOO
active controlled SSOO OOOO
active open       SOOI OOII
`

func TestSSVCDecidesEveryRowAsPublished(t *testing.T) {
	table := builtin(t, "ssvc")
	letters := map[byte]Action{'D': Defer, 'S': Scheduled, 'O': OutOfCycle, 'I': Immediate}
	rows := 0
	for line := range strings.SplitSeq(strings.TrimSpace(deployer), "\n") {
		f := strings.Fields(line)
		for a, auto := range []string{"no", "yes"} {
			for h, human := range []string{"low", "medium", "high", "very-high"} {
				d := table.Decide(Inputs{Exploitation: f[0], Exposure: f[1], Automatable: auto, HumanImpact: human})
				if want := letters[f[2+a][h]]; d.Action != want {
					t.Errorf("%s: %s, want %s", d.Row, d.Action, want)
				}
				if len(d.Reasons) != 1 || d.Reasons[0].Code != CodeDecisionRow || d.Reasons[0].Args[1] != d.Row {
					t.Errorf("%s: reasons %v", d.Row, d.Reasons)
				}
				rows++
			}
		}
	}
	if rows != 72 || rows != len(table.cells) {
		t.Errorf("%d rows checked of %d", rows, len(table.cells))
	}
}

func TestBOD2604DecidesEveryRowAsPublished(t *testing.T) {
	table := builtin(t, "bod-26-04")
	const days = 24 * time.Hour
	for _, c := range []struct {
		kev, exposed bool
		impact       string
		automatable  string
		want         Action
		window       time.Duration
		forensics    bool
	}{
		{false, false, "partial", "no", OnUpgrade, 0, false}, {false, false, "partial", "yes", Days60, 60 * days, false},
		{false, false, "total", "no", OnUpgrade, 0, false}, {false, false, "total", "yes", Days60, 60 * days, false},
		{false, true, "partial", "no", Days60, 60 * days, false}, {false, true, "partial", "yes", Days14, 14 * days, false},
		{false, true, "total", "no", Days14, 14 * days, false}, {false, true, "total", "yes", Days3, 3 * days, false},
		{true, false, "partial", "no", Days14, 14 * days, false}, {true, false, "partial", "yes", Days14, 14 * days, false},
		{true, false, "total", "no", Days14, 14 * days, false}, {true, false, "total", "yes", Days3Forensic, 3 * days, true},
		{true, true, "partial", "no", Days14, 14 * days, false}, {true, true, "partial", "yes", Days3, 3 * days, false},
		{true, true, "total", "no", Days3Forensic, 3 * days, true}, {true, true, "total", "yes", Days3Forensic, 3 * days, true},
	} {
		exposures := []string{Small, Controlled}
		if c.exposed {
			exposures = []string{Open}
		}
		for _, x := range exposures {
			d := table.Decide(Inputs{KEV: c.kev, Exposure: x, Impact: c.impact, Automatable: c.automatable})
			if d.Action != c.want || d.Forensics != c.forensics {
				t.Errorf("%s: %s (forensics %v), want %s", d.Row, d.Action, d.Forensics, c.want)
			}
			if (d.Window == nil) != (c.window == 0) || d.Window != nil && *d.Window != c.window {
				t.Errorf("%s: window %v, want %v", d.Row, d.Window, c.window)
			}
		}
	}
}

func TestUnknownInputsAreSaidAndTakeTheCautiousValue(t *testing.T) {
	d := builtin(t, "ssvc").Decide(Inputs{})
	if d.Action != OutOfCycle || d.Row != "exploitation=none, exposure=open, automatable=yes, human-impact=very-high" {
		t.Errorf("ssvc: %s by %s", d.Action, d.Row)
	}
	if len(d.Reasons) != 5 || d.Reasons[0].Code != CodeInputUnknown || d.Reasons[3].Args[0] != "human-impact" {
		t.Errorf("ssvc: %v", d.Reasons)
	}
	d = builtin(t, "bod-26-04").Decide(Inputs{})
	if d.Action != Days3 || len(d.Reasons) != 4 {
		t.Errorf("bod: %s, %v", d.Action, d.Reasons)
	}
	d = builtin(t, "ssvc").Decide(Inputs{Exploitation: "rumoured", Exposure: Small, Automatable: "no", HumanImpact: "low"})
	if d.Action != Defer || d.Reasons[0].Code != CodeInputWord || d.Reasons[0].Args[1] != "rumoured" {
		t.Errorf("a word no table has: %s, %v", d.Action, d.Reasons)
	}
	d = builtin(t, "ssvc").Decide(Inputs{KEV: true, Exposure: Open, Automatable: "yes", HumanImpact: "high"})
	if d.Action != Immediate {
		t.Errorf("being in KEV is active exploitation: %s by %s", d.Action, d.Row)
	}
}

var morning = time.Date(2026, 11, 23, 7, 0, 0, 0, time.UTC)

func guardInputs(in Inputs, types ...vuln.Type) GuardInputs {
	g := GuardInputs{Inputs: in, Reported: morning.Add(-time.Minute), Now: morning}
	for _, t := range types {
		g.Typings = append(g.Typings, vuln.Typing{Type: t, Source: "text", Confidence: "high"})
	}
	return g
}

func TestCoverageMovesADecisionWithinTheGuardRails(t *testing.T) {
	usual := Inputs{Exploitation: PoC, Exposure: Open, Automatable: "yes", Impact: "total", HumanImpact: "high"}
	active := Inputs{Exploitation: Active, Exposure: Small, Automatable: "no", Impact: "partial", HumanImpact: "low"}
	kevOpen := Inputs{KEV: true, Exposure: Open, Automatable: "yes", Impact: "total", HumanImpact: "very-high"}
	kevInside := Inputs{KEV: true, Exposure: Controlled, Automatable: "yes", Impact: "total", HumanImpact: "very-high"}
	kevUnknown := Inputs{KEV: true, Automatable: "yes", HumanImpact: "very-high"}
	at := func(in Inputs, ago time.Duration) GuardInputs {
		g := guardInputs(in, vuln.Exec)
		g.Reported = morning.Add(-ago)
		return g
	}
	never := guardInputs(usual, vuln.Exec)
	never.Reported = time.Time{}
	for _, c := range []struct {
		name                    string
		table                   string
		effect                  Effect
		in                      GuardInputs
		from, to, unguarded     Action
		code                    string
		forensics, wantNoWindow bool
	}{
		{"prevented moves two steps", "ssvc", Prevented, guardInputs(usual, vuln.Exec), OutOfCycle, Defer, OutOfCycle, CodeMoved, false, true},
		{"contained moves one step", "ssvc", Contained, guardInputs(usual, vuln.Exec), OutOfCycle, Scheduled, OutOfCycle, CodeMoved, false, false},
		{"limited moves nothing", "ssvc", Limited, guardInputs(usual, vuln.Exec), OutOfCycle, OutOfCycle, OutOfCycle, "", false, false},
		{"none moves nothing", "ssvc", None, guardInputs(usual, vuln.Exec), OutOfCycle, OutOfCycle, OutOfCycle, "", false, false},
		{"no type is never covered", "ssvc", Prevented, guardInputs(usual), OutOfCycle, OutOfCycle, OutOfCycle, CodeMoveUntyped, false, false},
		{"a stale report counts for nothing", "ssvc", Prevented, at(usual, 16*time.Minute), OutOfCycle, OutOfCycle, OutOfCycle, CodeProtectionStale, false, false},
		{"a fresh report counts", "ssvc", Contained, at(usual, 15*time.Minute), OutOfCycle, Scheduled, OutOfCycle, CodeMoved, false, false},
		{"a report from the future counts for nothing", "ssvc", Contained, at(usual, -time.Hour), OutOfCycle, OutOfCycle, OutOfCycle, CodeProtectionStale, false, false},
		{"no report counts for nothing", "ssvc", Contained, never, OutOfCycle, OutOfCycle, OutOfCycle, CodeProtectionStale, false, false},
		{"active and not covered is raised", "ssvc", None, guardInputs(active, vuln.Info), Scheduled, OutOfCycle, OutOfCycle, CodeFloor, false, false},
		{"active and limited is not raised", "ssvc", Limited, guardInputs(active, vuln.Info), Scheduled, Scheduled, OutOfCycle, "", false, false},
		{"active with a stale report is raised", "ssvc", Contained, at(active, time.Hour), Scheduled, OutOfCycle, OutOfCycle, CodeFloor, false, false},
		{"kev, open, total keeps its clock", "ssvc", Prevented, guardInputs(kevOpen, vuln.Exec), Immediate, Immediate, Immediate, CodeKeptClock, false, false},
		{"what is unknown of kev keeps its clock", "ssvc", Prevented, guardInputs(kevUnknown, vuln.Exec), Immediate, Immediate, Immediate, CodeKeptClock, false, false},
		{"kev inside moves", "bod-26-04", Contained, guardInputs(kevInside, vuln.Exec), Days3Forensic, Days14, Days3Forensic, CodeMoved, true, false},
		{"kev inside, prevented", "bod-26-04", Prevented, guardInputs(kevInside, vuln.Exec), Days3Forensic, Days60, Days3Forensic, CodeMoved, true, false},
		{"bod kev, open, total", "bod-26-04", Prevented, guardInputs(kevOpen, vuln.Exec), Days3Forensic, Days3Forensic, Days3Forensic, CodeKeptClock, true, false},
		{"bod active, not covered", "bod-26-04", None, guardInputs(active, vuln.Info), OnUpgrade, Days14, Days14, CodeFloor, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			table := builtin(t, c.table)
			before := table.Decide(c.in.Inputs)
			if before.Action != c.from {
				t.Fatalf("decided %s by %s, want %s", before.Action, before.Row, c.from)
			}
			after, said := table.Guarded(before, Coverage{Effect: c.effect}, c.in)
			if after.Action != c.to || after.Unguarded != c.unguarded || after.Forensics != c.forensics {
				t.Errorf("%s (unguarded %s, forensics %v), want %s (%s, %v)", after.Action, after.Unguarded, after.Forensics, c.to, c.unguarded, c.forensics)
			}
			if (after.Window == nil) != c.wantNoWindow {
				t.Errorf("window %v", after.Window)
			}
			codes := codesOf(said)
			if c.code == "" && len(codes) != 0 || c.code != "" && !strings.Contains(codes, c.code) {
				t.Errorf("said %q, want %q", codes, c.code)
			}
			if len(after.Reasons) != len(before.Reasons)+len(said) {
				t.Errorf("%d reasons, want %d and %d", len(after.Reasons), len(before.Reasons), len(said))
			}
		})
	}
}

func codesOf(reasons []Reason) string {
	var out []string
	for _, r := range reasons {
		out = append(out, r.Code)
	}
	return strings.Join(out, " ")
}

// TestGuardNeverShortensNorHides holds for every combination: the guard only ever
// lengthens, and without an effect the guarded decision is the unguarded one.
func TestGuardNeverShortensNorHides(t *testing.T) {
	for _, name := range TableNames {
		table := builtin(t, name)
		for _, exploitation := range []string{"", NotExploited, PoC, Active} {
			for _, exposure := range []string{"", Small, Controlled, Open} {
				for _, impact := range []string{"", "partial", "total"} {
					for _, human := range []string{"", "low", "medium", "high", "very-high"} {
						for _, kev := range []bool{false, true} {
							in := guardInputs(Inputs{Exploitation: exploitation, Exposure: exposure, Impact: impact, HumanImpact: human, KEV: kev, Automatable: "no"}, vuln.Exec)
							d := table.Decide(in.Inputs)
							last := 99
							for _, e := range []Effect{None, Limited, Contained, Prevented} {
								g, _ := table.Guarded(d, Coverage{Effect: e}, in)
								u := Urgency(g.Action)
								if u < 0 || u > last || Urgency(g.Unguarded) < u {
									t.Fatalf("%s %s %s: %s, unguarded %s", name, d.Row, e, g.Action, g.Unguarded)
								}
								if e == None && g.Action != g.Unguarded {
									t.Fatalf("%s %s: %s without effect, unguarded %s", name, d.Row, g.Action, g.Unguarded)
								}
								if d.Forensics && !g.Forensics {
									t.Fatalf("%s %s %s: forensics lost", name, d.Row, e)
								}
								last = u
							}
						}
					}
				}
			}
		}
	}
}

func TestActionsOfBothTablesRankOnOneScale(t *testing.T) {
	for _, name := range TableNames {
		for i, c := range builtin(t, name).Actions {
			if u := Urgency(c.Action); u != i {
				t.Errorf("%s: urgency %d, stands at %d", c.Action, u, i)
			}
		}
	}
	ssvc, bod := builtin(t, "ssvc"), builtin(t, "bod-26-04")
	for _, a := range ssvc.Actions {
		for _, b := range bod.Actions {
			if (Urgency(a.Action) == Urgency(b.Action)) && a.Days != b.Days {
				t.Errorf("%s and %s rank equal with %d and %d days", a.Action, b.Action, a.Days, b.Days)
			}
		}
	}
	if Urgency("soon") != -1 {
		t.Error("an unknown action has a rank")
	}
	if a, err := ParseAction("3-days"); a != Days3 || err != nil {
		t.Error(a, err)
	}
	if _, err := ParseAction("Imediate"); err == nil || !strings.Contains(err.Error(), `did you mean "immediate"`) {
		t.Error(err)
	}
	if _, err := BuiltinTable("svc"); err == nil || !strings.Contains(err.Error(), `did you mean "ssvc"`) {
		t.Error(err)
	}
}

func TestFindingsAreOrderedByUrgencyThenEvidenceThenPrediction(t *testing.T) {
	order := []Finding{
		{ID: "a", Decision: Immediate, Exploitation: NotExploited},
		{ID: "b", Decision: OutOfCycle, KEV: true, Exploitation: Active, Exposure: Small},
		{ID: "c", Decision: OutOfCycle, Exploitation: Active, Exposure: Small},
		{ID: "d", Decision: Days14, Exploitation: PoC, Exposure: Open},
		{ID: "e", Decision: OutOfCycle, Exploitation: PoC, Exposure: Controlled, EPSS: 0.9},
		{ID: "f", Decision: OutOfCycle, Exploitation: PoC, Exposure: Controlled, EPSS: 0.1, Score: 5},
		{ID: "g", Decision: OutOfCycle, Exploitation: PoC, Exposure: Controlled, Score: 9.8},
		{ID: "h", Decision: OutOfCycle, Exploitation: PoC, Exposure: Controlled, Score: 9.8},
		{ID: "i", Decision: Defer, EPSS: 0.99, Score: 10},
	}
	for i := range order {
		for j := range order {
			if Less(&order[i], &order[j]) != (i < j) {
				t.Errorf("Less(%s, %s) is %v", order[i].ID, order[j].ID, i >= j)
			}
		}
	}
}

func TestTablesAreReadStrictly(t *testing.T) {
	good, err := os.ReadFile("tables/ssvc.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ old, new, want string }{
		"an unknown key":            {`"floor":`, `"flor":`, `unknown key "flor": did you mean "floor"`},
		"no JSON":                   {`"inputs": [`, `"inputs": [,`, "line 5"},
		"a wrong kind":              {`"days": 60`, `"days": "60"`, "line 14"},
		"something behind":          {"\"floor\": \"out-of-cycle\"\n}", "\"floor\": \"out-of-cycle\"\n} {}", "something follows"},
		"a word not declared":       {`"if": ["poc", "open", "no"]`, `"if": ["poc", "opne", "no"]`, `did you mean "open"`},
		"a row missing":             {`    {"if": ["poc", "open", "no"], "then": ["scheduled", "scheduled", "scheduled", "out-of-cycle"]},` + "\n", "", "no row decides exploitation=poc, exposure=open, automatable=no, human-impact=low"},
		"a row twice":               {`"if": ["poc", "open", "no"]`, `"if": ["poc", "open", "yes"]`, "decided twice"},
		"a short row":               {`"then": ["defer", "defer", "scheduled", "scheduled"]`, `"then": ["defer"]`, "row 1: it needs 3 words"},
		"an action not declared":    {`"then": ["defer", "defer", "scheduled", "scheduled"]`, `"then": ["defer", "defer", "scheduled", "3-days"]`, `"3-days" is none of its actions`},
		"an action nobody knows":    {`{"action": "defer"}`, `{"action": "later"}`, `"later" is no decision`},
		"clocks in the wrong order": {`"days": 60`, `"days": 6`, "least urgent comes first"},
		"an action twice":           {`{"action": "defer"}`, `{"action": "immediate"}`, "twice"},
		"an unknown input":          {`"name": "exposure"`, `"name": "exposuer"`, `did you mean "exposure"`},
		"an unknown unknown":        {`"unknown": "very-high"`, `"unknown": "huge"`, `unknown is "huge"`},
		"an effect missing":         {`"contained": 1, `, ``, `"contained" must be given`},
		"an effect nobody knows":    {`"contained": 1, `, `"contained": 1, "hidden": 3, `, `"hidden" is no effect`},
		"none moves":                {`"none": 0`, `"none": 1`, "must be 0"},
		"a negative step":           {`"contained": 1`, `"contained": -1`, "0 or more"},
		"a floor nobody knows":      {`"floor": "out-of-cycle"`, `"floor": "never"`, "floor"},
		"no name":                   {`"name": "ssvc"`, `"name": ""`, "no name"},
	} {
		bad := strings.Replace(string(good), c.old, c.new, 1)
		if bad == string(good) {
			t.Fatalf("%s: nothing replaced", name)
		}
		if _, err := LoadTable(strings.NewReader(bad)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

func TestAnEditedTableDecidesAsEdited(t *testing.T) {
	data, err := os.ReadFile("tables/ssvc.json")
	if err != nil {
		t.Fatal(err)
	}
	table, err := LoadTable(bytes.NewReader(bytes.Replace(data, []byte(`"days": 14`), []byte(`"days": 7`), 1)))
	if err != nil {
		t.Fatal(err)
	}
	d := table.Decide(Inputs{})
	if d.Action != OutOfCycle || *d.Window != 7*24*time.Hour {
		t.Errorf("%s in %v", d.Action, d.Window)
	}
}

func FuzzLoadTable(f *testing.F) {
	for _, name := range TableNames {
		data, err := os.ReadFile("tables/" + name + ".json")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"name":"x","inputs":[{"name":"kev","values":["no"],"unknown":"no"}],"actions":[{"action":"defer"}],"rows":[{"if":[],"then":["defer"]}],"steps":{"prevented":2,"contained":1,"limited":0,"none":0},"floor":"defer"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		table, err := LoadTable(bytes.NewReader(data))
		if err != nil {
			return
		}
		d := table.Decide(Inputs{})
		for _, e := range Effects {
			if g, _ := table.Guarded(d, Coverage{Effect: e}, guardInputs(Inputs{}, vuln.Exec)); table.place(g.Action) < 0 {
				t.Errorf("decided %q, which the table has not", g.Action)
			}
		}
	})
}
