package receipt

import (
	"errors"
	"fmt"
	"time"

	"posagent/payflow"
)

// Copy says whom a slip is for.
type Copy string

// The two copies.
const (
	Customer Copy = "customer"
	Store    Copy = "store"
)

// The widths of paper, in cells of one Latin letter: 58 mm printers set 32 or 42, 80 mm printers 42 or 48. Others are taken between
// WidthMin and WidthMax.
const (
	WidthMin    = 24
	WidthNarrow = 32
	WidthMiddle = 42
	WidthWide   = 48
	WidthMax    = 80
)

// ErrNoSlip says that a payment has nothing to put on paper: it is undecided, or nothing was ever sent.
var ErrNoSlip = errors.New("there is no slip for this payment; wait until it is paid, declined or being taken back")

// Options is how a slip looks. The zero value serves: what the payment itself knows of its store, wide, English, for the customer.
type Options struct {
	Store    string         // the store's name; empty: the payment's
	Address  string         // empty: the payment's
	Till     string         // the till's id; empty: the payment's
	Location *time.Location // the store's time zone; nil: UTC
	Width    int            // cells, WidthMin to WidthMax; 0: WidthWide
	Language string         // en, zh-Hans, zh-Hant; empty: en
	Copy     Copy           // empty: Customer
	Reprint  bool           // the slip was printed before, and says so
}

// settled returns the options with every gap filled, or an error that names the one that is wrong.
func (o Options) settled(e payflow.Entry) (Options, error) {
	o.Store, o.Address, o.Till = or(o.Store, e.Store.Name), or(o.Address, e.Store.Address), or(o.Till, e.Store.Till)
	o.Language, o.Copy = or(o.Language, "en"), or(o.Copy, Customer)
	if o.Location == nil {
		o.Location = time.UTC
	}
	if o.Width == 0 {
		o.Width = WidthWide
	}
	switch {
	case o.Width < WidthMin || o.Width > WidthMax:
		return o, fmt.Errorf("receipt width %d is not %d to %d cells; most printers set 32, 42 or 48", o.Width, WidthMin, WidthMax)
	case o.Copy != Customer && o.Copy != Store:
		return o, fmt.Errorf("receipt copy %.20q is not %q or %q", o.Copy, Customer, Store)
	case labelsOf[o.Language] == labels{}:
		return o, fmt.Errorf("receipt language %.20q is not en, zh-Hans or zh-Hant", o.Language)
	}
	return o, nil
}

func or[T ~string](text, otherwise T) T {
	if text != "" {
		return text
	}
	return otherwise
}
