package wxsim

import (
	"encoding/json"
	"io"
	"net/http"
	"time"
)

const controlBodyMax = 64 << 10

// Control is how another process reads the books and makes things go wrong, in JSON over plain HTTP. It has no lock on its
// door: serve it on loopback alone, and never beside a real account.
//
//	GET    /books      Books
//	GET    /scenarios  the table
//	POST   /faults     a Fault is armed          DELETE /faults   all are removed
//	POST   /orders     a Foreign is placed
//	POST   /network    {"up": false}             and up again with true; {"dead": true} deadens the links there are
//	POST   /clock      {"offset": nanoseconds}   WeChat Pay's clock minus this machine's
//	POST   /refunds    {"out_trade_no": "…", "amount": 250}   a refund on the merchant platform
//	POST   /probe      {"url": "…"}              a probing notification is sent; the answer is {"status": 401}
//	POST   /keys       a KeyWish: platform certificates and the public key
//
// Done is 204; what cannot be done is 400 with the reason as text.
func (s *Sim) Control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /books", func(w http.ResponseWriter, r *http.Request) { writeJSON(w, s.Books()) })
	mux.HandleFunc("GET /scenarios", func(w http.ResponseWriter, r *http.Request) { writeJSON(w, Scenarios()) })
	mux.HandleFunc("DELETE /faults", func(w http.ResponseWriter, r *http.Request) {
		s.Heal()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("POST /faults", command(s.injectChecked))
	mux.HandleFunc("POST /orders", command(s.Place))
	mux.HandleFunc("POST /network", command(s.setNetwork))
	mux.HandleFunc("POST /clock", command(s.setClock))
	mux.HandleFunc("POST /refunds", command(s.refundWished))
	mux.HandleFunc("POST /keys", command(s.setKeys))
	mux.HandleFunc("POST /probe", s.probeWished)
	return mux
}

type platformRefund struct {
	MerchantID string `json:"merchant_id"`
	Number     string `json:"out_trade_no"`
	Amount     int64  `json:"amount"`
}

func (s *Sim) refundWished(wish platformRefund) error {
	return s.Refund(wish.MerchantID, wish.Number, wish.Amount)
}

// KeyWish is what Control's POST /keys takes. What it names is done in this order.
type KeyWish struct {
	AddCertificate   bool     `json:"add_certificate"`
	UseCertificate   bool     `json:"use_certificate"`
	DropCertificates bool     `json:"drop_certificates"`
	MovePublicKey    *float64 `json:"move_public_key"` // percent
	PublicKeyOnly    bool     `json:"public_key_only"`
}

func (s *Sim) setKeys(wish KeyWish) error {
	if wish.AddCertificate {
		if _, err := s.AddCertificate(); err != nil {
			return err
		}
	}
	if wish.UseCertificate {
		s.UseCertificate()
	}
	if wish.DropCertificates {
		s.DropCertificates()
	}
	if wish.MovePublicKey != nil {
		s.MovePublicKey(*wish.MovePublicKey)
	}
	if wish.PublicKeyOnly {
		s.UsePublicKeyOnly()
	}
	return nil
}

type probeWish struct {
	URL string `json:"url"`
}

func (s *Sim) probeWished(w http.ResponseWriter, r *http.Request) {
	wish, err := decodeWish[probeWish](r)
	status := 0
	if err == nil {
		status, err = s.Probe(wish.URL)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	writeJSON(w, map[string]int{"status": status})
}

func (s *Sim) injectChecked(f Fault) error {
	err := f.Check()
	if err == nil {
		s.Inject(f)
	}
	return err
}

type networkWish struct {
	Up   *bool `json:"up"`
	Dead bool  `json:"dead"`
}

func (s *Sim) setNetwork(wish networkWish) error {
	if wish.Dead {
		s.DeadenLinks()
	}
	switch {
	case wish.Up == nil:
		return nil
	case *wish.Up:
		return s.NetworkUp()
	}
	s.NetworkDown()
	return nil
}

type clockWish struct {
	Offset time.Duration `json:"offset"`
}

func (s *Sim) setClock(wish clockWish) error {
	s.SetClock(wish.Offset)
	return nil
}

// command decodes one wish, strictly, and carries it out.
func command[T any](do func(T) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		wish, err := decodeWish[T](r)
		if err == nil {
			err = do(wish)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

func decodeWish[T any](r *http.Request) (wish T, err error) {
	decoder := json.NewDecoder(io.LimitReader(r.Body, controlBodyMax))
	decoder.DisallowUnknownFields()
	return wish, decoder.Decode(&wish)
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Write(mustJSON(v))
}
