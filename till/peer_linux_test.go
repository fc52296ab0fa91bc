package till

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// served answers on a real socket whose file lets in everybody: what the mode would hold must be held without it.
func served(t *testing.T) (a *aTill, socket string) {
	t.Helper()
	a = newTill(t)
	folder, err := os.MkdirTemp("", "posagent") // short, and open to other users
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	require.NoError(t, os.Chmod(folder, 0o755))
	socket = filepath.Join(folder, "s.sock")
	l, err := net.Listen("unix", socket)
	require.NoError(t, err)
	require.NoError(t, os.Chmod(socket, 0o666))
	go func() { _ = a.server.ServeSocket(l) }()
	t.Cleanup(func() { _ = a.server.Shutdown(context.Background()) })
	return a, socket
}

// With POSAGENT_PEER_SOCKET this process is a caller under another user, and prints the status of one call.
func TestPeerAsAnotherUser(t *testing.T) {
	socket := os.Getenv("POSAGENT_PEER_SOCKET")
	if socket == "" {
		t.Skip("it is started by another test, as another user")
	}
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}
	got, err := client.Post("http://localhost/v1/payments/"+os.Getenv("POSAGENT_PEER_PAYMENT")+"/cancel", "application/json", nil)
	require.NoError(t, err)
	defer got.Body.Close()
	fmt.Println("status", got.StatusCode)
}

// as calls the socket as a user with groups, and returns the status.
func as(t *testing.T, socket, payment string, uid uint32, gid uint32, groups ...uint32) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can call as another user")
	}
	program := filepath.Join(filepath.Dir(socket), "caller")
	if _, err := os.Stat(program); errors.Is(err, os.ErrNotExist) {
		self, err := os.ReadFile("/proc/self/exe")
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(program, self, 0o755))
	}
	cmd := exec.Command(program, "-test.run", "^TestPeerAsAnotherUser$", "-test.v")
	cmd.Dir = filepath.Dir(socket)
	cmd.Env = []string{"POSAGENT_PEER_SOCKET=" + socket, "POSAGENT_PEER_PAYMENT=" + payment}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid, Groups: groups}}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	_, rest, _ := strings.Cut(string(out), "status ")
	return strings.Fields(rest)[0]
}

func TestTheSocketLetsInItsOwnerAndItsGroupAndNobodyElse(t *testing.T) {
	a, socket := served(t)
	id := string(a.armed("A-1001"))
	if os.Geteuid() == 0 {
		require.NoError(t, os.Chown(socket, 4001, 4002))
	}
	assert.Equal(t, "403", as(t, socket, id, 4003, 4003), "the file's mode lets in everybody; we do not")
	assert.Equal(t, "200", as(t, socket, id, 4001, 4003), "the owner")
	again := string(a.armed("A-1002"))
	assert.Equal(t, "200", as(t, socket, again, 4003, 4002), "the group")
	once := string(a.armed("A-1003"))
	assert.Equal(t, "200", as(t, socket, once, 4003, 4003, 4009, 4002), "one group of several")
}

func TestWhoCallsOnTheSocketIsKnownByTheKernelsWord(t *testing.T) {
	a, socket := served(t)
	id := a.armed("A-1001")
	c, err := Dial(t.Context(), ClientConfig{Socket: socket})
	require.NoError(t, err)
	defer c.Close()
	_, err = c.SetAside(t.Context(), id, SetAsideBody{Operator: "M001", Reason: "x"})
	require.Error(t, err, "it can't be set aside; the way it came is known all the same")
	assert.Equal(t, fmt.Sprintf("socket uid %d", os.Geteuid()), a.desk.via)
	_, err = c.Cancel(t.Context(), id, "")
	require.NoError(t, err)
	assert.Equal(t, fmt.Sprintf("uid %d", os.Geteuid()), a.desk.by, "who names nobody is named by the kernel")
}

func TestATokensWishNamesTheToken(t *testing.T) {
	a := newTill(t)
	id := a.armed("A-1001")
	assert.Regexp(t, `^token till software \([0-9a-f]{8}\)$`, a.desk.via)
	a.post("/v1/payments/"+string(id)+"/cancel", `{"operator":"P007"}`)
	assert.Equal(t, "P007", a.desk.by)
	var kept []byte
	kept, err := json.Marshal(a.desk.via)
	require.NoError(t, err)
	assert.NotContains(t, string(kept), a.token)
}

func TestThePagesWishNamesThePage(t *testing.T) {
	p := seatAt(newTill(t, withOperators(t)))
	p.signIn("P001", pinOfCashier)
	require.Equal(t, http.StatusCreated, p.sell("A-1001").Status)
	assert.Equal(t, "page", p.desk.via)
}
