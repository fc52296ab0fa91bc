package scanner

import (
	"slices"
	"time"
)

// The HID point-of-sale report (usage page 0x8C, usage 0x02; HID Point of Sale Usage Tables 1.02, and dumps of
// Honeywell scanners): id, length of the data, AIM identifier in three bytes, data, two bytes of the maker's, and a
// last byte whose lowest bit says that the scan goes on in the next report.
const (
	posReportID    = 0x02
	posReportBytes = 64
	posLengthAt    = 1
	posAIMAt       = 2
	posAIMBytes    = 3
	posDataAt      = posAIMAt + posAIMBytes
	posDataMax     = 56
	posMakerAt     = 61
	posContinuedAt = 63
	posContinued   = 0x01
)

// posGap is the silence after which a report that is shorter than usual is complete, and one that was announced is
// missing. A full-speed device sends a report each millisecond.
const posGap = 50 * time.Millisecond

// POS decodes HID point-of-sale reports. A device with a small endpoint sends a report in several reads; they are put
// together by their number of bytes. It reads them by the device's descriptor where [POS.Describe] was told one with
// decoded data in it, and else by the layouts that it knows: the AIM identifier before the data, from the third byte on
// (Honeywell's and Access-IS's) or from the fourth, and data without one from the third byte on (Newland's).
type POS struct {
	fields    posFields
	report    []byte // of the report under way; at most 64 bytes, or as many as the descriptor says
	asm       *Assembler
	aim       string    // of the first report of a scan that goes on
	continued bool      // the scan goes on in the next report
	lastAt    time.Time // of the last read that gave bytes
}

// NewPOS returns a decoder of point-of-sale reports.
func NewPOS() *POS { return NewFramedPOS(Framing{}) }

// NewFramedPOS returns a decoder of point-of-sale reports that wants what framing says around each scan. A report ends a
// scan by itself: silence and a suffix are not needed.
func NewFramedPOS(framing Framing) *POS {
	framing.Gap = 0
	return &POS{report: make([]byte, 0, posReportBytes), asm: NewFramedAssembler(framing)}
}

// Describe takes the report descriptor of the device that was opened. One without decoded data leaves the known layouts.
func (p *POS) Describe(descriptor []byte) { p.fields = posFieldsOf(descriptor) }

// Feed takes what one read gave, or a look at the clock, and returns the scans that it completes.
func (p *POS) Feed(b []byte, at time.Time) []Event {
	if len(b) == 0 {
		return p.look(at)
	}
	var events []Event
	if p.Pending() && at.Sub(p.lastAt) >= heldUpMax {
		p.Reset()
		events = append(events, noiseEvent(heldUpTrouble(), at))
	}
	p.lastAt = at
	for len(b) > 0 {
		if len(p.report) == 0 && !p.fields.begins(b[0]) {
			return events // a report of another sort, such as a status
		}
		n := min(len(b), p.fields.bytes()-len(p.report))
		p.report, b = append(p.report, b[:n]...), b[n:]
		if len(p.report) == p.fields.bytes() {
			events = append(events, p.take(at)...)
		}
	}
	return events
}

// Pending reports that a report or a scan is not complete.
func (p *POS) Pending() bool { return len(p.report) > 0 || p.continued }

// Reset forgets what has begun.
func (p *POS) Reset() {
	p.report, p.continued = p.report[:0], false
	p.asm.Reset()
}

func (p *POS) look(at time.Time) []Event {
	if !p.Pending() || at.Sub(p.lastAt) < posGap {
		return nil
	}
	if len(p.report) > 0 {
		return p.take(p.lastAt)
	}
	return p.garbled(at)
}

func (p *POS) garbled(at time.Time) []Event {
	p.Reset()
	return []Event{noiseEvent(Trouble{
		Code: TroubleGarbled,
		What: "the scanner sent a report that makes no sense or is not complete, and the scan was dropped",
		Next: "scan again; if it comes back, set the scanner to USB serial by its manual and configure kind = \"serial\"",
	}, at)}
}

// take makes a scan of the report, or joins it to the reports before it.
func (p *POS) take(at time.Time) []Event {
	r := slices.Clone(p.report)
	p.report = p.report[:0]
	part, ok := p.fields.read(r)
	if !ok || p.continued && part.aim != p.aim {
		return p.garbled(at)
	}
	data := part.data
	if part.aim != "" && !p.continued {
		data = append([]byte(part.aim), data...)
	}
	p.continued, p.aim = part.continued, part.aim
	if part.continued {
		return p.asm.Feed(data, at)
	}
	events := p.asm.Feed(data, at)
	return append(events, p.asm.flush(at)...)
}
