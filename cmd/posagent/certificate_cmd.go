package main

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
)

func certificateCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "certificate",
		Short: "Look at a merchant certificate",
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	passwordFile := ""
	show := &cobra.Command{
		Use:   "show FILE",
		Short: "Say of a certificate file (PEM or .p12) what kind it is, until when it is valid, and what to do by when",
		Long: "Says of a merchant certificate, PEM or .p12, what kind it is, who issued it to whom, until when it is valid, which file of issuing\n" +
			"certificates belongs to it, and what the super administrator must do by when. It calls nobody and prints no key.\n\n" +
			"The password of a .p12 is the merchant id unless it was changed: without --password-file it is what the configuration says.",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return p.showCertificate(args[0], passwordFile, time.Now())
		},
	}
	show.Flags().StringVar(&passwordFile, "password-file", "", "`FILE` with the password of a .p12")
	cmd.AddCommand(show)
	return cmd
}

// certificateReport is what certificate show prints with --json.
type certificateReport struct {
	File         string          `json:"file"`
	Kind         certificateKind `json:"kind"`
	Remark       string          `json:"remark,omitempty"` // why the kind is unknown
	Issuer       string          `json:"issuer"`
	CommonName   string          `json:"common_name"`
	Serial       string          `json:"serial"`
	SerialLength int             `json:"serial_length"` // characters
	NotBefore    time.Time       `json:"not_before"`
	NotAfter     time.Time       `json:"not_after"`
	DaysLeft     int             `json:"days_left"` // whole ones; below zero: ended
	PrivateKey   string          `json:"private_key"`
	TrustChain   trustChain      `json:"trust_chain,omitzero"`
	APIv3        string          `json:"api_v3"`
	ToDo         duty            `json:"to_do"`
	When         string          `json:"when"`
	How          string          `json:"how,omitempty"`
}

func (p *program) showCertificate(file, passwordFile string, now time.Time) error {
	content, err := readCertificateFile(file)
	if err != nil {
		return err
	}
	cert, key, err := p.openCertificate(file, content, passwordFile)
	if err != nil {
		return err
	}
	r := reportCertificate(file, cert, key, now)
	return p.print(r, r.write)
}

func readCertificateFile(file string) ([]byte, error) {
	content, err := readBounded(file, certificateBytesMax)
	switch {
	case errors.Is(err, errTooLarge):
		return nil, &Failure{Code: ExitUsage, What: fmt.Sprintf("%s is larger than %d bytes", file, certificateBytesMax), Next: "see that it is a certificate"}
	case err != nil:
		return nil, &Failure{Code: ExitUsage, What: fmt.Sprintf("%s cannot be read: %s", file, plainCause(err)), Next: "name a certificate file, PEM or .p12, that this user may read", Err: err}
	}
	return content, nil
}

var errTooLarge = errors.New("too large")

func readBounded(file string, bytesMax int) ([]byte, error) {
	f, err := openSecret(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, int64(bytesMax)+1))
	if err == nil && len(content) > bytesMax {
		err = errTooLarge
	}
	return content, err
}

// openCertificate takes PEM text or a bundle, by what the file holds: its name may be anything. The key is nil where there is none.
func (p *program) openCertificate(file string, content []byte, passwordFile string) (*x509.Certificate, *rsa.PrivateKey, error) {
	if bytes.Contains(content, []byte("-----BEGIN ")) {
		cert, err := parseCertificate(content)
		if err != nil {
			return nil, nil, certificateFailure(file, err)
		}
		key, _ := parsePrivateKey(content)
		return cert, key, nil
	}
	password, err := p.p12Password(passwordFile)
	if err != nil {
		return nil, nil, err
	}
	cert, key, err := parseP12(content, password)
	if err != nil {
		return nil, nil, certificateFailure(file, err)
	}
	return cert, key, nil
}

