package cli

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kannuki/kannuki/command"
	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/identity"
	"github.com/kannuki/kannuki/internal/jsonout"
	"github.com/kannuki/kannuki/lang"
	"github.com/kannuki/kannuki/policy"
	"github.com/kannuki/kannuki/textpage"
)

func (a *app) tokenCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "token",
		Short:   a.T("cli.token.short"),
		Long:    a.T("cli.token.long"),
		Example: "  kannuki token key ops-2026\n  kannuki token sign --key ops-2026.key --host ID --may unlock > unlock.token\n  kannuki token show unlock.token",
		Args:    a.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.tokenKeyCommand(), a.tokenSignCommand(), a.tokenShowCommand())
	return cmd
}

// keyName is the form of a key's name, as policies take it.
var keyName = regexp.MustCompile(policy.Forms()["word"].Pattern)

// keyFile is a key as its owner is told about it.
type keyFile struct {
	Name string `json:"name,omitempty"`
	Key  string `json:"key"` // the public one, as a policy names it
	ID   string `json:"id"`
	File string `json:"file"` // of the private one
}

func (a *app) tokenKeyCommand() *cobra.Command {
	var asJSON bool
	var out string
	cmd := &cobra.Command{
		Use:     "key NAME",
		Short:   a.T("cli.token.key.short"),
		Long:    a.T("cli.token.key.long"),
		Example: "  kannuki token key ops-2026\n  kannuki token key ops-2026 --out /media/safe/ops-2026.key",
		Args:    a.OneArg("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !keyName.MatchString(args[0]) {
				return command.Usagef(cmd, "%s", a.T("cli.token.name", args[0]))
			}
			if out == "" {
				out = args[0] + ".key"
			}
			k, err := a.makeKey(args[0], out)
			switch {
			case err != nil:
				return err
			case asJSON:
				return jsonout.Write(a.Stdout, k)
			}
			a.Say(a.T("cli.token.key.made", out))
			_, err = io.WriteString(a.Stdout, policyLines(k))
			return err
		},
	}
	cmd.Flags().StringVar(&out, "out", "", a.T("cli.token.flag.out"))
	cmd.Flags().BoolVar(&asJSON, "json", false, a.T("cli.flag.json"))
	return cmd
}

// makeKey writes a new key to a file that was not there, for its owner alone.
func (a *app) makeKey(name, file string) (keyFile, error) {
	key, err := identity.NewKey(rand.Reader)
	if err != nil {
		return keyFile{}, err
	}
	text, err := key.PEM()
	if err != nil {
		return keyFile{}, err
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return keyFile{}, errors.New(a.T("cli.token.key.exists", file))
	}
	if err != nil {
		return keyFile{}, err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return keyFile{}, errors.Join(err, os.Remove(file)) // half a key is none
	}
	return described(name, key, file), nil
}

func described(name string, key identity.PrivateKey, file string) keyFile {
	return keyFile{Name: name, Key: key.Public().String(), ID: key.Public().ID(), File: file}
}

// policyLines is what a policy needs of a key.
func policyLines(k keyFile) string {
	name := k.Name
	if name == "" {
		name = "NAME"
	}
	return fmt.Sprintf("self:\n  token: on\n  keys:\n    - name: %s\n      key: %s\n", name, k.Key)
}

// wishes are what token sign is asked for.
type wishes struct {
	key, host, reason string
	may, controls     []string
	longest, valid    time.Duration
}

// defaultValid is how long a token is good where nobody says.
const defaultValid = time.Hour

func (a *app) tokenSignCommand() *cobra.Command {
	var w wishes
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "sign --key FILE --host ID --may ACTION",
		Short: a.T("cli.token.sign.short"),
		Long:  a.T("cli.token.sign.long"),
		Example: "  kannuki token sign --key ops-2026.key --host ID --may unlock > unlock.token\n" +
			"  kannuki token sign --key a.key --host ID --may observe --control launch\n" +
			"  kannuki token sign --key a.key --host ID --may unlock --longest 15m",
		Args: a.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			t, err := a.wished(cmd, w)
			if err != nil {
				return err
			}
			key, err := a.privateKey(w.key)
			if err != nil {
				return err
			}
			text, err := t.Sign(key, rand.Reader)
			if err != nil {
				return err
			}
			return a.signed(text, asJSON)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&w.key, "key", "", a.T("cli.token.flag.key"))
	flags.StringVar(&w.host, "host", "", a.T("cli.token.flag.host"))
	flags.StringSliceVar(&w.may, "may", nil, a.T("cli.token.flag.may", a.List(actionNames())))
	flags.StringSliceVar(&w.controls, "control", nil, a.T("cli.token.flag.control"))
	flags.DurationVar(&w.longest, "longest", 0, a.T("cli.token.flag.longest"))
	flags.DurationVar(&w.valid, "valid", defaultValid, a.T("cli.token.flag.valid"))
	flags.StringVar(&w.reason, "reason", "", a.T("cli.token.flag.reason"))
	flags.BoolVar(&asJSON, "json", false, a.T("cli.flag.json"))
	command.Choices(cmd, "may", actionNames()...)
	command.Choices(cmd, "control", controlNames()...)
	return cmd
}

