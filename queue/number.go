package queue

import (
	"crypto/rand"
	"fmt"
	"math/big"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"posagent/payflow"
)

// Widths of an order number's parts, in characters. Together they fill payflow.OutTradeNoMax: 12 + 4 + 6 + 4 + 5 + 1 = 32.
const (
	storeIDMax   = 12
	tillIDMax    = 4
	dateWidth    = 6 // YYMMDD in the store's time zone
	counterWidth = 4 // base 36: 1,679,616 numbers before it begins anew, on another day
	randomWidth  = 5 // 60 million: each start draws other ones, so that two copies of a journal never share a number
	checkWidth   = 1
)

const digits36 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"

// CheckOutTradeNo reports whether an order number is of our form and its check character is right, so that a number
// that a person typed wrongly is known before anybody looks for it.
func CheckOutTradeNo(no payflow.OutTradeNo) bool {
	if _, err := payflow.ParseOutTradeNo(string(no)); err != nil || len(no) < 2+dateWidth+counterWidth+randomWidth+checkWidth {
		return false
	}
	text := string(no)
	last := len(text) - checkWidth
	return text[last] == checkCharacter(text[:last])
}

// checkIDs refuses store and till ids that no order number can carry.
func checkIDs(store, till string) error {
	for _, id := range []struct {
		name, text string
		most       int
	}{{"store id", store, storeIDMax}, {"till id", till, tillIDMax}} {
		if id.text == "" || len(id.text) > id.most || strings.Trim(id.text, digits36) != "" {
			return fmt.Errorf("%s %.40q must be 1 to %d of 0-9 and A-Z, because it is part of every order number", id.name, id.text, id.most)
		}
	}
	return nil
}

// outTradeNo puts an order number together.
func outTradeNo(store, till string, day time.Time, counter uint64, random string) payflow.OutTradeNo {
	text := store + till + day.Format("060102") + base36(counter) + random
	return payflow.OutTradeNo(text + string(checkCharacter(text)))
}

// base36 writes the counter's last four digits to the base 36.
func base36(counter uint64) string {
	var text [counterWidth]byte
	for i := counterWidth - 1; i >= 0; i-- {
		text[i] = digits36[counter%36]
		counter /= 36
	}
	return string(text[:])
}

// checkCharacter is ISO 7064, MOD 37,36: it finds every single wrong character and every swap of two neighbours.
func checkCharacter(text string) byte {
	p := 36
	for i := range len(text) {
		s := (p + strings.IndexByte(digits36, text[i])) % 36
		if s == 0 {
			s = 36
		}
		p = s * 2 % 37
	}
	return digits36[(37-p)%36]
}

// drawRandom draws the random characters, or what a test has for them.
func (j *Journal) drawRandom() string {
	if j.cfg.draw != nil {
		return j.cfg.draw()
	}
	return drawRandom()
}

// drawRandom draws the five characters that tell one start's numbers from those of a copy of the journal that runs elsewhere.
func drawRandom() string {
	text := make([]byte, randomWidth)
	for i := range text {
		n, err := rand.Int(rand.Reader, big.NewInt(36))
		if err != nil {
			panic("queue: the system has no random numbers: " + err.Error())
		}
		text[i] = digits36[n.Int64()]
	}
	return string(text)
}

// nextNumber draws the next order number and journals its counter. A number that is taken, which takes a clock set back
// and a counter that has come round, is passed over.
func (j *Journal) nextNumber(tx *bbolt.Tx) (payflow.OutTradeNo, uint64, error) {
	about, err := j.about(tx)
	if err != nil {
		return "", 0, err
	}
	count, err := j.counters(tx)
	if err != nil {
		return "", 0, err
	}
	day := j.cfg.Now().In(j.cfg.Location)
	for {
		count.Number++
		no := outTradeNo(about.Store, about.Till, day, count.Number, j.characters(about))
		if tx.Bucket(bucketPayments).Get([]byte(no)) == nil {
			return no, count.Number, j.put(tx, bucketCounters, keyCounters, count)
		}
	}
}
