package till

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/boombuler/barcode/qr"
	"github.com/danielgtaylor/huma/v2"

	"posagent/payflow"
)

// receiptQuiet is the empty frame around a QR code, in modules (ISO/IEC 18004).
const receiptQuiet = 4

type receiptCodeOutput struct {
	Type string `header:"Content-Type"`
	Body []byte
}

func (s *Server) registerReceiptCode(api huma.API) {
	op := call{
		id: "receipt-code", method: http.MethodGet, path: "/v1/payments/{id}/receipt.svg", summary: "A paid payment's receipt as a QR code, for the customer's phone",
		scopes: []Scope{ScopePay, ScopeReport}, status: http.StatusOK, problems: []ProblemCode{NoPayment, WrongState},
	}.operation(api)
	op.Responses["200"] = &huma.Response{Description: "The QR code.", Content: map[string]*huma.MediaType{"image/svg+xml": {Schema: &huma.Schema{Type: huma.TypeString}}}}
	huma.Register(api, op, s.receiptCode)
}

// receiptCode draws what ReceiptText says; there is none of a payment that is not paid.
func (s *Server) receiptCode(ctx context.Context, in *struct {
	ID string `path:"id"`
}) (*receiptCodeOutput, error) {
	id, problem := paymentID(in.ID)
	if problem != nil {
		return nil, problem
	}
	e, err := s.cfg.Desk.Payment(id)
	if err != nil {
		return nil, s.problemOf(ctx, err)
	}
	if e.Status != payflow.Paid {
		return nil, s.problemOf(ctx, &payflow.WrongStateError{Entry: e})
	}
	svg, err := qrSVG(s.receiptText(e))
	if err != nil {
		return nil, s.problemOf(ctx, err)
	}
	return &receiptCodeOutput{Type: "image/svg+xml", Body: svg}, nil
}

// receiptText is what the customer's phone reads: what stands on the bill in WeChat too, so that the two can be compared. It holds no
// address to open, and nothing secret.
func (s *Server) receiptText(e payflow.Entry) string {
	lines := []string{s.cfg.Store, e.Amount.String() + " WeChat Pay", e.FinalAt.In(cmp.Or(s.cfg.Location, time.Local)).Format("2006-01-02 15:04"), string(e.OutTradeNo), string(e.Trade.TransactionID)}
	if s.cfg.Practice != nil {
		lines = append([]string{"TRAINING - NOT A RECEIPT"}, lines...)
	}
	return strings.Join(lines, "\n")
}

// qrSVG draws a text as a QR code, black on white whatever the page's colours are.
func qrSVG(text string) ([]byte, error) {
	code, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		return nil, fmt.Errorf("draw a QR code: %w", err)
	}
	size := code.Bounds().Dx()
	var path strings.Builder
	for y := range size {
		for x := range size {
			if r, _, _, _ := code.At(x, y).RGBA(); r == 0 {
				fmt.Fprintf(&path, "M%d %dh1v1h-1z", x+receiptQuiet, y+receiptQuiet)
			}
		}
	}
	side := size + 2*receiptQuiet
	return fmt.Appendf(nil, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" shape-rendering="crispEdges"><path fill="#fff" d="M0 0h%dv%dH0z"/><path d="%s"/></svg>`,
		side, side, side, side, path.String()), nil
}
