package main

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// storePC is a till's computer as check meets it: a configuration file, credentials, and a gateway on loopback. A test spoils one thing.
type storePC struct {
	t       *testing.T
	folder  string
	account account
	gateway *certificateGateway
	hosts   []string
	more    string            // lines at the end of the file: [[scanner]]
	set     map[string]string // settings of the [wechat] section that differ
	listen  string
	journal string
}

func newStorePC(t *testing.T) *storePC {
	a := goodAccount()
	a.notBefore, a.notAfter = time.Now().AddDate(-1, 0, 0), time.Now().AddDate(1, 0, 0)
	pc := &storePC{t: t, folder: t.TempDir(), account: a, set: map[string]string{}, listen: "127.0.0.1:0", journal: "journal.db"}
	pc.gateway = newCertificateGateway(t, a.apiKey)
	pc.hosts = []string{pc.gateway.url}
	return pc
}

// config writes the configuration file and returns its path.
func (pc *storePC) config() string {
	pc.t.Helper()
	w := pc.account.install(pc.t).WeChat
	root := pc.file("root.pem", pc.gateway.root)
	wechat := map[string]string{
		"app_id": `"wx2421b1c4370ec43b"`, "merchant_id": `"10000100"`, "sub_merchant_id": `"20000100"`, "merchant_category_code": `"4111"`,
		"hosts": `["` + strings.Join(pc.hosts, `", "`) + `"]`, "ca_file": strconv.Quote(root),
		"certificate": strconv.Quote(string(w.Certificate)), "private_key": strconv.Quote(string(w.PrivateKey)), "api_v3_key": strconv.Quote(string(w.APIv3Key)),
	}
	text := "[store]\nid = \"SZTX001\"\n[till]\nid = \"T1\"\ncurrency = \"HKD\"\nallow_code_in_api = true\n[wechat]\n"
	for key, value := range pc.set {
		wechat[key] = value
	}
	for key, value := range wechat {
		if value == "" { // left out
			continue
		}
		text += key + " = " + value + "\n"
	}
	text += fmt.Sprintf("[journal]\nfile = %q\n[api]\nlisten = %q\nsocket = \"posagent.sock\"\ntokens_file = \"tokens.json\"\n%s\n", pc.journal, pc.listen, pc.more)
	return pc.file("posagent.toml", text)
}

func (pc *storePC) file(name, content string) string {
	pc.t.Helper()
	path := filepath.Join(pc.folder, name)
	require.NoError(pc.t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// run runs a command on this PC.
func (pc *storePC) run(args ...string) (status int, stdout, stderr string) {
	pc.t.Helper()
	return posagent(pc.t, append(args, "--config", pc.config())...)
}

// certificateGateway answers the certificates call of API v3 as the documents say, and nothing else. It shares no code with the client.
type certificateGateway struct {
	t         *testing.T
	url, root string
	offset    time.Duration // its clock minus this machine's
	merchant  string        // the only one that it knows
	apiKey    string
	key       *rsa.PrivateKey
	pem       []byte
	calls     atomic.Int64
	unknown   sync.Map // serials of merchant certificates that it refuses
}

func newCertificateGateway(t *testing.T, apiKey string) *certificateGateway {
	t.Helper()
	g := &certificateGateway{t: t, merchant: "10000100", apiKey: apiKey, key: merchantKeys()[1]}
	own := &x509.Certificate{SerialNumber: big.NewInt(0x7A), Subject: pkix.Name{CommonName: "Tenpay.com"}, NotBefore: time.Now().AddDate(-2, 0, 0), NotAfter: time.Now().AddDate(3, 0, 0)}
	g.pem = selfSigned(t, own, g.key)
	web, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	text := selfSigned(t, &x509.Certificate{SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().AddDate(-1, 0, 0), NotAfter: time.Now().AddDate(1, 0, 0)}, web)
	g.root = string(text)
	block, _ := pem.Decode(text)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{block.Bytes}, PrivateKey: web}}})
	require.NoError(t, err)
	g.url = "https://" + l.Addr().String()
	server := &http.Server{Handler: g, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return g
}

func selfSigned(t *testing.T, c *x509.Certificate, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func (g *certificateGateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.calls.Add(1)
	now := time.Now().Add(g.offset)
	w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
	w.Header().Set("Content-Type", "application/json")
	if r.Method == http.MethodPost {
		answerV2(w, r)
		return
	}
	header := r.Header.Get("Authorization")
	sent, _ := strconv.ParseInt(field(header, "timestamp"), 10, 64)
	if off := now.Sub(time.Unix(sent, 0)).Abs(); off > 5*time.Minute || field(header, "mchid") != g.merchant || g.refuses(field(header, "serial_no")) {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"code":"SIGN_ERROR","message":"signature or time"}`)
		return
	}
	body := g.certificates()
	digest := sha256.Sum256([]byte(fmt.Sprintf("%d\n%s\n%s\n", now.Unix(), "nonce"+strconv.FormatInt(now.UnixNano(), 36), body)))
	signature, err := rsa.SignPKCS1v15(rand.Reader, g.key, crypto.SHA256, digest[:])
	if err != nil {
		panic(err)
	}
	w.Header().Set("Wechatpay-Timestamp", strconv.FormatInt(now.Unix(), 10))
	w.Header().Set("Wechatpay-Nonce", "nonce"+strconv.FormatInt(now.UnixNano(), 36))
	w.Header().Set("Wechatpay-Serial", "7A")
	w.Header().Set("Wechatpay-Signature", base64.StdEncoding.EncodeToString(signature))
	_, _ = io.WriteString(w, body)
}

func (g *certificateGateway) refuses(serial string) bool {
	_, unknown := g.unknown.Load(serial)
	return unknown
}

func field(header, name string) string {
	_, rest, _ := strings.Cut(header, name+`="`)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

func (g *certificateGateway) certificates() string {
	block, err := aes.NewCipher([]byte(g.apiKey))
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	sealed := aead.Seal(nil, []byte("abcdefghijkl"), g.pem, []byte("certificate"))
	item, _ := json.Marshal(map[string]any{"data": []any{map[string]any{"serial_no": "7A", "effective_time": "2020-01-01T00:00:00+08:00", "encrypt_certificate": map[string]string{
		"algorithm": "AEAD_AES_256_GCM", "nonce": "abcdefghijkl", "associated_data": "certificate", "ciphertext": base64.StdEncoding.EncodeToString(sealed)}}}})
	return string(item)
}
