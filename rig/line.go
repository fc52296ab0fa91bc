package rig

import "time"

// LineName is the name of the virtio port that joins host and guest, and ServiceName that of the guest's methods on it,
// which net/rpc carries: every method has its Args and its Reply here.
const (
	LineName    = "posagent-rig"
	ServiceName = "Guest"
)

// Nothing is what a method takes or gives that takes or gives nothing.
type Nothing struct{}

// Moment is the guest's monotonic clock, counted from the guest program's start.
type Moment struct{ At time.Duration }

// FileArgs writes a file in the guest.
type FileArgs struct {
	Name string
	Mode uint32
	Data []byte
}

// FileReply is a file of the guest, at most 16 MB.
type FileReply struct{ Data []byte }

// StartArgs starts a program that goes on; its output is kept, the last 256 kB of it.
type StartArgs struct {
	Name string // for the other methods
	Args []string
}

// StopArgs sends a signal to a started program and waits for its end.
type StopArgs struct {
	Name   string
	Signal int
	Within time.Duration // then it is killed, and the method fails
}

// ProgramReply is a program's output, and its exit status where it has ended (-1: by a signal).
type ProgramReply struct {
	Output []byte
	Ended  bool
	Status int
}

// RunArgs runs a program to its end.
type RunArgs struct {
	Args   []string
	Within time.Duration
}

// CallArgs is a call of the daemon's local API on its unix socket.
type CallArgs struct {
	Method, Path string
	Key          string // the Idempotency-Key; "": none
	Body         []byte
	Within       time.Duration
}

// CallReply is its answer.
type CallReply struct {
	Status int
	Body   []byte
}

// AwaitArgs waits until the daemon's status shows a scanner ready, or not ready.
type AwaitArgs struct {
	Device string // a part of the name that the status gives it
	Ready  bool
	Within time.Duration
}

// BoundArgs asks when the kernel last gave a USB interface of a product to a driver of its own, after a moment.
type BoundArgs struct {
	Vendor, Product uint16
	After           time.Duration
}

// AwaitReply says when the status first showed it.
type AwaitReply struct {
	At   time.Duration
	Text string // why it is not ready
}

// The kinds of gadget.
const (
	GadgetKeyboard = "keyboard" // boot protocol
	GadgetPOS      = "pos"      // usage page 0x8C, reports of 64 bytes
	GadgetACM      = "acm"
)

// Gadget is a USB device that the guest itself plays, on a host controller that is a loop in its kernel.
type Gadget struct {
	Name, Kind      string
	Controller      int // 0 to 3, one gadget each
	Vendor, Product uint16
	Title, Serial   string
}

// GadgetArgs names a gadget.
type GadgetArgs struct{ Name string }

// PlayArgs has a gadget send, one write for each part.
type PlayArgs struct {
	Name   string
	Parts  [][]byte
	Pause  time.Duration // after each part
	Within time.Duration
}

// PlayReply says how long the device took to hand it all to its bus, and the longest that one part took.
type PlayReply struct{ Took, Longest time.Duration }

// ConsoleReply is what reached the guest's own console since the last look: what a reader of its terminal got, and what
// its screen shows now.
type ConsoleReply struct{ Read, Screen []byte }

// UsageReply is what a started program holds and has used.
type UsageReply struct {
	Files, Threads int
	CPU            time.Duration // on the processor, all its threads together
	Switches       int           // times that a thread went to sleep by itself
	Memory         int           // resident, bytes
	At             time.Duration
}
