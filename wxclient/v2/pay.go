package v2

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"posagent/payflow"
	"posagent/wxclient"
)

// The lengths of the pay call's text fields (API v2 Quick Pay). The documents do not say bytes or characters; each text is cut
// so that both fit.
const (
	bodyMax       = 127
	attachMax     = 127
	goodsTagMax   = 32
	limitPayMax   = 32
	deviceInfoMax = 32
	detailMax     = 6000
	sceneMax      = 256
	addressMax    = 128
	addressOfPC   = "127.0.0.1" // spbill_create_ip is required
	payVersion    = "1.0"       // the Global API's
)

// Pay makes one micropay order (Quick Pay). It signs and connects at once, and sends when leave is closed: the record is then on
// disk. If ctx ends first, nothing was sent, and the error says so.
//
// Outcomes and errors are those of wxclient.Client.Pay. One call makes at most one whole arrival: the next host is tried only
// while nothing was written, and nothing is ever sent again.
func (c *Client) Pay(ctx context.Context, o payflow.Order, code payflow.AuthCode, leave <-chan struct{}) (payflow.Outcome, error) {
	o.Merchant = c.merchantOf(o.Merchant)
	way := c.line.Way(ctx)
	defer way.End()
	call, err := c.payCall(o, code)
	if err == nil {
		err = c.ready(call)
	}
	if err != nil {
		return payflow.Outcome{Kind: payflow.NotSent, Reason: payflow.ReasonConfiguration, Text: err.Error()}, nil
	}
	select {
	case <-leave:
	case <-ctx.Done():
		return payflow.Outcome{}, wxclient.LostCall("pay", o, fmt.Errorf("nothing was sent: %w", ctx.Err()))
	}
	a, err := way.Send(ctx, call)
	if unsent, nothing := wxclient.NotSent(err); nothing {
		return unsent, nil
	}
	if err != nil {
		return payflow.Outcome{}, wxclient.LostCall("pay", o, err)
	}
	return c.believeOrder("pay", o, a, func(m message) (payflow.Outcome, error) { return payOutcome(o, m) })
}

// payCall signs once, before the record is on disk: these bytes are sent, to whichever host takes them.
func (c *Client) payCall(o payflow.Order, code payflow.AuthCode) (wxclient.Call, error) {
	if code.IsZero() {
		return wxclient.Call{}, errors.New("there is no payment code")
	}
	body := c.envelope(c.payFields(o, code))
	call := c.call("pay", string(o.OutTradeNo), payPath, nil)
	call.Body = func() ([]byte, error) { return body, nil }
	return call, nil
}

func (c *Client) payFields(o payflow.Order, code payflow.AuthCode) fields {
	f := ids(o.Merchant, 17)
	f.add("version", payVersion)
	f.add("device_info", text(o.Store.Till, deviceInfoMax))
	f.add("body", text(orElse(o.Description, orElse(o.Store.Name, string(o.OutTradeNo))), bodyMax))
	f.add("detail", c.detail(o))
	f.add("attach", text(o.Tag.Attach(o.Attach), attachMax))
	f.add("out_trade_no", string(o.OutTradeNo))
	f.add("total_fee", strconv.FormatInt(o.Amount.Minor, 10))
	f.add("fee_type", string(o.Amount.Currency))
	f.add("spbill_create_ip", orElse(o.Store.DeviceIP, addressOfPC))
	f.add("goods_tag", text(o.GoodsTag, goodsTagMax))
	f.add("limit_pay", text(o.LimitPay, limitPayMax))
	f.add("scene_info", scene(o.Store))
	f.add("auth_code", code.Reveal())
	return f
}

// detail returns the caller's goods detail with its texts made plain. One that is no JSON object, or too long, is left out: it
// decorates the customer's bill, and no sale fails for it.
func (c *Client) detail(o payflow.Order) string {
	if o.Detail == "" {
		return ""
	}
	detail, err := wxclient.PlainJSON(o.Detail)
	if err != nil || len(detail) > detailMax {
		c.log.Warn().Str("out_trade_no", string(o.OutTradeNo)).Msg("goods detail left out: it must be a JSON object of at most 6000 bytes")
		return ""
	}
	return strings.TrimSpace(strings.Map(noncharacter, string(detail)))
}

// scene says where the sale is made. What does not fit into 256 bytes is left out: the address first, then all of it.
func scene(s payflow.Store) string {
	info := storeInfo{ID: text(s.ID, 32), Name: text(s.Name, sceneMax), Address: text(s.Address, addressMax)}
	for _, try := range []storeInfo{info, {ID: info.ID, Name: info.Name}, {ID: info.ID}} {
		if try == (storeInfo{}) {
			break
		}
		wire, err := json.Marshal(sceneInfo{try})
		if err == nil && len(wire) <= sceneMax {
			return string(wire)
		}
	}
	return ""
}

type sceneInfo struct {
	Store storeInfo `json:"store_info"`
}

type storeInfo struct {
	ID      string `json:"id,omitempty"`
	Name    string `json:"name,omitempty"`
	Address string `json:"address,omitempty"`
}

// payOutcome reads an answer to a pay call as if it were verified. An error means that it says nothing definite.
func payOutcome(o payflow.Order, m message) (payflow.Outcome, error) {
	switch m[resultCode] {
	case success:
		return foundOutcome(o, "", m, orElse(m["trade_state"], success))
	case fail:
		return payRefusal(m)
	}
	return payflow.Outcome{}, unlisted(m)
}

func payRefusal(m message) (payflow.Outcome, error) {
	code, said := m.code(), m.words()
	if wxclient.SaysPassword(code) {
		return payflow.Outcome{Kind: payflow.Found, Trade: payflow.Trade{State: payflow.TradeUserPaying}, Code: code, Text: said}, nil
	}
	kind, reason, listed := wxclient.PayMeaning(code)
	if !listed {
		return payflow.Outcome{}, unlisted(m)
	}
	return payflow.Outcome{Kind: kind, Code: code, Reason: reason, Text: said}, nil
}

func orElse[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}
