package main

import (
	"context"
	"net"
	"os"
	"strings"

	"posagent/payflow"
	"posagent/receipt"
	"posagent/till"
)

// oldTills is the line protocol and the port it is spoken on.
type oldTills struct {
	line     *till.Line
	listener net.Listener // nil: a serial port, or none
	port     string       // of a serial line; "": none
	state    portState
}

// openLine opens the line protocol where the configuration names a place for it. A serial port that is not there is waited for.
func (a *agent) openLine(agentOptions) error {
	where := a.cfg.API.LineListen
	if where == "" {
		return nil
	}
	a.lines.line = a.server.NewLine(till.LineConfig{BySale: a.journal.BySale, Receipt: a.receiptAgain})
	if port, ok := strings.CutPrefix(where, serialScheme); ok {
		a.lines.port = port
		return nil
	}
	l, err := net.Listen("tcp", where)
	if err != nil {
		return listenFailure(where, "line_listen", err)
	}
	a.lines.listener = l
	a.log.Info().Str("address", l.Addr().String()).Msg("the line protocol listens")
	return nil
}

// receiptAgain is a payment's slip, marked as one that was printed before.
func (a *agent) receiptAgain(e payflow.Entry) (string, error) {
	options := receiptOptions(a.cfg)
	options.Reprint = true
	return receipt.Text(e, options)
}

// serveLine speaks the line protocol until ctx ends.
func (a *agent) serveLine(ctx context.Context) {
	l := &a.lines
	if l.listener != nil {
		if err := l.line.Serve(l.listener); err != nil {
			a.log.Error().Err(err).Msg("the line protocol has stopped; restart posagent")
		}
	}
	if l.port != "" {
		keepPort(ctx, &l.state, func() (*tillPort, error) { return openTillPort(l.port, a.cfg.API.LinePort, os.O_RDWR) },
			func(ctx context.Context, p *tillPort) error { return l.line.ServePort(ctx, p) },
			func(ready bool, why string) { a.logPort("the till's line", l.port, ready, why) })
	}
}

func (a *agent) logPort(what, port string, ready bool, why string) {
	if ready {
		a.log.Info().Str("device", port).Msg(what + " is open")
		return
	}
	a.log.Warn().Str("device", port).Str("trouble", why).Msg(what + " is away")
}

// tillPorts are the serial ports of old tills, as the status shows devices.
func (a *agent) tillPorts() []till.Device {
	var ports []till.Device
	for _, p := range []struct {
		name, kind string
		state      *portState
	}{{a.lines.port, "line", &a.lines.state}, {a.cfg.Pole.Device, "pole", &a.poleState}} {
		if p.name != "" {
			ready, why, since := p.state.get()
			ports = append(ports, till.Device{Name: p.name, Kind: p.kind, Ready: ready, Text: why, Since: since})
		}
	}
	return ports
}

// lineAddress: the line protocol's address is free, or the daemon has it.
func (c *checker) lineAddress(listen string) {
	l, err := net.Listen("tcp", listen)
	switch {
	case err == nil:
		_ = l.Close()
		c.ok("line protocol", "%s is free", listen)
	case c.daemon != nil:
		c.ok("line protocol", "the running posagent listens on %s", listen)
	default:
		c.fail("line protocol", "can't listen on "+listen+": "+plainCause(err), "stop the program that has the address, or change line_listen in the [api] section")
	}
}
