package scenario

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/kannuki/kannuki/host"
)

// Block is one attack or one piece of work.
type Block struct {
	File string // and line, where it begins
	Line int

	ID        string // "G07"; empty for work
	Technique string // ATT&CK
	Title     string

	At      string // below which directory $DIR is made
	Vary    []Way
	Prepare []string // shell lines, root, before the guard
	Before  []string // shell lines, root, right before the step
	StandIn []string // the same, only where there is no guard
	Do      []string // operations, or a session's shell lines
	Shows   []string // shell conditions, all of which hold where it came off
	Undo    []string // shell lines, root, once it came off
	As      string   // who works
	Event   string   // what the event's path contains; AnyEvent
	Unseen  string   // why there is no event

	Refused []string // actors
	By      []host.Control
	Works   []string // actors
	Known   []Known  // documented refusals of work
}

// AnyEvent stands after "event" where what is refused has no path.
const AnyEvent = "any"

// Known is a refusal that work meets and gets over, documented.
type Known struct {
	Control host.Control
	Path    string // contained in the event's path
}

// Way is one way to spell a path.
type Way struct {
	Name string // "plain", "symlink", "bind", "procroot", "hardlink", "deep"
	Deep int    // levels
}

func (w Way) String() string {
	if w.Name == "deep" {
		return fmt.Sprintf("deep %d", w.Deep)
	}
	return w.Name
}

// Actors of attacks.
const (
	WWWData       = "www-data"
	Root          = "root"
	Administrator = "administrator"
	Visitor       = "visitor"
)

// Actors are all of them, in the order they come on.
var Actors = []string{WWWData, Root, Administrator, Visitor}

// Workers may stand after "as".
var Workers = []string{"alice", "root", "system"}

var controls = []host.Control{host.Launch, host.Write, host.ProcessCtl, host.Utility, host.Containing, host.KernelCtl, host.Private, host.Self}

// ways by name, without "deep N".
var ways = []string{"plain", "symlink", "bind", "procroot", "hardlink"}

// Parse reads one file.
func Parse(name string, r io.Reader) ([]Block, error) {
	var blocks []Block
	lines := bufio.NewScanner(r)
	n := 0
	fail := func(err error) error { return fmt.Errorf("%s:%d: %w", name, n, err) }
	for lines.Scan() {
		n++
		line := lines.Text()
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if line[0] != ' ' && line[0] != '\t' {
			b, err := head(words)
			if err != nil {
				return nil, fail(err)
			}
			b.File, b.Line = name, n
			blocks = append(blocks, b)
			continue
		}
		if len(blocks) == 0 {
			return nil, fail(fmt.Errorf("%q stands before the first attack or work", words[0]))
		}
		text := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), words[0]))
		if err := blocks[len(blocks)-1].take(words[0], text); err != nil {
			return nil, fail(err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fail(err)
	}
	for _, b := range blocks {
		if err := b.check(); err != nil {
			return nil, fmt.Errorf("%s:%d: %s: %w", name, b.Line, b.Title, err)
		}
	}
	return blocks, nil
}

func head(words []string) (Block, error) {
	switch words[0] {
	case "attack":
		if len(words) < 4 || words[1][0] != 'G' || words[2][0] != 'T' {
			return Block{}, fmt.Errorf("an attack begins: attack G00 T0000 what it is")
		}
		return Block{ID: words[1], Technique: words[2], Title: strings.Join(words[3:], " "), At: "/tmp"}, nil
	case "work":
		if len(words) < 2 {
			return Block{}, fmt.Errorf("work begins: work what it is")
		}
		return Block{Title: strings.Join(words[1:], " "), At: "/tmp"}, nil
	}
	return Block{}, fmt.Errorf("%q is neither attack nor work; lines below one are indented", words[0])
}