// certificateFailure puts the file before words of what was found in it.
func certificateFailure(file string, err error) error {
	what, next := splitAdvice(err.Error())
	if errors.Is(err, errP12Password) {
		next = "put the right one into a file of its own and name that with --password-file"
	}
	return &Failure{Code: ExitFailed, What: filepath.Base(file) + " " + what, Next: next, Err: err}
}

// p12Password is the password of the file that is named, else that of the configuration.
func (p *program) p12Password(passwordFile string) (string, error) {
	if passwordFile != "" {
		content, err := readBounded(passwordFile, passwordBytesMax)
		if err != nil {
			return "", &Failure{Code: ExitUsage, What: fmt.Sprintf("%s cannot be read: %s", passwordFile, plainCause(err)), Next: "name a file that holds the password alone", Err: err}
		}
		return string(bytes.TrimRight(content, "\r\n")), nil
	}
	cfg, err := p.config()
	if err != nil {
		return "", &Failure{Code: ExitUsage, What: "a .p12 has a password, the merchant id unless it was changed, and no configuration says it",
			Next: "put it into a file of its own and name that with --password-file, or name the configuration with --config", Err: err}
	}
	l := credentialsLoader{cfg: cfg}
	password, ok := l.password()
	if !ok {
		return "", &CredentialsError{Conditions: l.unfit}
	}
	return password, nil
}

func reportCertificate(file string, cert *x509.Certificate, key *rsa.PrivateKey, now time.Time) certificateReport {
	kind, odd := kindOf(cert)
	d := dutyOf(cert.NotBefore, cert.NotAfter, now)
	r := certificateReport{
		File: filepath.Base(file), Kind: kind, Remark: odd, Issuer: cert.Issuer.CommonName, CommonName: cert.Subject.CommonName,
		Serial: serialOf(cert), SerialLength: len(serialOf(cert)), NotBefore: cert.NotBefore.UTC(), NotAfter: cert.NotAfter.UTC(),
		DaysLeft: wholeDays(cert.NotAfter.Sub(now)), TrustChain: trustChainOf(kind), ToDo: d, When: d.When(), How: d.How(),
	}
	switch {
	case key == nil:
		r.PrivateKey = "not in this file"
	case fits(cert, key):
		r.PrivateKey = "in this file, and belongs to the certificate"
	default:
		r.PrivateKey = "in this file, and belongs to another certificate"
	}
	switch kind {
	case kindCA:
		r.APIv3 = "takes it"
	case kindWeChat:
		r.APIv3 = "does not take it: the super administrator clicks Upgrade on the Merchant Platform (Account Center, API Security) for a CA-issued one"
	default:
		r.APIv3 = "not known"
	}
	return r
}

// write prints what the certificate's own texts say within quotation marks: they may hold anything.
func (r certificateReport) write(w io.Writer) {
	line := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%-12s  %s\n", name, fmt.Sprintf(format, args...))
	}
	line("file", "%s", r.File)
	line("kind", "%s%s", r.Kind, inParentheses(r.Remark))
	line("issuer", "%q", r.Issuer)
	line("common name", "%q", r.CommonName)
	line("serial", "%s (%d characters)", r.Serial, r.SerialLength)
	line("valid", "%s to %s (%s)", r.NotBefore.Format(time.DateTime), r.NotAfter.Format(time.DateTime)+" UTC", daysText(r.DaysLeft))
	line("private key", "%s", r.PrivateKey)
	if r.TrustChain != (trustChain{}) {
		line("trust chain", "%s", r.TrustChain.File)
		line("", "MD5 %s", r.TrustChain.MD5)
		line("", "SHA-256 %s", r.TrustChain.SHA256)
	}
	line("API v3", "%s", r.APIv3)
	line("what to do", "%s", r.When)
	if r.How != "" {
		line("", "%s", r.How)
	}
}

func daysText(left int) string {
	switch {
	case left < 0:
		return "ended"
	case left == 1:
		return "1 day left"
	}
	return fmt.Sprintf("%d days left", left)
}
