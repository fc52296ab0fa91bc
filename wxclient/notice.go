package wxclient

import (
	"encoding/json"
	"errors"
	"fmt"

	"posagent/payflow"
)

// The kinds of notification that are known (refund notification, payment notification).
const (
	eventRefundSuccess  = "REFUND.SUCCESS"
	eventRefundClosed   = "REFUND.CLOSED"
	eventRefundAbnormal = "REFUND.ABNORMAL"
	eventPaid           = "TRANSACTION.SUCCESS"
)

const noticeIDMax = 64 // the page says 36

// notice is a notification, opened. At most one of refund and payment is there; neither: of a kind that is not known.
type notice struct {
	ID           string     `json:"id"`
	EventType    string     `json:"event_type"`
	ResourceType string     `json:"resource_type"`
	Resource     sealedText `json:"resource"`

	refund   *refundAnswer
	payment  *tradeAnswer
	merchant merchantIDs
}

// refundEnds says which state each kind of refund notification brings.
var refundEnds = map[string]payflow.RefundState{
	eventRefundSuccess: payflow.RefundStateSuccess, eventRefundClosed: payflow.RefundStateClosed, eventRefundAbnormal: payflow.RefundStateAbnormal,
}

// openNotice decodes a notification that was verified, and opens what is sealed in it. With an error it names the id, if it can.
func openNotice(body, key []byte) (notice, error) {
	var n notice
	if err := json.Unmarshal(body, &n); err != nil {
		return notice{}, errors.New("it is no notification")
	}
	id := notice{ID: maskText(n.ID, noticeIDMax)}
	if n.ID == "" || len(n.ID) > noticeIDMax {
		return id, errors.New("it has no id that could be")
	}
	state, isRefund := refundEnds[n.EventType]
	if !isRefund && n.EventType != eventPaid {
		return notice{ID: n.ID, EventType: maskText(n.EventType, 64)}, nil
	}
	if n.Resource.Algorithm != sealAlgorithm {
		return id, fmt.Errorf("it is sealed by %.40q", maskText(n.Resource.Algorithm, 40))
	}
	text, err := unseal(key, n.Resource)
	if err != nil {
		return id, err
	}
	if err := json.Unmarshal(text, &n.merchant); err != nil {
		return id, errors.New("what is sealed in it is no object")
	}
	if isRefund {
		err = n.openRefund(text, state)
	} else {
		err = n.openPayment(text)
	}
	if err != nil {
		return id, err
	}
	return n, nil
}

func (n *notice) openRefund(text []byte, state payflow.RefundState) error {
	r, err := readRefundAnswer(text)
	if err != nil || r.OutRefundNo == "" {
		return errors.New("what is sealed in it is no refund")
	}
	if refundState(r.Status) != state {
		return fmt.Errorf("it is a %s, and the refund in it reads %.40q", n.EventType, maskText(r.Status, 40))
	}
	n.refund = &r
	return nil
}

func (n *notice) openPayment(text []byte) error {
	t, err := readTradeAnswer(answer{body: text})
	if err != nil || t.OutTradeNo == "" {
		return errors.New("what is sealed in it is no payment")
	}
	if tradeState(t.TradeState) != payflow.TradeSuccess {
		return fmt.Errorf("it is a %s, and the order in it reads %.40q", n.EventType, maskText(t.TradeState, 40))
	}
	n.payment = &t
	return nil
}

// are reports that these ids are m's, in its mode.
func (ids merchantIDs) are(m payflow.Merchant) bool {
	if m.Mode == payflow.Institution {
		return ids.ServiceProviderMerchantID == m.MerchantID && ids.SubMerchantID == m.SubMerchantID
	}
	return ids.MerchantID == m.MerchantID
}
