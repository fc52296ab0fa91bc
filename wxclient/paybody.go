package wxclient

import (
	"encoding/json"

	"posagent/payflow"
)

// The lengths of the pay call's text fields (Quick Pay, submit payment). The documents do not say bytes or
// characters; each text is cut so that both fit. Lengths that the Global page does not give are bounds of ours.
const (
	descriptionMax = 127
	attachMax      = 127
	goodsTagMax    = 32
	limitPayMax    = 32
	categoryMax    = 16
	deviceIDMax    = 32
	operatorMax    = 32
	storeIDMax     = 32
	storeNameMax   = 127
	addressMax     = 128
	detailMax      = 6000 // as API v2 gives it
)

// payOrder is the pay call's body, with exactly one of the two sets of ids.
type payOrder struct {
	AppID                string `json:"appid,omitempty"`
	ServiceProviderAppID string `json:"sp_appid,omitempty"`
	SubAppID             string `json:"sub_appid,omitempty"`
	merchantIDs
	OutTradeNo   payflow.OutTradeNo `json:"out_trade_no"`
	Description  string             `json:"description"`
	Attach       string             `json:"attach,omitempty"`
	GoodsTag     string             `json:"goods_tag,omitempty"`
	TradeType    string             `json:"trade_type"`
	LimitPay     string             `json:"limit_pay,omitempty"`
	CategoryCode string             `json:"merchant_category_code,omitempty"`
	Payer        payerCode          `json:"payer"`
	Amount       payAmount          `json:"amount"`
	Scene        *scene             `json:"scene_info,omitempty"`
	Detail       json.RawMessage    `json:"detail,omitempty"`
}

type payerCode struct {
	AuthCode string `json:"auth_code"`
}

type payAmount struct {
	Total    int64            `json:"total"`
	Currency payflow.Currency `json:"currency"`
}

type scene struct {
	DeviceID   string     `json:"device_id,omitempty"`
	DeviceIP   string     `json:"device_ip,omitempty"`
	OperatorID string     `json:"operator_id,omitempty"`
	Store      *storeInfo `json:"store_info,omitempty"`
}

type storeInfo struct {
	ID      string `json:"id,omitempty"`
	Name    string `json:"name"`
	Address string `json:"address"`
}

// payBody marshals the order once: these bytes are signed, and these bytes are sent.
func (c *Client) payBody(o payflow.Order, code payflow.AuthCode) ([]byte, error) {
	m := c.merchantOf(o)
	wire := payOrder{
		merchantIDs:  c.ids(o),
		OutTradeNo:   o.OutTradeNo,
		Description:  plain(orElse(o.Description, orElse(o.Store.Name, string(o.OutTradeNo))), descriptionMax),
		Attach:       plain(o.Tag.Attach(o.Attach), attachMax),
		GoodsTag:     plain(o.GoodsTag, goodsTagMax),
		TradeType:    "MICROPAY",
		LimitPay:     plain(o.LimitPay, limitPayMax),
		CategoryCode: plain(orElse(m.CategoryCode, c.merchant.CategoryCode), categoryMax),
		Payer:        payerCode{code.Reveal()},
		Amount:       payAmount{o.Amount.Minor, o.Amount.Currency},
		Scene:        sceneOf(o),
		Detail:       c.detail(o),
	}
	if m.Mode == payflow.Institution {
		wire.ServiceProviderAppID, wire.SubAppID = m.AppID, m.SubAppID
	} else {
		wire.AppID = m.AppID
	}
	return json.Marshal(wire)
}

// sceneOf says where the sale is made. store_info goes only whole: the documents require its name and address.
func sceneOf(o payflow.Order) *scene {
	s := scene{DeviceID: plain(o.Store.Till, deviceIDMax), DeviceIP: o.Store.DeviceIP, OperatorID: plain(o.Operator, operatorMax)}
	if o.Store.Address != "" {
		s.Store = &storeInfo{
			ID:      plain(o.Store.ID, storeIDMax),
			Name:    plain(orElse(o.Store.Name, o.Store.ID), storeNameMax),
			Address: plain(o.Store.Address, addressMax),
		}
	}
	if s == (scene{}) {
		return nil
	}
	return &s
}

// detail returns the caller's goods detail with its texts made plain. One that is no JSON object, or too long, is left
// out: it decorates the customer's bill, and no sale fails for it.
func (c *Client) detail(o payflow.Order) json.RawMessage {
	if o.Detail == "" {
		return nil
	}
	detail, err := plainJSON(o.Detail)
	if err != nil || len(detail) > detailMax {
		c.log.Warn().Str("out_trade_no", string(o.OutTradeNo)).Msg("goods detail left out: it must be a JSON object of at most 6000 bytes")
		return nil
	}
	return detail
}
