package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"posagent/payflow"
	"posagent/till"
)

// lanes are the stories, dealt to tills so that the long ones run side by side.
func (t *tour) lanes() []lane {
	usual := func(id string) trialConfig {
		return trialConfig{StoreID: "SZTX001", TillID: id, Account: t.trial.account()}
	}
	stuck := usual("E1")
	stuck.Flow = "reverse_after = \"15s\"\npay_timeout = \"5s\"\n"
	down := usual("N1")
	down.Account = t.remote.account()
	never := []tourStory{{"The customer never answers: reversed, and proven", t.neverAnswered}}
	if t.trial.api == payflow.APIv2 {
		never = append(never, tourStory{"Without the merchant's certificate nothing is taken back or refunded", t.withoutCertificate})
	}
	tcp, port := usual("L1"), usual("L2")
	tcp.OldTills, port.OldTillOnPort = true, true
	return []lane{
		{"T1", usual("T1"), []tourStory{
			{"Paid at once", t.paid},
			{"The customer types the password, then it is paid", t.password},
			{"An Alipay code is named, and costs nothing", t.alipay},
			{"Refused, with the reason", t.refused},
			{"One of two things is brought back: a part of a paid sale is refunded", t.refundedInPart},
		}},
		{"T2", usual("T2"), []tourStory{
			{"The answer is lost; the till finds out that it was paid", t.answerLost},
			{"The agent is killed between the pay call and its answer, and started again", t.killed},
		}},
		{"T3", usual("T3"), never},
		{"L1", tcp, []tourStory{
			{"An old till sells by the line protocol over TCP, crashes, and asks again", t.lineOverTCP},
			{"A till that speaks nothing: its customer display is read", t.poleTap},
		}},
		{"L2", port, []tourStory{{"An old till sells by the line protocol on a serial port", t.lineOverPort}}},
		{"N1", down, []tourStory{
			{"A cable is pulled under a warm connection", t.cablePulled},
			{"The network is down", t.networkDown},
		}},
		{"C1", usual("C1"), []tourStory{{"Another till's order under our number (a copied journal)", t.copied}}},
		{"E1", stuck, []tourStory{{"A payment that never ends is set aside; the next sale is paid", t.neverEnds}}},
	}
}

func (t *tour) paid(ctx context.Context, tt *trialTill, s *telling) error {
	p, err := sell(ctx, tt, s, "T1-1001", 1250, t.trial.code("pays-at-once"))
	return errors.Join(err, mustEnd(p, payflow.Paid, ""))
}

func (t *tour) password(ctx context.Context, tt *trialTill, s *telling) error {
	p, err := sell(ctx, tt, s, "T1-1002", 150000, t.trial.code("password-pays"))
	return errors.Join(err, mustEnd(p, payflow.Paid, ""))
}

func (t *tour) alipay(ctx context.Context, tt *trialTill, s *telling) error {
	p, err := armAndScan(ctx, tt, s, "T1-1003", 800, "287634438256643941")
	if err != nil {
		return err
	}
	p, err = tt.until(ctx, p.ID, nil, func(p till.Payment) bool { return p.Notice != nil })
	if err != nil {
		return err
	}
	s.say("screen: %-10s %s", p.Status, t.notice(p, "en"))
	s.say("        %s", t.notice(p, "zh-Hant"))
	if p.Status != payflow.Waiting || p.Notice.Kind != string(payflow.CodeAlipay) {
		return fmt.Errorf("an Alipay code left the payment %s, noticed as %s", p.Status, p.Notice.Kind)
	}
	s.say("customer opens WeChat and shows that code")
	if err := tt.scan(t.trial.code("pays-at-once")); err != nil {
		return err
	}
	p, err = tt.until(ctx, p.ID, s.screen, func(p till.Payment) bool { return p.Final })
	return errors.Join(err, mustEnd(p, payflow.Paid, ""), handOver(ctx, tt, s, p))
}

func (t *tour) refused(ctx context.Context, tt *trialTill, s *telling) error {
	p, err := sell(ctx, tt, s, "T1-1004", 99900, t.trial.code("no-money"))
	return errors.Join(err, mustEnd(p, payflow.Declined, payflow.ReasonNotEnough))
}

func (t *tour) answerLost(ctx context.Context, tt *trialTill, s *telling) error {
	p, err := sell(ctx, tt, s, "T2-1001", 3000, t.trial.code("answer-lost"))
	return errors.Join(err, mustEnd(p, payflow.Paid, ""))
}

