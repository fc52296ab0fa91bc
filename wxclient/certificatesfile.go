package wxclient

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// certificatesFormat is the version of the stored file.
const certificatesFormat = 1

// storedCertificates is the file: the certificates still sealed as WeChat Pay sent them. Reading opens the seals
// again, so a file that was tampered with, or belongs to another key, is refused.
type storedCertificates struct {
	Format int `json:"format"`
	sealedCertificates
}

// loadCertificates takes the stored set, so that a till that starts without network can verify. A file that cannot be
// used is left behind: the first round trip brings a new set.
func (c *Client) loadCertificates() {
	if c.certificates.file == "" {
		return
	}
	stored, err := readCertificates(c.certificates.file, c.apiv3Key, c.certificates.merchantSerial)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		c.log.Warn().Err(err).Str("file", c.certificates.file).Msg("stored platform certificates not used")
	default:
		c.certificates.add(stored, c.clock.Now())
	}
}

func readCertificates(file string, key []byte, merchantSerial string) ([]platformCertificate, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, bodyMax+1))
	if err != nil {
		return nil, err
	}
	var stored storedCertificates
	if len(text) > bodyMax || json.Unmarshal(text, &stored) != nil || stored.Format != certificatesFormat {
		return nil, fmt.Errorf("%s is not a file of platform certificates", filepath.Base(file))
	}
	return openCertificates(text, key, merchantSerial)
}

// storeCertificates writes the held set as one whole file: a power cut leaves the old one or the new one.
func (c *Client) storeCertificates() error {
	if c.certificates.file == "" {
		return nil
	}
	text, err := json.Marshal(storedCertificates{certificatesFormat, sealedCertificates{c.certificates.sealed()}})
	if err != nil {
		return err
	}
	if err := writeWhole(c.certificates.file, text); err != nil {
		return fmt.Errorf("store platform certificates: %w", err)
	}
	return nil
}

// writeWhole replaces a file by way of a temporary one beside it, mode 0600, file and folder synced.
func writeWhole(file string, text []byte) error {
	folder := filepath.Dir(file)
	f, err := os.CreateTemp(folder, filepath.Base(file)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return err
	}
	return syncFolder(folder)
}

func syncFolder(folder string) error {
	f, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
