package till

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestABucketIsEmptiedByItsBurstAndFillsAgain(t *testing.T) {
	l := newLimiter(bucket{3, time.Second}, bucket{100, time.Second})
	now := noon()
	for range 3 {
		assert.Zero(t, l.wait("a", now))
		l.count("a", now)
	}
	assert.Equal(t, time.Second, l.wait("a", now))
	assert.Zero(t, l.wait("b", now), "another address has its own")
	now = now.Add(time.Second)
	assert.Zero(t, l.wait("a", now))
	l.count("a", now)
	assert.Equal(t, time.Second, l.wait("a", now), "one more, not three")
	now = now.Add(time.Hour)
	for range 3 {
		assert.Zero(t, l.wait("a", now))
		l.count("a", now)
	}
	assert.NotZero(t, l.wait("a", now), "it is never fuller than full")
}

func TestManyAddressesTogetherAreBounded(t *testing.T) {
	l := newLimiter(bucket{3, time.Second}, bucket{50, time.Second})
	now := noon()
	for i := range 50 {
		assert.Zero(t, l.wait(fmt.Sprint(i), now))
		l.count(fmt.Sprint(i), now)
	}
	assert.Equal(t, time.Second, l.wait("new", now))
}

func TestTheAddressesThatAreRememberedAreBounded(t *testing.T) {
	l := newLimiter(bucket{3, time.Second}, bucket{1 << 20, time.Nanosecond})
	now := noon()
	for i := range 3 * limitedMax {
		l.count(fmt.Sprint(i), now)
	}
	assert.Len(t, l.until, limitedMax)
	l.count("late", now.Add(time.Minute))
	assert.Len(t, l.until, 1, "those with nothing to wait for make room")
}

func TestAnAddressIsNamedByItsMachine(t *testing.T) {
	for remote, want := range map[string]string{
		"127.0.0.1:50000": "127.0.0.1", "[::1]:50000": "::1", "[::ffff:10.0.0.1]:1": "10.0.0.1", "@": "elsewhere",
		"[2001:db8::1]:1": "2001:db8::/64", "[2001:db8::ffff:2]:9": "2001:db8::/64", "[fe80::1%eth0]:1": "fe80::/64",
	} {
		assert.Equal(t, want, addressOf(remote), remote)
	}
}
