package scanner

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// recordingVersion is the format of recordings; a file with another is refused.
const recordingVersion = 1

const recordingWarning = "This file holds scanned codes in clear. A payment code is dead one minute after it was shown: " +
	"keep this file to yourself until then, and delete it when it has served."

// recordingHeader is the first line of a recording.
type recordingHeader struct {
	Version int       `json:"posagent_scanner_recording"`
	Warning string    `json:"warning"`
	Device  string    `json:"device"`
	Decoder string    `json:"decoder"`
	GapNS   int64     `json:"gap_ns"`
	Prefix  string    `json:"prefix,omitempty"`
	Suffix  string    `json:"suffix,omitempty"`
	Began   time.Time `json:"began"`
}

// recordingLine is each other line: a read with what came of it, or a change of state.
type recordingLine struct {
	NS         int64          `json:"ns"`              // since Began
	Bytes      *string        `json:"bytes,omitempty"` // hexadecimal; empty is a read that found nothing
	Scans      []recordedScan `json:"scans,omitempty"`
	Descriptor *string        `json:"descriptor,omitempty"` // of a HID device that was opened, in hexadecimal
	State      string         `json:"state,omitempty"`
	Code       TroubleCode    `json:"code,omitempty"`
	What       string         `json:"what,omitempty"`
	Next       string         `json:"next,omitempty"`
}

// recordedScan is a scan, or something that was dropped.
type recordedScan struct {
	Text    string      `json:"text,omitempty"`
	AIM     string      `json:"aim,omitempty"`
	Dropped TroubleCode `json:"dropped,omitempty"`
}

// Recording is a source that writes down what passes through another.
type Recording struct {
	device *device
	w      io.Writer
}

// Record returns a source that does what source does and writes each read and its outcome to w, as lines of JSON, to be
// played by [Play]. The file holds codes in clear and says so: create it with mode 0600. Only serial and HID sources
// made by [New] can be recorded, and the source given is not to be run besides.
func Record(source Source, w io.Writer) (*Recording, error) {
	d, ok := source.(*device)
	if !ok || d.unsettled {
		return nil, errors.New("only a serial or HID scanner can be recorded; name one in the configuration")
	}
	return &Recording{device: d, w: w}, nil
}

// Run runs the recorded source. It ends with an error when w fails: a recording with a hole is worth nothing.
func (r *Recording) Run(ctx context.Context, deliver func(Event)) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	notes := &notes{w: r.w, began: time.Now(), stop: stop}
	notes.write(recordingHeader{
		Version: recordingVersion, Warning: recordingWarning, Device: r.device.name,
		Decoder: r.device.format.Decoder, GapNS: int64(r.device.format.Gap), Prefix: r.device.format.Prefix, Suffix: r.device.format.Suffix, Began: notes.began,
	})
	recorded := *r.device
	recorded.tap = notes
	return errors.Join(recorded.Run(ctx, deliver), notes.err)
}

// notes writes a recording's lines, from the goroutine that reads the device.
type notes struct {
	w      io.Writer
	began  time.Time
	opened string // the descriptor noted last
	stop   func() // ends the run when a line could not be written
	err    error
}

// write writes one line. After one that failed the run ends, and with it the recording.
func (n *notes) write(line any) {
	b, err := json.Marshal(line)
	if err == nil {
		_, err = n.w.Write(append(b, '\n'))
	}
	if err != nil {
		n.err = fmt.Errorf("write the recording: %w; make room and record again", err)
		n.stop()
	}
}

func (n *notes) chunk(b []byte, at time.Time, events []Event) {
	sent := hex.EncodeToString(b)
	n.write(recordingLine{NS: int64(at.Sub(n.began)), Bytes: &sent, Scans: recordedScans(events)})
}

// descriptor notes what was opened, where it is another than before.
func (n *notes) descriptor(descriptor []byte) {
	opened := hex.EncodeToString(descriptor)
	if opened != n.opened {
		n.opened = opened
		n.write(recordingLine{NS: int64(time.Since(n.began)), Descriptor: &opened})
	}
}

func (n *notes) state(e Event) {
	n.write(recordingLine{NS: int64(e.At.Sub(n.began)), State: e.State.String(), Code: e.Trouble.Code, What: e.Trouble.What, Next: e.Trouble.Next})
}

func recordedScans(events []Event) []recordedScan {
	var scans []recordedScan
	for _, e := range events {
		if e.Kind == KindNoise {
			scans = append(scans, recordedScan{Dropped: e.Trouble.Code})
			continue
		}
		scans = append(scans, recordedScan{Text: e.Scan.Text.Reveal(), AIM: e.Scan.AIM})
	}
	return scans
}
