package wxclient

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
	"posagent/wxsim"
)

// keeps has a store's client keep what a daemon's keeps.
func (s *store) keeps() {
	s.setUp.HeardFile = filepath.Join(s.t.TempDir(), "journal.db.heard")
	s.setUp.CertificatesFile = filepath.Join(filepath.Dir(s.setUp.HeardFile), "platform.json")
	s.client = newClient(s.t, s.setUp)
}

// A process is killed and is back at once: the first thing that it hears is what the one before it was told.
func TestAnAnswerThatTheStartBeforeHeardIsNotBelieved(t *testing.T) {
	for name, keep := range map[string]bool{"kept": true, "not kept: no start could know": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStore(t, wxsim.Config{})
				s.keeps()
				require.NoError(t, s.client.FirstRoundTrip(t.Context()))
				o, _, err := s.scan("password-never")
				require.NoError(t, err)
				_, err = s.client.Query(t.Context(), o)
				require.NoError(t, err)

				if !keep { // the one before is not closed: it was killed
					s.setUp.HeardFile = ""
				}
				s.client = newClient(t, s.setUp)
				remove := s.sim.Inject(wxsim.Fault{On: wxsim.Query, Kind: wxsim.Replayed, Times: -1})
				_, err = s.client.Query(t.Context(), o)
				remove()
				if !keep {
					assert.NoError(t, err)
					return
				}
				assert.ErrorContains(t, err, "seen before")
				_, err = s.client.Query(t.Context(), o)
				assert.NoError(t, err, "what is signed for this start is believed at once")
			})
		})
	}
}

// The certificates' answer dates a start, so that a kept one would let everything else through.
func TestAStartIsNotDatedByWhatTheOneBeforeHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, wxsim.Config{})
		s.keeps()
		require.NoError(t, s.client.FirstRoundTrip(t.Context()))
		time.Sleep(20 * time.Second)
		s.client = newClient(t, s.setUp)
		remove := s.sim.Inject(wxsim.Fault{On: wxsim.Certificates, Kind: wxsim.Replayed, Times: -1})
		assert.ErrorContains(t, s.client.FirstRoundTrip(t.Context()), "seen before")
		assert.False(t, s.client.Verified())
		remove()
		assert.NoError(t, s.client.FirstRoundTrip(t.Context()))
	})
}

// One that nobody heard tells itself by its time: an earlier start heard a later one.
func TestAnAnswerFromBeforeWhatTheStartBeforeHeardIsNotBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, wxsim.Config{})
		s.keeps()
		deaf := s.setUp
		deaf.HeardFile = ""
		o := s.order()
		_, err := newClient(t, deaf).Query(t.Context(), o)
		require.NoError(t, err)
		time.Sleep(3 * time.Second)
		require.NoError(t, s.client.FirstRoundTrip(t.Context()))

		s.client = newClient(t, s.setUp)
		s.sim.Inject(wxsim.Fault{On: wxsim.Query, Kind: wxsim.Replayed, Times: -1})
		_, err = s.client.Query(t.Context(), o)
		assert.ErrorContains(t, err, "before this start")
	})
}

// Neither side of a restart needs a right clock for it.
func TestWhatWasHeardIsKnownWhateverTheClockShows(t *testing.T) {
	for _, off := range []time.Duration{-10 * time.Minute, 10 * time.Minute, -50 * 365 * 24 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			s := newStore(t, wxsim.Config{})
			s.keeps()
			require.NoError(t, s.client.FirstRoundTrip(t.Context()))
			o := s.order()
			_, err := s.client.Query(t.Context(), o)
			require.NoError(t, err)

			now := off
			s.setUp.Now = func() time.Time { return time.Now().Add(now) }
			s.client = newClient(t, s.setUp)
			remove := s.sim.Inject(wxsim.Fault{On: wxsim.Any, Kind: wxsim.Replayed, Times: -1})
			assert.Error(t, s.client.FirstRoundTrip(t.Context()))
			_, err = s.client.Query(t.Context(), o)
			assert.Error(t, err)
			now = 0
			_, err = s.client.Query(t.Context(), o)
			assert.ErrorContains(t, err, "seen before", "and back")
			remove()
			require.NoError(t, s.client.FirstRoundTrip(t.Context()))
		})
	}
}

