package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"posagent/health"
	"posagent/payflow"
	"posagent/till"
)

// api checks where till software and page reach the daemon.
func (c *checker) api(ctx context.Context) {
	c.listenAddress(ctx)
	c.noticeAddress()
	if c.cfg.API.Socket != "" {
		c.socket()
	}
	c.tokens()
	c.operators()
	c.browsers()
}

// listenAddress: the address is free, or the daemon has it.
func (c *checker) listenAddress(ctx context.Context) {
	listen := c.cfg.API.Listen
	if !onLoopback(listen) {
		c.known("API address", health.APIOpenToNetwork, listen)
	}
	l, err := net.Listen("tcp", listen)
	if err == nil {
		_ = l.Close()
		c.ok("API address", "%s is free", listen)
		return
	}
	if c.daemon != nil && answersAt(ctx, listen) {
		c.ok("API address", "the running posagent answers on %s", listen)
		return
	}
	c.fail("API address", fmt.Sprintf("can't listen on %s: %s", listen, listenCause(err)),
		"find who has it (ss -tlnp) and stop it, perhaps another posagent; or change listen in the [api] section")
}

// noticeAddress: the daemon does not start where it can't listen for WeChat Pay's notifications.
func (c *checker) noticeAddress() {
	listen := c.cfg.WeChat.NotifyListen
	if listen == "" || c.daemon != nil { // a daemon that runs has it
		return
	}
	if listen == c.cfg.API.Listen {
		c.fail("notify address", listen+" is the address of the API too", noticeFix)
		return
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		c.fail("notify address", fmt.Sprintf("can't listen on %s: %s", listen, listenCause(err)), noticeFix)
		return
	}
	_ = l.Close()
	c.ok("notify address", "%s is free", listen)
}

func answersAt(ctx context.Context, listen string) bool {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return false
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	ctx, stop := context.WithTimeout(ctx, checkDaemonWithin)
	defer stop()
	client, err := till.Dial(ctx, till.ClientConfig{URL: "http://" + net.JoinHostPort(host, port)})
	if err != nil {
		return false
	}
	client.Close()
	return true
}

// listenCause is the reason alone, without the address before it.
func listenCause(err error) string {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err.Error()
	}
	return err.Error()
}

// socket: its folder is there or can be made, and no other file stands in its place.
func (c *checker) socket() {
	path := c.cfg.API.Socket
	if c.daemon != nil {
		c.socketMode(path)
		return
	}
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() != fs.ModeSocket {
		c.fail("API socket", path+" is there and is no socket", "move that file away, or change socket in the [api] section")
		return
	}
	folder := filepath.Dir(path)
	probe, err := os.CreateTemp(folder, ".check-*")
	switch {
	case err == nil:
		_ = errors.Join(probe.Close(), os.Remove(probe.Name()))
		c.ok("API socket", "%s can be made", path)
	case errors.Is(err, fs.ErrNotExist) && strings.HasPrefix(folder, "/run/"):
		c.ok("API socket", "%s is made by systemd when the service starts", folder)
	case errors.Is(err, fs.ErrNotExist):
		c.warn("API socket", "the folder "+folder+" is not there; a start tries to make it", "make it, owned by the user posagent, or correct socket in the [api] section")
	default:
		c.fail("API socket", folder+": "+plainCause(err), "run the check as the service's user (sudo -u posagent posagent check), or correct socket in the [api] section")
	}
}

// socketMode: the daemon lets in the socket's owner and group alone, whatever the mode; one that lets in others was changed by hand.
func (c *checker) socketMode(path string) {
	info, err := os.Lstat(path)
	if err != nil {
		c.warn("API socket", "the running posagent answers, and "+path+" can't be looked at: "+plainCause(err), "run the check as root, or as the service's user")
		return
	}
	if mode := info.Mode().Perm(); mode&0o002 != 0 { // to open a socket is to write to it
		c.warn("API socket", fmt.Sprintf("%s has the mode %04o: others than its owner and group can open it, and are refused", path, mode),
			fmt.Sprintf("run: chmod %04o %s", till.SocketMode, path))
		return
	}
	c.ok("API socket", "the running posagent answers on %s", path)
}

// operators: who signs in on the page, and what that means for refunds.
func (c *checker) operators() {
	operators, err := till.OpenOperators(c.cfg.operatorsFile())
	if err != nil {
		c.failBy("operators", err)
		return
	}
	all, err := operators.List()
	switch {
	case err != nil:
		c.failBy("operators", err)
	case len(all) == 0 && c.cfg.Operators.PINToSell:
		c.warn("operators", "none, so that pin_to_sell asks nobody for a PIN", "add a manager: posagent operator add M001 --name NAME --role manager")
	case len(all) == 0:
		c.ok("operators", "none: the page asks for no PIN, not even for a refund")
	default:
		c.ok("operators", "%d: a refund on the page takes a manager's PIN, selling %s", len(all), map[bool]string{true: "takes a PIN", false: "takes none"}[c.cfg.Operators.PINToSell])
	}
}

func (c *checker) tokens() {
	file := c.cfg.API.TokensFile
	tokens, err := till.OpenTokens(file)
	if err != nil {
		c.failBy("tokens", err)
		return
	}
	all, err := tokens.List()
	if err != nil {
		c.failBy("tokens", err)
		return
	}
	if len(all) == 0 {
		c.ok("tokens", "none: page and socket alone are let in")
		return
	}
	c.ok("tokens", "%d in %s", len(all), file)
}

// shop shows what else the configuration means on this PC.
func (c *checker) shop() {
	zone := c.cfg.Store.TimeZone
	c.ok("time zone", "%s, where it is %s now", zone, c.now().In(zone).Format("2006-01-02 15:04"))
	sample := payflow.Amount{Minor: 1250, Currency: c.cfg.Till.Currency}
	c.ok("currency", "%s with %d decimals: 1250 is %s", c.cfg.Till.Currency, c.cfg.Till.Currency.Decimals(), sample)
}

// clockSet sees that the clock was set at all; how right it is, only WeChat Pay's answer tells.
func (c *checker) clockSet() {
	now := c.now()
	built, err := time.Parse(time.RFC3339, buildVersion().Time)
	if err != nil {
		built = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) // no posagent is older
	}
	shows := "it shows " + now.Format("2006-01-02 15:04")
	switch {
	case now.Year() < 2000:
		w, _ := health.Find(health.ClockUnset)
		c.fail("clock set", shows+", as a PC does that has lost its time: the battery on the main board is empty", w.NextStep.EN)
	case now.Before(built):
		c.known("clock set", health.ClockUnset, shows)
	default:
		c.ok("clock set", "%s", shows)
	}
}
