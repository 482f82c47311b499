// Package cli is the command line: words in, words out. Verbs, flags, JSON fields and exit statuses are a contract that
// docs/commands.md states. It holds no rule of its own: what may happen is decided by the packages it calls.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sluice/assets"
	"sluice/hwprobe"
	"sluice/inference"
	"sluice/installer"
	"sluice/internal/awake"
	"sluice/internal/fault"
	"sluice/internal/progress"
)

// Env is the world that a run sees: nothing is taken from anywhere else.
type Env struct {
	Args    []string // without the program's name
	Stdin   *os.File
	Stdout  io.Writer
	Stderr  io.Writer
	Getenv  func(string) string
	Now     func() time.Time
	Rand    io.Reader
	Name    string                              // how the program was called, for commands to paste; empty: "sluice"
	Program string                              // absolute path of the running program
	Version string                              // of this build
	Built   time.Time                           // of this build; zero when unknown
	Window  func(context.Context, Window) error // opens the window until it is closed; nil: this build has none
	Awake   func(why string) (func(), bool)     // keeps the computer from sleeping; nil: awake.Hold
}

// Window is what the command line knows when a program is started without a verb.
type Window struct {
	Root            string
	Lang            string // as --lang named it; empty: the system's
	EngineLib       string
	EngineLibSHA384 string
	Args            []string // the same as flags, for a program that opens the window in our place

	// NewInstaller opens the installation at a root as every verb does.
	NewInstaller func(root, operator string, p progress.Func) (*installer.Installer, error)
}

// app is one run of the program.
type app struct {
	env  Env
	lang assets.Lang
	out  *output

	// Common flags.
	json         bool
	quiet        bool
	progress     string
	root         string
	langFlag     string
	engineLib    string
	engineDigest string
}

// Run carries out one command and returns the process's exit status.
func Run(ctx context.Context, env Env) int {
	if len(env.Args) > 0 && env.Args[0] == inference.Verb {
		return inference.ChildMain(env.Stdin, inference.ResultFile())
	}
	if len(env.Args) > 0 && env.Args[0] == hwprobe.Verb {
		return hwprobe.ChildMain(env.Stdin, hwprobe.ResultFile())
	}
	if env.Awake == nil {
		env.Awake = awake.Hold
	}
	a := &app{env: env, lang: chooseLang(env)}
	a.out = &output{app: a, w: env.Stdout, errw: env.Stderr}
	// Known before flags are parsed, so that a usage error is an object too.
	for _, arg := range env.Args {
		if arg == "--json" || arg == "--json=true" {
			a.json = true
		}
	}
	cmd := a.commands()
	cmd.SetArgs(env.Args)
	cmd.SetOut(env.Stdout)
	cmd.SetErr(env.Stderr)
	err := cmd.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = fault.New(fault.Cancelled, "cancelled: %w", err)
	}
	return a.out.failure(err)
}

// chooseLang looks for --lang before the flags are parsed, so that help and usage errors speak it too; then at the
// variables that a system uses.
func chooseLang(env Env) assets.Lang {
	for i, arg := range env.Args {
		if v, ok := strings.CutPrefix(arg, "--lang="); ok {
			return assets.ParseLang(v)
		}
		if arg == "--lang" && i+1 < len(env.Args) {
			return assets.ParseLang(env.Args[i+1])
		}
	}
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if v := env.Getenv(name); v != "" {
			return assets.ParseLang(v)
		}
	}
	return assets.English
}

// self is the program as a person can call it again.
func (a *app) self() string {
	if a.env.Name == "" {
		return "sluice"
	}
	return quoteArg(a.env.Name)
}

func (a *app) t(key string, pairs ...any) string { return a.lang.Text(key, pairs...) }

