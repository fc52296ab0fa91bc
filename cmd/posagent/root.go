package main

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// program is what every sub-command shares: the persistent flags and where the output goes.
type program struct {
	configFile string // --config
	json       bool   // --json
	stdout     io.Writer
	stderr     io.Writer
}

// subCommands lists the constructors of the sub-commands; a new one is one line here and a file of its own.
func subCommands() []func(*program) *cobra.Command {
	return []func(*program) *cobra.Command{
		runCommand,
		demoCommand,
		simulateCommand,
		initCommand,
		checkCommand,
		certificateCommand,
		payCommand,
		cancelCommand,
		refundCommand,
		statusCommand,
		journalCommand,
		backupCommand,
		restoreCommand,
		receiptCommand,
		scannerCommand,
		tokenCommand,
		operatorCommand,
		poleCommand,
		versionCommand,
	}
}

// run is the whole program: it parses args, does what they say until done or until ctx, SIGINT or SIGTERM ends it, and returns the
// exit status. Results go to stdout, errors and everything else to stderr.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	p := &program{stdout: stdout, stderr: stderr}
	root := newRoot(p)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err != nil {
		tellError(stderr, err, p.json)
	}
	return exitStatus(err)
}

func newRoot(p *program) *cobra.Command {
	root := &cobra.Command{
		Use:           "posagent",
		Short:         "Takes WeChat Pay payments at a till, and ends each with one true answer",
		Long:          "posagent takes WeChat Pay payments at a till, and ends each with one true answer.\n\nTo see it work on this machine, with no account: posagent demo",
		SilenceErrors: true, // run prints them
		SilenceUsage:  true,
		Args:          usageArgs(cobra.NoArgs),
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	root.PersistentFlags().StringVar(&p.configFile, "config", DefaultConfigFile, "the configuration `FILE`")
	root.PersistentFlags().BoolVar(&p.json, "json", false, "print results and errors as JSON")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return wrongUsage(cmd, err) })
	for _, command := range subCommands() {
		sub := command(p)
		asUsage(sub)
		root.AddCommand(sub)
	}
	return root
}

// config loads the configuration that --config names.
func (p *program) config() (Config, error) { return LoadConfig(p.configFile) }

// print writes a result: for --json v as one indented JSON document, else what text writes.
func (p *program) print(v any, text func(io.Writer)) error {
	if !p.json {
		text(p.stdout)
		return nil
	}
	enc := json.NewEncoder(p.stdout)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// asUsage makes wrong arguments of a command and of all below it end with status 2, like wrong flags.
func asUsage(cmd *cobra.Command) {
	args := cmd.Args
	if args == nil {
		args = cobra.NoArgs
	}
	cmd.Args = usageArgs(args)
	for _, sub := range cmd.Commands() {
		asUsage(sub)
	}
}

func usageArgs(args cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, given []string) error {
		if err := args(cmd, given); err != nil {
			return wrongUsage(cmd, err)
		}
		return nil
	}
}

// wrongUsage words an error of the command line.
func wrongUsage(cmd *cobra.Command, err error) error {
	return &Failure{Code: ExitUsage, What: err.Error(), Next: "see: " + cmd.CommandPath() + " --help", Err: err}
}
