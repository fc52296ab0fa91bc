package queue

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

// anew starts the till again, noted beside the key or not, and sells; of a sale that begins with nobody there are two thirds of what may be unknown in a row.
// It returns the orders that were paid.
func (c *counter) anew(noted bool, sales ...string) (paid []payflow.OutTradeNo) {
	c.t.Helper()
	c.stop()
	if !noted {
		defer func(inTheWay string) { require.NoError(c.t, os.Remove(inTheWay)) }(block(c.t, c.cfg.startsFile()))
	}
	c.start()
	require.Equal(c.t, noted, c.journal.ownCharacters() != "")
	for _, sale := range sales {
		if strings.HasPrefix(sale, "paid") {
			paid = append(paid, c.sell(sale).OutTradeNo)
			continue
		}
		for i := range restoreUnknownMax * 2 / 3 {
			c.sell(fmt.Sprint(sale, i))
		}
	}
	return paid
}

// loses is a journal that cannot be read any more, and a backup in its place.
func (c *counter) loses(made Backup) {
	c.t.Helper()
	c.stop()
	c.tearOut()
	c.restore(made.File)
	c.start()
}

// spoils is a journal with one payment that cannot be believed, and a backup in its place.
func (c *counter) spoils(no payflow.OutTradeNo, made Backup) {
	c.t.Helper()
	c.stop()
	c.spoilPayment(no)
	c.restore(made.File)
	c.start()
}

// findsAll asks to the end, and wants every order found, each counted once, in a journal that is whole.
func (c *counter) findsAll(paid []payflow.OutTradeNo) {
	c.t.Helper()
	c.askToTheEnd()
	all, err := c.journal.FoundAfterRestore(true)
	require.NoError(c.t, err)
	var found []payflow.OutTradeNo
	for _, f := range all {
		found = append(found, f.OutTradeNo)
	}
	_, text, err := c.journal.AfterRestore()
	require.NoError(c.t, err)
	assert.ElementsMatch(c.t, paid, found, text)
	assert.NotContains(c.t, text, "compare the statement")
	report := c.verify()
	assert.True(c.t, report.Clean(), report.String())
}

// Nothing could be written beside the key when the till was started: what it sold then is found, however much the noted starts drew between the backup and it.
func TestARestoreFindsWhatStartsSoldThatCouldNotBeNoted(t *testing.T) {
	for name, finish := range map[string]func(c *counter){
		"asked in one go": func(*counter) {},
		"killed over and over again": func(c *counter) {
			for asking := true; asking; {
				ctx, kill := context.WithTimeout(c.t.Context(), 37*time.Second)
				err := c.engine.AskAfterRestore(ctx)
				kill()
				c.stop()
				c.start()
				asking = err != nil
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inStore(t, func(t *testing.T, c *counter) {
				c.sell("paid-1")
				made := c.backup()
				lost := c.anew(false, "paid-2")
				lost = append(lost, c.anew(true, "paid-3", "nobody-a", "paid-4", "nobody-b")...)
				lost = append(lost, c.anew(false, "paid-5")...)
				lost = append(lost, c.anew(false, "paid-6", "paid-7")...)
				lost = append(lost, c.anew(true, "nobody-c", "paid-8", "nobody-d")...)
				c.anew(true)
				lost = append(lost, c.anew(false, "paid-9")...)
				c.stop()
				c.tearOut()
				assert.False(t, c.restore(made.File).StartsUnknown)
				c.start()
				finish(c)
				c.findsAll(lost)
				_, text, err := c.journal.AfterRestore()
				require.NoError(t, err)
				assert.Contains(t, text, fmt.Sprintf(": %d orders found", len(lost)))
			})
		})
	}
}

// The backup itself was made by a start that could not be noted.
func TestARestoreOfWhatAStartSavedThatCouldNotBeNoted(t *testing.T) {
	inStore(t, func(t *testing.T, c *counter) {
		c.anew(false, "paid-1")
		made := c.backup()
		lost := c.anew(true, "nobody-a", "paid-2", "nobody-b", "paid-3")
		lost = append(lost, c.anew(false, "paid-4")...)
		c.loses(made)
		c.askToTheEnd()
		found, err := c.journal.FoundAfterRestore(true)
		require.NoError(t, err)
		assert.Len(t, found, len(lost))
	})
}

// The backup that is made two minutes after a restore is put in place itself: what the first restore still had to ask for is asked for.
func TestASecondRestoreAsksForWhatTheFirstStillHadToAskFor(t *testing.T) {
	inStore(t, func(t *testing.T, c *counter) {
		c.sell("paid-1")
		made := c.backup()
		lost := c.anew(true, "nobody-a", "paid-2", "nobody-b", "paid-3")
		lost = append(lost, c.anew(false, "paid-4")...)
		c.loses(made)
		time.Sleep(2 * time.Minute)
		next := c.backup()
		c.loses(next)
		c.findsAll(lost)
	})
}

