package triage

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/kannuki/kannuki/internal/nearest"
)

//go:embed tables/*.json
var tableFiles embed.FS

// TableNames are the built-in decision tables, the default first.
var TableNames = []string{"ssvc", "bod-26-04"}

// Table is a decision table as data: every combination of its inputs has an action,
// every action a clock. Make one with BuiltinTable or LoadTable; it is immutable.
type Table struct {
	Name    string       `json:"name"`
	Title   string       `json:"title"`
	Source  string       `json:"source"`
	Inputs  []TableInput `json:"inputs"`
	Actions []Clock      `json:"actions"` // least urgent first
	// Rows give an action for each value of the last input; If holds a value of
	// every input before it.
	Rows []TableLine `json:"rows"`
	// Steps are how many clocks later each effect of the guard moves a decision.
	Steps map[Effect]int `json:"steps"`
	// Floor is the least urgent action for what is actively exploited and not covered.
	Floor Action `json:"floor"`

	cells []int // place in Actions, for every combination of inputs in order
}

// TableInput is one input: its words and the one taken when it is unknown.
type TableInput struct {
	Name    string   `json:"name"`
	Values  []string `json:"values"`
	Unknown string   `json:"unknown"`
	Why     string   `json:"why,omitempty"` // why Unknown is the cautious value
}

// Clock is an action and how long it gives.
type Clock struct {
	Action    Action `json:"action"`
	Days      int    `json:"days,omitempty"` // 0: no clock, with the regular upgrade
	Forensics bool   `json:"forensics,omitempty"`
}

// TableLine is one line of a table.
type TableLine struct {
	If   []string `json:"if"`
	Then []Action `json:"then"`
}

func (c *Clock) window() *time.Duration {
	if c.Days == 0 {
		return nil
	}
	w := time.Duration(c.Days) * 24 * time.Hour
	return &w
}

// BuiltinTable returns the table of that name; the error suggests the nearest one.
func BuiltinTable(name string) (*Table, error) {
	if !slices.Contains(TableNames, name) {
		return nil, fmt.Errorf("no decision table %q: did you mean %q? (built in: %s)", name, nearest.Word(name, TableNames), strings.Join(TableNames, ", "))
	}
	data, err := tableFiles.ReadFile("tables/" + name + ".json")
	if err != nil {
		return nil, err
	}
	t, err := LoadTable(bytes.NewReader(data))
	return &t, err
}

// LoadTable reads a table as JSON, strictly: an unknown key, a word used and not
// declared, a combination without a row or with two, are errors that say where.
func LoadTable(r io.Reader) (Table, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return Table{}, fmt.Errorf("decision table: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	var t Table
	if err := d.Decode(&t); err != nil {
		return Table{}, fmt.Errorf("decision table: %w", explainJSON(err, data, d.InputOffset()))
	}
	if _, err := d.Token(); err != io.EOF {
		return Table{}, fmt.Errorf("decision table %q: something follows the table at line %d", t.Name, lineOf(data, d.InputOffset()))
	}
	if err := t.check(); err != nil {
		return Table{}, fmt.Errorf("decision table %q: %w", t.Name, err)
	}
	return t, nil
}

var tableKeys = []string{"name", "title", "source", "inputs", "actions", "rows", "steps", "floor", "values", "unknown", "why", "action", "days",
	"forensics", "if", "then"}

// explainJSON adds the line, and for an unknown key the nearest known one.
func explainJSON(err error, data []byte, offset int64) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	if errors.As(err, &syntax) {
		offset = syntax.Offset
	} else if errors.As(err, &kind) {
		offset = kind.Offset
	}
	if key, ok := strings.CutPrefix(err.Error(), `json: unknown field "`); ok {
		key = strings.TrimSuffix(key, `"`)
		if at := bytes.Index(data, []byte(`"`+key+`"`)); at >= 0 {
			offset = int64(at)
		}
		return fmt.Errorf("line %d: unknown key %q: did you mean %q?", lineOf(data, offset), key, nearest.Word(key, tableKeys))
	}
	return fmt.Errorf("line %d: %w", lineOf(data, offset), err)
}

func lineOf(data []byte, offset int64) int {
	return 1 + bytes.Count(data[:min(max(offset, 0), int64(len(data)))], []byte("\n"))
}

// check validates t and fills its cells.
func (t *Table) check() error {
	if t.Name == "" {
		return errors.New("it has no name")
	}
	if err := t.checkInputs(); err != nil {
		return err
	}
	if err := t.checkActions(); err != nil {
		return err
	}
	for _, e := range Effects {
		if n, ok := t.Steps[e]; !ok || n < 0 {
			return fmt.Errorf("steps: %q must be given, 0 or more", e)
		}
	}
	for e := range t.Steps {
		if !slices.Contains(Effects, e) {
			return fmt.Errorf("steps: %q is no effect: did you mean %q?", e, nearest.Word(string(e), words(Effects)))
		}
	}
	if t.Steps[None] != 0 {
		return errors.New("steps: \"none\" covers nothing and moves nothing: it must be 0")
	}
	if t.place(t.Floor) < 0 {
		return fmt.Errorf("floor: %q is none of its actions", t.Floor)
	}
	return t.fill()
}

