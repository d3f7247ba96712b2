package cli

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kannuki/kannuki/command"
	"github.com/kannuki/kannuki/lang"
	"github.com/kannuki/kannuki/policy"
	"github.com/kannuki/kannuki/policyexport"
	"github.com/kannuki/kannuki/policyfile"
)

func (a *app) policyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "policy",
		Short:   a.T("cli.policy.short"),
		Long:    a.T("cli.policy.long"),
		Example: "  kannuki policy export standard --target appcontrol > standard.xml",
		Args:    a.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.policyExportCommand())
	return cmd
}

// exportFormats are the forms of each target, the usual one first.
var exportFormats = map[string][]string{"appcontrol": {"xml", "json"}, "asr": {"powershell", "intune", "json"}}

type exportOptions struct {
	target, format string
	places         []string
	noWriteCheck   bool
}

func (a *app) policyExportCommand() *cobra.Command {
	var opt exportOptions
	cmd := &cobra.Command{
		Use:   "export POLICY",
		Short: a.T("cli.policy.export.short"),
		Long:  a.T("cli.policy.export.long"),
		Example: "  kannuki policy export standard --target appcontrol > standard.xml\n" +
			"  kannuki policy export standard --target appcontrol --place \"/var/www=D:\\web\"\n" +
			"  kannuki policy export observe --target asr > asr.ps1\n" +
			"  kannuki policy export standard --target asr --format intune",
		Args: a.OneArg("POLICY"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.policyExport(cmd, args[0], opt) },
	}
	flags := cmd.Flags()
	flags.StringVar(&opt.target, "target", "", a.T("cli.flag.target"))
	flags.StringVar(&opt.format, "format", "", a.T("cli.flag.export-format"))
	flags.StringArrayVar(&opt.places, "place", nil, a.T("cli.flag.place"))
	flags.BoolVar(&opt.noWriteCheck, "no-write-check", false, a.T("cli.flag.no-write-check"))
	command.Choices(cmd, "target", policyexport.Targets...)
	command.Choices(cmd, "format", "xml", "powershell", "intune", "json")
	return cmd
}

func (a *app) policyExport(cmd *cobra.Command, arg string, opt exportOptions) error {
	if !slices.Contains(policyexport.Targets, opt.target) {
		return command.Usagef(cmd, "%s", a.T("cli.unknown-value", "--target", opt.target, a.List(policyexport.Targets)))
	}
	formats := exportFormats[opt.target]
	if opt.format == "" {
		opt.format = formats[0]
	}
	if !slices.Contains(formats, opt.format) {
		return command.Usagef(cmd, "%s", a.T("cli.unknown-value", "--format", opt.format, a.List(formats)))
	}
	p, err := a.policyOf(arg)
	if err != nil {
		return err
	}
	places, err := a.places(cmd, p, opt)
	if err != nil {
		return err
	}
	options := policyexport.Options{Places: places, NoWriteCheck: opt.noWriteCheck, Now: a.Now()}
	if opt.target == "asr" {
		return a.exportReduction(policyexport.AttackSurface(p, options), opt.format)
	}
	return a.exportCodeIntegrity(policyexport.AppControl(p, options), opt.format)
}

// policyOf reads a policy: the built-in one of that name, "-" for standard input, else
// a file. Its mistakes are told one by one.
func (a *app) policyOf(arg string) (policy.Policy, error) {
	if slices.Contains(policyfile.BuiltinNames(), arg) {
		return policyfile.Builtin(arg)
	}
	text, err := a.policyText(arg)
	if err != nil {
		return policy.Policy{}, err
	}
	p, err := policyfile.Parse(strings.NewReader(text), arg)
	if mistakes := policyfile.Mistakes(err); len(mistakes) > 0 {
		for _, m := range mistakes {
			a.Say(m.Error())
		}
		return p, errors.New(a.T("cli.policy.unfit", len(mistakes)))
	}
	return p, err
}

