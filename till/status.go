package till

import (
	"time"

	"posagent/health"
)

// Status is what the parts behind the desk report, collected by the one who wired them.
type Status struct {
	Version      string        `json:"version" doc:"Of this program."`
	StartedAt    time.Time     `json:"started_at"`
	Devices      []Device      `json:"devices" doc:"Scanners, and later printers and displays."`
	Clock        Clock         `json:"clock"`
	Gateway      Gateway       `json:"gateway"`
	Certificates []Certificate `json:"certificates"`
	Journal      Journal       `json:"journal"`
	Backup       *BackupState  `json:"backup,omitempty"`
	Restore      *RestoreState `json:"restore,omitempty" doc:"Only where a backup was ever put in the journal's place."`
}

// Device is one scanner.
type Device struct {
	Name  string    `json:"name" doc:"The port, or the device's own name."`
	Kind  string    `json:"kind" doc:"serial, hid, stdin."`
	Ready bool      `json:"ready"`
	Text  string    `json:"text,omitempty" doc:"Why it is not ready, or why its scans cannot be read, and what to do."`
	Since time.Time `json:"since,omitempty,omitzero"`

	Statistics *ScanStatistics `json:"statistics,omitempty" doc:"What it has done since this program began."`
}

// ScanStatistics are what one scanner has done, as the statistics of UnifiedPOS devices count it.
type ScanStatistics struct {
	Good       uint64            `json:"good" doc:"Scans that were taken as a payment code."`
	Refused    map[string]uint64 `json:"refused" doc:"Scans that were not taken as a payment code, by the reason: busy, nothing_armed, same_code, wrong_length, alipay, bill (a customer's bill was looked up), …"`
	Misread    map[string]uint64 `json:"misread" doc:"What came from the device and was no whole scan, by its trouble: garbled, parity, unframed, too_long, held_up."`
	Overrun    uint64            `json:"overrun" doc:"Scans that were lost because this program was slow."`
	Unplugs    uint64            `json:"unplugs" doc:"How often it went away."`
	ReadyHours float64           `json:"ready_hours" doc:"How long it was ready."`
	LastSeenAt time.Time         `json:"last_seen_at,omitempty,omitzero" doc:"The last scan of any sort."`
	LastGoodAt time.Time         `json:"last_good_at,omitempty,omitzero" doc:"The last scan that was taken."`
}

// Clock is this machine's clock against WeChat Pay's.
type Clock struct {
	Known         bool      `json:"known" doc:"A verified answer has shown WeChat Pay's time."`
	OffsetSeconds int64     `json:"offset_seconds" doc:"How far this machine's clock is ahead of WeChat Pay's; negative: behind."`
	CheckedAt     time.Time `json:"checked_at,omitempty,omitzero"`
}

// Gateway is the way to WeChat Pay.
type Gateway struct {
	Host       string    `json:"host" doc:"The host that is used now."`
	Reachable  bool      `json:"reachable"`
	Verified   bool      `json:"verified" doc:"One verified round trip has succeeded since the start or the last change of credentials."`
	LastAnswer time.Time `json:"last_answer,omitempty,omitzero" doc:"The last verified answer."`
	Trouble    string    `json:"trouble,omitempty" doc:"What went wrong last."`
}

// Certificate is the merchant's or one of WeChat Pay's.
type Certificate struct {
	Name     string    `json:"name" doc:"merchant, next (loaded, not taken by WeChat Pay yet), platform."`
	Serial   string    `json:"serial,omitempty"`
	NotAfter time.Time `json:"not_after"`
	DaysLeft int       `json:"days_left"`
}

// Journal is the file that payments are kept in.
type Journal struct {
	Sequence uint64 `json:"sequence" doc:"Of its last entry."`
	Open     int    `json:"open" doc:"Payments that are not final."`
	ReadOnly bool   `json:"read_only" doc:"It cannot be written: payments are shown, none is taken."`
	Finding  string `json:"finding,omitempty" doc:"What the last check of the file found wrong."`
}

// StatusReport is the answer to GET /v1/status.
type StatusReport struct {
	Status
	Now         time.Time       `json:"now"`
	Ready       bool            `json:"ready" doc:"A payment can be armed now."`
	NotReady    *NotReady       `json:"not_ready,omitempty"`
	Store       string          `json:"store"`
	Till        string          `json:"till"`
	Currency    string          `json:"currency"`
	Language    string          `json:"language" enum:"en,zh-Hans,zh-Hant"`
	CodeInAPI   bool            `json:"code_in_api" doc:"Till software may hand in codes that it scanned itself."`
	HoldingID   string          `json:"holding,omitempty" doc:"The payment that holds the till."`
	Unannounced int             `json:"unannounced" doc:"Final payments that nobody has acknowledged."`
	OpenRefunds int             `json:"open_refunds" doc:"Refunds that are not at their end."`
	LateSuccess int             `json:"late_successes" doc:"Payments that ended unpaid, and whose money WeChat Pay turned out to hold and has not given back."`
	NeedPerson  int             `json:"need_person" doc:"Payments and refunds that a person must look at; /v1/attention has them."`
	Training    bool            `json:"training" doc:"This is the training till: nothing here is real."`
	MayTrain    bool            `json:"may_train" doc:"Training can be begun here."`
	Operators   OperatorsState  `json:"operators" doc:"Who signs in on the page of this till."`
	Warnings    []health.Active `json:"warnings" doc:"The worst first."`
}

// NotReady says why no payment can be taken now.
type NotReady struct {
	Reason   string       `json:"reason" doc:"A stable code: no_network, not_verified, clock, journal, recovering, key_mismatch, …"`
	Message  string       `json:"message"`
	NextStep health.Words `json:"next_step"`
}

// OperatorsState says how the page asks who is there.
type OperatorsState struct {
	Count     int    `json:"count" doc:"Operators that are set up; with none, the page asks for no PIN."`
	PINToSell bool   `json:"pin_to_sell" doc:"The page sells only to an operator who has signed in."`
	Refunds   string `json:"refunds" enum:"without_pin,manager_pin" doc:"What a refund on the page takes."`
}
