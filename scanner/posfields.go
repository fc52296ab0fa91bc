package scanner

import "bytes"

// posPart is what one point-of-sale report carries.
type posPart struct {
	data      []byte
	aim       string // with its bracket, or empty
	continued bool
}

// posFields are where a report's parts stand, by its descriptor. The zero value stands for the layouts that are known
// without one.
type posFields struct {
	known           bool
	report          byte
	size            int // bytes of the report, with its id
	data, dataBytes int
	length          int // where the number of data bytes stands, or absent
	aim             [posAIMBytes]int
	continued       inputField
	ids             int // 1 where reports have an id
}

// absent stands for a field that a report does not have.
const absent = -1

// posFieldsOf finds the fields of the scanned data in a report descriptor. A descriptor without decoded data gives the
// zero value.
func posFieldsOf(descriptor []byte) posFields {
	reports, ok := parseDescriptor(descriptor)
	if !ok {
		return posFields{}
	}
	f := posFields{}
	for _, in := range reports.fields {
		if in.usage(0) == usageDecoded && in.bits == 8 && in.at%8 == 0 && in.count > f.dataBytes {
			f = posFields{known: true, report: in.report, size: reports.bytes(in.report), dataBytes: in.count,
				data: absent, length: absent, aim: [posAIMBytes]int{absent, absent, absent}}
		}
	}
	if !f.known {
		return posFields{}
	}
	if reports.ids {
		f.ids = 1
	}
	for _, in := range reports.fields {
		if in.report == f.report {
			f.place(in)
		}
	}
	return f
}

// place notes where a field's values stand.
func (f *posFields) place(in inputField) {
	for i := range in.count {
		at := f.ids + (in.at+i*in.bits)/8
		usage := in.usage(uint32(i))
		if !in.variable && len(in.usages) <= 1 && i > 0 && usage != usageDecoded {
			continue
		}
		switch {
		case usage == usageDecoded && f.data == absent:
			f.data = at
		case usage == usageByteCount && in.bits == 8:
			f.length = at
		case usage >= usageAIM && usage < usageAIM+posAIMBytes && in.bits == 8 && f.aim[usage-usageAIM] == absent:
			f.aim[usage-usageAIM] = at
		case usage == usageContinued && f.continued.bits == 0:
			f.continued = in
			f.continued.at += i * in.bits
		}
	}
}

// begins reports the first byte of a report with scanned data.
func (f posFields) begins(first byte) bool {
	if !f.known {
		return first == posReportID
	}
	return f.ids == 0 || first == f.report
}

func (f posFields) bytes() int {
	if !f.known {
		return posReportBytes
	}
	return f.size
}

// read takes a report apart; ok is false where its length does not fit, or where padding stands among its data.
func (f posFields) read(r []byte) (part posPart, ok bool) {
	if !f.known || f.strangeAIM(r) {
		return readKnownLayout(r)
	}
	end := f.data + f.dataBytes
	if f.length != absent {
		if f.length >= len(r) {
			return posPart{}, false
		}
		end = f.data + int(r[f.length])
	}
	if end > f.data+f.dataBytes || end > len(r) {
		return posPart{}, false
	}
	data := r[f.data:end]
	if f.length == absent {
		data = bytes.TrimRight(data, "\x00")
	}
	part = posPart{data: data, continued: f.continued.bits > 0 && bitsAt(r[f.ids:], f.continued.at, f.continued.bits) != 0}
	if f.aimByte(r, 0) == ']' {
		part.aim = string([]byte{']', f.aimByte(r, 1), f.aimByte(r, 2)})
	}
	return part.trimmed()
}

// aimByte is a byte of the AIM identifier, or 0 where the report has none.
func (f posFields) aimByte(r []byte, i int) byte {
	if f.aim[i] == absent || f.aim[i] >= len(r) {
		return 0
	}
	return r[f.aim[i]]
}

// strangeAIM reports a device whose AIM identifier does not stand where its descriptor says.
func (f posFields) strangeAIM(r []byte) bool {
	return f.aimByte(r, 0) != ']' && f.aimByte(r, 1) == ']'
}

// trimmed takes off the padding of a length that counts the AIM identifier too. Any other padding within the length means
// that a piece of the report was lost.
func (p posPart) trimmed() (posPart, bool) {
	bare := bytes.TrimRight(p.data, "\x00")
	padding := len(p.data) - len(bare)
	p.data = bare
	return p, padding == 0 || padding == posAIMBytes && p.aim != ""
}

// readKnownLayout takes a report apart by the layouts that are known.
func readKnownLayout(r []byte) (part posPart, ok bool) {
	if len(r) < posDataAt {
		return posPart{}, false
	}
	start := posAIMAt
	switch {
	case r[posAIMAt] == ']', r[posAIMAt] == 0 && r[posAIMAt+1] != ']':
		start = posDataAt
	case r[posAIMAt+1] == ']':
		start = posDataAt + 1
	}
	length := int(r[posLengthAt])
	if length > posDataMax || start+length > min(len(r), posMakerAt+1) {
		return posPart{}, false
	}
	part = posPart{data: r[start : start+length], continued: len(r) == posReportBytes && r[posContinuedAt]&posContinued != 0}
	if start > posAIMAt && r[start-posAIMBytes] == ']' {
		part.aim = string(r[start-posAIMBytes : start])
	}
	return part.trimmed()
}