func (t *tour) killed(ctx context.Context, tt *trialTill, s *telling) error {
	p, err := armAndScan(ctx, tt, s, "T2-1002", 4200, t.trial.code("answer-late"))
	if err != nil {
		return err
	}
	p, err = tt.until(ctx, p.ID, s.screen, func(p till.Payment) bool { return p.Status == payflow.Paying })
	if err != nil {
		return err
	}
	if err := t.trial.awaitArrival(ctx, p.ID); err != nil {
		return err
	}
	tt.kill()
	s.say("the power goes: the agent's process is killed (SIGKILL) while the pay call is out")
	if err := tt.start(ctx); err != nil {
		return err
	}
	s.say("the agent is started again; it asks WeChat Pay before it decides anything")
	p, err = tt.until(ctx, p.ID, s.screen, func(p till.Payment) bool { return p.Final })
	if err != nil {
		return err
	}
	list, err := tt.client.Payments(ctx, till.PaymentsQuery{Unannounced: true})
	if err != nil || len(list.Payments) == 0 {
		return errors.Join(err, errors.New("the result is not on the list of results that nobody has seen"))
	}
	s.say("the page opens on it: paid, and nobody was told yet")
	return errors.Join(mustEnd(p, payflow.Paid, ""), handOver(ctx, tt, s, p))
}

func (t *tour) neverAnswered(ctx context.Context, tt *trialTill, s *telling) error {
	began := time.Now()
	p, err := armAndScan(ctx, tt, s, "T3-1001", 5600, t.trial.code("password-never"))
	if err != nil {
		return err
	}
	p, err = tt.until(ctx, p.ID, s.screen, func(p till.Payment) bool { return p.Status == payflow.Reversing })
	if err != nil {
		return err
	}
	if waited := time.Since(began); waited < payflow.ReverseGuard || !p.SaleMayUseOtherMeans {
		return fmt.Errorf("reversing after %s, other means allowed: %t", waited, p.SaleMayUseOtherMeans)
	}
	p, err = tt.until(ctx, p.ID, s.screen, func(p till.Payment) bool { return p.Final })
	return errors.Join(err, mustEnd(p, payflow.Reversed, ""), handOver(ctx, tt, s, p))
}

// cablePulled: bytes vanish both ways under the warm connection, with no word to either end.
func (t *tour) cablePulled(ctx context.Context, tt *trialTill, s *telling) error {
	p, err := tt.arm(ctx, "N1-1001", 2500)
	if err != nil {
		return err
	}
	s.say("cashier enters %s; the agent keeps a connection warm for the scan", p.AmountText)
	time.Sleep(time.Second)
	mend := t.remote.pullCable()
	s.say("the cable is pulled")
	status, err := awaitNotReady(ctx, tt)
	if err != nil {
		return err
	}
	s.say("screen: %s  ->  %s", status.NotReady.Message, status.NotReady.NextStep.EN)
	s.say("customer shows a code; the scanner reads it")
	if err := tt.scan(t.remote.code("pays-at-once")); err != nil {
		return err
	}
	p, err = tt.until(ctx, p.ID, nil, func(p till.Payment) bool { return p.Notice != nil || p.Final })
	if err != nil {
		return err
	}
	if p.Status == payflow.Waiting {
		s.say("screen: %-10s %s", p.Status, t.notice(p, "en"))
		if _, err := tt.client.Cancel(ctx, p.ID, "P001"); err != nil {
			return err
		}
	}
	if p, err = tt.client.Payment(ctx, p.ID); err != nil {
		return err
	}
	s.screen(p)
	mend()
	if p.Status != payflow.Cancelled && p.Reason != payflow.ReasonNoNetwork {
		return fmt.Errorf("ended %s (%s) with the cable pulled", p.Status, p.Reason)
	}
	return tt.awaitReady(ctx)
}

