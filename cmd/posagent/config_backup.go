package main

import (
	"errors"
	"path/filepath"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"

	"posagent/queue"
)

// backupFolderName is the folder beside the journal that takes backups where none is named.
const backupFolderName = "backup"

func backupSettings(b *Backup, folder string) []setting {
	return []setting{
		into("folder", &b.Folder, orNothing(path(folder, `"/mnt/usb/posagent"`))),
		into("at", &b.At, orNothing(matching(`([01][0-9]|2[0-3]):[0-5][0-9]`, "hours and minutes, 00:00 to 23:59, in quotes", `"03:30"`))),
		into("keep", &b.Keep, whole(1, 400, "14")),
		into("age_recipient", &b.AgeRecipient, orNothing(ageRecipient)).hidden(),
	}
}

// ageRecipient takes a public key of age. A private key in its place is refused like every secret.
func ageRecipient(n *node) (string, error) {
	if n.kind == unstable.String && strings.Contains(strings.ToUpper(n.text), "AGE-SECRET-KEY") {
		return "", errors.New("this is a private key, which never stands on this PC (it is not repeated here); write the public key that belongs to it, which begins with age1")
	}
	if n.kind != unstable.String || queue.CheckRecipient(n.text) != nil {
		return "", must("a public key of age, age1 and 58 more characters", `"age1…"`)
	}
	return n.text, nil
}

// backupFolder is where this till's backups lie.
func (c Config) backupFolder() string {
	if c.Backup.Folder != "" {
		return c.Backup.Folder
	}
	return filepath.Join(filepath.Dir(c.Journal.File), backupFolderName)
}