func actionNames() []string {
	var out []string
	for _, action := range identity.Actions() {
		out = append(out, string(action))
	}
	return out
}

func controlNames() []string {
	var out []string
	for _, c := range policy.Controls() {
		out = append(out, string(c))
	}
	return out
}

// wished is the token that is asked for.
func (a *app) wished(cmd *cobra.Command, w wishes) (identity.Token, error) {
	usage := func(key string, args ...any) (identity.Token, error) {
		return identity.Token{}, command.Usagef(cmd, "%s", a.T(key, args...))
	}
	for _, f := range []struct{ name, value, what string }{
		{"--key", w.key, "ops-2026.key"}, {"--host", w.host, "kannuki-agent token"}, {"--may", strings.Join(w.may, ""), a.List(actionNames())},
	} {
		if f.value == "" {
			return usage("cli.token.wants", f.name, f.what)
		}
	}
	if !identity.HostForm(w.host) {
		return usage("cli.token.bad-host", w.host)
	}
	if w.valid <= 0 || w.valid > identity.MaxLife {
		return usage("cli.token.bad-valid", "--valid", w.valid.String(), identity.MaxLife.String())
	}
	if w.longest < 0 || w.longest > identity.MaxLife || w.longest%time.Second != 0 {
		return usage("cli.token.bad-valid", "--longest", w.longest.String(), identity.MaxLife.String())
	}
	t := identity.Token{Host: w.host, From: a.Now(), Until: a.Now().Add(w.valid), Longest: int(w.longest / time.Second), Reason: w.reason}
	for _, m := range w.may {
		if !slices.Contains(actionNames(), m) {
			return usage("cli.unknown-value", "--may", m, a.List(actionNames()))
		}
		t.May = append(t.May, identity.Action(m))
	}
	for _, c := range w.controls {
		if !slices.Contains(controlNames(), c) {
			return usage("cli.token.bad-control", c, a.List(controlNames()))
		}
		t.Controls = append(t.Controls, host.Control(c))
	}
	return t, nil
}

// privateKey reads a key, and refuses one that others can read too: they may have it.
func (a *app) privateKey(file string) (identity.PrivateKey, error) {
	info, err := os.Stat(file)
	if err != nil {
		return identity.PrivateKey{}, err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return identity.PrivateKey{}, errors.New(a.T("cli.token.loose", file, fmt.Sprintf("%04o", mode)))
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return identity.PrivateKey{}, err
	}
	key, err := identity.ParsePrivateKey(text)
	if err != nil {
		return key, errors.New(a.T("cli.token.no-key", file, err.Error()))
	}
	return key, nil
}

// signed prints a token, and tells a person what it is good for.
func (a *app) signed(text string, asJSON bool) error {
	s, err := identity.Parse(text)
	if err != nil {
		return a.TokenError(err)
	}
	if asJSON {
		return jsonout.Write(a.Stdout, struct {
			Text  string         `json:"text"`
			Token identity.Token `json:"token"`
		}{text, s.Token})
	}
	a.Say(a.T("cli.token.signed"))
	pg := textpage.New(a.Stderr, a.Printer, a.page())
	a.tokenRows(pg, s.Token)
	_, err = fmt.Fprintln(a.Stdout, text)
	return errors.Join(pg.Err(), err)
}

func (a *app) tokenRows(pg *textpage.Page, t identity.Token) {
	for _, row := range a.TokenRows(t) {
		pg.Item(0, "  "+lang.Pad(row[0], 8), row[1])
	}
}

func (a *app) tokenShowCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "show FILE",
		Short:   a.T("cli.token.show.short"),
		Long:    a.T("cli.token.show.long"),
		Example: "  kannuki token show unlock.token\n  kannuki token show ops-2026.key",
		Args:    a.OneArg("FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			text, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			if strings.Contains(string(text), "-----BEGIN") {
				return a.showKey(args[0], asJSON)
			}
			s, err := identity.Parse(string(text))
			switch {
			case err != nil:
				return a.TokenError(err)
			case asJSON:
				return jsonout.Write(a.Stdout, s.Token)
			}
			pg := textpage.New(a.Stdout, a.Printer, a.page())
			a.tokenRows(pg, s.Token)
			return pg.Err()
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, a.T("cli.flag.json"))
	return cmd
}

// showKey prints the public part of a private key.
func (a *app) showKey(file string, asJSON bool) error {
	key, err := a.privateKey(file)
	if err != nil {
		return err
	}
	k := described("", key, file)
	if asJSON {
		return jsonout.Write(a.Stdout, k)
	}
	_, err = io.WriteString(a.Stdout, policyLines(k))
	return err
}
