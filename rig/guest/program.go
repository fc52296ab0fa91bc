//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"posagent/rig"
)

// outputMax bounds what is kept of a program's output: its end.
const outputMax = 256 << 10

// tailWriter keeps the end of what is written.
type tailWriter struct {
	mu   sync.Mutex // guards text
	text []byte
}

func (w *tailWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text = append(w.text, p...)
	if over := len(w.text) - outputMax; over > 0 {
		w.text = append(w.text[:0], w.text[over:]...)
	}
	return len(p), nil
}

func (w *tailWriter) tail() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	return bytes.Clone(w.text)
}

// program is one that goes on.
type program struct {
	cmd   *exec.Cmd
	out   *tailWriter
	ended chan struct{}
}

// programs are those that were started, by their names; a new one takes the place of an old one that has ended.
type programs struct {
	mu  sync.Mutex // guards all
	all map[string]*program
}

func (p *programs) of(name string) (*program, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if found := p.all[name]; found != nil {
		return found, nil
	}
	return nil, fmt.Errorf("no program %s was started", name)
}

// Start starts a program that goes on.
func (g *Guest) Start(args rig.StartArgs, _ *rig.Nothing) error {
	p := &program{cmd: exec.Command(args.Args[0], args.Args[1:]...), out: &tailWriter{}, ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	p.cmd.Env = []string{"HOME=/run", "PATH=/bin"}
	if err := p.cmd.Start(); err != nil {
		return err
	}
	go func() {
		_ = p.cmd.Wait() // its status is read from ProcessState
		close(p.ended)
	}()
	g.programs.mu.Lock()
	g.programs.all[args.Name] = p
	g.programs.mu.Unlock()
	return nil
}

// Output is what a started program wrote last.
func (g *Guest) Output(args rig.StartArgs, reply *rig.ProgramReply) error {
	p, err := g.programs.of(args.Name)
	if err != nil {
		return err
	}
	reply.Output = p.out.tail()
	select {
	case <-p.ended:
		reply.Ended, reply.Status = true, p.cmd.ProcessState.ExitCode()
	default:
	}
	return nil
}

// Stop sends a signal to a started program and waits for its end.
func (g *Guest) Stop(args rig.StopArgs, reply *rig.ProgramReply) error {
	p, err := g.programs.of(args.Name)
	if err != nil {
		return err
	}
	if err := p.cmd.Process.Signal(syscall.Signal(args.Signal)); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.ended:
	case <-time.After(args.Within):
		_ = p.cmd.Process.Kill()
		<-p.ended
		return fmt.Errorf("%s did not end within %s of signal %d; its output:\n%s", args.Name, args.Within, args.Signal, p.out.tail())
	}
	return g.Output(rig.StartArgs{Name: args.Name}, reply)
}

// Run runs a program to its end.
func (g *Guest) Run(args rig.RunArgs, reply *rig.ProgramReply) error {
	p := &program{cmd: exec.Command(args.Args[0], args.Args[1:]...), out: &tailWriter{}}
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	p.cmd.Env = []string{"HOME=/run", "PATH=/bin"}
	if err := p.cmd.Start(); err != nil {
		return err
	}
	late := time.AfterFunc(args.Within, func() { _ = p.cmd.Process.Kill() })
	defer late.Stop()
	_ = p.cmd.Wait() // its status is read from ProcessState
	reply.Output, reply.Ended, reply.Status = p.out.tail(), true, p.cmd.ProcessState.ExitCode()
	return nil
}

// Usage is what a started program holds and has used.
func (g *Guest) Usage(args rig.StartArgs, reply *rig.UsageReply) error {
	p, err := g.programs.of(args.Name)
	if err != nil {
		return err
	}
	dir := filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid))
	files, err := os.ReadDir(filepath.Join(dir, "fd"))
	if err != nil {
		return err
	}
	threads, err := os.ReadDir(filepath.Join(dir, "task"))
	if err != nil {
		return err
	}
	reply.Files, reply.Threads, reply.At = len(files), len(threads), g.now()
	for _, t := range threads {
		reply.CPU += onProcessor(filepath.Join(dir, "task", t.Name()))
		reply.Switches += statusNumber(filepath.Join(dir, "task", t.Name(), "status"), "voluntary_ctxt_switches:")
	}
	reply.Memory = statusNumber(filepath.Join(dir, "status"), "VmRSS:") << 10
	return nil
}

// onProcessor is a thread's time on a processor; one that has just ended has none.
func onProcessor(task string) time.Duration {
	text, err := os.ReadFile(filepath.Join(task, "schedstat"))
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(text), " ")
	ns, _ := strconv.ParseInt(first, 10, 64)
	return time.Duration(ns)
}

func statusNumber(file, name string) int {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			n, _ := strconv.Atoi(strings.Fields(rest)[0])
			return n
		}
	}
	return 0
}
