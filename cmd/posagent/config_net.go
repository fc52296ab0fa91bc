package main

import (
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// httpsHost takes https://host[:port]: no path, because the paths are the API's; no http, because the answers move money.
func httpsHost(n *node) (string, error) {
	u, ok := plainURL(n)
	if !ok || u.Scheme != "https" {
		return "", must("https://host or https://host:port, nothing behind it", `"https://apihk.mch.weixin.qq.com"`)
	}
	return "https://" + u.Host, nil
}

// origin takes what a browser sends as Origin, exactly.
func origin(n *node) (string, error) {
	u, ok := plainURL(n)
	if !ok || u.Scheme != "https" && u.Scheme != "http" {
		return "", must("an exact origin, scheme://host or scheme://host:port", `"https://pos.example.com"`)
	}
	return u.Scheme + "://" + u.Host, nil
}

// proxyURL takes http://host:port. A proxy that wants a password is not spoken to: the password would stand in this file.
func proxyURL(n *node) (string, error) {
	if u, err := url.Parse(n.text); err == nil && u.User != nil {
		return "", errSecretInFile
	}
	u, ok := plainURL(n)
	if !ok || u.Scheme != "http" || u.Port() == "" {
		return "", must("http://host:port", `"http://192.168.1.1:3128"`)
	}
	return "http://" + u.Host, nil
}

// notifyURLBytesMax is the length of notify_url in the field tables of refunds.
const notifyURLBytesMax = 256

// notifyURL takes the address that WeChat Pay sends notifications to: https, at most 256 bytes, without a query part. It may have a path.
func notifyURL(n *node) (string, error) {
	u, err := url.Parse(n.text)
	switch {
	case n.kind != unstable.String || err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || !goodPort(u.Port()):
		return "", must("https://host/path as WeChat Pay can reach it", `"https://pay.example.com/notify"`)
	case strings.ContainsAny(n.text, "?#"):
		return "", must("without a query part", `"https://pay.example.com/notify"`)
	case len(n.text) > notifyURLBytesMax:
		return "", must("at most 256 bytes long", `"https://pay.example.com/notify"`)
	}
	return n.text, nil
}

// plainURL reads scheme://host[:port] with nothing else in it.
func plainURL(n *node) (*url.URL, bool) {
	if n.kind != unstable.String {
		return nil, false
	}
	u, err := url.Parse(n.text)
	if err != nil || u.Hostname() == "" || u.User != nil || strings.ContainsAny(n.text, "?#") {
		return nil, false
	}
	if u.Path != "" && u.Path != "/" {
		return nil, false
	}
	return u, goodPort(u.Port())
}

func goodPort(port string) bool {
	if port == "" {
		return true
	}
	v, err := strconv.ParseUint(port, 10, 16)
	return err == nil && v > 0
}

// listenAddress takes address:port. Port 0 takes any free one, which tests and trials use.
func listenAddress(n *node) (string, error) {
	addr, err := netip.ParseAddrPort(strings.Replace(n.text, "localhost:", "127.0.0.1:", 1))
	if n.kind != unstable.String || err != nil {
		return "", must("address:port", `"127.0.0.1:7080"`)
	}
	return addr.String(), nil
}

// onLoopback says whether an address that listenAddress took is reached from this PC only.
func onLoopback(listen string) bool {
	addr, err := netip.ParseAddrPort(listen)
	return err == nil && addr.Addr().Unmap().IsLoopback()
}

// hostName takes what stands in a Host header, without the port.
func hostName(n *node) (string, error) {
	name := n.text
	if n.kind != unstable.String || name == "" || len(name) > 253 || strings.ContainsAny(name, "/:*@ ") && net.ParseIP(name) == nil {
		return "", must("a host name or an address, without port", `"till-1.lan"`)
	}
	return strings.ToLower(name), nil
}
