package rig

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// monitorAnswerMax bounds one line of QEMU's monitor.
const monitorAnswerMax = 1 << 20

// monitor is QEMU's own control line (QMP): JSON, one object a line.
type monitor struct {
	mu   sync.Mutex // one command at a time
	conn net.Conn
	in   *bufio.Scanner
}

func openMonitor(conn net.Conn) (*monitor, error) {
	m := &monitor{conn: conn, in: bufio.NewScanner(conn)}
	m.in.Buffer(nil, monitorAnswerMax)
	if !m.in.Scan() { // the greeting
		return nil, fmt.Errorf("QEMU's monitor says nothing: %w", m.in.Err())
	}
	return m, m.do("qmp_capabilities", nil)
}

type monitorAnswer struct {
	Event string
	Error *struct{ Desc string }
}

// monitorWithin is how long a command may take on a busy machine.
const monitorWithin = time.Minute

// do carries out a command. Events that come between are passed over.
func (m *monitor) do(command string, arguments any) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	line, err := json.Marshal(struct {
		Execute   string `json:"execute"`
		Arguments any    `json:"arguments,omitempty"`
	}{command, arguments})
	if err != nil {
		return err
	}
	if err := m.conn.SetDeadline(time.Now().Add(monitorWithin)); err != nil {
		return err
	}
	if _, err := m.conn.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("QEMU's monitor, %s: %w", command, err)
	}
	for m.in.Scan() {
		var answer monitorAnswer
		if err := json.Unmarshal(m.in.Bytes(), &answer); err != nil {
			return fmt.Errorf("QEMU's monitor, %s: %w", command, err)
		}
		switch {
		case answer.Event != "":
		case answer.Error != nil:
			return fmt.Errorf("QEMU's monitor, %s: %s", command, answer.Error.Desc)
		default:
			return nil
		}
	}
	return fmt.Errorf("QEMU's monitor, %s: %w", command, orEOF(m.in.Err()))
}

func orEOF(err error) error {
	if err == nil {
		return io.EOF
	}
	return err
}

// press sends one move of a key, by QEMU's name of it.
func (m *monitor) press(key string, down bool) error {
	return m.do("input-send-event", map[string]any{"events": []any{map[string]any{
		"type": "key", "data": map[string]any{"down": down, "key": map[string]any{"type": "qcode", "data": key}},
	}}})
}
