package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"posagent/health"
)

// The certificate page, "How to renew": 60 days before the end Renewal, within a month after it Upgrade, later Change; after five years
// of use Change.
func TestWhatMustBeDoneAboutACertificateByWhen(t *testing.T) {
	end := time.Date(2027, 3, 10, 12, 0, 0, 0, time.UTC)
	year := end.AddDate(-1, 0, 0)
	rows := []struct {
		name   string
		from   time.Time
		days   int // from the end
		want   certificateAction
		says   string
		notice health.Code
	}{
		{"61 days before", year, -61, actNothing, "nothing to do before 2027-01-09, then Renew", ""},
		{"60 days before", year, -60, actRenew, "Renew by 2027-03-10", health.Certificate60Days},
		{"30 days before", year, -30, actRenew, "Renew by 2027-03-10", health.Certificate30Days},
		{"14 days before", year, -14, actRenew, "Renew by 2027-03-10", health.Certificate14Days},
		{"7 days before", year, -7, actRenew, "Renew by 2027-03-10", health.Certificate7Days},
		{"1 day before", year, -1, actRenew, "Renew by 2027-03-10", health.Certificate1Day},
		{"the end", year, 0, actRenew, "Renew by 2027-03-10", health.Certificate1Day},
		{"1 day after", year, 1, actUpgrade, "Upgrade by 2027-04-09", health.CertificateExpired},
		{"30 days after", year, 30, actUpgrade, "Upgrade by 2027-04-09", health.CertificateExpired},
		{"31 days after", year, 31, actChange, "Change now", health.CertificateExpired},
		{"a year after", year, 365, actChange, "Change now", health.CertificateExpired},

		{"of five years, 61 days before", end.AddDate(-5, 0, 0), -61, actNothing, "nothing to do before 2027-01-09, then Renew", ""},
		{"of five years, 60 days before", end.AddDate(-5, 0, 0), -60, actRenew, "Renew by 2027-03-10", health.Certificate60Days},
		{"of five years, at the end", end.AddDate(-5, 0, 0), 0, actChange, "Change by 2027-03-10", health.Certificate1Day},
		{"of five years, 1 day after", end.AddDate(-5, 0, 0), 1, actChange, "Change now", health.CertificateExpired},
		{"five years old 20 days before its end", end.AddDate(-5, 0, -20), -60, actRenew, "Renew by 2027-02-18", health.Certificate60Days},
		{"and once it is", end.AddDate(-5, 0, -20), -20, actChange, "Change by 2027-03-10", health.Certificate30Days},
		{"five years old 20 days after its end", end.AddDate(-5, 0, 20), 10, actUpgrade, "Upgrade by 2027-03-30", health.CertificateExpired},
		{"older than five years for long", end.AddDate(-6, 0, 0), -61, actNothing, "nothing to do before 2027-01-09, then Change", ""},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			now := end.AddDate(0, 0, row.days)
			d := dutyOf(row.from, end, now)
			assert.Equal(t, row.want, d.Action)
			assert.Equal(t, row.says, d.When())
			assert.Equal(t, row.want == actNothing, d.How() == "")
			l := credentialsLoader{cfg: DefaultConfig()}
			a := goodAccount()
			a.notBefore, a.notAfter = row.from, end
			l.dates(a.certificate(t), now)
			if row.notice == "" {
				assert.Empty(t, l.warnings)
				return
			}
			assert.Equal(t, []health.Code{row.notice}, conditionCodes(l.warnings))
			assert.Contains(t, l.warnings[0].Detail, row.says)
		})
	}
}

func TestAMomentDecides(t *testing.T) {
	end := time.Date(2027, 3, 10, 12, 0, 0, 0, time.UTC)
	year := end.AddDate(-1, 0, 0)
	assert.Equal(t, actNothing, dutyOf(year, end, end.Add(-60*day-time.Second)).Action)
	assert.Equal(t, actRenew, dutyOf(year, end, end).Action)
	assert.Equal(t, actUpgrade, dutyOf(year, end, end.Add(time.Second)).Action)
	assert.Equal(t, actUpgrade, dutyOf(year, end, end.Add(30*day)).Action)
	assert.Equal(t, actChange, dutyOf(year, end, end.Add(30*day+time.Second)).Action)
}

func TestHowNamesTheButtonAndThePlace(t *testing.T) {
	assert.Contains(t, duty{Action: actRenew}.How(), "the super administrator clicks Renewal on the Merchant Platform (Account Center, API Security)")
	assert.Contains(t, duty{Action: actUpgrade}.How(), "clicks Upgrade")
	assert.Contains(t, duty{Action: actChange}.How(), "until the new files are in place no payment can be taken")
	assert.Contains(t, duty{Action: actChange, By: today}.How(), "within 48 hours")
}

func TestDaysLeftAreWholeOnes(t *testing.T) {
	for left, want := range map[time.Duration]int{25 * time.Hour: 1, 24 * time.Hour: 1, 23 * time.Hour: 0, 0: 0, -time.Second: -1, -25 * time.Hour: -2} {
		assert.Equal(t, want, wholeDays(left), left.String())
	}
}
