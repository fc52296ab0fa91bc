package main

import (
	"path/filepath"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2/unstable"

	"posagent/till"
)

// serialScheme begins the name of a serial port in line_listen.
const serialScheme = "serial:"

// lineAddress takes where old tills speak: an address on loopback, because any program that reaches it may arm a payment, or a port.
func lineAddress(n *node) (string, error) {
	wrong := must("an address on loopback, or serial: and the path of a port", `"127.0.0.1:7081" or "serial:/dev/ttyS1"`)
	if n.kind != unstable.String {
		return "", wrong
	}
	if port, ok := strings.CutPrefix(n.text, serialScheme); ok {
		if !filepath.IsAbs(port) {
			return "", wrong
		}
		return serialScheme + filepath.Clean(port), nil
	}
	address, err := listenAddress(n)
	if err != nil || !onLoopback(address) {
		return "", wrong
	}
	return address, nil
}

// poleSettings are those of a pole display's tap.
func poleSettings(p *Pole) []setting {
	word := text(24, `"TOTAL"`)
	return []setting{
		into("device", &p.Device, orNothing(absolutePath)),
		into("baud", &p.Line.Baud, whole(300, 921600, "9600")),
		into("data_bits", &p.Line.DataBits, whole(7, 8, "8")),
		into("parity", &p.Line.Parity, oneOf("none", "even", "odd")),
		into("stop_bits", &p.Line.StopBits, whole(1, 2, "1")),
		into("protocol", &p.Protocol, oneOf(till.PoleProtocols()...)),
		into("encoding", &p.Encoding, oneOf("utf-8", "gbk", "big5")),
		into("columns", &p.Columns, whole(8, 40, "20")),
		into("words", &p.Words, listOf(1, 16, word, `["TOTAL"]`)),
		into("not_words", &p.NotWords, listOf(0, 16, word, `["CHANGE"]`)),
		into("rule", &p.Rule, orNothing(poleRule)),
		into("decimal", &p.Decimal, oneOf(".", ",")),
		into("amounts", &p.Amounts, oneOf("major", "minor")),
		into("most", &p.Most, whole(1, 100_000_000, "1000000")),
		into("settle", &p.Settle, between(100*time.Millisecond, 5*time.Second, `"400ms"`)),
		into("fresh", &p.Fresh, between(5*time.Second, 10*time.Minute, `"60s"`)),
	}
}

func absolutePath(n *node) (string, error) {
	if n.kind != unstable.String || !filepath.IsAbs(n.text) {
		return "", must("the path of a port", `"/dev/ttyUSB1"`)
	}
	return filepath.Clean(n.text), nil
}

// poleRule takes a regular expression that says where the amount is.
func poleRule(n *node) (string, error) {
	wrong := must("a regular expression with a group named amount", "'TOTAL\\D+(?P<amount>[0-9.,]+)'")
	if n.kind != unstable.String {
		return "", wrong
	}
	if err := till.CheckPoleRule(n.text); err != nil {
		return "", wrong
	}
	return n.text, nil
}
