package till

import (
	"context"
	"time"

	"posagent/payflow"
)

// Backup is a backup of the journal, and what was verified of it.
type Backup struct {
	File        string    `json:"file" doc:"Where it lies on the till's PC."`
	At          time.Time `json:"at"`
	Sequence    uint64    `json:"sequence" doc:"The journal's last entry that is in it."`
	Head        string    `json:"head" doc:"The same with its seal, as the system log has it."`
	Recipient   string    `json:"recipient,omitempty" doc:"The public key that it is encrypted to; left out: it is not encrypted."`
	Bytes       int64     `json:"bytes"`
	Verified    []string  `json:"verified" nullable:"false" doc:"What was checked."`
	NotVerified []string  `json:"not_verified" nullable:"false" doc:"What could not be."`
}

// BackupState is how the till's backups stand.
type BackupState struct {
	Nightly   string    `json:"nightly,omitempty" doc:"When one is made each day, in the store's time; left out: never."`
	NewestAt  time.Time `json:"newest_at,omitempty,omitzero" doc:"Of the newest good one; left out: there is none."`
	AgeHours  int       `json:"age_hours" doc:"Of the newest good one."`
	File      string    `json:"file,omitempty"`
	Encrypted bool      `json:"encrypted"`
	Failed    string    `json:"failed,omitempty" doc:"Why the last one was not made."`
}

// RestoreState is what is known after a backup was put in the journal's place.
type RestoreState struct {
	Asking bool   `json:"asking" doc:"WeChat Pay is still being asked for what the restored journal lost."`
	Text   string `json:"text" doc:"How far that has come."`
	Found  int    `json:"found" doc:"Orders that were found and that a person must still settle."`
}

// NewBackupProblem is a backup that was not made, in the words of who makes them: what happened; what to do now. They hold nothing that a caller sent.
func NewBackupProblem(text string) *Problem { return newProblem(BackupFailed, text) }

// BackupDesk makes backups and keeps what was found after a restore. It is small, so that a till without it needs none.
type BackupDesk interface {
	// MakeBackup makes one now, in the till's own folder, and returns when it is on disk and verified, or when ctx ends: it then goes on.
	// A call while one is being made waits for that one.
	MakeBackup(ctx context.Context) (Backup, error)
	// FoundAfterRestore returns the orders that a restored journal lost and that a person must look at.
	FoundAfterRestore() ([]payflow.FoundAfterRestore, error)
	// SettleFound records a person's word on one of them. It moves no money.
	SettleFound(ctx context.Context, no payflow.OutTradeNo, operator, note string) (payflow.FoundAfterRestore, error)
}