// take adds one indented line.
func (b *Block) take(key, text string) error {
	if text == "" {
		return fmt.Errorf("%q has nothing after it", key)
	}
	switch key {
	case "at":
		b.At = text
	case "vary":
		return b.vary(text)
	case "prepare":
		b.Prepare = append(b.Prepare, text)
	case "before":
		b.Before = append(b.Before, text)
	case "stand-in":
		b.StandIn = append(b.StandIn, text)
	case "do":
		b.Do = append(b.Do, text)
	case "shows":
		b.Shows = append(b.Shows, text)
	case "undo":
		b.Undo = append(b.Undo, text)
	case "event":
		b.Event = text
	case "unseen":
		b.Unseen = text
	case "as":
		b.As = text
		return oneOf("worker", text, Workers)
	case "works":
		b.Works = strings.Fields(text)
		return allOf("actor", b.Works, Actors)
	case "refused":
		return b.refused(text)
	default:
		return fmt.Errorf("unknown word %q", key)
	}
	return nil
}

func (b *Block) vary(text string) error {
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		var w Way
		if _, err := fmt.Sscanf(part, "deep %d", &w.Deep); err == nil && w.Deep > 0 {
			w.Name = "deep"
		} else if err := oneOf("way", part, ways); err != nil {
			return err
		} else {
			w.Name = part
		}
		b.Vary = append(b.Vary, w)
	}
	return nil
}

func (b *Block) refused(text string) error {
	if b.ID == "" {
		control, path, ok := strings.Cut(text, " ")
		if !ok {
			return fmt.Errorf("work's documented refusal is: refused CONTROL PATH")
		}
		b.Known = append(b.Known, Known{host.Control(control), strings.TrimSpace(path)})
		return oneOf("control", host.Control(control), controls)
	}
	actors, by, ok := strings.Cut(text, " by ")
	if !ok {
		return fmt.Errorf("refused needs to say by which control: refused root by write")
	}
	b.Refused = strings.Fields(actors)
	for word := range strings.FieldsSeq(strings.ReplaceAll(by, ",", " ")) {
		b.By = append(b.By, host.Control(word))
	}
	if err := allOf("actor", b.Refused, Actors); err != nil {
		return err
	}
	return allOf("control", b.By, controls)
}

func oneOf[T ~string](what string, word T, known []T) error {
	if slices.Contains(known, word) {
		return nil
	}
	return fmt.Errorf("unknown %s %q; there are %v", what, word, known)
}

func allOf[T ~string](what string, words, known []T) error {
	for _, w := range words {
		if err := oneOf(what, w, known); err != nil {
			return err
		}
	}
	return nil
}

// check finds what a block lacks.
func (b Block) check() error {
	switch {
	case len(b.Do) == 0:
		return fmt.Errorf("nothing is done: it needs a line do")
	case len(b.Shows) == 0:
		return fmt.Errorf("nothing shows that it came off: it needs a line shows")
	case b.ID == "" && b.As == "":
		return fmt.Errorf("work needs to say who does it: as alice")
	case b.ID != "" && len(b.Refused)+len(b.Works) == 0:
		return fmt.Errorf("an attack needs a line refused or works")
	case b.ID == "" && len(b.Before)+len(b.StandIn)+len(b.Undo) > 0:
		return fmt.Errorf("before, stand-in and undo are for attacks; work has prepare")
	}
	for _, a := range b.Refused {
		if slices.Contains(b.Works, a) {
			return fmt.Errorf("%s is refused and works", a)
		}
	}
	if b.ID == "" {
		return nil
	}
	for _, do := range b.Do {
		if _, err := Words(do); err != nil {
			return err
		}
	}
	return nil
}

// Words splits an operation as a shell would: at blanks, but for what stands in quotes.
func Words(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	open, began := rune(0), false
	for _, c := range line {
		switch {
		case open != 0 && c == open:
			open = 0
		case open == 0 && (c == '\'' || c == '"'):
			open, began = c, true
		case open == 0 && (c == ' ' || c == '\t'):
			if began {
				words = append(words, word.String())
			}
			word.Reset()
			began = false
		default:
			word.WriteRune(c)
			began = true
		}
	}
	if open != 0 {
		return nil, fmt.Errorf("the quote %c is not closed in %q", open, line)
	}
	if began {
		words = append(words, word.String())
	}
	if len(words) == 0 {
		return nil, fmt.Errorf("no operation in %q", line)
	}
	return words, nil
}
