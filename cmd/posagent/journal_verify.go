package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"posagent/queue"
)

const (
	headsBytesMax   = 64 << 20 // of one text with heads: years of a system log's lines
	copyTries       = 20
	headDigitsShown = 12
)

// headText is a head wherever it stands in a line of the system log.
var headText = regexp.MustCompile(`[0-9]{1,20}:[0-9a-f]{64}`)

// verified is what journal verify prints.
type verified struct {
	File  string `json:"file"`
	Clean bool   `json:"clean"`
	Live  bool   `json:"live"` // the daemon runs: a copy was verified
	queue.Report
}

func journalVerifyCommand(p *program, o *journalOptions) *cobra.Command {
	var heads []string
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check that nothing in the journal was changed, dropped, re-ordered or cut off",
		Long: "Checks every entry's seal, the chain, each payment against its last entry, the indexes, and the file's pages, and measures the chain\n" +
			"against heads that were kept elsewhere: the memo beside the key, and those that --head gives. The daemon writes a head to the system\n" +
			"log each hour and at its end, so that entries cut from the end show too:\n\n" +
			"  journalctl -u posagent -o cat | posagent journal verify --head -\n\n" +
			"While the daemon runs it holds the file, and its own word would prove little; so a consistent copy is taken and checked.\n\n" +
			"Exit status: 0 nothing is wrong, 1 findings, each on a line with what to do.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.verify(cmd.Context(), *o, heads, cmd.InOrStdin()) },
	}
	cmd.Flags().StringArrayVar(&heads, "head", nil, "a head such as 1205:9f3c…, a `FILE` with heads anywhere in its lines, or - for standard input; may be given again")
	return cmd
}

func (p *program) verify(ctx context.Context, o journalOptions, given []string, stdin io.Reader) error {
	cfg, err := p.config()
	if err != nil {
		return err
	}
	heads, err := readHeads(given, stdin)
	if err != nil {
		return err
	}
	v, err := verifyJournalFile(ctx, o.config(cfg), heads)
	if err != nil {
		return err
	}
	if err := p.print(v, v.write); err != nil {
		return err
	}
	if !v.Clean {
		return &Failure{What: fmt.Sprintf("the journal is not what was written: %d findings", len(v.Findings)),
			Next: "take cash; keep this output and a copy of the journal, change nothing, and call whoever looks after this till" + restoreAdvice(cfg, v.Findings)}
	}
	return nil
}

// restoreAdvice leads from damage to the newest backup, where there is one. What was tampered with is no case for it: a backup loses what came after.
func restoreAdvice(cfg Config, findings []queue.Finding) string {
	damaged := slices.ContainsFunc(findings, func(f queue.Finding) bool {
		return f.Kind == queue.FoundStructure || f.Kind == queue.FoundState || f.Kind == queue.FoundIndex || f.Kind == queue.FoundDropped
	})
	newest, found, err := queue.NewestBackup(cfg.backupFolder(), cfg.Store.ID, cfg.Till.ID, time.Now())
	if !damaged || err != nil || !found {
		return ""
	}
	return fmt.Sprintf(", who may put back the backup of %s: posagent restore --operator NAME --reason …", newest.At.In(cfg.Store.TimeZone).Format(time.DateTime))
}

// readHeads collects the heads in all arguments. An argument without any is a mistake: a check against nothing would look clean.
func readHeads(given []string, stdin io.Reader) ([]queue.Head, error) {
	var heads []queue.Head
	for _, g := range given {
		text, err := headSource(g, stdin)
		if err != nil {
			return nil, &Failure{Code: ExitUsage, What: fmt.Sprintf("--head %.90s can't be read: %s", g, plainCause(err)), Next: "give a head, a file with heads, or -", Err: err}
		}
		found := headText.FindAllString(string(text), -1)
		if len(found) == 0 {
			return nil, &Failure{Code: ExitUsage, What: fmt.Sprintf("--head %.90s holds no journal head", g),
				Next: "a head looks like 1205:9f3c… with 64 digits; the system log has them: journalctl -u posagent -o cat"}
		}
		for _, f := range found {
			head, err := queue.ParseHead(f)
			if err != nil {
				return nil, &Failure{Code: ExitUsage, What: err.Error(), Err: err}
			}
			heads = append(heads, head)
		}
	}
	return heads, nil
}

func headSource(given string, stdin io.Reader) ([]byte, error) {
	if headText.MatchString(given) {
		return []byte(given), nil
	}
	if given == "-" {
		return io.ReadAll(io.LimitReader(stdin, headsBytesMax))
	}
	f, err := os.Open(given)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, headsBytesMax))
}

// verifyJournalFile verifies the file itself, or a copy where a daemon holds it.
func verifyJournalFile(ctx context.Context, cfg queue.JournalConfig, heads []queue.Head) (verified, error) {
	v := verified{File: cfg.File}
	j, live, end, err := openOrCopy(ctx, cfg)
	if err != nil {
		return v, err
	}
	defer end()
	v.Live = live
	v.Report, err = j.Verify(ctx, heads)
	v.Clean = err == nil && v.Report.Clean()
	return v, err
}

