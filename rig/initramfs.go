package rig

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"
)

// entry is one file of the guest's file system.
type entry struct {
	name         string // without a slash in front
	mode         uint32 // type and rights, as stat has them
	data         []byte // of a regular file, or the target of a link
	major, minor uint32 // of a device
}

// The types of file in a mode (inode(7)).
const (
	typeFolder    = 0o040000
	typeCharacter = 0o020000
	typeRegular   = 0o100000
)

// newcMagic begins each entry of the archive that the kernel unpacks (initramfs buffer format, "newc").
const newcMagic = "070701"

// initramfs is the archive of entries, with the folders that they lie in.
func initramfs(entries []entry) []byte {
	var out bytes.Buffer
	all := slices.Concat(foldersOf(entries), entries)
	for i, e := range all {
		writeNewc(&out, i+1, e)
	}
	writeNewc(&out, 0, entry{name: "TRAILER!!!"})
	return out.Bytes()
}

func writeNewc(out *bytes.Buffer, inode int, e entry) {
	fields := []uint32{uint32(inode), e.mode, 0, 0, 1, 0, uint32(len(e.data)), 0, 0, e.major, e.minor, uint32(len(e.name) + 1), 0}
	fields[2], fields[3], fields[4] = 0, 0, 1 // owner and group are root's, one link
	out.WriteString(newcMagic)
	for _, f := range fields {
		fmt.Fprintf(out, "%08x", f)
	}
	out.WriteString(e.name)
	out.WriteByte(0)
	pad(out)
	out.Write(e.data)
	pad(out)
}

func pad(out *bytes.Buffer) {
	for out.Len()%4 != 0 {
		out.WriteByte(0)
	}
}

// foldersOf are the folders in which entries lie, the outer ones first.
func foldersOf(entries []entry) (folders []entry) {
	seen := map[string]bool{"": true, ".": true}
	for _, e := range entries {
		if e.mode&typeFolder == typeFolder {
			seen[e.name] = true
		}
	}
	var add func(name string)
	add = func(name string) {
		if seen[name] {
			return
		}
		seen[name] = true
		add(path.Dir(name))
		folders = append(folders, entry{name: name, mode: typeFolder | 0o755})
	}
	for _, e := range entries {
		add(path.Dir(strings.TrimPrefix(e.name, "/")))
	}
	return folders
}
