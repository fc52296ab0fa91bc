package wxclient

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func zipped(t *testing.T, text string) string {
	t.Helper()
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	_, err := io.WriteString(zip, text)
	require.NoError(t, err)
	require.NoError(t, zip.Close())
	return packed.String()
}

// download asks for a long body and returns what was written, with the answer.
func download(t *testing.T, c *Client, limit int64) (string, answer, error) {
	t.Helper()
	var got bytes.Buffer
	o := c.signed(request{call: "statement", method: http.MethodGet, target: "/statement"}, c.Now)
	o.into = &Into{Max: limit, Begin: func() (io.Writer, error) { got.Reset(); return &got, nil }}
	a, err := c.ask(t.Context(), o)
	return got.String(), a, err
}

func TestALongBodyGoesWhereItIsToldTo(t *testing.T) {
	rows := strings.Repeat("row\n", 1<<20)
	packed := map[string]string{"Content-Encoding": "gzip"}
	for name, c := range map[string]struct {
		reply reply
		limit int64
		want  string
		fails string
	}{
		"plain":           {reply: reply{status: 200, body: rows}, limit: 4 << 20, want: rows},
		"compressed":      {reply: reply{status: 200, body: zipped(t, rows), header: packed}, limit: 4 << 20, want: rows},
		"too long":        {reply: reply{status: 200, body: rows}, limit: 1024, fails: "over 1024 bytes"},
		"a zip bomb":      {reply: reply{status: 200, body: zipped(t, rows), header: packed}, limit: 1 << 20, fails: "over 1048576 bytes"},
		"no gzip at all":  {reply: reply{status: 200, body: "plain text, no archive", header: packed}, limit: 1 << 20, fails: "gzip"},
		"an empty answer": {reply: reply{status: 200}, limit: 1 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, client := inTown(t)
				g.always(c.reply)
				got, _, err := download(t, client, c.limit)
				if c.fails != "" {
					require.ErrorContains(t, err, c.fails)
					return
				}
				require.NoError(t, err)
				assert.Equal(t, c.want, got)
			})
		})
	}
}

func TestARefusalOfALongBodyIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		g.always(reply{status: 400, body: `{"code":"NO_STATEMENT_EXIST"}`})
		got, a, err := download(t, c, 1<<20)
		require.NoError(t, err)
		assert.Empty(t, got)
		assert.Equal(t, "NOSTATEMENTEXIST", readTrouble(a).Code)
	})
}

func TestALongBodyStartsAfreshOnTheNextHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		c := newClient(t, testConfig(g, newPipes(g, firstHost, secondHost).dial, firstHost, secondHost))
		g.script(func(r *http.Request, _ string) reply {
			if r.Host == firstHost {
				return reply{status: 200, body: "half of", header: map[string]string{"Content-Length": "100"}}
			}
			return reply{status: 200, body: "the whole"}
		})
		got, _, err := download(t, c, 1<<20)
		require.NoError(t, err)
		assert.Equal(t, "the whole", got)
	})
}

func TestAWriterThatFailsEndsTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		g.always(reply{status: 200, body: "rows"})
		o := c.signed(request{call: "statement", method: http.MethodGet, target: "/statement"}, c.Now)
		o.into = &Into{Max: 10, Begin: func() (io.Writer, error) { return nil, errors.New("the disk is full") }}
		_, err := c.ask(t.Context(), o)
		require.ErrorContains(t, err, "the disk is full")
	})
}
