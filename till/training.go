package till

import (
	"context"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// trainingPath is where the training till's page and API stand, beside the real ones: a session of the real page opens both.
const trainingPath = "/training"

// TrainingDesk begins and ends training: a till of its own, with simulated WeChat Pay and a journal of its own.
type TrainingDesk interface {
	// BeginTraining makes the training till; a *payflow.TillBusyError while a payment holds the real one. A second one changes nothing.
	BeginTraining(ctx context.Context) error
	// EndTraining ends it, and removes all that it kept.
	EndTraining()
}

// Practice is what makes a till a training till: it plays customers.
type Practice interface {
	// PracticeCode returns a fresh payment code of a simulated customer.
	PracticeCode(customer string) (code string, known bool)
}

// PracticeCustomers are the customers whom a training till's page offers, by the names of Practice.
func PracticeCustomers() []string {
	return []string{"pays", "password", "no_money", "expired", "lost", "alipay"}
}

// PracticeBody is the body of POST /v1/training/scan.
type PracticeBody struct {
	Payment  string `json:"payment" minLength:"1" maxLength:"32"`
	Customer string `json:"customer" enum:"pays,password,no_money,expired,lost,alipay" doc:"Whose code is scanned."`
}

// TrainingState says whether training is under way.
type TrainingState struct {
	Training bool `json:"training"`
}

type (
	trainingOutput struct{ Body TrainingState }
	practiceInput  struct{ Body PracticeBody }
)

func (s *Server) registerTraining(api huma.API) {
	wish := call{method: http.MethodPost, scopes: []Scope{ScopePay}, needs: needsSeller, status: http.StatusOK, problems: []ProblemCode{TillBusy, NotFound, Stopping}}
	wish.id, wish.path, wish.summary = "begin-training", "/v1/training/begin", "Begin training: a page at /training/ with simulated customers and a journal of its own"
	huma.Register(api, wish.operation(api), s.beginTraining)
	wish.id, wish.path, wish.summary = "end-training", "/v1/training/end", "End training, and remove all that it kept"
	huma.Register(api, wish.operation(api), s.endTraining)
	wish.id, wish.path, wish.summary = "practise-scan", "/v1/training/scan", "In training: scan a simulated customer's code"
	wish.problems = []ProblemCode{NoPayment, NotFound, CodeNotAllowed, WrongCode, NothingArmed, ScanBusy, SameCode, WrongState, NotTaken, Stopping}
	huma.Register(api, wish.operation(api), s.practise)
}

func (s *Server) beginTraining(ctx context.Context, _ *struct{}) (*trainingOutput, error) {
	if s.cfg.Training == nil {
		return nil, newProblem(NotFound, "")
	}
	if err := s.cfg.Training.BeginTraining(ctx); err != nil {
		return nil, s.problemOf(ctx, err)
	}
	return &trainingOutput{Body: TrainingState{Training: true}}, nil
}

func (s *Server) endTraining(context.Context, *struct{}) (*trainingOutput, error) {
	if s.cfg.Training == nil {
		return nil, newProblem(NotFound, "")
	}
	s.cfg.Training.EndTraining()
	return &trainingOutput{}, nil
}

// practise is a scan in training. On a real till there is no such call.
func (s *Server) practise(ctx context.Context, in *practiceInput) (*paymentOutput, error) {
	if s.cfg.Practice == nil {
		return nil, newProblem(NotFound, "")
	}
	id, problem := paymentID(in.Body.Payment)
	if problem != nil {
		return nil, problem
	}
	code, known := s.cfg.Practice.PracticeCode(in.Body.Customer)
	if !known {
		return nil, newProblem(NotFound, "")
	}
	if err := s.cfg.Desk.Code(ctx, id, code); err != nil {
		return nil, s.problemOf(ctx, err)
	}
	entry, err := s.cfg.Desk.Payment(id)
	return s.wished(ctx, http.StatusOK, entry, err)
}

// Train puts a training till's page and API below /training/, or takes it away with nil. The real till goes on beside it.
func (s *Server) Train(inner *Server) {
	if inner != nil {
		inner.sessions = s.sessions // before it answers anybody
	}
	s.training.Store(inner)
}

// besideTraining answers below /training/ by the training till. Without one a page is led to the real till: training ends with every start.
func (s *Server) besideTraining(real http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, trainingPath+"/") {
			real.ServeHTTP(w, r)
			return
		}
		if inner := s.training.Load(); inner != nil {
			http.StripPrefix(trainingPath, inner.Handler()).ServeHTTP(w, r)
			return
		}
		if r.URL.Path == trainingPath+"/" && reads(r) {
			http.Redirect(w, r, "/", http.StatusSeeOther)
			return
		}
		real.ServeHTTP(w, r) // which knows no such path
	})
}
