package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"posagent/health"
)

// findDaemon asks the running daemon how it is. None running is no fault: check serves before the first start too.
func (c *checker) findDaemon(ctx context.Context) {
	ctx, stop := context.WithTimeout(ctx, checkDaemonWithin)
	defer stop()
	client, err := dialDaemon(ctx, c.cfg)
	if isAway(err) {
		c.ok("daemon", "not running%s", inParentheses(c.apiPlace()))
		return
	}
	if err != nil {
		c.failBy("daemon", err)
		return
	}
	defer client.Close()
	report, err := readStatus(ctx, client)
	if err != nil {
		c.failBy("daemon", daemonFailure(err))
		return
	}
	c.daemon = &report
	c.daemonLine()
}

func (c *checker) apiPlace() string {
	if c.cfg.API.Socket != "" {
		return c.cfg.API.Socket
	}
	return c.cfg.API.Listen
}

func (c *checker) daemonLine() {
	d := c.daemon
	running := fmt.Sprintf("version %s runs since %s", d.Version, d.StartedAt.Format(time.DateTime))
	switch {
	case d.Till != c.cfg.Till.ID || d.Currency != string(c.cfg.Till.Currency):
		c.fail("daemon", fmt.Sprintf("the posagent that answers is that of till %s (%s), the configuration is that of till %s (%s)", d.Till, d.Currency, c.cfg.Till.ID, c.cfg.Till.Currency),
			"name this till's file with --config, or restart the service if the file was changed: systemctl restart posagent")
	case d.Version != version():
		c.warn("daemon", running+", this program is "+version(), "restart the service when the till is idle: systemctl restart posagent")
	case !d.Ready && d.NotReady != nil:
		c.warn("daemon", running+", and takes no payment now: "+d.NotReady.Message, d.NotReady.NextStep.EN)
	default:
		c.ok("daemon", "%s, and takes payments", running)
	}
}

// daemonWarnings repeats the warnings that hold at the daemon; it sees what happens over the day.
func (c *checker) daemonWarnings() {
	if c.daemon == nil {
		return
	}
	for _, w := range c.daemon.Warnings {
		if slices.Contains(ofPayments(), w.Code) {
			c.warn("payments", w.Title.EN+inParentheses(w.Detail), w.NextStep.EN)
			continue
		}
		c.known("daemon warns", w.Code, w.Detail)
	}
	c.certificateInUse()
}

// certificateInUse compares what lies on the disk with what the daemon signs with.
func (c *checker) certificateInUse() {
	own, waits := c.daemonCertificate("merchant"), c.daemonCertificate("next")
	switch {
	case own == "" || c.creds.Serial == "" || own == c.creds.Serial:
	case c.creds.Next != nil && own == c.creds.Next.Serial:
		w, _ := health.Find(health.NextCertificateInUse)
		c.ok("certificate in use", "%s", w.Title.EN+"; "+w.NextStep.EN)
	case waits == c.creds.Serial:
		c.ok("certificate in use", "the service has the new one loaded, and signs with %s until WeChat Pay takes it", own)
	default:
		w, _ := health.Find(health.CertificateRestart)
		c.warn("certificate in use", w.Title.EN+" (the service still uses "+own+")", w.NextStep.EN)
	}
}

// ofPayments are the warnings about payments: somebody must act, but nothing is wrong with this PC.
func ofPayments() []health.Code {
	return []health.Code{health.PaymentAttention, health.PaymentSetAside, health.PaidNotAnnounced,
		health.RefundAttention, health.LateSuccess, health.LateUnanswered, health.PaidBackTwice, health.SuspectedDuplicate}
}

// daemonCertificate is the serial of a certificate that the daemon reports: merchant, the one it signs with, or next.
func (c *checker) daemonCertificate(name string) string {
	for _, certificate := range c.daemon.Certificates {
		if certificate.Name == name {
			return certificate.Serial
		}
	}
	return ""
}
