package scanner

// The bounds of a report descriptor. Scanners' have 30 to 400 bytes.
const (
	descriptorBytesMax  = 4096
	descriptorFieldsMax = 256
	reportBitsMax       = 8 * readBytesMax
)

// Usages as a descriptor's fields name them: the page in the upper half.
const (
	usageKeys      = 0x0007_0000 // page 0x07; the lower half is a key's usage
	usageFirstMod  = 0x0007_00E0
	usageLastMod   = 0x0007_00E7
	usageByteCount = 0x0001_003B // HID Usage Tables, Generic Desktop page
	usageAIM       = 0x008C_00FB // symbology identifier 1; 2 and 3 follow (HID Point of Sale Usage Tables 1.02, section 3)
	usageDecoded   = 0x008C_00FE // decoded data
	usageContinued = 0x008C_00FF // decoded data continued

	usagePageMask = 0xFFFF_0000
	usageNumber   = 0x0000_FFFF
)

// The short items beside those of usb.go (HID 1.11, section 6.2.2).
const (
	itemTypeMask    = 0x0C
	itemMain        = 0x00
	itemGlobal      = 0x04
	itemLocal       = 0x08
	itemInput       = 0x80
	itemLogicalMin  = 0x14
	itemReportSize  = 0x74
	itemReportID    = 0x84
	itemReportCount = 0x94
	itemPush        = 0xA4
	itemPop         = 0xB4
	itemUsageMin    = 0x18
	inputConstant   = 0x01
	inputVariable   = 0x02

	descriptorPushMax = 8
)

// inputField is one field of an input report: count values of so many bits each.
type inputField struct {
	report   byte // 0 where reports have no id
	at       int  // its first bit, counted after the id
	bits     int
	count    int
	variable bool // each value has a usage of its own; else each value is a usage that is there now
	first    uint32
	usages   []uint32 // where they are listed one by one
	low      uint32   // the logical minimum, which stands for the first usage
}

// usage returns the usage of value i of a variable field, or of value i in an array.
func (f inputField) usage(i uint32) uint32 {
	if len(f.usages) == 0 {
		return f.first + i
	}
	return f.usages[min(i, uint32(len(f.usages)-1))] // the last one goes on (HID 1.11, section 6.2.2.8)
}

// inputReports are the input reports that a descriptor tells of.
type inputReports struct {
	fields []inputField
	bits   map[byte]int // the length of each report, without its id
	ids    bool
}

// bytes is the length of a report with its id.
func (r inputReports) bytes(id byte) int {
	n := (r.bits[id] + 7) / 8
	if r.ids {
		n++
	}
	return n
}

// parseDescriptor reads a report descriptor (HID 1.11, section 6.2.2). ok is false where it is none, or where it passes a
// bound.
func parseDescriptor(d []byte) (r inputReports, ok bool) {
	p := descriptorParser{reports: inputReports{bits: map[byte]int{}}}
	if len(d) == 0 || len(d) > descriptorBytesMax {
		return inputReports{}, false
	}
	for i := 0; i < len(d); {
		if d[i] == itemLong {
			return inputReports{}, false // no device uses one
		}
		size := int(d[i] & itemSizeMask)
		if size == 3 {
			size = 4
		}
		if i+1+size > len(d) || !p.item(d[i]&itemTagMask, size, littleEndian(d[i+1:i+1+size])) {
			return inputReports{}, false
		}
		i += 1 + size
	}
	return p.reports, true
}

// globals are the settings that stay from item to item.
type globals struct {
	page, low   uint32
	size, count int
	report      byte
}

type descriptorParser struct {
	globals
	stack   []globals
	usages  []uint32
	first   uint32
	reports inputReports
}

func (p *descriptorParser) item(tag byte, size int, value uint32) bool {
	switch tag & itemTypeMask {
	case itemMain:
		ok := tag != itemInput || p.input(value)
		p.usages, p.first = nil, 0
		return ok
	case itemGlobal:
		return p.global(tag, value)
	case itemLocal:
		p.local(tag, size, value)
		return len(p.usages) <= descriptorFieldsMax
	}
	return false
}

func (p *descriptorParser) global(tag byte, value uint32) bool {
	switch tag {
	case itemUsagePage:
		p.page = value << 16
	case itemLogicalMin:
		p.low = value
	case itemReportSize:
		p.size = int(value & usageNumber)
	case itemReportCount:
		p.count = int(value & usageNumber)
	case itemReportID:
		p.report, p.reports.ids = byte(value), true
	case itemPush:
		p.stack = append(p.stack, p.globals)
		return len(p.stack) <= descriptorPushMax
	case itemPop:
		if len(p.stack) == 0 {
			return false
		}
		p.globals, p.stack = p.stack[len(p.stack)-1], p.stack[:len(p.stack)-1]
	}
	return true
}

func (p *descriptorParser) local(tag byte, size int, value uint32) {
	if size < 4 {
		value = p.page | value&usageNumber
	}
	switch tag {
	case itemUsage:
		p.usages = append(p.usages, value)
	case itemUsageMin:
		p.first = value
	}
}

func (p *descriptorParser) input(flags uint32) bool {
	if p.size == 0 || p.count == 0 {
		return true // it takes no room, however many values it claims to have
	}
	if p.size > reportBitsMax || p.count > reportBitsMax {
		return false // before they are multiplied
	}
	at := p.reports.bits[p.report]
	p.reports.bits[p.report] = at + p.size*p.count
	if p.reports.bits[p.report] > reportBitsMax || len(p.reports.fields) == descriptorFieldsMax {
		return false
	}
	if flags&inputConstant == 0 {
		p.reports.fields = append(p.reports.fields, inputField{
			report: p.report, at: at, bits: p.size, count: p.count, variable: flags&inputVariable != 0,
			first: p.first, usages: p.usages, low: p.low,
		})
	}
	return true
}

// bitsAt reads so many bits, the lowest first, from a report without its id; beyond its end there are zeros.
func bitsAt(report []byte, at, bits int) (value uint32) {
	for i := range min(bits, 32) {
		if byteAt := (at + i) / 8; byteAt < len(report) && report[byteAt]>>((at+i)%8)&1 != 0 {
			value |= 1 << i
		}
	}
	return value
}

// described is a port that knows the report descriptor of what was opened.
type described interface{ Descriptor() []byte }

// describable is a decoder that reads reports by their descriptor.
type describable interface {
	// Describe takes the descriptor of the device that was opened, or none. One that says nothing of use leaves the usual
	// layout.
	Describe(descriptor []byte)
}

// describe gives a device's decoder the descriptor of what was opened, if it has use for one.
func (w *watcher) describe(by *device, p port) {
	decoder, reads := by.decoder.(describable)
	if !reads {
		return
	}
	var descriptor []byte
	if with, knows := p.(described); knows {
		descriptor = with.Descriptor()
	}
	decoder.Describe(descriptor)
	if w.tap != nil {
		w.mu.Lock()
		w.tap.descriptor(descriptor)
		w.mu.Unlock()
	}
}
