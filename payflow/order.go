package payflow

import (
	"fmt"
	"strings"
)

// OutTradeNo is the merchant's own order number: 1 to 32 of [0-9A-Z] (the documents allow more characters, but
// some of them need escaping in a path and so change the signed text). It carries one code and one amount, for ever.
type OutTradeNo string

// OutTradeNoMax is the longest order number that WeChat Pay takes, in characters (Quick Pay API, out_trade_no).
const OutTradeNoMax = 32

// ParseOutTradeNo checks an order number that comes from outside.
func ParseOutTradeNo(text string) (OutTradeNo, error) {
	if len(text) == 0 || len(text) > OutTradeNoMax || strings.Trim(text, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return "", fmt.Errorf("order number %.40q is not 1 to 32 of 0-9 and A-Z", text)
	}
	return OutTradeNo(text), nil
}

// TransactionID is WeChat Pay's number of a payment; it stands on the customer's bill.
type TransactionID string

// OutRefundNo is the merchant's own number of a refund, RefundID is WeChat Pay's.
type (
	OutRefundNo string
	RefundID    string
)

// SaleRef is the till software's number of the sale that a payment is a tender of.
type SaleRef string

// AttachTag is the random mark that each pay call carries in `attach`, so that an order under our number that is
// another till's (a cloned PC, a restored journal) can be told from our own.
type AttachTag string

// AttachTagLength is the length of every tag, in characters.
const AttachTagLength = 16

// Attach returns the whole attach field: our tag, then the caller's own text behind a blank.
func (t AttachTag) Attach(callers string) string {
	if callers == "" {
		return string(t)
	}
	return string(t) + " " + callers
}

// saleMark begins what stands behind the tag where the caller has no text of its own.
const saleMark = "sale="

// AttachOfSale names the sale in the attach field of its order, so that an order which a restored journal lost can be told by its sale. The customer
// does not see it; whoever reads the merchant's statement does, as the description that names the sale anyway.
func AttachOfSale(sale SaleRef) string { return saleMark + string(sale) }

// SaleOfAttach reads the sale out of a whole attach field; "" where the caller's own text stands there.
func SaleOfAttach(attach string) SaleRef {
	if len(attach) <= AttachTagLength {
		return ""
	}
	sale, ok := strings.CutPrefix(attach[AttachTagLength:], " "+saleMark)
	if !ok {
		return ""
	}
	return SaleRef(sale)
}

// Carries reports whether an attach field from an answer is this tag's.
func (t AttachTag) Carries(attach string) bool {
	return t != "" && (attach == string(t) || strings.HasPrefix(attach, string(t)+" "))
}

// API is the version of WeChat Pay's API that an order was made with. Query and reverse stay with it.
type API string

// The two APIs.
const (
	APIv3 API = "v3"
	APIv2 API = "v2"
)

// Mode says whose merchant number signs: the merchant's own, or its institution's (service provider's).
type Mode string

// The two modes of a merchant.
const (
	Direct      Mode = "direct"
	Institution Mode = "institution"
)

// Merchant is the set of ids that an order is made under. In institution mode AppID and MerchantID are the
// institution's (sp_appid, sp_mchid) and the Sub ids the store's; in direct mode the Sub ids are empty.
type Merchant struct {
	Mode          Mode   `json:"mode"`
	AppID         string `json:"app_id"`
	MerchantID    string `json:"merchant_id"`
	SubAppID      string `json:"sub_app_id,omitempty"`
	SubMerchantID string `json:"sub_merchant_id,omitempty"`
	CategoryCode  string `json:"category_code,omitempty"`
}

// Order is what is charged. Nothing in it changes once it is journaled.
type Order struct {
	OutTradeNo  OutTradeNo `json:"out_trade_no"`
	Amount      Amount     `json:"amount"`
	Tag         AttachTag  `json:"attach_tag"`
	Merchant    Merchant   `json:"merchant"`
	API         API        `json:"api"`
	HostFamily  string     `json:"host_family"` // the first configured host; the others are its backups
	SaleRef     SaleRef    `json:"sale_ref"`
	Attempt     int        `json:"attempt"` // 1 for the sale's first payment, then counting
	Description string     `json:"description"`
	Attach      string     `json:"attach,omitempty"` // behind the tag: the caller's own text, or AttachOfSale
	GoodsTag    string     `json:"goods_tag,omitempty"`
	LimitPay    string     `json:"limit_pay,omitempty"` // "no_credit" or empty
	Detail      string     `json:"detail,omitempty"`    // the caller's goods detail, as the JSON text that goes on the wire
	Operator    string     `json:"operator,omitempty"`
	Store       Store      `json:"store"`
	// AdditionalTender is the caller's word that a sale with a paid payment takes one more.
	AdditionalTender bool `json:"additional_tender,omitempty"`
}

// Store says where the sale is made; it travels in scene_info.
type Store struct {
	ID       string `json:"id"`
	Name     string `json:"name,omitempty"`
	Address  string `json:"address,omitempty"`
	Till     string `json:"till"`
	DeviceIP string `json:"device_ip,omitempty"`
}
