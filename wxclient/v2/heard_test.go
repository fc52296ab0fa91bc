package v2

import (
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// An answer that names no order is known again over a restart, for want of a time however long ago it came.
func TestAnAnswerThatNamesNoOrderIsNotBelievedAgainAfterARestart(t *testing.T) {
	for name, keep := range map[string]bool{"kept": true, "not kept: no start could know": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var config Config
				g, c := inTown(t, func(change *Config) {
					if keep {
						change.HeardFile = filepath.Join(t.TempDir(), "journal.db.heard-v2")
					}
					config = *change
				})
				kept := refusal("ORDERNOTEXIST")
				kept.nonce = "5d2b6c2a8db53831f7eda20af46e531c"
				g.always(kept)
				_, err := c.Query(t.Context(), testOrder())
				require.NoError(t, err)

				time.Sleep(time.Hour)
				again := newClient(t, config)
				_, err = again.Query(t.Context(), testOrder())
				assert.Equal(t, keep, err != nil)
				g.always(refusal("ORDERNOTEXIST"))
				_, err = again.Query(t.Context(), testOrder())
				assert.NoError(t, err)
			})
		})
	}
}
