package queue

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"posagent/payflow"
)

// plainScripts are short worlds without a fault, one for each way that a payment goes. Each sells once more afterwards.
func plainScripts() map[string]worldScript {
	sale := func(c worldCustomer, after time.Duration, more func(*worldSale)) worldSale {
		s := worldSale{After: worldTime(time.Second + 7), Minor: 1250, Customer: c, PaysAfter: worldTime(after), Scan: worldTime(2*time.Second + 11)}
		if more != nil {
			more(&s)
		}
		return s
	}
	lostPay := []worldCallFault{{Call: payflow.PayCall, N: 1, Kind: answerLost}}
	scripts := map[string]worldScript{
		"paid at once":              {Sales: []worldSale{sale(customerPays, 0, nil)}},
		"paid with a password":      {Sales: []worldSale{sale(customerPassword, 11*time.Second+3, nil)}},
		"paid, and the answer lost": {Sales: []worldSale{sale(customerPays, 0, nil)}, Calls: lostPay},
		"refused":                   {Sales: []worldSale{sale(customerPoor, 0, nil)}},
		"cancelled":                 {Sales: []worldSale{sale(customerNever, 0, func(s *worldSale) { s.Cancel = worldTime(6*time.Second + 13) })}},
		"never paid":                {Sales: []worldSale{sale(customerNever, 0, nil)}},
		"paid before the reverse":   {Sales: []worldSale{sale(customerGap, 0, nil)}, SaysRefund: true},
		"never arrived":             {Sales: []worldSale{sale(customerPays, 0, nil)}, Calls: []worldCallFault{{Call: payflow.PayCall, N: 1, Kind: requestLost}}},
		"arrives late":              {Sales: []worldSale{sale(customerPays, 0, nil)}, Calls: []worldCallFault{{Call: payflow.PayCall, N: 1, Kind: requestLate, For: worldTime(41 * time.Second)}}},
	}
	for name, s := range scripts {
		s.Sales = append(s.Sales, sale(customerPays, 0, nil))
		s.Seed, s.Heal, s.End = uint64(len(name)), worldTime(5*time.Minute), worldTime(14*time.Minute)
		scripts[name] = s
	}
	return scripts
}

// The power is cut, and the disk fails, at every commit, and the power at every call: before it leaves, on its way, once it has arrived, once its answer
// was read. Nothing is drawn here: each of these worlds is lived through in each run.
func TestEveryCommitAndEveryCallIsCutOnce(t *testing.T) {
	notUnderRace(t)
	var scripts []worldScript
	var names []string
	add := func(s worldScript, format string, args ...any) {
		scripts, names = append(scripts, s), append(names, fmt.Sprintf(format, args...))
	}
	disk := newWorldDisk(t)
	for name, plain := range plainScripts() {
		l := liveFast(t, disk, plain, noPlant)
		assert.Empty(t, l.verdict.Breaches, name)
		commits, calls := 0, map[payflow.CallKind]int{}
		for _, line := range l.log.lines {
			switch line.Kind {
			case worldDurable:
				commits++
			case worldSent:
				calls[line.Ask]++
			}
		}
		for n := 1; n <= commits; n++ {
			for _, kind := range []worldDiskTrouble{commitPowerBefore, commitPowerAfter, commitPowerDone, commitEIO, commitEIOAfter, commitFull} {
				s := plain
				s.Commits = []worldCommitFault{{N: n, Kind: kind, Down: worldTime(9*time.Second + 17)}}
				add(s, "%s: %s at commit %d", name, kind, n)
			}
		}
		for ask, most := range calls {
			for n := 1; n <= most; n++ {
				for _, kind := range []worldTrouble{powerBefore, powerSent, powerArrived, powerAnswered} {
					s := plain
					s.Calls = append([]worldCallFault{{Call: ask, N: n, Kind: kind, For: worldTime(9*time.Second + 17)}}, plain.Calls...)
					add(s, "%s: %s at %s %d", name, kind, ask, n)
				}
			}
		}
	}
	tally := newTally()
	manyWorlds(t, len(scripts), func(i int) (worldScript, *plant) { return scripts[i], noPlant }, func(i int, l lived) {
		tally.add(l)
		if len(l.verdict.Breaches) > 0 {
			t.Errorf("%s broke %v\n%s", names[i], l.verdict.Breaches, l.log)
		}
	})
	t.Log(tally)
}