// A till sells, whatever has become of the file.
func TestAFileThatCannotBeUsedStopsNothing(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, file string){
		"damaged": func(t *testing.T, file string) {
			require.NoError(t, os.WriteFile(file, bytes.Repeat([]byte("x7"), 5000), 0o600))
		},
		"too long": func(t *testing.T, file string) {
			require.NoError(t, os.WriteFile(file, bytes.Repeat([]byte{9}, 1<<20), 0o600))
		},
		"a folder": func(t *testing.T, file string) { require.NoError(t, os.Mkdir(file, 0o700)) },
		"a device": func(t *testing.T, file string) { require.NoError(t, os.Symlink(os.DevNull, file)) },
		"a link": func(t *testing.T, file string) {
			journal := filepath.Join(filepath.Dir(file), "journal.db")
			require.NoError(t, os.WriteFile(journal, []byte("every payment"), 0o600))
			require.NoError(t, os.Symlink(journal, file))
			t.Cleanup(func() {
				text, err := os.ReadFile(journal)
				assert.NoError(t, err)
				assert.Equal(t, "every payment", string(text), "what lies behind a link is written over by nobody")
			})
		},
		"in no folder":    func(t *testing.T, file string) { require.NoError(t, os.Remove(filepath.Dir(file))) },
		"half of a place": func(t *testing.T, file string) { require.NoError(t, os.WriteFile(file, make([]byte, 17), 0o600)) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				s := newStore(t, wxsim.Config{})
				s.setUp.Log = zerolog.New(&log).Level(zerolog.WarnLevel)
				s.setUp.HeardFile = filepath.Join(t.TempDir(), "till", "journal.db.heard")
				require.NoError(t, os.Mkdir(filepath.Dir(s.setUp.HeardFile), 0o700))
				spoil(t, s.setUp.HeardFile)
				s.client = newClient(t, s.setUp)
				require.NoError(t, s.client.FirstRoundTrip(t.Context()))
				_, outcome, err := s.scan("pays-at-once")
				require.NoError(t, err)
				assert.Equal(t, payflow.Found, outcome.Kind)
				if name != "half of a place" {
					assert.Contains(t, log.String(), "WeChat Pay answer", "a person can read of it")
				}
				s.sim.Inject(wxsim.Fault{On: wxsim.Certificates, Kind: wxsim.Replayed, Times: -1})
				assert.ErrorContains(t, s.client.FirstRoundTrip(t.Context()), "seen before", "this start knows what it heard")
			})
		})
	}
}

func TestADiskThatFailsIsToldOfOnce(t *testing.T) {
	var log bytes.Buffer
	file := filepath.Join(t.TempDir(), "heard")
	h, _ := openHeard(file, zerolog.New(&log))
	require.NoError(t, h.file.Close())
	n := nonces{file: h}
	for i := range 5 {
		assert.True(t, n.fresh(strconv.Itoa(i), time.Now(), time.Now()))
		assert.False(t, n.fresh(strconv.Itoa(i), time.Now(), time.Now()))
	}
	assert.Equal(t, 1, bytes.Count(log.Bytes(), []byte("cannot be written")))
	var err error
	h.file, err = os.OpenFile(file, os.O_RDWR, 0)
	require.NoError(t, err)
	assert.True(t, n.fresh("again", time.Now(), time.Now()))
	assert.Equal(t, 1, bytes.Count(log.Bytes(), []byte("written down again")))
	h.close()
}