func (a *app) policyText(arg string) (string, error) {
	if arg == "-" {
		text, err := io.ReadAll(a.Stdin)
		return string(text), err
	}
	text, err := os.ReadFile(arg)
	if errors.Is(err, fs.ErrNotExist) && !strings.ContainsAny(arg, "./") {
		return "", errors.New(a.T("cli.policy.unknown", arg, a.List(policyfile.BuiltinNames())))
	}
	return string(text), err
}

// places reads --place PLACE=FOLDER.
func (a *app) places(cmd *cobra.Command, p policy.Policy, opt exportOptions) (map[string]string, error) {
	places := map[string]string{}
	for _, arg := range opt.places {
		place, folder, ok := strings.Cut(arg, "=")
		if !ok || place == "" {
			return nil, command.Usagef(cmd, "%s", a.T("cli.policy.place-form", arg))
		}
		if before, twice := places[place]; twice {
			return nil, command.Usagef(cmd, "%s", a.T("cli.policy.place-twice", place, before, folder))
		}
		places[place] = folder
	}
	var wrong *policyexport.PlaceError
	if errors.As(policyexport.CheckPlaces(p, opt.target, places), &wrong) {
		if wrong.Wrong == "form" {
			return nil, command.Usagef(cmd, "%s", a.T("cli.policy.place-form", wrong.Place+"="+wrong.Folder))
		}
		return nil, command.Usagef(cmd, "%s", a.T("cli.policy.place-"+wrong.Wrong, wrong.Place, wrong.Folder, wrong.Near, opt.target))
	}
	return places, nil
}

// gapText is a gap in the reader's language.
func (a *app) gapText(g policyexport.Gap) string {
	args := make([]any, len(g.Args))
	for i, arg := range g.Args {
		args[i] = arg
		if a.Has("control." + arg) {
			args[i] = a.T("control." + arg)
		} else if a.Has("cli.policy.mode." + arg) {
			args[i] = a.T("cli.policy.mode." + arg)
		}
	}
	return a.T(g.Code, args...)
}

// exportWords are what the files say to people, in lines that fit their page.
func (a *app) exportWords(head ...string) policyexport.Words {
	const width = 76 // of 80, without what marks a comment
	return policyexport.Words{Head: head, Gap: a.gapText, Wrap: func(text string) []string {
		if strings.HasPrefix(text, convertCommand) { // to be copied as it is
			return []string{text}
		}
		return lang.Wrap(text, width)
	}}
}

const convertCommand = "ConvertFrom-CIPolicy"

func (a *app) exportCodeIntegrity(c policyexport.CodeIntegrity, format string) error {
	if format == "json" {
		return c.WriteJSON(a.Stdout, a.exportWords())
	}
	a.Say(a.T("cli.policy.exported", len(c.Paths), len(c.Denied), len(c.Gaps)))
	return c.WriteXML(a.Stdout, a.exportWords(a.T("export.head.appcontrol", c.Policy, a.Now().Format(time.DateOnly)),
		a.T("export.head.convert"), convertCommand+" -XmlFilePath policy.xml -BinaryFilePath '"+c.ID+".cip'",
		a.T("export.head.deploy", `C:\Windows\System32\CodeIntegrity\CiPolicies\Active`), a.T("export.head.gaps")))
}

func (a *app) exportReduction(r policyexport.Reduction, format string) error {
	title := a.T("export.head.asr", r.Policy, a.Now().Format(time.DateOnly))
	switch format {
	case "json":
		return r.WriteJSON(a.Stdout, a.exportWords())
	case "intune":
		a.Say(a.T("cli.policy.exported-rules-only", len(r.Rules), len(r.Gaps)))
		return r.WriteIntune(a.Stdout, title)
	}
	a.Say(a.T("cli.policy.exported-rules", len(r.Rules), len(r.Gaps)))
	return r.WritePowerShell(a.Stdout, a.exportWords(title, a.T("export.head.run"), a.T("export.head.gaps")))
}
