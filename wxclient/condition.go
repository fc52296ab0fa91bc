package wxclient

import (
	"sync"
	"time"
)

// ConditionKind names something about the connection to WeChat Pay that a person should know.
type ConditionKind string

// The conditions.
const (
	// GatewayUnreachable: no host could be connected to. Text says what to look at.
	GatewayUnreachable ConditionKind = "gateway_unreachable"
	// LinkDown: the connection kept warm for an armed payment broke, and no other could be made yet.
	LinkDown ConditionKind = "link_down"
	// CaptivePortal: what answers at the gateway's address is not WeChat Pay: a network's login page, or a firewall that looks into everything.
	CaptivePortal ConditionKind = "captive_portal"
	// ClockOff: the PC's clock differs from WeChat Pay's by 60 s or more; Red from 240 s on, where the corrected clock is used.
	ClockOff ConditionKind = "clock_off"
	// ClockUnusable: by the PC's clock the gateway's TLS certificate is not valid, so nothing can be sent.
	ClockUnusable ConditionKind = "clock_unusable"
	// CertificatesRefused: platform certificates could not be fetched or opened. Text says why and what to do.
	CertificatesRefused ConditionKind = "platform_certificates_refused"
	// CertificateExpiring: every platform certificate held expires soon.
	CertificateExpiring ConditionKind = "platform_certificate_expiring"
	// SerialUnknown: an answer was signed by a platform certificate that WeChat Pay does not hand out.
	SerialUnknown ConditionKind = "platform_serial_unknown"
	// ConfigurationRefused: WeChat Pay refused a call because of this till's set-up. Code is WeChat Pay's.
	ConfigurationRefused ConditionKind = "configuration_refused"
	// RoundTripVerified: the first verified answer since the client was made. It never ends.
	RoundTripVerified ConditionKind = "round_trip_verified"
)

// Condition is one such thing, beginning or changing (Over false) or ended (Over true).
type Condition struct {
	Kind   ConditionKind
	Over   bool
	Red    bool          // a person must act now
	Text   string        // what happened and what to do, in English
	Offset time.Duration // ClockOff: WeChat Pay's time minus the PC's
	Serial string        // SerialUnknown
	Until  time.Time     // CertificateExpiring
	Code   string        // ConfigurationRefused
}

// offsetStep is how much a clock's offset must move to be told again.
const offsetStep = 10 * time.Second

// conditions remembers what has been told, so that each change is told once.
type conditions struct {
	tell func(Condition)

	mu    sync.Mutex // guards stand; held while telling, so that order is kept
	stand map[ConditionKind]Condition
}

// begin tells c unless it stands already as it is.
func (s *conditions) begin(c Condition) {
	if s.tell == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, stands := s.stand[c.Kind]; stands && sameCondition(old, c) {
		return
	}
	if s.stand == nil {
		s.stand = make(map[ConditionKind]Condition)
	}
	s.stand[c.Kind] = c
	s.tell(c)
}

// over tells that a condition has ended, if it stood.
func (s *conditions) over(kind ConditionKind) {
	if s.tell == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, stands := s.stand[kind]; !stands {
		return
	}
	delete(s.stand, kind)
	s.tell(Condition{Kind: kind, Over: true})
}

func sameCondition(a, b Condition) bool {
	moved := (a.Offset - b.Offset).Abs() >= offsetStep
	return a.Red == b.Red && a.Serial == b.Serial && a.Code == b.Code && a.Until.Equal(b.Until) && !moved
}