func TestTheFileHoldsTheLastAnswersAndNoMore(t *testing.T) {
	file := filepath.Join(t.TempDir(), "heard")
	began := time.Unix(1_800_000_000, 0)
	for _, first := range []uint32{0, math.MaxUint32 - 100} { // the count goes on from 0 behind its end
		require.NoError(t, os.RemoveAll(file))
		h, none := openHeard(file, zerolog.Nop())
		require.Empty(t, none)
		h.next = first
		for i := range 3 * heardPlaces {
			h.keep(markOf(strconv.Itoa(i)), began.Add(time.Duration(i)*time.Second))
		}
		h.close()
		h.keep(markOf("closed"), began)
		info, err := os.Stat(file)
		require.NoError(t, err)
		assert.Equal(t, int64(32<<10), info.Size())
		assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())

		again, answers := openHeard(file, zerolog.Nop())
		defer again.close()
		require.Len(t, answers, heardPlaces)
		for i, a := range answers {
			require.Equal(t, markOf(strconv.Itoa(2*heardPlaces+i)), a.mark, i)
			require.Equal(t, began.Add(time.Duration(2*heardPlaces+i)*time.Second).Unix(), a.signed.Unix())
		}
		assert.Equal(t, first+3*heardPlaces, again.next)
		recent, latest := lately(answers)
		assert.Len(t, recent, 601, "ten minutes")
		assert.Equal(t, began.Add((3*heardPlaces-1)*time.Second).Unix(), latest.Unix())
	}
}

// A damaged place loses one answer.
func TestADamagedPlaceIsLeftOut(t *testing.T) {
	file := filepath.Join(t.TempDir(), "heard")
	h, _ := openHeard(file, zerolog.Nop())
	for i := range 20 {
		h.keep(markOf(strconv.Itoa(i)), time.Unix(1_800_000_000, 0))
	}
	h.close()
	whole, err := os.ReadFile(file)
	require.NoError(t, err)
	for at := range whole {
		text := bytes.Clone(whole)
		text[at] ^= 1 << (at % 8)
		answers, damaged, err := readHeard(bytes.NewReader(text))
		require.NoError(t, err)
		require.Equal(t, 1, damaged, at)
		require.Len(t, answers, 19, at)
	}
	answers, damaged, err := readHeard(bytes.NewReader(append(whole[heardWidth:], whole[:heardWidth]...)))
	require.NoError(t, err)
	assert.Empty(t, answers, "each in its place")
	assert.Equal(t, 20, damaged)
}

// Which answers are recent goes by the one that was heard last: a wrong time is forgotten once others have come.
func TestAWrongTimeInTheFileDoesNotLast(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	answers := []heardAnswer{{signed: now.Add(-11 * time.Minute)}, {signed: now.Add(240 * time.Hour)}, {signed: now.Add(time.Second)}, {signed: now}}
	recent, latest := lately(answers)
	assert.Equal(t, answers[2:], recent)
	assert.Equal(t, now.Add(time.Second), latest)
	none, never := lately(nil)
	assert.Empty(t, none)
	assert.True(t, never.IsZero())
}

// A till that does not sell for ten minutes, after each restart anew, says why, and which file holds the time.
func TestATimeThatHasNotComeYetIsToldOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := newStore(t, wxsim.Config{})
		s.setUp.Log = zerolog.New(&log)
		s.setUp.HeardFile = filepath.Join(t.TempDir(), "journal.db.heard")
		h, _ := openHeard(s.setUp.HeardFile, zerolog.Nop())
		h.keep(markOf("ahead"), time.Now().AddDate(1, 0, 0))
		h.close()

		s.client = newClient(t, s.setUp)
		assert.Contains(t, log.String(), "delete the file")
		assert.Contains(t, log.String(), s.setUp.HeardFile)
		time.Sleep(4 * time.Minute)
		assert.ErrorContains(t, s.client.FirstRoundTrip(t.Context()), "where that time is wrong, it is believed for 6m0s more")
		time.Sleep(6 * time.Minute)
		require.NoError(t, s.client.FirstRoundTrip(t.Context()))
	})
}

func BenchmarkAnAnswerIsWrittenDown(b *testing.B) {
	h, _ := openHeard(filepath.Join(b.TempDir(), "heard"), zerolog.Nop())
	defer h.close()
	n := nonces{file: h}
	now := time.Now()
	for i := range b.N {
		n.fresh(strconv.Itoa(i), now, now)
	}
}