// commands builds the tree of verbs.
func (a *app) commands() *cobra.Command {
	var version bool
	top := &cobra.Command{
		Use:           "sluice",
		Short:         a.t("help.top"),
		Long:          a.t("help.top.long"),
		SilenceErrors: true,
		SilenceUsage:  true,

		DisableFlagsInUseLine: true,
		Args:                  cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage("unknown verb %q", args[0])
			}
			if version {
				r, err := a.versions(cmd.Context())
				if err != nil {
					return err
				}
				return a.out.success(r)
			}
			return a.withoutArguments(cmd.Context())
		},
	}
	top.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage("%v", err) })
	top.SetUsageTemplate(a.usageTemplate())
	top.CompletionOptions.DisableDefaultCmd = true
	top.SetHelpCommand(&cobra.Command{
		Use: "help [VERB]", Short: a.t("help.help"), Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			found, rest, err := top.Find(args)
			if err != nil || len(rest) > 0 {
				return usage("unknown verb %q", strings.Join(args, " "))
			}
			found.InitDefaultHelpFlag()
			return found.Help()
		},
	})
	top.Flags().BoolVarP(&version, "version", "v", false, a.t("verb.version"))
	f := top.PersistentFlags()
	f.BoolVar(&a.json, "json", a.json, a.t("flag.json")) // stays as found when another flag is wrong
	f.Lookup("json").DefValue = "false"
	f.BoolVar(&a.quiet, "quiet", false, a.t("flag.quiet"))
	f.StringVar(&a.progress, "progress", "auto", a.t("flag.progress"))
	f.StringVar(&a.root, "root", "", a.t("flag.root"))
	f.StringVar(&a.langFlag, "lang", "", a.t("flag.lang"))
	f.StringVar(&a.engineLib, "engine-lib", "", a.t("flag.engine-lib"))
	f.StringVar(&a.engineDigest, "engine-lib-sha384", "", a.t("flag.engine-lib-sha384"))
	top.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		switch a.progress {
		case "auto", "json", "none":
		default:
			return usage("--progress %q, want auto, json or none", a.progress)
		}
		switch a.langFlag {
		case "", "pl", "en":
		default:
			return usage("--lang %q, want pl or en", a.langFlag)
		}
		return nil
	}
	for _, group := range []func() []*cobra.Command{
		a.demoVerbs, a.statusVerbs, a.versionVerbs, a.keyVerbs, a.trustVerbs, a.policyVerbs, a.bundleVerbs, a.probeVerbs,
		a.installVerbs, a.signoffVerbs, a.liveVerbs, a.leaseVerbs, a.logVerbs,
	} {
		top.AddCommand(group()...)
	}
	top.AddCommand(a.completionVerb(top))
	translateHelpFlags(top, a.t("flag.help"))
	completeValues(top)
	return top
}

func translateHelpFlags(cmd *cobra.Command, words string) {
	cmd.Flags().BoolP("help", "h", false, words)
	for _, c := range cmd.Commands() {
		translateHelpFlags(c, words)
	}
}

func (a *app) usageTemplate() string {
	return a.t("help.usage") + `:{{if .Runnable}}
  {{.UseLine}}{{end}}{{if .HasAvailableSubCommands}}
  {{.CommandPath}} ` + a.t("help.verb") + `{{end}}{{if .HasExample}}

` + a.t("help.examples") + `:
{{.Example}}{{end}}{{if .HasAvailableSubCommands}}

` + a.t("help.verbs") + `:{{range .Commands}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding }} {{.Short}}{{end}}{{end}}{{end}}{{if .HasAvailableLocalFlags}}

` + a.t("help.flags") + `:
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}{{if .HasAvailableInheritedFlags}}

` + a.t("help.common") + `:
{{.InheritedFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}{{if .HasAvailableSubCommands}}

` + a.t("help.more") + `{{end}}
`
}