// A noted start by a clock that ran ahead, and one by the right clock that could not be noted.
func TestARestoreFindsWhatWasSoldBehindAClockThatRanAhead(t *testing.T) {
	inStore(t, func(t *testing.T, c *counter) {
		c.sell("paid-1")
		made := c.backup()
		c.cfg.Now = func() time.Time { return time.Now().Add(72 * time.Hour) }
		lost := c.anew(true, "nobody-a", "paid-2", "nobody-b", "paid-3")
		c.cfg.Now = nil
		lost = append(lost, c.anew(false, "paid-4")...)
		c.stop()
		time.Sleep(24 * time.Hour)
		c.tearOut()
		c.restore(made.File)
		c.start()
		c.findsAll(lost)
	})
}

// One backup is restored again and again: the characters of the journals in between are known from what is replaced.
func TestARestoreOfARestoredBackupFindsWhatCouldNotBeNotedBefore(t *testing.T) {
	t.Run("three times", func(t *testing.T) {
		inStore(t, func(t *testing.T, c *counter) {
			c.sell("paid-1")
			made := c.backup()
			c.loses(made)
			lost := c.anew(false, "paid-2")
			c.spoils(lost[0], made)
			lost = append(lost, c.sell("paid-3").OutTradeNo)
			c.spoils(lost[1], made)
			c.findsAll(lost)
		})
	})
	t.Run("the older one first", func(t *testing.T) {
		inStore(t, func(t *testing.T, c *counter) {
			c.sell("paid-1")
			older := c.backup()
			c.anew(false, "paid-20", "paid-21") // by the journal's own characters, and not lost
			c.anew(true, "paid-22")
			newer := c.backup()
			c.loses(older)
			lost := c.anew(false, "paid-3", "paid-4")
			c.spoils(lost[0], newer)
			c.findsAll(lost)
		})
	})
	for name, noted := range map[string]bool{"the older one first, and its first start is not noted": false, "nor is the one before a noted start": true} {
		t.Run(name, func(t *testing.T) {
			inStore(t, func(t *testing.T, c *counter) {
				c.sell("paid-1")
				older := c.backup()
				c.anew(true, "paid-20", "paid-21", "paid-22", "paid-23", "paid-24")
				newer := c.backup()
				c.stop()
				c.tearOut()
				c.restore(older.File)
				inTheWay := block(t, c.cfg.startsFile())
				c.start()
				require.NoError(t, os.Remove(inTheWay))
				require.Empty(t, c.journal.ownCharacters())
				lost := []payflow.OutTradeNo{c.sell("paid-3").OutTradeNo, c.sell("paid-4").OutTradeNo}
				if noted {
					lost = append(lost, c.anew(true, "paid-5")...)
				}
				c.spoils(lost[0], newer)
				c.findsAll(lost)
			})
		})
	}
	t.Run("its own payments carry characters that are asked for", func(t *testing.T) {
		inStore(t, func(t *testing.T, c *counter) {
			c.sell("paid-1")
			oldest := c.backup()
			c.anew(false, "paid-2", "paid-3")
			c.anew(true)
			older := c.backup()
			c.loses(older)
			time.Sleep(time.Minute)
			newer := c.backup()
			c.loses(oldest)
			lost := []payflow.OutTradeNo{c.sell("paid-4").OutTradeNo}
			c.spoils(lost[0], newer)
			c.findsAll(lost)
		})
	})
	t.Run("days later", func(t *testing.T) {
		inStore(t, func(t *testing.T, c *counter) {
			c.sell("paid-1")
			made := c.backup()
			lost := c.anew(true, "nobody-a", "paid-2", "nobody-b", "paid-3")
			time.Sleep(24 * time.Hour)
			lost = append(lost, c.anew(false, "paid-4")...)
			time.Sleep(24 * time.Hour)
			lost = append(lost, c.sell("paid-5").OutTradeNo)
			c.loses(made)
			lost = append(lost, c.anew(true, "nobody-c", "paid-6", "nobody-d", "paid-7")...)
			c.loses(made)
			c.findsAll(lost)
		})
	})
	t.Run("more often than can be asked for", func(t *testing.T) {
		inStore(t, func(t *testing.T, c *counter) {
			no := c.sell("paid-1").OutTradeNo
			made := c.backup()
			for i := range ownMax + 1 {
				c.stop()
				c.spoilPayment(no)
				assert.Equal(t, i == ownMax, c.restore(made.File).StartsUnknown, "restore %d", i+1)
				c.start()
			}
		})
	})
}

