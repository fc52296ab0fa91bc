package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"posagent/payflow"
	"posagent/till"
)

// statusReport is what posagent status prints: what the daemon says of itself, and the payment that holds the till.
type statusReport struct {
	till.StatusReport
	HoldingPayment *till.Payment `json:"holding_payment,omitempty"`
}

func statusCommand(p *program) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show what the running daemon knows of itself: devices, clock, gateway, certificates, journal, warnings",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return p.status(cmd.Context()) },
	}
}

func (p *program) status(ctx context.Context) error {
	cfg, err := p.config()
	if err != nil {
		return err
	}
	client, err := dialDaemon(ctx, cfg)
	if err != nil {
		return err
	}
	defer client.Close()
	report, err := readStatus(ctx, client)
	if err != nil {
		return daemonFailure(err)
	}
	return p.print(report, func(w io.Writer) { report.write(w, cfg.Till.Language) })
}

func readStatus(ctx context.Context, client *till.Client) (statusReport, error) {
	status, err := client.Status(ctx)
	if err != nil || status.HoldingID == "" {
		return statusReport{StatusReport: status}, err
	}
	held, err := client.Payment(ctx, payflow.OutTradeNo(status.HoldingID))
	return statusReport{StatusReport: status, HoldingPayment: &held}, err
}

// operatorsText says who is asked for a PIN on the page.
func operatorsText(o till.OperatorsState) string {
	switch {
	case o.Count == 0:
		return "none: the page asks for no PIN, not even for a refund"
	case o.PINToSell:
		return fmt.Sprintf("%d: selling takes a PIN, a refund a manager's", o.Count)
	}
	return fmt.Sprintf("%d: anybody sells, a refund takes a manager's PIN", o.Count)
}

// write prints the report for a person, the worst news first.
func (r statusReport) write(w io.Writer, language string) {
	row := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%-12s %s\n", name, fmt.Sprintf(format, args...))
	}
	if r.Ready {
		row("ready", "yes: a payment can be armed")
	} else if r.NotReady != nil {
		row("ready", "NO (%s): %s; %s", r.NotReady.Reason, r.NotReady.Message, r.NotReady.NextStep.In(language))
	}
	for _, warning := range r.Warnings {
		row("warning", "%s: %s%s; %s", warning.Severity, warning.Title.In(language), inParentheses(warning.Detail), warning.NextStep.In(language))
	}
	r.writeTill(row, language)
	r.writeParts(row)
}

func (r statusReport) writeTill(row func(string, string, ...any), language string) {
	row("till", "%s, %s, %s", r.Till, r.Store, r.Currency)
	if h := r.HoldingPayment; h != nil {
		row("payment", "%s of sale %s, %s, %s: %s; %s", h.ID, h.SaleRef, h.AmountText, h.Status, h.Message.In(language), h.NextStep.In(language))
	} else {
		row("payment", "none holds the till")
	}
	if r.Unannounced > 0 {
		row("unanswered", "%d results that nobody has acknowledged; answer them on the page", r.Unannounced)
	}
	if r.LateSuccess > 0 {
		row("late", "WeChat Pay holds the money of %d payments that ended unpaid; it is being given back, see the manager's page", r.LateSuccess)
	}
	if r.OpenRefunds > 0 {
		row("refunds", "%d are not at their end; they are asked about by themselves", r.OpenRefunds)
	}
	if r.NeedPerson > 0 {
		row("a person", "must look at %d payments or refunds; see the manager's page", r.NeedPerson)
	}
}

func (r statusReport) writeParts(row func(string, string, ...any)) {
	for _, d := range r.Devices {
		row("scanner", "%s (%s): %s", d.Name, d.Kind, cmp.Or(d.Text, "ready"))
		if d.Statistics != nil {
			row("", "%s", statisticsText(*d.Statistics))
		}
	}
	row("clock", "%s", clockText(r.Clock))
	row("gateway", "%s", gatewayText(r.Gateway))
	for _, c := range r.Certificates {
		row("certificate", "%s, to %s (%d days)", c.Name, c.NotAfter.Format(time.DateOnly), c.DaysLeft)
	}
	row("journal", "entry %d, %d open%s%s", r.Journal.Sequence, r.Journal.Open, when(r.Journal.ReadOnly, ", READ ONLY"), inParentheses(r.Journal.Finding))
	row("operators", "%s", operatorsText(r.Operators))
	if b := r.Backup; b != nil {
		row("backup", "%s", backupText(*b))
	}
	if r.Restore != nil {
		row("restored", "%s%s", r.Restore.Text, when(r.Restore.Found > 0, fmt.Sprintf("; %d to be settled: posagent journal found", r.Restore.Found)))
	}
	row("version", "%s, running since %s", r.Version, r.StartedAt.Format(time.DateTime))
}

// statisticsText says in one line what a scanner has done.
func statisticsText(s till.ScanStatistics) string {
	text := fmt.Sprintf("%d good scans", s.Good)
	text += countsText("refused", s.Refused) + countsText("misread", s.Misread)
	text += when(s.Overrun > 0, fmt.Sprintf(", %d lost because this computer was slow", s.Overrun))
	text += when(s.Unplugs > 0, fmt.Sprintf(", unplugged %d times", s.Unplugs))
	text += fmt.Sprintf(", ready for %.1f hours", s.ReadyHours)
	if !s.LastSeenAt.IsZero() {
		text += ", last scan " + s.LastSeenAt.Format(time.DateTime)
	}
	return text
}

// countsText names each reason with its number, in the order of the reasons.
func countsText(what string, counts map[string]uint64) string {
	var parts []string
	total := uint64(0)
	for _, reason := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", reason, counts[reason]))
		total += counts[reason]
	}
	return when(total > 0, fmt.Sprintf(", %d %s (%s)", total, what, strings.Join(parts, ", ")))
}

func clockText(c till.Clock) string {
	switch {
	case !c.Known:
		return "not yet compared with WeChat Pay's"
	case c.OffsetSeconds == 0:
		return "right to the second"
	case c.OffsetSeconds < 0:
		return fmt.Sprintf("%s behind WeChat Pay's", time.Duration(-c.OffsetSeconds)*time.Second)
	}
	return fmt.Sprintf("%s ahead of WeChat Pay's", time.Duration(c.OffsetSeconds)*time.Second)
}

func gatewayText(g till.Gateway) string {
	switch {
	case !g.Reachable:
		return g.Host + ": NOT REACHABLE" + inParentheses(g.Trouble)
	case !g.Verified:
		return g.Host + ": reached, not verified yet" + inParentheses(g.Trouble)
	}
	return fmt.Sprintf("%s: reached, last verified answer %s", g.Host, g.LastAnswer.Format(time.DateTime))
}

func backupText(b till.BackupState) string {
	text := "NONE yet"
	if !b.NewestAt.IsZero() {
		text = fmt.Sprintf("%s, %d hours old, %s", b.File, b.AgeHours, map[bool]string{true: "encrypted", false: "not encrypted"}[b.Encrypted])
	}
	return text + when(b.Nightly == "", "; none is made at night") + when(b.Failed != "", "; the last one FAILED: "+b.Failed)
}

// inParentheses appends a detail where there is one.
func inParentheses(detail string) string {
	if detail == "" {
		return ""
	}
	return " (" + detail + ")"
}

func when(holds bool, text string) string {
	if holds {
		return text
	}
	return ""
}
