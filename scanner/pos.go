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
// together by their number of bytes. It knows the layouts of Honeywell, Zebra and Datalogic (AIM identifier before the
// data), the same one byte later, and Newland's (data from the third byte on).
type POS struct {
	report    []byte // of the report under way; at most 64 bytes
	asm       *Assembler
	continued bool      // the scan goes on in the next report
	lastAt    time.Time // of the last read that gave bytes
}

// NewPOS returns a decoder of point-of-sale reports.
func NewPOS() *POS {
	return &POS{report: make([]byte, 0, posReportBytes), asm: NewAssembler(0)}
}

// Feed takes what one read gave, or a look at the clock, and returns the scans that it completes.
func (p *POS) Feed(b []byte, at time.Time) []Event {
	if len(b) == 0 {
		return p.look(at)
	}
	p.lastAt = at
	var events []Event
	for len(b) > 0 {
		if len(p.report) == 0 && b[0] != posReportID {
			return events // a report of another sort, such as a status
		}
		n := min(len(b), posReportBytes-len(p.report))
		p.report, b = append(p.report, b[:n]...), b[n:]
		if len(p.report) == posReportBytes {
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
	return []Event{{Kind: KindNoise, At: at, Trouble: Trouble{
		Code: TroubleGarbled,
		What: "the scanner sent a report that makes no sense or is not complete, and the scan was dropped",
		Next: "scan again; if it comes back, set the scanner to USB serial by its manual and configure kind = \"serial\"",
	}}}
}

// take makes a scan of the report, or joins it to the reports before it.
func (p *POS) take(at time.Time) []Event {
	r := slices.Clone(p.report)
	p.report = p.report[:0]
	start, ok := posStart(r)
	if !ok {
		return p.garbled(at)
	}
	end := start + int(r[posLengthAt])
	if start > posAIMAt && !p.continued && r[start-posAIMBytes] == ']' {
		start -= posAIMBytes
	}
	p.continued = len(r) == posReportBytes && r[posContinuedAt]&posContinued != 0
	data := r[start:end]
	if !p.continued {
		data = append(data, cr)
	}
	return p.asm.Feed(data, at)
}

// posStart finds where a report's data begins; ok is false where its length does not fit. A length that counts the AIM
// identifier too takes in three bytes of padding, which are dropped as NUL.
func posStart(r []byte) (start int, ok bool) {
	if len(r) < posDataAt {
		return 0, false
	}
	switch {
	case r[posAIMAt] == ']', r[posAIMAt] == 0 && r[posAIMAt+1] != ']':
		start = posDataAt
	case r[posAIMAt+1] == ']':
		start = posDataAt + 1
	default:
		start = posAIMAt
	}
	length := int(r[posLengthAt])
	return start, length <= posDataMax && start+length <= min(len(r), posMakerAt+1)
}
