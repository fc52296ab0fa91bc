package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// policyBytesMax bounds a policy file, in bytes: a real one is a few kilobytes.
const policyBytesMax = 1 << 20

// browser is where a browser on Linux reads its managed policies, and what shows that it is installed.
type browser struct {
	name   string
	file   string
	looks  []string
	shared bool // the file holds all of the browser's policies, others' too
}

// browsers: Chrome, Chromium and Edge read every file of their folder, so that ours is our own; Firefox reads one file.
// Sources: chromeenterprise.google/policies and learn.microsoft.com/deployedge (folders, LocalNetworkAccessAllowedForUrls from 139 and 140 on,
// LoopbackNetworkAllowedForUrls from 146 on), firefox-admin-docs.mozilla.org (LocalNetworkAccess, SkipDomains, from 151 on).
func browsers() []browser {
	return []browser{
		{"Chrome", "/etc/opt/chrome/policies/managed/posagent.json", []string{"/opt/google/chrome", "/usr/bin/google-chrome"}, false},
		{"Chromium", "/etc/chromium/policies/managed/posagent.json", []string{"/usr/bin/chromium"}, false},
		{"Chromium snap", "/etc/chromium-browser/policies/managed/posagent.json", []string{"/snap/bin/chromium", "/usr/bin/chromium-browser"}, false},
		{"Edge", "/etc/opt/edge/policies/managed/posagent.json", []string{"/opt/microsoft/msedge", "/usr/bin/microsoft-edge"}, false},
		{"Firefox", "/etc/firefox/policies/policies.json", []string{"/usr/bin/firefox", "/usr/bin/firefox-esr", "/snap/bin/firefox"}, true},
	}
}

// chromiumPolicies are the lists that let a page call this PC. The first is for the versions before the second was: it opens the local network
// to that page besides.
var chromiumPolicies = []string{"LocalNetworkAccessAllowedForUrls", "LoopbackNetworkAllowedForUrls"}

// browserTill is a page that may call this PC, and what is to be done about it.
type browserTill struct {
	origin       string // https://host[:port]
	root         string
	undo, dryRun bool
}

// The changes of a policy file.
const (
	unchanged = "unchanged"
	written   = "written"
	removed   = "removed"
)

// policyChange is what becomes of one file.
type policyChange struct {
	Browser string `json:"browser"`
	File    string `json:"file"`
	Change  string `json:"change"` // unchanged, written, removed

	text []byte
}

func (c policyChange) word(dryRun bool) string {
	if !dryRun || c.Change == unchanged {
		return c.Change
	}
	return map[string]string{written: "to write", removed: "to remove"}[c.Change]
}

// plan reads every file before one is changed: a file that can't be understood stops all.
func (t browserTill) plan() ([]policyChange, error) {
	var changes []policyChange
	for _, b := range browsers() {
		file := filepath.Join(t.root, b.file)
		old, err := readPolicy(file)
		if err != nil {
			return nil, err
		}
		text, err := t.edited(b, file, old)
		if err != nil {
			return nil, err
		}
		change := policyChange{Browser: b.name, File: file, Change: written, text: text}
		switch {
		case bytes.Equal(text, old):
			change.Change = unchanged
		case text == nil:
			change.Change = removed
		}
		changes = append(changes, change)
	}
	return changes, nil
}

// edited is a file's text with the page in it, or without; nil where nothing is left.
func (t browserTill) edited(b browser, file string, old []byte) ([]byte, error) {
	all, err := parsePolicy(file, old)
	if err != nil {
		return nil, err
	}
	before := mustJSON(all)
	if b.shared {
		err = t.editFirefox(all)
	} else {
		err = t.editChromium(all)
	}
	if err != nil {
		return nil, policyFailure(file, err)
	}
	if bytes.Equal(mustJSON(all), before) && old != nil {
		return old, nil // as somebody else has written it
	}
	if len(all) == 0 {
		return nil, nil
	}
	return append(mustJSON(all), '\n'), nil
}

func (t browserTill) editChromium(all map[string]any) error {
	for _, name := range chromiumPolicies {
		if err := t.editList(all, name, t.origin); err != nil {
			return err
		}
	}
	return nil
}

