package wxsim

import (
	"crypto/rsa"
	"fmt"
	"net/http"
	"time"
)

// Mode is how a merchant is contracted, and so which set of ids its calls carry (Global v3: direct or institution).
type Mode string

// The two modes. A call carries exactly one set of ids.
const (
	Institution Mode = "institution" // sp_mchid, sp_appid, sub_mchid
	Direct      Mode = "direct"      // mchid, appid
)

// Config says whom the simulator knows and how it behaves. The zero value is one institution merchant, the one of the
// documents' samples, and a WeChat Pay in good health.
type Config struct {
	Merchants []Merchant    // empty: one Merchant{}
	Hosts     []string      // further names and addresses for the TLS certificate, beyond loopback and WeChat Pay's own
	Keys      Keys          // RSA keys to use; those that are missing are made, some 100 ms each
	Clock     time.Duration // WeChat Pay's clock minus this machine's; certificates are issued by it, and SetClock changes it later
	Behaviour Behaviour     // Behave changes it
	// OtherCAs makes the handshake name another authority than the one that issued the merchants' certificates: a client that shows
	// its certificate only to those who name its issuer, as Go's does by itself, shows none then.
	OtherCAs  bool
	OrdersMax int // orders kept, the oldest go first; 0: 200,000

	Notify Notify // how notifications leave
}

// Merchant is one that WeChat Pay knows. Fields left empty take the values of the documents' samples.
type Merchant struct {
	Mode          Mode   // "" is Institution
	AppID         string // sp_appid in institution mode; "" is wx2421b1c4370ec43b
	MerchantID    string // sp_mchid in institution mode; 8 to 10 digits; "" is 10000100
	SubMerchantID string // institution mode only; "" is 20000100
	CategoryCode  string // merchant_category_code; "" is 4111
	APIv3Key      string // 32 bytes; "" makes one
	APIv2Key      string // of API v2, 32 characters; "" makes one
	Key           *rsa.PrivateKey
}

// Behaviour is what the documents leave open, or what differs by wallet. The zero value is the one that is hardest on a
// client, where there is a choice.
type Behaviour struct {
	PasswordAfter time.Duration // the customer has typed the password; 0: 6 s
	RevokeAfter   time.Duration // WeChat Pay revokes an order still unpaid; 0: 45 s
	UserPaying    int           // the status that says USERPAYING: 202 (0 is 202) or 200
	// ReverseBlocks makes the reverse of an unknown number close it for good. Without, a pay call that arrives late still
	// makes the order. No document says which.
	ReverseBlocks  bool
	ReverseCloses  bool // an unpaid order that was reversed reads CLOSED, not REVOKED
	ErrorsUnsigned bool // answers of status 4xx and 5xx carry no signature; not documented either way
	OldSpelling    bool // v3: SYSTEMERROR and ORDERPAID, as the English pages spell codes; else SYSTEM_ERROR and ORDER_PAID

	// RefundAfter is how long a refund reads PROCESSING; 0: 5 s. The documents say up to 20 minutes for a wallet and up to 5
	// working days for a bank.
	RefundAfter time.Duration
	RefundGap   time.Duration // two refunds of one order must be that far apart: a minute by the documents; 0: they need not be

	// NoRefundsFound makes the query of all refunds of an order that has none answer 200 and an empty list; else it is 404
	// RESOURCE_NOT_EXISTS. No document says which.
	NoRefundsFound bool

	// StatementsAtOnce gives the statement of a day out while the day still runs, and settles each payment at once; else a
	// statement is to be had from 10:00 (GMT+8) of the next day on, and payments are settled on the next day.
	StatementsAtOnce   bool
	ChineseStatements  bool   // the header of statements is Chinese; else English
	NoStatementSummary bool   // statements end with their last row; the Global page tells of no summary, the v2 page does
	StatementDigest    Digest // "": the SHA-1 in hex

	NotifyPlain  bool    // a notify_url may begin with http://
	NotifyFaster float64 // the schedule of notifications is that many times as fast; 0: as the documents have it
	NotifyTwice  bool    // a notification comes once more after it was taken, as the documents warn

	// APIsShareOrders lets each API query and reverse the orders that the other one made; without, there is no such order for it.
	// No document says which.
	APIsShareOrders    bool
	ExtraEvery         int  // v2: each that manyth answer carries a field that no page lists; 0: 3; below 0: none
	FormErrorsInResult bool // v2: errors of form and signature are result_code FAIL and signed, not return_code FAIL; the pages say both
	NoCDATA            bool // v2: values are escaped, none stands in CDATA
}

// Digest is what stands in Wechatpay-Statement-Sha1.
type Digest string

// The digests. The signature is over whatever stands there.
const (
	DigestRight Digest = ""
	DigestWrong Digest = "wrong" // that of another file
	DigestOdd   Digest = "odd"   // a long base64 text, as in the page's sample
)

const (
	passwordAfter = 6 * time.Second / pace
	extraEvery    = 3
	revokeAfter   = 45 * time.Second / pace // Quick Pay, v2 4013637903 and 4013637911
	ordersMax     = 200_000
)

func (b Behaviour) whole() Behaviour {
	b.PasswordAfter = orElse(b.PasswordAfter, passwordAfter)
	b.RevokeAfter = orElse(b.RevokeAfter, revokeAfter)
	b.ExtraEvery = orElse(b.ExtraEvery, extraEvery)
	b.NotifyFaster = orElse(b.NotifyFaster, 1)
	b.RefundAfter = orElse(b.RefundAfter, refundAfter)
	b.UserPaying = orElse(b.UserPaying, http.StatusAccepted)
	return b
}

func (m Merchant) whole() Merchant {
	m.Mode = orElse(m.Mode, Institution)
	m.AppID = orElse(m.AppID, "wx2421b1c4370ec43b")
	m.MerchantID = orElse(m.MerchantID, "10000100")
	m.CategoryCode = orElse(m.CategoryCode, "4111")
	if m.Mode == Institution {
		m.SubMerchantID = orElse(m.SubMerchantID, "20000100")
	}
	return m
}

func (m Merchant) check() error {
	switch {
	case m.Mode != Direct && m.Mode != Institution:
		return fmt.Errorf("merchant %s: mode %q is neither %q nor %q", m.MerchantID, m.Mode, Direct, Institution)
	case m.Mode == Direct && m.SubMerchantID != "":
		return fmt.Errorf("merchant %s: direct mode takes no sub merchant; leave it out", m.MerchantID)
	case m.APIv3Key != "" && len(m.APIv3Key) != apiv3KeyBytes:
		return fmt.Errorf("merchant %s: the API v3 key has %d bytes; give %d, or none", m.MerchantID, len(m.APIv3Key), apiv3KeyBytes)
	case m.APIv2Key != "" && len(m.APIv2Key) != apiv2KeyBytes:
		return fmt.Errorf("merchant %s: the API key of v2 has %d characters; give %d, or none", m.MerchantID, len(m.APIv2Key), apiv2KeyBytes)
	}
	return nil
}

func orElse[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}
