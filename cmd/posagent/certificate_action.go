package main

import (
	"fmt"
	"time"
)

// certificateAction is what the merchant's super administrator must do about a certificate, in the words of the buttons on the
// merchant platform.
type certificateAction string

// The actions.
const (
	actNothing certificateAction = "Nothing"
	actRenew   certificateAction = "Renew"   // from 60 days before the end
	actUpgrade certificateAction = "Upgrade" // within a month of the end, or from WeChat-Pay-issued to CA-issued
	actChange  certificateAction = "Change"  // later than that, or after five years of use
)

// The times of the certificate page, "How to renew". A month is counted as 30 days, so that a date that is named is never too late.
const (
	day          = 24 * time.Hour
	renewBefore  = 60 * day
	upgradeAfter = 30 * day
	useYearsMax  = 5
)

// overlap is how long the old certificate can be counted on beside the new one. The pages say 48 hours and 14 days:
// docs/wechat-pay.md, "Two merchant certificates at a time".
const overlap = 48 * time.Hour

// duty is an action and its dates.
type duty struct {
	Action certificateAction `json:"action"`
	Then   certificateAction `json:"then,omitempty"` // Nothing: the action to come
	From   time.Time         `json:"from,omitzero"`  // Nothing: when that can be done
	By     time.Time         `json:"by,omitzero"`    // until when it can be done; zero: at once, no page gives a date
}

// dutyOf says what must be done about a certificate at the time now: Renew from 60 days before the end, Upgrade within one month after
// it, Change later, and Change instead of either once the certificate has been used for five years.
func dutyOf(notBefore, notAfter, now time.Time) duty {
	fiveYears := notBefore.AddDate(useYearsMax, 0, 0)
	tooOld := !now.Before(fiveYears)
	switch {
	case now.Before(notAfter.Add(-renewBefore)):
		from := notAfter.Add(-renewBefore)
		return duty{Action: actNothing, Then: dutyOf(notBefore, notAfter, from).Action, From: from}
	case now.After(notAfter.Add(upgradeAfter)):
		return duty{Action: actChange}
	case tooOld && !now.After(notAfter):
		return duty{Action: actChange, By: notAfter}
	case tooOld:
		return duty{Action: actChange}
	case now.After(notAfter):
		return duty{Action: actUpgrade, By: earlier(notAfter.Add(upgradeAfter), fiveYears)}
	}
	return duty{Action: actRenew, By: earlier(notAfter, fiveYears)}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// When is the action with its date, for one line: "Renew by 2027-03-10".
func (d duty) When() string {
	switch {
	case d.Action == actNothing:
		return "nothing to do before " + d.From.UTC().Format(time.DateOnly) + ", then " + string(d.Then)
	case d.By.IsZero():
		return string(d.Action) + " now"
	}
	return string(d.Action) + " by " + d.By.UTC().Format(time.DateOnly)
}

// How says who does it where, and what follows; "" for Nothing.
func (d duty) How() string {
	if d.Action == actNothing {
		return ""
	}
	button := string(d.Action)
	if d.Action == actRenew {
		button = "Renewal"
	}
	who := "the super administrator clicks " + button + " on the Merchant Platform (Account Center, API Security); "
	if ended := d.Action == actUpgrade || d.By.IsZero(); ended {
		return who + "until the new files are in place no payment can be taken"
	}
	return who + fmt.Sprintf("put the new files in place within %.0f hours: the old certificate may end then", overlap.Hours())
}
