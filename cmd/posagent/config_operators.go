package main

import (
	"path/filepath"
	"time"
)

// People is who signs in on the page.
type People struct {
	File      string        // "": operators.json beside the tokens file
	PINToSell bool          // default false; true: the page sells only to an operator who has signed in
	LockAfter time.Duration // default 10m, 30s to 12h; idle for so long, an operator is signed out, never during a payment
}

func peopleSettings(p *People, folder string) []setting {
	return []setting{
		into("file", &p.File, orNothing(path(folder, `"/var/lib/posagent/operators.json"`))),
		into("pin_to_sell", &p.PINToSell, yesNo),
		into("lock_after", &p.LockAfter, between(30*time.Second, 12*time.Hour, `"10m"`)),
	}
}

// operatorsFile is where the operators are kept.
func (c Config) operatorsFile() string {
	if c.Operators.File != "" {
		return c.Operators.File
	}
	return filepath.Join(filepath.Dir(c.API.TokensFile), "operators.json")
}
