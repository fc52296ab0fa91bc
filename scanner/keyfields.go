package scanner

// keyFields are the fields of a keyboard's reports that tell keys. Without any, reports are boot reports.
type keyFields struct {
	reports   inputReports
	fields    []inputField
	unordered bool // keys have a bit each, so that those pressed together have no order
}

// keyFieldsOf finds the keys in a report descriptor; nothing where it has none or is none.
func keyFieldsOf(descriptor []byte) keyFields {
	reports, ok := parseDescriptor(descriptor)
	if !ok {
		return keyFields{}
	}
	found := keyFields{reports: reports}
	array := false
	for _, f := range reports.fields {
		if f.usage(0)&usagePageMask != usageKeys || f.bits > 8 {
			continue
		}
		found.fields = append(found.fields, f)
		modifiers := f.variable && f.usage(0) >= usageFirstMod
		found.unordered = found.unordered || f.variable && !modifiers
		array = array || !f.variable
	}
	if !array && !found.unordered {
		return keyFields{}
	}
	return found
}

// id is the id of a report that was read.
func (k keyFields) id(report []byte) byte {
	if !k.reports.ids {
		return 0
	}
	return report[0]
}

// pressed returns the modifiers and the keys that a report says are down. A report that could not tell its keys gives one
// of usages 0x01 to 0x03 as its first key. ok is false for a report without keys in it.
func (k keyFields) pressed(report []byte) (mods byte, keys []byte, ok bool) {
	if len(k.fields) == 0 {
		return report[0], withoutZero(report[firstKeyByte:min(len(report), keyReportBytes)]), true
	}
	id, values := k.id(report), report
	if k.reports.ids {
		values = report[1:]
	}
	for _, f := range k.fields {
		if f.report != id {
			continue
		}
		ok = true
		for i := range f.count {
			usage, down := f.down(values, i)
			switch {
			case !down:
			case usage >= usageFirstMod && usage <= usageLastMod:
				mods |= 1 << (usage - usageFirstMod)
			case usage&usagePageMask == usageKeys && usage&usageNumber <= lastErrorUsage:
				keys = append([]byte{byte(usage)}, keys...)
			case usage&usagePageMask == usageKeys && usage&usageNumber <= 0xFF:
				keys = append(keys, byte(usage))
			}
		}
	}
	return mods, keys, ok
}

// down returns the usage of value i and whether it is pressed.
func (f inputField) down(values []byte, i int) (usage uint32, down bool) {
	value := bitsAt(values, f.at+i*f.bits, f.bits)
	if f.variable {
		return f.usage(uint32(i)), value != 0
	}
	if value < f.low {
		return 0, false
	}
	usage = f.usage(value - f.low)
	return usage, usage&usageNumber != 0
}

func withoutZero(keys []byte) (down []byte) {
	for _, key := range keys {
		if key != 0 {
			down = append(down, key)
		}
	}
	return down
}
