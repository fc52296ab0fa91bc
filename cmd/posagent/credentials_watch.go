package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"

	"posagent/health"
)

// How the watcher waits. Files are copied one by one: a pair that does not fit yet may be half of a new one.
const (
	credentialsSettle = 500 * time.Millisecond // after a change before the files are read
	credentialsFit    = 10 * time.Second       // that a new pair has to become whole
	credentialsPoll   = time.Minute            // where no event comes: network shares, folders that were replaced
)

// credentialsWatcher sees the files of the [wechat] section change. Those named by a path are read anew without a restart, once all of
// them fit together; a set that does not is refused with a warning, and what was held before stays. systemd's credentials can't change
// while the service runs: of those it only says that a new one waits for a restart.
type credentialsWatcher struct {
	cfg       Config
	onNew     func(Credentials)
	onWarning func(holds bool, code health.Code, detail string)

	now          func() time.Time
	sources      credentialSources
	settle, poll time.Duration
	fit          time.Duration

	seen      [sha256.Size]byte // the contents of the files when they were last read
	unfitFrom time.Time         // zero: they were fit
	unfit     string            // why not
}

// newCredentialsWatcher takes the contents as they are now for those that are in use. onNew gets each fit set that differs from the one
// before; onWarning is told when a warning begins, changes or ends. Neither may block for long.
func newCredentialsWatcher(cfg Config, onNew func(Credentials), onWarning func(holds bool, code health.Code, detail string)) *credentialsWatcher {
	w := &credentialsWatcher{cfg: cfg, onNew: onNew, onWarning: onWarning, now: time.Now, sources: systemSources(time.Now()),
		settle: credentialsSettle, fit: credentialsFit, poll: credentialsPoll}
	w.seen = w.contents()
	return w
}

// files are those that are named by a path.
func (w *credentialsWatcher) files() []string {
	var files []string
	for _, ref := range secretRefs(w.cfg.WeChat) {
		if !strings.HasPrefix(string(ref), credentialPrefix) {
			files = append(files, string(ref))
		}
	}
	return files
}

// secretRefs are all references of the account that name something.
func secretRefs(c WeChat) []SecretRef {
	all := []SecretRef{c.Certificate, c.PrivateKey, c.NextCertificate, c.NextPrivateKey, c.P12Password, c.APIv3Key, c.APIv2Key, c.PublicKey}
	return slices.DeleteFunc(all, func(r SecretRef) bool { return r == "" })
}

// run watches until ctx ends. It does its work with polling alone where the system gives no events.
func (w *credentialsWatcher) run(ctx context.Context) {
	events, stop := w.watch()
	defer stop()
	poll := time.NewTicker(w.poll)
	defer poll.Stop()
	again := time.NewTimer(0)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-events:
			again.Reset(w.settle)
			continue
		case <-again.C:
		case <-poll.C:
		}
		if w.look() {
			again.Reset(w.fit)
		}
	}
}

// watch asks for events of the folders: a file that is replaced is another file, a folder stays. Each change gives one event at most
// while the last one was not taken.
func (w *credentialsWatcher) watch() (events <-chan struct{}, stop func()) {
	changed := make(chan struct{}, 1)
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return changed, func() {}
	}
	for _, folder := range w.folders() {
		_ = watcher.Add(folder) // one that is not there yet is polled
	}
	go func() {
		for {
			select {
			case _, open := <-watcher.Events:
				if !open {
					return
				}
				select {
				case changed <- struct{}{}:
				default:
				}
			case _, open := <-watcher.Errors:
				if !open {
					return
				}
			}
		}
	}()
	return changed, func() { _ = watcher.Close() }
}

func (w *credentialsWatcher) folders() []string {
	var folders []string
	for _, file := range append(w.files(), w.sources.files(w.cfg.WeChat)...) {
		folders = append(folders, filepath.Dir(file))
	}
	slices.Sort(folders)
	return slices.Compact(folders)
}

// look reads the files if they have changed, and reports whether it must look again because they do not fit yet.
func (w *credentialsWatcher) look() bool {
	restart := w.sources.changed(w.cfg)
	w.onWarning(restart != "", health.CertificateRestart, restart)
	contents := w.contents()
	if contents == w.seen {
		return w.lookAtUnfit()
	}
	fresh, err := LoadCredentials(w.cfg, w.now())
	if w.contents() != contents {
		return true // they change just now
	}
	w.seen = contents
	if err == nil && fresh.Certificate == nil {
		err = errors.New("the merchant certificate is not there any more")
	}
	if err != nil {
		w.unfit = inOneLine(err)
		w.unfitFrom = w.now()
		return true
	}
	w.unfit, w.unfitFrom = "", time.Time{}
	w.onWarning(false, health.CertificateChangeUnfit, "")
	w.onNew(fresh)
	return false
}

// lookAtUnfit warns of files that have not become fit in time.
func (w *credentialsWatcher) lookAtUnfit() bool {
	if w.unfitFrom.IsZero() {
		return false
	}
	if w.now().Sub(w.unfitFrom) < w.fit {
		return true
	}
	w.onWarning(true, health.CertificateChangeUnfit, w.unfit)
	return false
}

// contents is one number for what the files hold. A file that can't be read counts as what its error says.
func (w *credentialsWatcher) contents() [sha256.Size]byte {
	h := sha256.New()
	for _, file := range w.files() {
		content, err := readBounded(file, certificateBytesMax)
		fmt.Fprintf(h, "%q %d %v\n", file, len(content), err)
		h.Write(content)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// inOneLine is what makes credentials unfit, without the next steps.
func inOneLine(err error) string {
	var unfit *CredentialsError
	if !errors.As(err, &unfit) {
		return err.Error()
	}
	var all []string
	for _, c := range unfit.Conditions {
		all = append(all, c.inWords())
	}
	return strings.Join(all, ", ")
}