// openOrCopy opens a journal for reading, or a consistent copy of it where the daemon holds it (live). end closes it and removes the copy.
func openOrCopy(ctx context.Context, cfg queue.JournalConfig) (j *queue.Journal, live bool, end func(), err error) {
	j, err = openToRead(cfg)
	var open *queue.OpenError
	if errors.As(err, &open) && open.Kind == queue.OpenLocked {
		j, end, err = openCopy(ctx, cfg)
		return j, true, end, err
	}
	if err != nil {
		return nil, false, nil, journalOpenFailure(err)
	}
	return j, false, func() { _ = j.Close() }, nil
}

// openCopy copies the memo first and the journal after it, so that the memo can't name an entry that the copy lacks. The key is not copied.
func openCopy(ctx context.Context, cfg queue.JournalConfig) (_ *queue.Journal, end func(), err error) {
	folder, err := os.MkdirTemp("", "posagent-journal-")
	if err != nil {
		return nil, nil, copyFailure(err)
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(folder)
		}
	}()
	copied := cfg
	copied.File, copied.KeyFile = filepath.Join(folder, "journal.db"), filepath.Join(folder, "journal.key")
	key, err := filepath.Abs(cfg.KeyFile)
	if err == nil {
		err = os.Symlink(key, copied.KeyFile)
	}
	if err == nil {
		err = copyFile(cfg.KeyFile+".head", copied.KeyFile+".head")
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // without a memo Verify says so
		return nil, nil, copyFailure(err)
	}
	if err := copyConsistent(ctx, cfg.File, copied.File); err != nil {
		return nil, nil, copyFailure(err)
	}
	j, err := queue.OpenJournal(copied)
	if err != nil {
		return nil, nil, journalOpenFailure(err)
	}
	return j, func() { _ = errors.Join(j.Close(), os.RemoveAll(folder)) }, nil
}

func copyFailure(err error) error {
	return &Failure{What: "the journal that the daemon holds can't be copied: " + err.Error(),
		Next: "run it as the service's user (sudo -u posagent posagent …) with room in the temporary folder, or stop the service first", Err: err}
}

// copyConsistent copies a journal that somebody writes. A transaction of bbolt writes to pages that the state before it does not use, and
// then one meta page: so a copy during which no meta page changed is the state at its beginning, whole.
func copyConsistent(ctx context.Context, from, to string) error {
	for range copyTries {
		if err := ctx.Err(); err != nil {
			return err
		}
		before, err := metaOf(from)
		if err != nil {
			return err
		}
		if err := copyFile(from, to); err != nil {
			return err
		}
		after, err := metaOf(from)
		if err != nil {
			return err
		}
		copied, err := metaOf(to)
		if err != nil {
			return err
		}
		if bytes.Equal(before, after) && bytes.Equal(before, copied) {
			return nil
		}
	}
	return errors.New("payments were written all the time; try again in a quiet minute")
}

// metaOf reads the beginning of the file: the two meta pages.
func metaOf(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	head := make([]byte, 2*os.Getpagesize())
	n, err := io.ReadFull(f, head)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return head[:n], err
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// write prints the report, each finding on a line with what to do.
func (v verified) write(w io.Writer) {
	source := v.File
	if v.Live {
		source += " (a copy: the daemon runs)"
	}
	fmt.Fprintf(w, "%s: %d entries, %d payments, measured against %d heads\nhead %s\n", source, v.Events, v.Payments, v.Heads, v.Head)
	for _, note := range v.Notes {
		fmt.Fprintf(w, "note: %s\n", note)
	}
	for _, f := range v.Findings {
		about := ""
		if f.OutTradeNo != "" {
			about = "payment " + string(f.OutTradeNo) + ": "
		}
		fmt.Fprintf(w, "%s: %s%s%s; %s\n", f.Kind, about, f.Text, measuredAgainst(f.Head), findingStep(f.Kind))
	}
	if v.Clean {
		fmt.Fprintln(w, "nothing is wrong")
	}
}

// measuredAgainst names the head that a finding was measured against: enough of it to be found in the system log.
func measuredAgainst(head string) string {
	sequence, hash, ok := strings.Cut(head, ":")
	if !ok || !headText.MatchString(head) {
		return ""
	}
	return fmt.Sprintf(" (head %s:%s…)", sequence, hash[:headDigitsShown])
}

// findingStep says what to do about a finding.
func findingStep(kind queue.FindingKind) string {
	switch kind {
	case queue.FoundTruncated, queue.FoundReplaced, queue.FoundDropped:
		return "compare the day with WeChat Pay's statement, line by line, and find out who could write to this PC's disk"
	case queue.FoundEdited, queue.FoundReordered:
		return "believe WeChat Pay's statement, not this entry, and find out who could write to this PC's disk"
	case queue.FoundState, queue.FoundIndex:
		return "look the payment up on the merchant platform by its id, and go by what stands there"
	case queue.FoundStructure:
		return "copy the file, check the disk, stop the service, and put the newest good backup in place: posagent restore --operator NAME --reason …"
	case queue.FoundInGap:
		return "compare the time of that head in the system log with the restore's; look at what it lost: posagent journal found"
	case queue.FoundAtAStart:
		return "compare the payments of that day with WeChat Pay's statement"
	}
	return "keep a copy of the journal and call whoever looks after this till"
}