// What the first restore could not ask for is said after the second, of the backup that is made two minutes later, too.
func TestWhatTheFirstRestoreCouldNotAskForIsSaidAfterTheSecond(t *testing.T) {
	inStore(t, func(t *testing.T, c *counter) {
		c.sell("paid-1")
		made := c.backup()
		c.anew(true, "paid-2")
		c.stop()
		c.tearOut()
		require.NoError(t, os.Remove(c.cfg.startsFile()))
		require.True(t, c.restore(made.File).StartsUnknown)
		c.start()
		time.Sleep(2 * time.Minute)
		next := c.backup()
		c.loses(next)
		c.askToTheEnd()
		_, text, err := c.journal.AfterRestore()
		require.NoError(t, err)
		assert.Contains(t, text, "compare the statement of each day from "+made.At.Format(time.DateOnly))
	})
}

// lostNumber is what a search asks for.
type lostNumber struct {
	day    string
	n      uint64
	random string
}

// lostStory is a random story of what a till drew since its backup, noted and not, over one restore of it or two. Nowhere are as many unknown in a row as end a search.
type lostStory struct {
	orders map[lostNumber]bool // asked for yet?
	record searchesRecord
	now    time.Time
}

func randomLostStory(r *rand.Rand) lostStory {
	const counter = 7
	base, day, names := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), 0, 0
	today := func() string { return base.AddDate(0, 0, day).Format(time.DateOnly) }
	s := lostStory{orders: map[lostNumber]bool{}}
	var starts []journalStart
	own := []string{"OWN00", "OWN11"}[:1+r.IntN(2)]
	for era, drawn := range own {
		n, unknown, random := uint64(counter), 0, "HEAD0"
		note := func() {
			names++
			random = fmt.Sprintf("S%04d", names)
			starts = append(starts, journalStart{Random: random, Drawn: n, Day: today()})
			unknown = 0
		}
		if era > 0 {
			note()
		}
		for range 1 + r.IntN(9) {
			for range r.IntN(4) {
				day += r.IntN(4) / 3
				gap := r.IntN(restoreUnknownMax-unknown) * r.IntN(2)
				n, unknown = n+uint64(gap), unknown+gap
				if r.IntN(4) > 0 {
					n, unknown = n+1, 0
					s.orders[lostNumber{today(), n, random}] = false
				}
			}
			if r.IntN(2) == 0 {
				random = drawn
			} else {
				note()
			}
		}
	}
	s.now = base.AddDate(0, 0, day+r.IntN(2))
	from := base.Format(time.DateOnly)
	lost := search{Since: from, Sequence: 5, From: from, To: s.now.Format(time.DateOnly), Day: from, Last: counter, Next: counter + 1}
	for _, one := range starts {
		noted := lost
		noted.Random, noted.From, noted.Day, noted.Last, noted.Next = one.Random, one.Day, one.Day, one.Drawn, one.Drawn+1
		s.record.Searches = append(s.record.Searches, noted)
	}
	for _, random := range append([]string{"HEAD0"}, own...) {
		one := lost
		one.Random, one.Own = random, random != "HEAD0"
		s.record.Searches = append(s.record.Searches, one)
	}
	return s
}

func TestWhateverWasDrawnInReachIsAskedForOnce(t *testing.T) {
	for seed := range uint64(400) {
		s := randomLostStory(rand.New(rand.NewPCG(seed, 0)))
		searches := s.record.Searches
		for rounds := 0; ; rounds++ {
			at := slices.IndexFunc(searches, func(s search) bool { return s.Done.IsZero() })
			if at < 0 {
				break
			}
			require.Less(t, rounds, 1000, "seed %d: it never ends", seed)
			one := searches[at]
			for one.Done.IsZero() {
				no := lostNumber{one.Day, one.Next, one.Random}
				before, there := s.orders[no]
				require.False(t, before, "seed %d: %v is found twice", seed, no)
				if there {
					s.orders[no] = true
				}
				one.answered(there, s.now)
			}
			searches[at] = one
			s.record.goOn(one.Sequence)
		}
		for no, asked := range s.orders {
			assert.True(t, asked, "seed %d: %v", seed, no)
		}
	}
}

