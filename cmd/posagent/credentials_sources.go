package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Bounds of what is read of the unit.
const (
	unitBytesMax = 64 << 10
	unitFilesMax = 64
)

// credentialSources are the files that systemd's credentials are copied from when the service starts.
type credentialSources struct {
	units   []string  // the unit and its drop-ins, as patterns
	store   string    // where a credential lies that no unit names
	started time.Time // of the service
}

// systemSources looks where a package, and an installer after it, put the unit.
func systemSources(started time.Time) credentialSources {
	var units []string
	for _, folder := range []string{"/lib/systemd/system", "/usr/lib/systemd/system", "/etc/systemd/system"} { // the last one counts
		units = append(units, folder+"/posagent.service", folder+"/posagent.service.d/*.conf")
	}
	return credentialSources{units: units, store: "/etc/posagent/credentials", started: started}
}

var loadCredential = regexp.MustCompile(`(?m)^[ \t]*LoadCredential(?:Encrypted)?=([0-9A-Za-z._-]{1,100}):(/[^\r\n]{1,1000})$`)

// of returns the file that a credential is copied from.
func (s credentialSources) of(name string) string {
	file, read := filepath.Join(s.store, name), 0
	for _, pattern := range s.units {
		units, err := filepath.Glob(pattern)
		if err != nil {
			continue
		}
		for _, unit := range units {
			if read++; read > unitFilesMax {
				return file
			}
			text, err := readBounded(unit, unitBytesMax)
			if err != nil {
				continue
			}
			for _, m := range loadCredential.FindAllSubmatch(text, -1) {
				if string(m[1]) == name {
					file = strings.TrimSpace(string(m[2]))
				}
			}
		}
	}
	return file
}

// files are the sources of all credentials that an account names.
func (s credentialSources) files(w WeChat) []string {
	var files []string
	for _, ref := range secretRefs(w) {
		if name, credential := strings.CutPrefix(string(ref), credentialPrefix); credential {
			files = append(files, s.of(name))
		}
	}
	return files
}

// changed names the first credential whose source is another than what the service was given: it waits for a restart. "" is none.
func (s credentialSources) changed(cfg Config) string {
	if cfg.CredentialsDir == "" {
		return ""
	}
	for _, ref := range secretRefs(cfg.WeChat) {
		name, credential := strings.CutPrefix(string(ref), credentialPrefix)
		if !credential {
			continue
		}
		if source := s.of(name); s.differs(source, filepath.Join(cfg.CredentialsDir, name)) {
			return name + " from " + source
		}
	}
	return ""
}

// differs compares the contents. The service may not read the sources (they are root's): then a source, or the folder that it lies in, that
// was written after the service started counts as another.
func (s credentialSources) differs(source, given string) bool {
	if now, err := readBounded(source, certificateBytesMax); err == nil {
		then, err := readBounded(given, certificateBytesMax)
		return err == nil && len(bytes.TrimSpace(now)) > 0 && !bytes.Equal(now, then)
	}
	for _, path := range []string{source, filepath.Dir(source)} {
		if info, err := os.Stat(path); err == nil {
			return info.ModTime().After(s.started)
		} else if !os.IsPermission(err) {
			return false // it was taken away: what was given serves on
		}
	}
	return false
}
