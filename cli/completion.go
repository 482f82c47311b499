package cli

import (
	"github.com/spf13/cobra"
)

// completionVerb writes a script for a shell; it asks the program itself, so it never goes stale.
func (a *app) completionVerb(top *cobra.Command) *cobra.Command {
	shells := map[string]func() error{
		"bash":       func() error { return top.GenBashCompletionV2(a.env.Stdout, true) },
		"zsh":        func() error { return top.GenZshCompletion(a.env.Stdout) },
		"fish":       func() error { return top.GenFishCompletion(a.env.Stdout, true) },
		"powershell": func() error { return top.GenPowerShellCompletionWithDesc(a.env.Stdout) },
	}
	return &cobra.Command{
		Use:       "completion bash|zsh|fish|powershell",
		Short:     a.t("verb.completion"),
		Example:   "  sluice completion bash >/etc/bash_completion.d/sluice",
		ValidArgs: []cobra.Completion{"bash", "zsh", "fish", "powershell"},

		DisableFlagsInUseLine: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || shells[args[0]] == nil {
				return usage("shell %q, want bash, zsh, fish or powershell", args)
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return shells[args[0]]() },
	}
}

// flagValues are the words that flags of these names take, wherever they stand.
var flagValues = map[string][]cobra.Completion{
	"stage":    {"demo", "paper", "live"},
	"of":       {"oem", "site"},
	"lang":     {"pl", "en"},
	"progress": {"auto", "json", "none"},
	"log":      {"demo", "paper", "live_execution"},
}

func completeValues(cmd *cobra.Command) {
	for name, words := range flagValues {
		if cmd.Flag(name) != nil {
			// An error says only that the flag has words already: persistent flags are met again below.
			_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
		}
	}
	for _, c := range cmd.Commands() {
		completeValues(c)
	}
}
