//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"posagent/rig"
)

// Guest is what the host may ask for. Its methods may run at the same time.
type Guest struct {
	began    time.Time
	console  *console
	uevents  *uevents
	programs programs
	gadgets  gadgets
}

func (g *Guest) now() time.Duration { return time.Since(g.began) }

// Now tells the time.
func (g *Guest) Now(_ rig.Nothing, reply *rig.Moment) error {
	reply.At = g.now()
	return nil
}

// Write writes a file.
func (g *Guest) Write(args rig.FileArgs, _ *rig.Nothing) error {
	if err := os.MkdirAll(filepath.Dir(args.Name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(args.Name, args.Data, os.FileMode(args.Mode))
}

const fileMax = 16 << 20

// Read reads a file.
func (g *Guest) Read(args rig.FileArgs, reply *rig.FileReply) error {
	file, err := os.Open(args.Name)
	if err != nil {
		return err
	}
	defer file.Close()
	reply.Data, err = io.ReadAll(io.LimitReader(file, fileMax))
	return err
}

// Console tells what reached the machine's own console since the last look.
func (g *Guest) Console(_ rig.Nothing, reply *rig.ConsoleReply) (err error) {
	reply.Read, reply.Screen, err = g.console.look()
	return err
}

// Bound tells when the kernel first gave a USB interface of a product to a driver after a moment; 0: it has not.
func (g *Guest) Bound(args rig.BoundArgs, reply *rig.Moment) error {
	reply.At = g.uevents.boundAfter(args.Vendor, args.Product, args.After)
	return nil
}

// socket is where the daemon's local API answers, as the rig's configuration says.
const socket = "/run/posagent.sock"

var api = &http.Client{Transport: &http.Transport{DisableCompression: true, MaxIdleConns: 2, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "unix", socket)
}}}

// Call calls the daemon's local API.
func (g *Guest) Call(args rig.CallArgs, reply *rig.CallReply) error {
	ctx, cancel := context.WithTimeout(context.Background(), args.Within)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, args.Method, "http://localhost"+args.Path, bytes.NewReader(args.Body))
	if err != nil {
		return err
	}
	if args.Key != "" {
		request.Header.Set("Idempotency-Key", args.Key)
	}
	if len(args.Body) > 0 {
		request.Header.Set("Content-Type", "application/json")
	}
	answer, err := api.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	reply.Status = answer.StatusCode
	reply.Body, err = io.ReadAll(io.LimitReader(answer.Body, fileMax))
	return err
}

// lookEvery is the pause between looks at the daemon's status; the time that it shows is that much too late at most, and a
// look's own.
const lookEvery = 25 * time.Millisecond

// Await waits until the daemon's status shows a scanner ready, or not ready.
func (g *Guest) Await(args rig.AwaitArgs, reply *rig.AwaitReply) error {
	end, last := time.Now().Add(args.Within), "nothing yet"
	for time.Now().Before(end) {
		ready, text, err := g.device(args.Device)
		if err == nil && ready == args.Ready {
			reply.At, reply.Text = g.now(), text
			return nil
		}
		last = fmt.Sprintf("ready %v, %q, error %v", ready, text, err)
		time.Sleep(lookEvery)
	}
	return fmt.Errorf("scanner %s is not ready = %v after %s: %s", args.Device, args.Ready, args.Within, last)
}

// device is what the daemon's status says of the one scanner whose name has a part.
func (g *Guest) device(part string) (ready bool, text string, err error) {
	var answer rig.CallReply
	if err := g.Call(rig.CallArgs{Method: http.MethodGet, Path: "/v1/status", Within: 10 * time.Second}, &answer); err != nil {
		return false, "", err
	}
	var status struct {
		Devices []struct {
			Name, Text string
			Ready      bool
		}
	}
	if err := json.Unmarshal(answer.Body, &status); err != nil {
		return false, "", err
	}
	for _, d := range status.Devices {
		if strings.Contains(d.Name, part) {
			return d.Ready, d.Text, nil
		}
	}
	return false, "", fmt.Errorf("the status knows no scanner %s", part)
}
