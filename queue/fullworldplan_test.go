package queue

import (
	"math/rand/v2"
	"slices"
	"time"

	"posagent/wxsim"
)

// fullPlan is what befalls a world in the full form alone: what goes wrong with certificates and connections, what an answer may look like
// that is good all the same, and power cuts while a journal is made or opened. It follows from the seed, apart from the script.
type fullPlan struct {
	hosts     int
	warm      bool // the client is told to keep a connection warm: two thirds of a world's calls are probes then, so that few worlds do
	faults    []wxsim.Fault
	start     int // the start that a power cut meets; 0: none
	startStep string
	moment    diskMoment
	startDown time.Duration
}

// fullFromSeed makes the script of a seed for the full form: a shorter one, because a call costs two RSA signatures.
func fullFromSeed(seed uint64) worldScript {
	s := worldFromSeed(seed)
	d := dice{rand.New(rand.NewPCG(seed, 0x73686f7274))}
	most := 1
	if d.coin(35) {
		most += 1 + d.IntN(2)
	}
	s.Sales = s.Sales[:min(len(s.Sales), most)]
	for i := range s.Sales {
		s.Sales[i].Attempts = min(s.Sales[i].Attempts, d.IntN(2))
		s.Sales[i].Refund = 0 // what a manager gives back is the fast form's
	}
	s.Heal /= 2
	if s.End = worldTime(5 * time.Minute); s.Heal != 0 {
		s.End = s.Heal + worldHealthy
		s.Jumps = slices.DeleteFunc(s.Jumps, func(j worldJump) bool { return j.At >= s.Heal }) // a clock at 1970 lets nothing through
	}
	return s
}

// startSteps are the steps of a start at which the power can go.
var startSteps = []string{"create", "first entry", "key", "memo", "rename", "room", "reserve", "open"}

func fullPlanOf(s *worldScript) fullPlan {
	d := dice{rand.New(rand.NewPCG(s.Seed, 0x66756c6c))}
	p := fullPlan{hosts: 1 + d.IntN(2), warm: d.coin(5), startDown: 3 * time.Second}
	if d.coin(15) {
		p.start, p.startStep = 1+d.IntN(3), startSteps[d.IntN(len(startSteps))]
		p.moment = []diskMoment{cutBefore, cutInData, cutInMeta, cutInFile, cutAfter}[d.IntN(5)]
	}
	calls := []wxsim.Call{wxsim.Certificates, wxsim.Connect, wxsim.Query, wxsim.Any}
	for range d.IntN(5) {
		on := calls[d.IntN(len(calls))]
		kinds := wholesome
		switch on {
		case wxsim.Certificates:
			kinds = wxsim.Kinds()
		case wxsim.Connect:
			kinds = []wxsim.Kind{wxsim.DropUnread, wxsim.Stall, wxsim.DeadLink, wxsim.ReadLate}
		}
		f := wxsim.Fault{On: on, Kind: kinds[d.IntN(len(kinds))], Skip: d.IntN(12), Times: 1 + d.IntN(4), Delay: time.Duration(d.between(time.Second, time.Minute))}
		if f.Kind == wxsim.Refuse {
			f.Status, f.Code = 403, "NO_AUTH"
		}
		p.faults = append(p.faults, f)
	}
	return p
}

// wholesome are what an answer may look like and be good.
var wholesome = []wxsim.Kind{wxsim.Rollover, wxsim.WrongDate, wxsim.Gzip, wxsim.LateAnswer}

// begin arms what is armed from the first moment on, and has it all end where faults heal: then somebody has also set the PC's clock right.
func (p fullPlan) begin(f *fullForm) {
	for _, fault := range p.faults {
		f.sim.Inject(fault)
	}
	if f.bug == bugForgetsHeard { // each start but the first has its clock told by what the first was told
		f.sim.Inject(wxsim.Fault{On: wxsim.Certificates, Kind: wxsim.Replayed, Skip: 1, Times: -1})
	}
	heal := f.w.script.Heal.after()
	if heal == 0 {
		return
	}
	time.AfterFunc(heal+1, func() { // behind the line that says so: what is due in the same moment of a bubble comes in any order
		f.sim.Heal()
		f.w.mu.Lock()
		off := f.w.offset
		f.w.mu.Unlock()
		if off != 0 {
			f.w.jump(worldJump{By: worldTime(-off)})
		}
	})
}

// startCut says whether the power goes at this step of this start.
func (p fullPlan) startCut(b *worldBoot, step string) (diskMoment, bool) {
	return p.moment, b.journal == nil && b.n == p.start && step == p.startStep && !b.w.script.healed(b.w.log.now())
}