func TestWhatIsAskedForAgainIsOfTheSameRestoreAndGoesToItsLastDay(t *testing.T) {
	done := time.Date(2026, 3, 9, 0, 0, 0, 0, time.UTC)
	own := search{Sequence: 5, Random: "OWN00", Own: true, From: "2026-03-01", To: "2026-03-02", Day: "2026-03-02", Last: 10, Next: 111, Unknown: 100, Done: done}
	noted := search{Sequence: 5, Random: "S0001", From: "2026-03-01", To: "2026-03-04", Day: "2026-03-04", Last: 30, Next: 131, Done: done}
	later := search{Sequence: 9, Random: "S0002", From: "2026-03-01", To: "2026-03-07", Day: "2026-03-07", Last: 20, Next: 121, Done: done}
	r := searchesRecord{Searches: []search{own, noted, later}}
	r.goOn(5)
	again := own
	again.To, again.Day, again.Last, again.Next, again.Unknown, again.Done = "2026-03-04", "2026-03-01", 30, 31, 0, time.Time{}
	assert.Equal(t, []search{again, noted, later}, r.Searches)
	r.Searches[0].Done = done
	r.goOn(5)
	assert.Equal(t, done, r.Searches[0].Done, "no other search has got further")
	r.Searches[0].Last, r.Searches[0].Asked = 10, restoreAsksMax
	r.goOn(5)
	assert.Equal(t, done, r.Searches[0].Done, "no search asks more than so often")
	assert.Contains(t, r.Searches[0].String(), "not all were asked for: compare the statement of each day from 2026-03-01 on", "on whatever day it was sold")
}

// A clock that stands before the backup ends a search early; what was left out then is still said when the right clock has opened it again.
func TestWhatAWrongClockLeftOutIsSaid(t *testing.T) {
	const day = "2026-03-01"
	own := search{Sequence: 5, Random: "OWN00", Own: true, Since: day, From: day, To: day, Day: day, Last: 7, Next: 8}
	for own.Done.IsZero() {
		own.answered(false, time.Unix(1, 0).UTC())
	}
	noted := search{Sequence: 5, Random: "S0001", Since: day, From: day, To: day, Day: day, Last: 30, Done: own.Done}
	r := searchesRecord{Searches: []search{own, noted}}
	r.goOn(5)
	own = r.Searches[0]
	for own.Done.IsZero() {
		own.answered(false, time.Date(2026, 3, 9, 0, 0, 0, 0, time.UTC))
	}
	assert.Contains(t, own.String(), "compare the statement of each day from 2026-03-01 on")
}

func TestARecordOfAsManySearchesAsThereMayBeIsWritten(t *testing.T) {
	b := newBook(t)
	s := search{Sequence: math.MaxUint32, Store: strings.Repeat("S", 16), Till: strings.Repeat("T", 8), Random: "AAAAA", Own: true, Since: "2026-03-05", From: "2026-03-05", To: "2026-03-05", Day: "2026-03-05",
		Next: math.MaxUint32, Last: math.MaxUint32, Unknown: 99, Asked: restoreAsksMax, Found: restoreAsksMax, Unsigned: restoreAsksMax, Begun: b.cfg.Now(), Done: b.cfg.Now(), Cut: true, Blind: true}
	text, err := json.Marshal(searchesRecord{Searches: slices.Repeat([]search{s}, searchesMax)})
	require.NoError(t, err)
	assert.Less(t, len(text), recordBytesMax*9/10)
}

// What has no room any more is said, with the day from which it is not asked for. First of all go those of restores whose searches are all done.
func TestASearchThatHasNoRoomIsSaid(t *testing.T) {
	b := newBook(t)
	over := search{Sequence: 1000, Store: "S", Till: "T", Random: "BBBBB", From: "2026-02-01", To: "2026-02-01", Day: "2026-02-01", Done: b.cfg.Now()}
	r := searchesRecord{Searches: []search{over}}
	for i := range searchesMax + 1 {
		day := time.Date(2026, 3, 1+i, 0, 0, 0, 0, time.UTC).Format(time.DateOnly)
		r.Searches = append(r.Searches, search{Sequence: uint64(i + 1), Store: "S", Till: "T", Random: "AAAAA", Since: day, From: day, To: day, Day: day, Next: 1})
	}
	tx, err := b.db.Begin(true)
	require.NoError(t, err)
	require.NoError(t, b.putSearches(tx, r))
	require.NoError(t, tx.Commit())
	_, text, err := b.AfterRestore()
	require.NoError(t, err)
	assert.Contains(t, text, "compare the statement of each day from 2026-03-01 on")
}

func TestTheEarliestDayThatWasCutIsNamed(t *testing.T) {
	early := search{From: "2026-01-01", To: "2026-12-31", Day: "2026-02-01", Cut: true}
	late := search{From: "2026-06-01", To: "2026-12-31", Day: "2026-11-01", Cut: true}
	all := late
	all.Cut = false
	all.add(early)
	all.add(late)
	assert.Contains(t, all.String(), "from 2026-02-01 on")
}
