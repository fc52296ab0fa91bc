package scanner

import (
	"os"
	"syscall"

	"github.com/holoplot/go-evdev"
)

// kernelKeys is an input device of the kernel. It is opened without blocking, so that Go's own poller waits for its
// events: a waiting read costs nothing, and closing under it is safe.
type kernelKeys struct{ *evdev.InputDevice }

func openKeys(node string) (keyDevice, error) {
	d, err := evdev.OpenWithFlags(node, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC)
	if err != nil {
		return nil, err
	}
	return kernelKeys{d}, nil
}

// held reports a key that is down.
func (k kernelKeys) held() (bool, error) {
	state, err := k.State(evdev.EV_KEY)
	if err != nil {
		return false, err
	}
	for _, down := range state {
		if down {
			return true, nil
		}
	}
	return false, nil
}

// read waits for events and returns those of keys, as records.
func (k kernelKeys) read() ([]byte, error) {
	events, err := k.ReadSlice(keyEventsMax)
	if err != nil {
		return nil, err
	}
	var records []byte
	for _, e := range events {
		switch {
		case e.Type == evdev.EV_KEY:
			records = appendKey(records, uint16(e.Code), byte(e.Value))
		case e.Type == evdev.EV_SYN && e.Code == evdev.SYN_DROPPED:
			records = appendLost(records)
		}
	}
	return records, nil
}

func (k kernelKeys) grab() error    { return k.Grab() }
func (k kernelKeys) release() error { return k.Ungrab() }
func (k kernelKeys) close() error   { return k.InputDevice.Close() }
