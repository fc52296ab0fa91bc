package queue

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

const (
	// reserveBytesDefault is room for some two hundred commits: enough to finish every open payment.
	reserveBytesDefault = 8 << 20
	// roomBytes must be free at a start, beside the reserve: a commit writes some tens of kilobytes.
	roomBytes = 256 << 10
	// roomFiles must be free for the reserve to be made: its own, and one that is written beside another and put in its place.
	roomFiles = 2
)

// ReserveUsed reports that the disk was full and the reserve was given up, or could not be made: open payments can be
// finished, and somebody must make room. It stays so over restarts until the reserve can be made again.
func (j *Journal) ReserveUsed() bool { return j.reserveUsed.Load() }

// ErrNoRoom says that the disk was asked and has no room for the reserve: nothing was written, so that it may be asked again soon.
var ErrNoRoom = errors.New("the disk has no room for the reserve")

// RestoreReserve makes the reserve again where the disk has room. It is asked for at each start, and may be at any time; after an error that is not
// ErrNoRoom better a while later, because something was written and taken back: a quota does not say beforehand that it is used up.
func (j *Journal) RestoreReserve() error {
	if j.cfg.ReserveFile == "" {
		return nil
	}
	if allocated(j.cfg.ReserveFile) >= j.cfg.reserveBytes() {
		j.reserveUsed.Store(false)
		return nil
	}
	err := j.roomForReserve()
	if err == nil {
		err = j.makeReserve()
	}
	if err == nil {
		err = j.tryRoom() // a reserve that takes the last room is worse than none
	}
	if err != nil {
		j.giveUpReserve()
		return err
	}
	j.reserveUsed.Store(false)
	return nil
}

// roomForReserve asks the disk before the reserve is written: on a disk that is still full, a reserve that is made and given up again would for a moment take
// the very room that it left to the open payments, and a commit of theirs in that moment would fail. A disk can be out of files as well as of bytes.
func (j *Journal) roomForReserve() error {
	room, ok := roomOf(filepath.Dir(j.cfg.ReserveFile))
	need := uint64(j.cfg.reserveBytes()) + roomBytes
	switch {
	case ok && room.bytes < need:
		return fmt.Errorf("%w: it needs %d MiB, and %d MiB are free: %w", ErrNoRoom, need>>20+1, room.bytes>>20, syscall.ENOSPC)
	case ok && room.counted && room.files < roomFiles:
		return fmt.Errorf("%w: it can hold no more files (df -i), however many bytes are free: %w", ErrNoRoom, syscall.ENOSPC)
	}
	return nil
}

// diskRoom is what an unprivileged process may still make on a disk. A quota may leave less.
type diskRoom struct {
	bytes, files uint64
	counted      bool // the disk counts its files; some do not, and make them of bytes
}

// CanWrite returns nil where a start would find the journal writable, and leaves nothing behind. It is for a journal that was opened for reading only.
func (j *Journal) CanWrite() error {
	file, err := os.OpenFile(j.cfg.File, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	_ = file.Close() // nothing was written
	err = j.tryRoom()
	if isFull(err) && allocated(j.cfg.ReserveFile) > 0 {
		return nil // a start gives it up
	}
	return err
}

// makeRoom sees at a start that there is room for the open payments, from the reserve if need be. Only a disk that
// cannot be written even so is an error.
func (j *Journal) makeRoom() error {
	err := j.tryRoom()
	if isFull(err) && allocated(j.cfg.ReserveFile) > 0 {
		j.giveUpReserve()
		if err = j.tryRoom(); err == nil {
			return nil
		}
	}
	if err != nil {
		return unwritable(j.cfg.File, err)
	}
	_ = j.RestoreReserve() // ReserveUsed tells
	return nil
}

// tryRoom writes and removes a file beside the journal: a full disk, a used-up quota and a read-only file system all show.
func (j *Journal) tryRoom() error {
	if err := j.cfg.step("room"); err != nil {
		return err
	}
	probe := j.cfg.File + ".room"
	err := writeSynced(probe, make([]byte, roomBytes))
	if gone := os.Remove(probe); err == nil {
		err = gone
	}
	return err
}

// makeReserve writes the reserve in full, because a file with holes holds no room.
func (j *Journal) makeReserve() error {
	if err := j.cfg.step("reserve"); err != nil {
		return err
	}
	return writeFile(j.cfg.ReserveFile, make([]byte, j.cfg.reserveBytes()))
}

func (j *Journal) giveUpReserve() {
	if j.cfg.ReserveFile == "" {
		return
	}
	_ = os.Remove(j.cfg.ReserveFile) // what is not there cannot be given up, and what stays is tried again
	j.reserveUsed.Store(true)
}

func (cfg JournalConfig) reserveBytes() int64 {
	if cfg.ReserveBytes > 0 {
		return cfg.ReserveBytes
	}
	return reserveBytesDefault
}

// allocated returns how much disk a file really takes, in bytes; 0 where there is none.
func allocated(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return min(info.Size(), stat.Blocks*512)
	}
	return info.Size()
}
