package scanner

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// What tells a scanner from a person: as many characters, and no more time for each. Scanners send a key each 7 to
// 16 ms, people none faster than 100 ms.
const (
	learnCharacters = 6
	learnPerKey     = 50 * time.Millisecond
)

// Learned is the device that a code came from.
type Learned struct {
	Found      Found
	Baud       int           // that it was read with; serial ports only
	Characters int           // of the code; the code itself is not kept
	AIM        string        // the AIM identifier without its bracket, where the scanner sends one
	Took       time.Duration // from the first character to the last
}

// TOML returns the lines of the configuration that name the device.
func (l Learned) TOML() string {
	return strings.Replace(l.Found.TOML(), "baud = 9600\n", fmt.Sprintf("baud = %d\n", orDefault(l.Baud, 9600)), 1)
}

// Learn listens to everything that may be a scanner until one of them sends a code, and says which it was. Keyboards are
// not grabbed: what is typed on them goes on reaching every window. Serial ports that another program has open are left
// alone; the others are read at baud (default 9600). tell hears, one call at a time, of each candidate that is listened
// to (with a zero Trouble) and of each that cannot be. Devices that are plugged in meanwhile are listened to as well. The
// error is ctx's.
func Learn(ctx context.Context, baud int, tell func(Found, Trouble)) (Learned, error) {
	l := &learner{at: systemPlaces(), rules: &rules{dirs: ruleDirs}, hotplug: NewHotplug(), baud: baud, tell: tell}
	return l.learn(ctx)
}

type learner struct {
	at      places
	rules   *rules // what the service may open: whoever learns is often root, who may open everything
	hotplug *Hotplug
	baud    int

	mu   sync.Mutex // guards tell and said
	tell func(Found, Trouble)
	said []string
}

func (l *learner) learn(ctx context.Context) (Learned, error) {
	ctx, stop := context.WithCancel(ctx)
	heard, known, bell := make(chan Learned, 1), []string{}, newBell()
	defer l.hotplug.join(bell.ring)()
	var listening sync.WaitGroup
	defer listening.Wait()
	defer stop()
	for {
		for _, f := range listAt(l.at, nil) {
			if slices.Contains(known, f.identity()) {
				continue
			}
			known = append(known, f.identity())
			listening.Go(func() { l.listen(ctx, f, heard) })
		}
		look := time.NewTimer(lookEvery)
		select {
		case learned := <-heard:
			return learned, nil
		case <-ctx.Done():
			return Learned{}, ctx.Err()
		case <-bell.token:
			pause(ctx, plugRest)
		case <-look.C:
		}
		look.Stop()
	}
}

// identity tells candidates apart.
func (f Found) identity() string { return f.Kind + " " + f.Device + " " + f.port + " " + f.node }

// listen reads one candidate until a code came from it or ctx is done.
func (l *learner) listen(ctx context.Context, f Found, heard chan<- Learned) {
	if f.Kind == "serial" && len(f.Holders) > 0 {
		l.say(f, Trouble{Code: TroubleBusy, What: "it is open in " + describeHolders(f.Holders), Next: "stop that program, or set it to leave scanners alone"})
		return
	}
	d, err := l.source(f)
	if err != nil {
		l.say(f, *asTrouble(err))
		return
	}
	// It ends with ctx and has no other error.
	_ = d.Run(ctx, func(e Event) {
		switch e.Kind {
		case KindState:
			l.say(f, e.Trouble)
		case KindScan:
			if !codeLike(e.Scan) {
				return
			}
			f.likely = true
			f.Missing = f.missing(l.at, l.rules)
			learned := Learned{Found: f, Characters: e.Scan.Characters, AIM: e.Scan.AIM, Took: e.Scan.Took}
			if f.Kind == "serial" {
				learned.Baud = orDefault(l.baud, 9600)
			}
			select {
			case heard <- learned:
			default: // another was first
			}
		}
	})
}

// source reads a candidate without taking a keyboard from anybody.
func (l *learner) source(f Found) (*device, error) {
	cfg := f.Config()
	cfg.Hotplug = l.hotplug
	if f.Kind == "evdev" {
		return newKeysSource(cfg, l.at.input, true)
	}
	if f.Kind == "serial" {
		cfg.Baud = l.baud
	}
	return newHardware(cfg, l.at)
}

// say tells of a candidate, once for each trouble.
func (l *learner) say(f Found, t Trouble) {
	l.mu.Lock()
	defer l.mu.Unlock()
	what := f.identity() + " " + string(t.Code)
	if slices.Contains(l.said, what) {
		return
	}
	l.said = append(l.said, what)
	l.tell(f, t)
}

// codeLike reports what no person typed.
func codeLike(s Scan) bool {
	return s.Characters >= learnCharacters && s.Took <= time.Duration(s.Characters)*learnPerKey
}

// Present reports whether what cfg names is plugged in, as far as a look at sysfs and dev tells. Lines typed at a terminal
// always are.
func Present(cfg Config) bool { return presentAt(cfg, systemPlaces()) }

func presentAt(cfg Config, at places) bool {
	if cfg.Kind == "stdin" {
		return true
	}
	if strings.HasPrefix(cfg.Device, "/") {
		return !(&claim{node: cfg.Device}).gone()
	}
	named := func(d usbDevice) bool { return cfg.names(usbInterface{usbDevice: d, path: d.port}) }
	return slices.ContainsFunc(hidInterfaces(at.input.sys, at.input.dev), func(in usbInterface) bool { return cfg.names(in) }) ||
		slices.ContainsFunc(usbPorts(at.input.sys, at.input.dev), func(p usbPort) bool { return named(p.usbDevice) })
}
