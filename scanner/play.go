package scanner

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// recordingLineMax bounds a line of a recording: one read has 256 bytes at most.
const recordingLineMax = 16 << 10

// Playback is a source that plays a recording.
type Playback struct {
	Fast bool // play without the recorded pauses

	name   string
	format format
	lines  *bufio.Scanner
	number int // of the line read last
}

// Play reads the head of a recording that [Record] wrote. Run then gives every recorded read to the decoder, with its
// recorded time, and ends with an error at the first read that gives other scans than it did when it was recorded. The
// error shows no character of a scan.
func Play(r io.Reader) (*Playback, error) {
	p := &Playback{lines: bufio.NewScanner(r)}
	p.lines.Buffer(nil, recordingLineMax)
	var head recordingHeader
	if ok, err := p.next(&head); err != nil || !ok {
		return nil, errors.Join(errors.New("this is no recording of a scanner; make one with posagent scanner record"), err)
	}
	p.name, p.format = head.Device, format{Decoder: head.Decoder, Framing: Framing{Prefix: head.Prefix, Suffix: head.Suffix, Gap: time.Duration(head.GapNS)}}
	if head.Version != recordingVersion || !p.format.known() {
		return nil, fmt.Errorf("this recording is of version %d with decoder %q, which this posagent cannot play; record again with this version",
			head.Version, head.Decoder)
	}
	return p, nil
}

// Run plays the recording to its end, or until ctx is done.
func (p *Playback) Run(ctx context.Context, deliver func(Event)) error {
	decoder, began := p.format.decoder(), time.Now()
	for ctx.Err() == nil {
		var line recordingLine
		if ok, err := p.next(&line); err != nil || !ok {
			return err
		}
		at := began.Add(time.Duration(line.NS))
		if !p.Fast {
			pause(ctx, time.Until(at))
		}
		events, err := p.play(decoder, line, at)
		for _, e := range events {
			e.Device = p.name
			deliver(e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// next reads one line into v; ok is false at the end.
func (p *Playback) next(v any) (ok bool, err error) {
	if !p.lines.Scan() {
		return false, p.lines.Err()
	}
	p.number++
	if err := json.Unmarshal(p.lines.Bytes(), v); err != nil {
		return false, fmt.Errorf("line %d of the recording cannot be read (%w); the file may be cut short: record again", p.number, err)
	}
	return true, nil
}

// play returns the events of one line, and an error where they are not those that were recorded.
func (p *Playback) play(decoder Decoder, line recordingLine, at time.Time) ([]Event, error) {
	if line.Descriptor != nil {
		return nil, p.playDescriptor(decoder, *line.Descriptor)
	}
	if line.Bytes == nil {
		return p.playState(decoder, line, at)
	}
	sent, err := hex.DecodeString(*line.Bytes)
	if err != nil {
		return nil, fmt.Errorf("line %d of the recording holds no bytes; record again", p.number)
	}
	events := decoder.Feed(sent, at)
	if now := recordedScans(events); !slices.Equal(now, line.Scans) {
		return events, fmt.Errorf("line %d of the recording gave %s when it was recorded, and gives %s now; if that is meant, record again",
			p.number, describe(line.Scans), describe(now))
	}
	return events, nil
}

// playDescriptor tells the decoder what was opened.
func (p *Playback) playDescriptor(decoder Decoder, hexed string) error {
	descriptor, err := hex.DecodeString(hexed)
	reads, ok := decoder.(describable)
	if err != nil || !ok {
		return fmt.Errorf("line %d of the recording holds no descriptor of use; record again", p.number)
	}
	reads.Describe(descriptor)
	return nil
}

// playState tells a recorded change of state; the port was opened anew around it, so nothing is pending.
func (p *Playback) playState(decoder Decoder, line recordingLine, at time.Time) ([]Event, error) {
	decoder.Reset()
	for s := Absent; s <= Blocked; s++ {
		if s.String() == line.State {
			return []Event{{Kind: KindState, At: at, State: s, Trouble: Trouble{Code: line.Code, What: line.What, Next: line.Next}}}, nil
		}
	}
	return nil, fmt.Errorf("line %d of the recording has neither bytes nor a state; record again", p.number)
}

// describe tells scans apart without showing them.
func describe(scans []recordedScan) string {
	if len(scans) == 0 {
		return "nothing"
	}
	words := ""
	for i, s := range scans {
		if i > 0 {
			words += ", "
		}
		if s.Dropped != "" {
			words += "something dropped (" + string(s.Dropped) + ")"
			continue
		}
		words += "a scan of " + NewText(s.Text).String()
		if s.AIM != "" {
			words += " ]" + s.AIM
		}
	}
	return words
}