func awaitNotReady(ctx context.Context, tt *trialTill) (till.StatusReport, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	for {
		status, err := tt.client.Status(ctx)
		if err != nil {
			return status, err
		}
		if status.NotReady != nil {
			return status, nil
		}
		select {
		case <-ctx.Done():
			return status, errors.New("the till did not see that the link was dead")
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// networkDown: nobody listens any more.
func (t *tour) networkDown(ctx context.Context, tt *trialTill, s *telling) error {
	p, err := tt.arm(ctx, "N1-1002", 2600)
	if err != nil {
		return err
	}
	s.say("cashier enters %s", p.AmountText)
	mend := t.remote.networkDown()
	began := time.Now()
	s.say("the network goes down; customer shows a code")
	if err := tt.scan(t.remote.code("pays-at-once")); err != nil {
		return err
	}
	p, err = tt.until(ctx, p.ID, s.screen, func(p till.Payment) bool { return p.Final || p.Notice != nil })
	if err != nil {
		return err
	}
	if p.Notice != nil {
		s.say("screen: %-10s %s", p.Status, t.notice(p, "en"))
		if p, err = tt.client.Cancel(ctx, p.ID, "P001"); err != nil {
			return err
		}
	}
	if err := mend(); err != nil {
		return err
	}
	if took := time.Since(began); took > 10*time.Second {
		return fmt.Errorf("refused only after %s", took)
	}
	if p.Status != payflow.Cancelled && p.Reason != payflow.ReasonNoNetwork {
		return fmt.Errorf("ended %s (%s) with the network down", p.Status, p.Reason)
	}
	return nil
}

// copied: a PC is cloned with its journal. Each start draws characters of its own for its order numbers, so both sell; where another till's order
// stands under a number all the same, it must neither be called paid nor reversed.
func (t *tour) copied(ctx context.Context, tt *trialTill, s *telling) error {
	if p, err := sell(ctx, tt, s, "C1-1001", 1100, t.trial.code("pays-at-once")); err != nil {
		return errors.Join(err, mustEnd(p, payflow.Paid, ""))
	}
	if err := tt.stop(); err != nil {
		return err
	}
	config := trialConfig{StoreID: "SZTX001", TillID: "C1", Account: t.trial.account()}
	clone, err := openTrialTill(filepath.Join(t.dir, "C1-clone"), "C1-clone", config)
	if err != nil {
		return err
	}
	if err := copyJournal(tt.dir, clone.dir); err != nil {
		return err
	}
	t.mu.Lock()
	t.tills = append(t.tills, clone)
	t.mu.Unlock()
	s.say("the PC is cloned, journal and all; both are switched on")
	if err := errors.Join(tt.start(ctx), tt.awaitReady(ctx), clone.start(ctx), clone.awaitReady(ctx)); err != nil {
		return err
	}
	first, err := sell(ctx, tt, s, "C1-1002", 1200, t.trial.code("pays-at-once"))
	if err := errors.Join(err, mustEnd(first, payflow.Paid, "")); err != nil {
		return err
	}
	s.say("now the clone, which draws numbers of its own:")
	second, err := sell(ctx, clone, s, "C1-2001", 1200, t.trial.code("pays-at-once"))
	if err := errors.Join(err, mustEnd(second, payflow.Paid, "")); err != nil {
		return err
	}
	if second.ID == first.ID {
		return fmt.Errorf("the clone drew %s too", first.ID)
	}
	s.say("another till's paid order stands under the next number:")
	p, err := armAndScan(ctx, clone, s, "C1-2002", 1200, t.trial.code("number-of-another-paid"))
	if err != nil {
		return err
	}
	p, err = clone.until(ctx, p.ID, s.screen, func(p till.Payment) bool { return p.Attention != "" || p.Final })
	if err != nil {
		return err
	}
	if p.Final || p.Attention != payflow.AttentionAnotherTill {
		return fmt.Errorf("the clone's payment is %s (%s)", p.Status, p.Attention)
	}
	if _, err = clone.client.SetAside(ctx, p.ID, till.SetAsideBody{Operator: "M001", Reason: "another till's order"}); err != nil {
		return err
	}
	s.say("the manager sets it aside; the sale is tried again under a new number")
	again, err := sell(ctx, clone, s, "C1-2003", 1200, t.trial.code("pays-at-once"))
	return errors.Join(err, mustEnd(again, payflow.Paid, ""))
}

// neverEnds: WeChat Pay answers nothing about one order any more.
func (t *tour) neverEnds(ctx context.Context, tt *trialTill, s *telling) error {
	p, err := armAndScan(ctx, tt, s, "E1-1001", 7700, t.trial.code("never-ends"))
	if err != nil {
		return err
	}
	p, err = tt.until(ctx, p.ID, s.screen, func(p till.Payment) bool { return p.Status == payflow.Reversing })
	if err != nil {
		return err
	}
	patience, cancel := context.WithDeadline(ctx, p.Times.SetAsideFrom)
	defer cancel()
	last, err := tt.until(patience, p.ID, s.screen, func(p till.Payment) bool { return p.Attention != "" })
	if err != nil && (!errors.Is(err, context.DeadlineExceeded) || last.Final) {
		return err
	}
	p, err = tt.client.SetAside(ctx, p.ID, till.SetAsideBody{Operator: "M001", Reason: "does not end; the customer paid cash"})
	if err != nil {
		return err
	}
	s.say("the manager sets it aside: the till is free, the sale is not; the agent goes on with it")
	next, err := sell(ctx, tt, s, "E1-1002", 7800, t.trial.code("pays-at-once"))
	return errors.Join(err, mustEnd(next, payflow.Paid, ""))
}

// notice is what the cashier reads of a refused scan.
func (t *tour) notice(p till.Payment, language string) string {
	message, next := t.words.Notice(p.Notice.Kind)
	return message[language] + "  ->  " + next[language]
}