// editFirefox names the page's host as one that need not ask. What others have in the file stays.
func (t browserTill) editFirefox(all map[string]any) error {
	policies, err := objectIn(all, "policies")
	if err != nil {
		return err
	}
	access, err := objectIn(policies, "LocalNetworkAccess")
	if err != nil {
		return err
	}
	if err := t.editList(access, "SkipDomains", hostOf(t.origin)); err != nil {
		return err
	}
	keepObject(policies, "LocalNetworkAccess", access)
	keepObject(all, "policies", policies)
	return nil
}

// editList puts a text into a list of texts, or takes it out; an empty list goes.
func (t browserTill) editList(in map[string]any, name, text string) error {
	list, err := textsIn(in, name)
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(x any) bool { return x == text && t.undo })
	if !t.undo && !slices.Contains(list, any(text)) {
		list = append(list, text)
	}
	if in[name] = list; len(list) == 0 {
		delete(in, name)
	}
	return nil
}

func hostOf(origin string) string {
	host := strings.TrimPrefix(origin, "https://")
	host, _, _ = strings.Cut(host, ":")
	return host
}

func objectIn(in map[string]any, name string) (map[string]any, error) {
	if in[name] == nil {
		return map[string]any{}, nil
	}
	object, ok := in[name].(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s in it is no object", name)
	}
	return object, nil
}

func textsIn(in map[string]any, name string) ([]any, error) {
	if in[name] == nil {
		return nil, nil
	}
	list, ok := in[name].([]any)
	if !ok {
		return nil, fmt.Errorf("%s in it is no list", name)
	}
	return slices.Clone(list), nil
}

func keepObject(in map[string]any, name string, object map[string]any) {
	if in[name] = object; len(object) == 0 {
		delete(in, name)
	}
}

// readPolicy reads a policy file; nil for one that is not there.
func readPolicy(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, policyFailure(file, err)
	}
	if info.Size() > policyBytesMax {
		return nil, policyFailure(file, errors.New("it is larger than 1 MiB"))
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, policyFailure(file, err)
	}
	return text, nil
}

func parsePolicy(file string, text []byte) (map[string]any, error) {
	all := map[string]any{}
	if len(bytes.TrimSpace(text)) == 0 {
		return all, nil
	}
	numbers := json.NewDecoder(bytes.NewReader(text))
	numbers.UseNumber() // as they were written
	if err := numbers.Decode(&all); err != nil || all == nil {
		return nil, policyFailure(file, fmt.Errorf("it is no JSON object, so that the browser ignores it (%v)", err))
	}
	return all, nil
}

func policyFailure(file string, err error) error {
	return &Failure{What: fmt.Sprintf("the policy file %s can't be used: %s", file, plainCause(err)), Next: "correct it or move it away, then run the command again; nothing was changed", Err: err}
}

func mustJSON(all map[string]any) []byte {
	var text bytes.Buffer
	plain := json.NewEncoder(&text)
	plain.SetEscapeHTML(false)
	plain.SetIndent("", "  ")
	if err := plain.Encode(all); err != nil {
		panic("posagent: a policy that was read does not marshal: " + err.Error())
	}
	return bytes.TrimRight(text.Bytes(), "\n")
}

// carryOut writes the files. Each is whole, old or new, whatever happens meanwhile.
func carryOut(changes []policyChange) error {
	for _, c := range changes {
		var err error
		switch c.Change {
		case written:
			err = writePolicy(c.File, c.text)
		case removed:
			err = os.Remove(c.File)
		}
		if errors.Is(err, fs.ErrPermission) {
			return &Failure{What: fmt.Sprintf("%s can't be changed: %s", c.File, plainCause(err)), Next: "run the command as root: sudo posagent init …", Err: err}
		}
		if err != nil {
			return &Failure{What: fmt.Sprintf("%s can't be changed: %s", c.File, plainCause(err)), Next: "mend that, then run the command again; it changes only what is missing", Err: err}
		}
	}
	return nil
}

// writePolicy writes a file that every user's browser reads.
func writePolicy(file string, text []byte) error {
	folder := filepath.Dir(file)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(folder, ".posagent-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(text)
	if err = errors.Join(err, tmp.Chmod(0o644), tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), file)
}