// verb makes a command whose run returns a result, printed as words or as one JSON object.
func (a *app) verb(use, key string, nargs cobra.PositionalArgs, flags func(*pflag.FlagSet), run func(ctx context.Context, args []string) (result, error)) *cobra.Command {
	cmd := &cobra.Command{
		Use:   use,
		Short: a.t("verb." + key),

		DisableFlagsInUseLine: true,
		Args: func(cmd *cobra.Command, args []string) error {
			if err := nargs(cmd, args); err != nil {
				return usage("%v", err)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := run(cmd.Context(), args)
			if err != nil {
				return err
			}
			return a.out.success(r)
		},
	}
	if k := "verb." + key + ".long"; a.lang.Has(k) {
		cmd.Long = a.t(k)
	}
	if k := "verb." + key + ".example"; a.lang.Has(k) {
		cmd.Example = "  " + strings.ReplaceAll(a.t(k), "\n", "\n  ")
	}
	if flags != nil {
		flags(cmd.Flags())
	}
	return cmd
}

// parent makes a command that only holds others.
func (a *app) parent(use, key string, children ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: a.t("verb." + key), Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage("unknown verb \"%s %s\"", use, args[0])
			}
			return usage("%q wants one of its verbs; see \"sluice help %s\"", use, use)
		},
	}
	cmd.AddCommand(children...)
	return cmd
}

func usage(format string, args ...any) error { return fault.New(fault.Usage, format, args...) }

// rootDir finds the installation's folder, as docs/commands.md says.
func (a *app) rootDir() (string, error) {
	for _, dir := range []string{a.root, a.env.Getenv("SLUICE_ROOT")} {
		if dir == "" {
			continue
		}
		abs, err := filepath.Abs(dir)
		if err != nil { // the folder that we are in was deleted
			return "", usage("the root %q is relative, and the current folder is not there: %v", dir, err)
		}
		return abs, nil
	}
	file, fallback := "/etc/sluice/root", "/var/lib/sluice"
	if runtime.GOOS == "windows" {
		data := a.env.Getenv("ProgramData")
		if data == "" {
			data = `C:\ProgramData`
		}
		file, fallback = filepath.Join(data, "Sluice", "root.txt"), filepath.Join(data, "Sluice")
	}
	raw, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return fallback, nil
	}
	if err != nil {
		return "", fault.New(fault.IO, "reading where the installation is: %w", err).With("path", file)
	}
	dir := strings.TrimSpace(string(raw))
	if !filepath.IsAbs(dir) {
		return "", usage("%s holds %q, want one absolute path", file, dir)
	}
	return dir, nil
}

// installer opens the installation that the flags name.
func (a *app) installer(operator string) (*installer.Installer, error) {
	root, err := a.rootDir()
	if err != nil {
		return nil, err
	}
	return a.installerAt(root, operator)
}

func (a *app) installerAt(root, operator string) (*installer.Installer, error) {
	return a.installerWith(root, operator, a.out.progress())
}

func (a *app) installerWith(root, operator string, p progress.Func) (*installer.Installer, error) {
	return installer.New(installer.Config{
		Root: root, Clock: a.env.Now, Rand: a.env.Rand, Program: a.env.Program, Built: a.env.Built, Version: a.env.Version,
		EngineLib: a.engineLib, EngineLibSHA384: a.engineDigest, Operator: operator, Lang: string(a.lang),
		Progress: p,
	})
}

// withoutArguments is what a double click meets: the window.
func (a *app) withoutArguments(ctx context.Context) error {
	if a.json {
		return usage("a verb is missing")
	}
	if a.env.Window == nil {
		fmt.Fprintln(a.env.Stdout, a.t("nowindow"))
		return nil
	}
	root, err := a.rootDir()
	if err != nil {
		return err
	}
	w := Window{Root: root, Lang: a.langFlag, EngineLib: a.engineLib, EngineLibSHA384: a.engineDigest, Args: []string{"--root", root}, NewInstaller: a.installerWith}
	for _, f := range [][2]string{{"--lang", w.Lang}, {"--engine-lib", w.EngineLib}, {"--engine-lib-sha384", w.EngineLibSHA384}} {
		if f[1] != "" {
			w.Args = append(w.Args, f[0], f[1])
		}
	}
	return a.env.Window(ctx, w)
}
