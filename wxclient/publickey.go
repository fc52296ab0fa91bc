package wxclient

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"posagent/payflow"
)

// publicKeyPrefix begins the id of a WeChat Pay public key, which stands where a certificate's serial would.
const publicKeyPrefix = "PUB_KEY_ID"

// publicKeyIDMax is above any id that was seen (PUB_KEY_ID_ and 34 digits).
const publicKeyIDMax = 64

// checkPublicKey checks the public key's two settings (public-key guide): the id as WeChat Pay gives it, and an RSA key.
func checkPublicKey(id string, key *rsa.PublicKey) error {
	switch {
	case id == "" && key == nil:
		return nil
	case id == "" || key == nil:
		return errors.New("public_key_id and public_key are needed together; both stand beside each other on the merchant platform")
	case !strings.HasPrefix(id, publicKeyPrefix+"_") || len(id) > publicKeyIDMax || strings.Trim(id, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_") != "":
		return fmt.Errorf("public_key_id %.70q is not \"PUB_KEY_ID_…\"; copy the id that stands beside WeChat Pay's public key on the merchant platform", id)
	case key.N == nil || key.N.BitLen() < keyBitsMin:
		return fmt.Errorf("public_key is no RSA key of %d bits or more; take pub_key.pem from the merchant platform", keyBitsMin)
	}
	return nil
}

// holdPublicKey makes the verifier know WeChat Pay's public key, and every request ask for answers that are signed with it. Before
// the first call only.
func (c *Client) holdPublicKey(id string, key *rsa.PublicKey) {
	if id == "" {
		return
	}
	c.certificates.publicID, c.certificates.public = id, key
	c.keyHeader = "\r\n" + headerSerial + ": " + id
}

// publicKey returns the public key if serial names it.
func (s *certificates) publicKey(serial string) (*rsa.PublicKey, bool) {
	return s.public, s.public != nil && serial == normalSerial(s.publicID)
}

// otherRoundTrip makes the first round trip of a merchant in public-key mode, to whom WeChat Pay hands out no platform certificates
// any more: it asks for an order that cannot exist, and, where "no such order" is not signed, for money not yet settled, which is
// answered with a 200. See "Public key" in docs/wechat-pay.md. It returns the last answer.
func (c *Client) otherRoundTrip(ctx context.Context, by *signer, now func() time.Time) (answer, error) {
	r := request{call: "first round trip", by: by, method: http.MethodGet, target: queryTarget + "out-trade-no/NONE" + rand.Text()[:20] + "?" + c.idsQuery(payflow.Order{})}
	a, err := c.askVerified(ctx, r, now, func(a answer) bool { return absentCodes[readTrouble(a).Code] })
	if distrustOf(err) != unsigned {
		return a, err
	}
	r.target = c.settlementsTarget(SettlementQuery{Limit: 1}, 0)
	return c.askVerified(ctx, r, now, func(a answer) bool { return a.status == http.StatusOK })
}

// askVerified makes one call, whose answer must be signed, and be what is expected.
func (c *Client) askVerified(ctx context.Context, r request, now func() time.Time, expected func(answer) bool) (answer, error) {
	a, err := c.callAt(ctx, r, now)
	if err != nil {
		return a, err
	}
	if err := c.verifyAt(a, now()); err != nil {
		return a, fmt.Errorf("verify the first answer: %w", err)
	}
	if !expected(a) {
		return a, c.explainCertificates(a)
	}
	return a, nil
}

// unknownSerialText says what to do about a key that is not held.
func unknownSerialText(serial string) string {
	if strings.HasPrefix(serial, publicKeyPrefix) {
		return "WeChat Pay signs with its public key " + serial + "; download that key from the merchant platform, and set public_key_id and public_key"
	}
	return "an answer was signed by platform certificate " + serial + ", which WeChat Pay does not hand out; " +
		"check the network for an intercepting device, and tell WeChat Pay"
}
