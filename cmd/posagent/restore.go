package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"posagent/health"
	"posagent/payflow"
	"posagent/queue"
)

// restoreOptions are the flags of restore.
type restoreOptions struct {
	operator, reason, identity string
	noAsk                      bool
}

// restored is what restore prints.
type restored struct {
	queue.Restored
	Skipped []string                    `json:"skipped"` // newer backups that are not good, and why
	Asked   bool                        `json:"asked"`   // WeChat Pay was asked for everything that was lost
	NotYet  string                      `json:"not_yet,omitempty"`
	Found   []payflow.FoundAfterRestore `json:"found"` // what a person must settle
}

func restoreCommand(p *program) *cobra.Command {
	var o restoreOptions
	cmd := &cobra.Command{
		Use:   "restore [FILE]",
		Short: "Put a backup in the place of a damaged or lost journal, and ask WeChat Pay for what came after it",
		Long: "Puts a backup in the place of the journal, with the daemon stopped; without FILE the newest good one of this till. The journal that is\n" +
			"there stays, under a name with the date: nothing is deleted. A journal that nothing is wrong with is not replaced.\n\n" +
			"What was sold after the backup is not in it. WeChat Pay is asked for it by the order numbers that the lost part must have drawn, one\n" +
			"a second; Ctrl-C leaves the rest to the daemon, which goes on at its start. What is found is shown by: posagent journal found\n\n" +
			"The daemon then asks for the refunds of what was paid in the month before the backup, and takes those that were lost into the journal again.\n\n" +
			"On another PC the numbers of what was sold after a later start of posagent are not known: then it says so, and the statement shows them.\n\n" +
			"Exit status: 0 restored, all asked for and nothing found; 3 restored, but a person must look, or not all was asked for yet; 1 not restored.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return p.restore(cmd.Context(), o, args) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.operator, "operator", "", "the `NAME` of who restores; it is journaled (required)")
	flags.StringVar(&o.reason, "reason", "", "the `REASON`, such as \"disk died\"; it is journaled (required)")
	flags.StringVar(&o.identity, "identity", "", "the `FILE` with the private key of an encrypted backup")
	flags.BoolVar(&o.noAsk, "no-ask", false, "leave the asking to the daemon")
	return cmd
}

func (p *program) restore(ctx context.Context, o restoreOptions, args []string) error {
	if o.operator == "" || o.reason == "" {
		return &Failure{Code: ExitUsage, What: "a restore is a person's word and needs a name and a reason", Next: `write for example: posagent restore --operator ANNA --reason "disk died"`}
	}
	cfg, err := p.config()
	if err != nil {
		return err
	}
	if client, err := dialDaemon(ctx, cfg); err == nil {
		client.Close()
		return &Failure{What: "posagent runs, and works with its journal", Next: "stop it first (systemctl stop posagent), then restore"}
	}
	if err := asServiceUser(cfg.Journal.File); err != nil {
		return err
	}
	r, err := restoreNewest(ctx, cfg, o, args)
	if err != nil {
		return err
	}
	p.note("%s is in place; it ends at entry %d\n", r.File, r.Backup.Head.Sequence)
	askedErr := p.askHere(ctx, cfg, o, &r)
	if err := p.print(r, func(w io.Writer) { r.write(w, cfg.Store.TimeZone) }); err != nil {
		return err
	}
	return errors.Join(askedErr, r.uncertain())
}

// asServiceUser refuses root where the journal's folder is another's: what root leaves there the service could not open.
func asServiceUser(journal string) error {
	info, err := os.Stat(filepath.Dir(journal))
	if err != nil || os.Geteuid() != 0 {
		return nil
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && owner.Uid != 0 {
		return &Failure{What: "the journal's folder belongs to another user, and what root writes there the service can't open",
			Next: "run it as the service's user: sudo -u posagent posagent restore …"}
	}
	return nil
}

// note tells a person what goes on; a script reads the result alone.
func (p *program) note(format string, args ...any) {
	if !p.json {
		fmt.Fprintf(p.stderr, format, args...)
	}
}

// restoreNewest puts the named backup in place, or the newest good one of this till.
func restoreNewest(ctx context.Context, cfg Config, o restoreOptions, args []string) (restored, error) {
	files, err := restoreFrom(cfg, args)
	if err != nil {
		return restored{}, err
	}
	r := restored{Skipped: []string{}, Found: []payflow.FoundAfterRestore{}}
	for _, file := range files {
		a := agent{cfg: cfg}
		r.Restored, err = queue.RestoreBackup(ctx, a.journalConfig(false), queue.RestoreOptions{From: file, IdentityFile: o.identity, Operator: o.operator, Reason: o.reason, Free: roomIn})
		if err == nil || len(args) > 0 || !notGood(err) {
			return r, backupFailure(err)
		}
		r.Skipped = append(r.Skipped, err.Error())
	}
	return r, &Failure{What: fmt.Sprintf("none of the %d backups in %s is good; the newest: %s", len(files), cfg.backupFolder(), r.Skipped[0]),
		Next: "name one from elsewhere: posagent restore FILE; without any, posagent run --begin-new-journal begins anew, and the statement of WeChat Pay is all that is known of before"}
}

// restoreFrom returns the backups to try, the newest first.
func restoreFrom(cfg Config, args []string) ([]string, error) {
	if len(args) > 0 {
		return args, nil
	}
	all, err := queue.ListBackups(cfg.backupFolder())
	if err != nil {
		return nil, backupFailure(err)
	}
	queue.FutureLast(all, time.Now())
	var files []string
	for _, f := range all {
		if f.Err != nil || f.Store == cfg.Store.ID && f.Till == cfg.Till.ID {
			files = append(files, f.File)
		}
	}
	if len(files) == 0 {
		return nil, &Failure{What: "there is no backup of this till in " + cfg.backupFolder(), Next: "name one from elsewhere: posagent restore FILE --operator NAME --reason …"}
	}
	return files, nil
}

// notGood reports a backup that is damaged itself: an older one may be good. Every other trouble would meet the next one too.
func notGood(err error) bool {
	var wrong *queue.BackupError
	if !errors.As(err, &wrong) {
		return false
	}
	switch wrong.Kind {
	case queue.BackupNone, queue.BackupDamaged, queue.BackupNewerFormat, queue.BackupNotFound, queue.BackupOtherTill:
		return true
	}
	return false
}

// askHere asks WeChat Pay from the command, as far as credentials and network are there; the daemon does the rest.
func (p *program) askHere(ctx context.Context, cfg Config, o restoreOptions, r *restored) error {
	a := &agent{cfg: cfg, log: zerolog.Nop(), started: time.Now()}
	a.health = health.NewTracker(health.Config{})
	defer a.close()
	if err := a.openJournal(agentOptions{}); err != nil {
		return err
	}
	defer func() {
		if found, err := a.journal.FoundAfterRestore(false); err == nil {
			r.Found = found
		}
	}()
	if o.noAsk {
		r.NotYet = "WeChat Pay has not been asked yet; the daemon asks at its start"
		return nil
	}
	for _, build := range []func(agentOptions) error{a.openCredentials, a.openClient} {
		if err := build(agentOptions{}); err != nil {
			r.NotYet = "WeChat Pay can't be asked from here (" + firstPart(err.Error()) + "); the daemon asks at its start"
			return nil
		}
	}
	p.note("asking WeChat Pay for what came after it, one order number a second; Ctrl-C leaves the rest to the daemon\n")
	running, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() { defer close(ended); a.client.Run(running) }()
	defer func() { stop(); <-ended }()
	err := a.journal.AskAfterRestore(ctx, payflow.Order{Merchant: a.merchant(), API: payflow.API(cfg.WeChat.API), HostFamily: cfg.WeChat.Hosts[0]}, a.client.Query, a.log)
	if err == nil {
		r.Asked = true
		return nil
	}
	_, text, _ := a.journal.AfterRestore()
	r.NotYet = "not all was asked for (" + text + "); the daemon goes on at its start"
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("ask WeChat Pay for what the journal lost: %w", err)
}

func firstPart(text string) string {
	what, _ := splitAdvice(text)
	return what
}

// uncertain is the end of a restore that a person must look after.
func (r restored) uncertain() error {
	switch {
	case len(r.Found) > 0:
		return &Failure{Code: ExitUncertain, What: fmt.Sprintf("restored, but WeChat Pay holds %d orders that the journal lost", len(r.Found)) + when(!r.Asked, ", and may hold more: "+r.NotYet),
			Next: "look at each (posagent journal found), start posagent (systemctl start posagent), and settle each: posagent journal settle ID"}
	case !r.Asked:
		return &Failure{Code: ExitUncertain, What: "restored; " + r.NotYet, Next: "start posagent (systemctl start posagent), and look later: posagent journal found"}
	case r.StartsUnknown:
		return &Failure{Code: ExitUncertain, What: "restored, but not all that was sold after the backup could be asked for: " + startsUnknown,
			Next: "compare the statement of each day since the backup with posagent journal list, and start posagent (systemctl start posagent)"}
	}
	return nil
}

// startsUnknown is what a restore on another PC can't know.
const startsUnknown = "the list of posagent's starts since then is not on this PC, and without it the order numbers of later starts are not known"

func (r restored) write(w io.Writer, zone *time.Location) {
	for _, s := range r.Skipped {
		fmt.Fprintf(w, "not good: %s\n", s)
	}
	fmt.Fprintf(w, "restored: %s, of %s, up to entry %d\n", r.File, r.Backup.At.In(zone).Format(time.DateTime), r.Backup.Head.Sequence)
	if r.Aside != "" {
		fmt.Fprintf(w, "the journal that was there lies in %s\n", r.Aside)
	}
	switch {
	case r.Lost.Sequence > 0:
		fmt.Fprintf(w, "lost: entries %d to %d at least\n", r.Backup.Head.Sequence+1, r.Lost.Sequence)
	default:
		fmt.Fprintln(w, "lost: it is not known which entries; perhaps none")
	}
	fmt.Fprintf(w, "head %s\n", r.Head)
	if r.KeyNew {
		fmt.Fprintln(w, "the journal's key came out of the backup")
	}
	if r.NotYet != "" {
		fmt.Fprintf(w, "not yet: %s\n", r.NotYet)
	}
	if r.StartsUnknown {
		fmt.Fprintf(w, "NOT ASKED FOR: %s; compare the statement of each day from %s on\n", startsUnknown, r.Backup.At.In(zone).Format(time.DateOnly))
	}
	fmt.Fprintln(w, "refunds made since then: the daemon asks for them after its start, and posagent status says how far it is; until then a payment may show less given back than there is")
	writeFound(w, r.Found, zone)
}
