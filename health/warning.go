package health

import "time"

// Code names a warning for programs: in the API, in the log, in tests. Codes are never renamed.
type Code string

// Severity says how bad it is.
type Severity string

// The severities. Red means that payments cannot be taken, or that money needs a person; warn, that something will go wrong if nobody
// acts; info, that somebody should know.
const (
	Info Severity = "info"
	Warn Severity = "warn"
	Red  Severity = "red"
)

// Reader is somebody who sees warnings.
type Reader string

// The readers. Each has a next step of theirs in mind: the cashier sells on or takes cash, the manager decides, the installer mends.
const (
	Cashier   Reader = "cashier"
	Manager   Reader = "manager"
	Installer Reader = "installer"
)

// Words is one text in every language that posagent speaks, under the names that the configuration uses.
type Words struct {
	EN     string `json:"en"`
	ZhHans string `json:"zh-Hans"`
	ZhHant string `json:"zh-Hant"`
}

// In returns the text in a language of the configuration: en, zh-Hans or zh-Hant. Any other gives English.
func (w Words) In(language string) string {
	switch language {
	case "zh-Hans":
		return w.ZhHans
	case "zh-Hant":
		return w.ZhHant
	}
	return w.EN
}

// Warning is one entry of the list.
type Warning struct {
	Code     Code     `json:"code"`
	Severity Severity `json:"severity"`
	Title    Words    `json:"title"`     // what happened
	NextStep Words    `json:"next_step"` // what to do now
	Readers  []Reader `json:"readers"`
	// VisibleAfter is how long the cause lasts before anybody is told: a replug or a lost packet alarms nobody.
	VisibleAfter time.Duration `json:"-"`
}

// For says whether a reader sees the warning.
func (w Warning) For(r Reader) bool {
	for _, reader := range w.Readers {
		if reader == r {
			return true
		}
	}
	return false
}

// Find returns the warning of a code.
func Find(code Code) (Warning, bool) {
	for _, w := range All() {
		if w.Code == code {
			return w, true
		}
	}
	return Warning{}, false
}
