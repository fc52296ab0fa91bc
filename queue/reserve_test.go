package queue

import (
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fullDisk has room for nothing while the reserve is there or elsewhere is full.
type fullDisk struct {
	reserve string
	full    bool // even without the reserve
}

func (d *fullDisk) fault(step string) error {
	_, err := os.Stat(d.reserve)
	if (step == "room" || step == "commit") && err == nil || (step == "reserve" || step == "room") && d.full {
		return syscall.ENOSPC
	}
	return nil
}

func bookWithReserve(t *testing.T) *book {
	b := newBook(t)
	b.cfg.ReserveFile, b.cfg.ReserveBytes = b.cfg.File+".reserve", 1<<20
	b.reopen()
	return b
}

func TestTheReserveReallyTakesRoom(t *testing.T) {
	b := bookWithReserve(t)
	assert.Equal(t, int64(1<<20), allocated(b.cfg.ReserveFile))
	assert.False(t, b.ReserveUsed())

	require.NoError(t, os.Truncate(b.cfg.ReserveFile, 0))
	require.NoError(t, os.Truncate(b.cfg.ReserveFile, 1<<20)) // one big hole
	b.reopen()
	assert.Equal(t, int64(1<<20), allocated(b.cfg.ReserveFile))
}

func TestOnAFullDiskTheReserveIsGivenUpAndOpenPaymentsAreFinished(t *testing.T) {
	b := bookWithReserve(t)
	entry := b.scan(b.arm("key 1", "A-1"), "134567890123456789")
	require.NoError(t, b.Close())

	disk := &fullDisk{reserve: b.cfg.ReserveFile}
	b.cfg.fault = disk.fault
	b.open()
	assert.True(t, b.ReserveUsed())
	assert.NoFileExists(t, b.cfg.ReserveFile)
	b.become(entry, "paid")

	require.NoError(t, b.Close())
	b.cfg.fault = failing("reserve", syscall.ENOSPC)
	b.open()
	assert.True(t, b.ReserveUsed(), "a restart does not forget it")
	assert.ErrorIs(t, b.RestoreReserve(), syscall.ENOSPC)

	b.Journal.cfg.fault = nil // somebody made room
	require.NoError(t, b.RestoreReserve())
	assert.False(t, b.ReserveUsed())
	assert.FileExists(t, b.cfg.ReserveFile)
	b.cfg.fault = nil
}

func TestADiskThatIsFullEvenSoIsUnwritable(t *testing.T) {
	b := bookWithReserve(t)
	require.NoError(t, b.Close())
	b.cfg.fault = (&fullDisk{reserve: b.cfg.ReserveFile, full: true}).fault
	refused := b.mustNotOpen()
	assert.Equal(t, OpenUnwritable, refused.Kind)
	assert.ErrorIs(t, refused, syscall.ENOSPC)
	b.cfg.fault = nil
}

func TestACommitThatFindsTheDiskFullGivesTheReserveUpForTheNextStart(t *testing.T) {
	b := bookWithReserve(t)
	b.Journal.cfg.fault = (&fullDisk{reserve: b.cfg.ReserveFile}).fault
	_, err := b.tryArm("key 1", "A-1")
	require.ErrorIs(t, err, syscall.ENOSPC)
	assert.NoFileExists(t, b.cfg.ReserveFile)
	require.NoError(t, b.Close())
	b.cfg.fault = failing("reserve", syscall.ENOSPC)
	b.open()
	b.arm("key 1", "A-1")
	b.cfg.fault = nil
}

func TestAReserveThatTheDiskCannotHoldIsNotBegun(t *testing.T) {
	if _, ok := roomOf(t.TempDir()); !ok {
		t.Skip("this system does not say how much room a disk has")
	}
	b := newBook(t)
	var steps []string
	b.Journal.cfg.ReserveFile, b.Journal.cfg.ReserveBytes = b.cfg.File+".reserve", 1<<55
	b.Journal.cfg.fault = func(step string) error { steps = append(steps, step); return nil }
	assert.ErrorIs(t, b.RestoreReserve(), syscall.ENOSPC)
	assert.True(t, b.ReserveUsed())
	assert.Empty(t, steps, "it would take for a moment the room that the open payments need")
	b.Journal.cfg.fault = nil
}

func TestAReserveThatWouldTakeTheLastRoomIsNotMade(t *testing.T) {
	b := newBook(t)
	b.cfg.ReserveFile, b.cfg.ReserveBytes = b.cfg.File+".reserve", 1<<20
	b.cfg.fault = (&fullDisk{reserve: b.cfg.ReserveFile}).fault
	b.reopen()
	assert.True(t, b.ReserveUsed())
	assert.NoFileExists(t, b.cfg.ReserveFile)
	b.arm("key 1", "A-1")
	b.cfg.fault = nil
}

// What is tried while the journal is only shown is what a start will try: a start for nothing leaves every client.
func TestAJournalCanBeWrittenWhereAStartFindsItSo(t *testing.T) {
	b := bookWithReserve(t)
	require.NoError(t, b.Close())
	cfg := b.cfg
	cfg.ReadOnly = true
	j, err := OpenJournal(cfg)
	require.NoError(t, err)
	defer j.Close()
	j.cfg.fault = failing("room", syscall.ENOSPC)
	assert.NoError(t, j.CanWrite(), "the reserve is there to be given up")
	require.NoError(t, os.Remove(b.cfg.ReserveFile))
	assert.ErrorIs(t, j.CanWrite(), syscall.ENOSPC)
	j.cfg.fault = failing("room", syscall.EROFS)
	assert.ErrorIs(t, j.CanWrite(), syscall.EROFS)
	j.cfg.fault = nil
	assert.NoError(t, j.CanWrite())
	assert.NoFileExists(t, b.cfg.File+".room")
	require.NoError(t, os.Rename(b.cfg.File, b.cfg.File+".away"))
	assert.Error(t, j.CanWrite(), "it is not there any more")
	require.NoError(t, os.Rename(b.cfg.File+".away", b.cfg.File))
	require.NoError(t, j.Close())
	b.open()
}

// A folder that may not be looked into is not one without a journal, for whoever wants to write and for whoever only reads.
func TestAJournalThatMayNotBeLookedAtIsNotSaidToBeAbsent(t *testing.T) {
	b := newBook(t)
	require.NoError(t, b.Close())
	for _, readOnly := range []bool{false, true} {
		cfg := b.cfg
		cfg.ReadOnly, cfg.fault = readOnly, failing("stat", syscall.EACCES)
		_, err := OpenJournal(cfg)
		var refused *OpenError
		require.ErrorAs(t, err, &refused)
		assert.Equal(t, OpenUnwritable, refused.Kind)
		assert.ErrorIs(t, err, syscall.EACCES)
	}
	b.open()
}
