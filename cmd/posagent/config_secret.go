package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"github.com/pelletier/go-toml/v2/unstable"
)

// SecretRef says where a secret lies: "credential:NAME" for a systemd credential, else the absolute path of a file. "" is none.
// The secret itself never stands in the configuration.
type SecretRef string

const credentialPrefix = "credential:"

var (
	credentialName  = regexp.MustCompile(`^[0-9A-Za-z_][0-9A-Za-z._-]{0,99}$`)
	keyShaped       = regexp.MustCompile(`^[0-9A-Za-z]{32}$`)    // an API key as the merchant platform has it
	longRun         = regexp.MustCompile(`[0-9A-Za-z+=_-]{24,}`) // anything that could be part of a key
	errSecretInFile = errors.New("this looks like the secret itself, which never stands in this file (it is not repeated here); " +
		"put it into a file of its own, readable by the service only, and write its path or \"credential:NAME\"")
)

// looksLikeKey tells a key, a PEM block or pasted lines from the name of a file.
func looksLikeKey(s string) bool {
	return keyShaped.MatchString(s) || strings.Contains(s, "-----BEGIN") || strings.ContainsAny(s, "\r\n")
}

// secretRef takes "credential:NAME" or a path.
func secretRef(folder, example string) rule[SecretRef] {
	file := path(folder, example)
	return func(n *node) (SecretRef, error) {
		name, credential := strings.CutPrefix(n.text, credentialPrefix)
		if n.kind != unstable.String || !credential {
			p, err := file(n)
			return SecretRef(p), err
		}
		if looksLikeKey(name) {
			return "", errSecretInFile
		}
		if !credentialName.MatchString(name) {
			return "", must("credential: and a name of letters, digits, dot, dash, underscore", example)
		}
		return SecretRef(n.text), nil
	}
}

// noRef lets "" through, for a secret that not every till has.
func noRef(r rule[SecretRef]) rule[SecretRef] {
	return func(n *node) (SecretRef, error) {
		if n.kind == unstable.String && n.text == "" {
			return "", nil
		}
		return r(n)
	}
}

// Path is the file that holds the secret. A credential without systemd's folder has none, and the error says what to do.
func (c Config) Path(ref SecretRef) (string, error) {
	name, credential := strings.CutPrefix(string(ref), credentialPrefix)
	switch {
	case ref == "":
		return "", &Failure{Code: ExitUsage, What: "a secret is needed that the configuration does not name",
			Next: "write its path or \"credential:NAME\" into the [wechat] section"}
	case !credential:
		return string(ref), nil
	case c.CredentialsDir == "":
		return "", &Failure{Code: ExitUsage, What: fmt.Sprintf("%s is a systemd credential, and this process was not given any", ref),
			Next: "start it as the service (systemctl start posagent); by hand, set CREDENTIALS_DIRECTORY to the folder with the files"}
	}
	return filepath.Join(c.CredentialsDir, name), nil
}

// ReadSecret reads the file of a secret, at most bytesMax bytes, and says when others on this PC could read it too. Files given by
// path must not be open to others (mode 0640 at most); systemd sees to its credentials itself. An error never holds what was read.
func (c Config) ReadSecret(ref SecretRef, bytesMax int) (content []byte, tooOpen bool, err error) {
	file, err := c.Path(ref)
	if err != nil {
		return nil, false, err
	}
	f, err := openSecret(file)
	if err != nil {
		return nil, false, secretFailure(ref, file, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, false, secretFailure(ref, file, err)
	}
	content, err = io.ReadAll(io.LimitReader(f, int64(bytesMax)+1))
	if err != nil {
		return nil, false, secretFailure(ref, file, err)
	}
	if len(content) > bytesMax {
		return nil, false, &Failure{Code: ExitUsage, What: fmt.Sprintf("%s is larger than %d bytes", file, bytesMax),
			Next: "see that it is the right file"}
	}
	byPath := !strings.HasPrefix(string(ref), credentialPrefix)
	if !byPath && len(bytes.TrimSpace(content)) == 0 { // the unit's default for a file that is not there
		return nil, false, secretFailure(ref, file, fs.ErrNotExist)
	}
	return content, byPath && info.Mode().Perm()&0o027 != 0, nil
}

// openSecret does not wait: at a pipe that nobody writes to, a start would hang for ever and no signal would end it.
func openSecret(file string) (*os.File, error) {
	return os.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK, 0)
}

func secretFailure(ref SecretRef, file string, err error) error {
	next := "see that it is a readable file"
	switch {
	case errors.Is(err, fs.ErrNotExist) && strings.HasPrefix(string(ref), credentialPrefix):
		name := strings.TrimPrefix(string(ref), credentialPrefix)
		next = fmt.Sprintf("put the file where the unit's line LoadCredential=%s:FILE says (/etc/posagent/credentials/%s), then: systemctl restart posagent", name, name)
	case errors.Is(err, fs.ErrNotExist):
		next = "put the file there, or correct the path in the configuration"
	case errors.Is(err, fs.ErrPermission):
		next = "give it to the service's user: chown posagent FILE; chmod 600 FILE"
	}
	what := string(ref) + " cannot be read"
	if string(ref) != file {
		what += " from " + file
	}
	return &Failure{Code: ExitUsage, What: what + ": " + plainCause(err), Next: next, Err: err}
}