func (t *Table) checkInputs() error {
	if len(t.Inputs) == 0 {
		return errors.New("it has no inputs")
	}
	cells := 1
	for i, in := range t.Inputs {
		if !slices.Contains(inputNames, in.Name) {
			return fmt.Errorf("input %d: %q is not known: did you mean %q? (one of %s)", i+1, in.Name, nearest.Word(in.Name, inputNames), strings.Join(inputNames, ", "))
		}
		if slices.ContainsFunc(t.Inputs[:i], func(o TableInput) bool { return o.Name == in.Name }) {
			return fmt.Errorf("input %q is there twice", in.Name)
		}
		if len(in.Values) == 0 || hasTwice(in.Values) || slices.Contains(in.Values, "") {
			return fmt.Errorf("input %q: its values must be there, once each", in.Name)
		}
		if !slices.Contains(in.Values, in.Unknown) {
			return fmt.Errorf("input %q: unknown is %q, which is none of its values", in.Name, in.Unknown)
		}
		if cells *= len(in.Values); cells > 10_000 {
			return errors.New("its inputs have more than 10,000 combinations")
		}
	}
	t.cells = slices.Repeat([]int{-1}, cells)
	return nil
}

// checkActions wants known actions whose clocks get shorter.
func (t *Table) checkActions() error {
	if len(t.Actions) == 0 {
		return errors.New("it has no actions")
	}
	for i, c := range t.Actions {
		if _, err := ParseAction(string(c.Action)); err != nil {
			return fmt.Errorf("action %d: %w", i+1, err)
		}
		if t.place(c.Action) != i {
			return fmt.Errorf("action %q is there twice", c.Action)
		}
		if c.Days < 0 || c.Days > 3650 {
			return fmt.Errorf("action %q: %d days is no clock", c.Action, c.Days)
		}
		if i > 0 && t.Actions[i-1].Days != 0 && (c.Days == 0 || c.Days > t.Actions[i-1].Days) {
			return fmt.Errorf("action %q: its clock is longer than that of %q before it; the least urgent comes first", c.Action, t.Actions[i-1].Action)
		}
	}
	return nil
}

// fill puts every row into the cells: one action for every combination, no more.
func (t *Table) fill() error {
	last := t.Inputs[len(t.Inputs)-1]
	for i, row := range t.Rows {
		if len(row.If) != len(t.Inputs)-1 || len(row.Then) != len(last.Values) {
			return fmt.Errorf("row %d: it needs %d words in \"if\" and %d actions in \"then\" (one for each %s)",
				i+1, len(t.Inputs)-1, len(last.Values), last.Name)
		}
		cell := 0
		for k, word := range row.If {
			at := slices.Index(t.Inputs[k].Values, word)
			if at < 0 {
				return fmt.Errorf("row %d: %q is no value of %s: did you mean %q?", i+1, word, t.Inputs[k].Name, nearest.Word(word, t.Inputs[k].Values))
			}
			cell = cell*len(t.Inputs[k].Values) + at
		}
		for k, a := range row.Then {
			place := t.place(a)
			if place < 0 {
				return fmt.Errorf("row %d: %q is none of its actions", i+1, a)
			}
			at := cell*len(last.Values) + k
			if t.cells[at] >= 0 {
				return fmt.Errorf("row %d: %s is decided twice", i+1, strings.Join(row.If, ", "))
			}
			t.cells[at] = place
		}
	}
	if at := slices.Index(t.cells, -1); at >= 0 {
		return fmt.Errorf("no row decides %s", t.combination(at))
	}
	return nil
}

// combination names the inputs of one cell.
func (t *Table) combination(cell int) string {
	out := make([]string, len(t.Inputs))
	for i := len(t.Inputs) - 1; i >= 0; i-- {
		n := len(t.Inputs[i].Values)
		out[i] = t.Inputs[i].Name + "=" + t.Inputs[i].Values[cell%n]
		cell /= n
	}
	return strings.Join(out, ", ")
}

// place is where an action stands on the ladder, or -1.
func (t *Table) place(a Action) int {
	return slices.IndexFunc(t.Actions, func(c Clock) bool { return c.Action == a })
}

// rung counts clocks: actions with the same number of days stand on one rung.
func (t *Table) rung(place int) int {
	n := 0
	for i := 1; i <= place; i++ {
		if t.Actions[i].Days != t.Actions[i-1].Days {
			n++
		}
	}
	return n
}

// later is the place steps rungs below from, or the least urgent; on its rung the
// most urgent action, but none that asks for more than a clock.
func (t *Table) later(from, steps int) int {
	if steps == 0 {
		return from
	}
	want := max(0, t.rung(from)-steps)
	best := from
	for i := from; i >= 0; i-- {
		if t.rung(i) == want && (t.rung(best) != want || t.Actions[best].Forensics) {
			best = i
		}
	}
	return best
}

func hasTwice(list []string) bool {
	for i, s := range list {
		if slices.Contains(list[:i], s) {
			return true
		}
	}
	return false
}

func words[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = string(s)
	}
	return out
}
