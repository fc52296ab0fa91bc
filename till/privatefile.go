package till

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const (
	privateFileMax = 1 << 20         // bytes: a real one has some kilobytes
	holdWithin     = 5 * time.Second // for another writer: each writes for some milliseconds
	holdAgain      = 20 * time.Millisecond
)

// privateFile is a small file that only its owner may open: who may do what at this till. Several processes may change it, one at a time.
type privateFile struct {
	path string
	what string // "the tokens file"
}

// fileStamp tells one content of a file from the next.
type fileStamp struct {
	size    int64
	changed time.Time
	inode   uint64 // each change is a new file
}

// look returns the stamp of the present content; the zero stamp where there is no file. It refuses a file that others may open.
func (f privateFile) look() (fileStamp, error) {
	info, err := os.Stat(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return fileStamp{}, nil
	}
	if err != nil {
		return fileStamp{}, fmt.Errorf("look at %s: %w", f.what, err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fileStamp{}, fmt.Errorf("%s %s may be opened by others (mode %04o); run: chmod 600 %s", f.what, f.path, mode, f.path)
	}
	if info.Size() > privateFileMax {
		return fileStamp{}, fmt.Errorf("%s %s is larger than 1 MiB: it is some other file", f.what, f.path)
	}
	return fileStamp{info.Size(), info.ModTime(), inodeOf(info)}, nil
}

func (f privateFile) read() ([]byte, error) {
	text, err := os.ReadFile(f.path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", f.what, err)
	}
	return text, nil
}

// hold keeps other writers away until free is called: what was read before a change is still so when the change is written. The folder
// is locked and not the file, because each change puts another file in its place. The hold ends with the process at the latest.
func (f privateFile) hold() (free func(), err error) {
	folder, err := os.Open(filepath.Dir(f.path))
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", f.what, err)
	}
	for began := time.Now(); ; time.Sleep(holdAgain) {
		err = syscall.Flock(int(folder.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = folder.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) || time.Since(began) > holdWithin {
			_ = folder.Close()
			return nil, fmt.Errorf("write %s: another posagent is writing in %s (%w); try again", f.what, filepath.Dir(f.path), err)
		}
	}
}

// write puts the file in place with its content and its name on disk: a power cut leaves the old content or the new one. Written by root,
// it belongs to whom it belonged to before, or to the folder's owner: the service must be able to read what sudo has made.
func (f privateFile) write(content []byte) error {
	folder := filepath.Dir(f.path)
	tmp, err := os.CreateTemp(folder, ".private-*") // made with mode 0600
	if err != nil {
		return fmt.Errorf("write %s: %w", f.what, err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(content)
	if err = errors.Join(err, f.keepOwner(tmp), tmp.Sync(), tmp.Close()); err != nil {
		return fmt.Errorf("write %s: %w", f.what, err)
	}
	if err := errors.Join(os.Rename(tmp.Name(), f.path), syncFolder(folder)); err != nil {
		return fmt.Errorf("write %s: %w", f.what, err)
	}
	return nil
}

// keepOwner gives a new file the owner that it should have; only root can, and only root needs to.
func (f privateFile) keepOwner(tmp *os.File) error {
	if os.Geteuid() != 0 {
		return nil
	}
	for _, like := range []string{f.path, filepath.Dir(f.path)} {
		info, err := os.Stat(like)
		if err != nil {
			continue
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			return tmp.Chown(int(stat.Uid), int(stat.Gid))
		}
	}
	return nil
}

func inodeOf(info fs.FileInfo) uint64 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Ino
	}
	return 0
}

func syncFolder(folder string) error {
	d, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
