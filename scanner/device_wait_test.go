package scanner

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// wakefulFake is a fake port whose wait may be ended, and whose device may vanish without a read error.
type wakefulFake struct {
	fakePort
	woken    chan struct{}
	vanished bool
	pending  []bool // what each read was told
}

func newWakefulFake(t *testing.T) *wakefulFake {
	return &wakefulFake{fakePort: fakePort{t: t}, woken: make(chan struct{}, 1)}
}

func (p *wakefulFake) await(pending bool) { p.pending = append(p.pending, pending) }
func (p *wakefulFake) gone() bool         { return p.vanished }

func (p *wakefulFake) interrupt() {
	select {
	case p.woken <- struct{}{}:
	default:
	}
}

func (p *wakefulFake) Read(b []byte) (int, error) {
	if len(p.steps) > 0 {
		return p.fakePort.Read(b)
	}
	p.reads++
	<-p.woken
	return 0, nil
}

func TestAReadThatWaitsForEverIsEndedByTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWakefulFake(t)
		events := watchFor(t, fakeDevice(p), time.Hour)
		assert.Equal(t, []State{Ready}, states(events))
		assert.Equal(t, 1, p.reads, "an hour without a scan is one wait")
		assert.True(t, p.closed)
	})
}

func TestAPortIsToldWhenAScanIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWakefulFake(t)
		p.steps = []step{{bytes: "13"}, {bytes: "4\r"}}
		watchFor(t, fakeDevice(p), time.Second)
		assert.Equal(t, []bool{false, true, false}, p.pending)
	})
}

func TestADeviceThatVanishesWithoutAReadErrorIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWakefulFake(t)
		h := &Hotplug{listen: fakeLine(nil)}
		d := fakeDevice(p, away)
		d.hotplug = h
		time.AfterFunc(time.Second, func() {
			h.ring() // of another device
			synctest.Wait()
			p.vanished = true
			h.ring()
		})
		events := watchFor(t, d, 1100*time.Millisecond)
		assert.Equal(t, []State{Ready, Lost}, states(events))
		assert.Equal(t, 2, p.reads)
	})
}

func TestPluggingInWakesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &Hotplug{listen: fakeLine(nil)}
		d := fakeDevice(away, newWakefulFake(t))
		d.hotplug, d.every = h, lookEvery
		start := time.Now()
		time.AfterFunc(300*time.Millisecond, h.ring)
		events := watchFor(t, d, time.Minute)
		require.Equal(t, []State{Absent, Ready}, states(events))
		assert.Equal(t, 300*time.Millisecond, events[1].At.Sub(start))
	})
}

func TestWithoutMessagesADeviceIsLookedForEveryTwoSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := fakeDevice(away, away, newWakefulFake(t))
		d.hotplug, d.every = &Hotplug{listen: fakeLine(errors.ErrUnsupported)}, lookEvery
		start := time.Now()
		events := watchFor(t, d, time.Minute)
		require.Equal(t, []State{Absent, Ready}, states(events))
		assert.Equal(t, 2*lookEvery, events[1].At.Sub(start))
	})
}

func TestAStormOfMessagesMakesNoStormOfTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, tries := &Hotplug{listen: fakeLine(nil)}, 0
		d := fakeDevice(away)
		d.hotplug = h
		opener := d.opener
		d.opener = func() (port, error) {
			tries++
			return opener()
		}
		go func() {
			for range 1000 {
				h.ring()
				time.Sleep(time.Millisecond)
			}
		}()
		watchFor(t, d, time.Second)
		assert.LessOrEqual(t, tries, int(time.Second/plugRest)+1)
	})
}

func TestAReadThatHangsIsSaidWhileItHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		late := code[:9] + "\r"
		p := &fakePort{t: t, slice: 25 * time.Millisecond, steps: []step{{after: time.Minute, bytes: late}, {after: time.Second, bytes: code + "\r"}}}
		start := time.Now()
		events := watchFor(t, fakeDevice(p), 2*time.Minute)
		require.Equal(t, []State{Ready, Lost, Ready}, states(events))
		assert.Equal(t, TroubleHung, events[1].Trouble.Code)
		assert.Equal(t, hungRead, events[1].At.Sub(start), "the till knows within two seconds")
		assert.Equal(t, []string{code}, texts(events), "what came after a minute is not a scan of now")
	})
}

func TestAnOpeningThatHangsIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := fakeDevice(newWakefulFake(t))
		opener := d.opener
		d.opener = func() (port, error) {
			time.Sleep(time.Minute)
			return opener()
		}
		events := watchFor(t, d, 2*time.Minute)
		require.Equal(t, []State{Blocked, Ready}, states(events))
		assert.Equal(t, TroubleHung, events[0].Trouble.Code)
	})
}

// Taking a HID device from the kernel's driver and giving it back is told by the kernel as if something had been plugged in.
func TestADeviceThatIsRefusedIsNotTriedAllTheTimeBecauseOfTheNoiseOfTrying(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &Hotplug{listen: fakeLine(nil)}
		tries := 0
		d := fakeDevice(refusal)
		d.hotplug, d.every = h, lookEvery
		d.opener = func() (port, error) {
			tries++
			time.AfterFunc(5*time.Millisecond, h.ring)
			return nil, refusal
		}
		assert.Equal(t, []State{Settling, Blocked}, states(watchFor(t, d, time.Minute)))
		assert.Less(t, tries, 150, "ten times a second for two seconds, and then twice a second at most")
	})
}

func TestADeviceThatFailsAtOnceIsNotOpenedAllTheTimeBecauseOfTheNoiseOfOpening(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &Hotplug{listen: fakeLine(nil)}
		tries := 0
		d := fakeDevice()
		d.hotplug = h
		d.opener = func() (port, error) {
			tries++
			time.AfterFunc(5*time.Millisecond, h.ring)
			return &fakePort{t: t, steps: []step{{err: errors.New("input/output error")}}}, nil
		}
		watchFor(t, d, time.Minute)
		assert.Less(t, tries, 130, "twice a second at most")
	})
}

func TestADeviceThatIsBackAtOnceIsOpenedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &Hotplug{listen: fakeLine(nil)}
		first := &fakePort{t: t, slice: hidSlice, steps: []step{{after: time.Second}, {after: time.Second, err: errors.New("gone")}}}
		d := fakeDevice(first, away, &fakePort{t: t, slice: hidSlice})
		d.hotplug, d.every = h, lookEvery
		time.AfterFunc(2*time.Second+50*time.Millisecond, h.ring)  // it is gone
		time.AfterFunc(2*time.Second+150*time.Millisecond, h.ring) // it is back
		events := watchFor(t, d, 3*time.Second)
		require.Equal(t, []State{Ready, Lost, Ready}, states(events))
		assert.Less(t, events[2].At.Sub(events[1].At), 200*time.Millisecond)
	})
}

func TestAPortWhoseProgramWasStoppedGoesOnAndTheCashierIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWakefulFake(t)
		p.steps = []step{{bytes: code[:9]}, {err: errStoodStill}, {bytes: code[9:] + "\r"}, {bytes: code + "\r"}}
		events := watchFor(t, fakeDevice(p), time.Minute)
		assert.Equal(t, []State{Ready}, states(events))
		require.Len(t, events, 4)
		assert.Equal(t, TroubleHeldUp, events[1].Trouble.Code)
		assert.Equal(t, []string{code[9:], code}, texts(events), "what was read before is forgotten")
	})
}
