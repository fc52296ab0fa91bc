// Package till shows what becomes of a payment and is told what to do: the local HTTP API, the cashier's page, and the words that a
// person reads.
//
// It holds no state of its own about money. Everything that it shows comes from a [Desk], which the engine is, and every wish goes
// there; a till that restarts forgets nothing.
//
// Old tills say their wishes in lines (line*.go, docs/line-protocol.md), or have the total read from their customer display (pole*.go,
// docs/pole-display.md). Training is a second server below /training/ of the first (training.go).
//
// # Who may do what
//
// Programs send a bearer token, whose scopes say what it opens (tokens.go). The unix socket trusts its owner and group, by the kernel's
// word, and takes no token (peer.go). The page is served by the agent itself and carries a session cookie that is given on loopback only
// (session.go); on it people sign in with a PIN where the store has set operators up (operators.go, signins.go, api_session.go). Every
// request over TCP passes guard.go first: Host, origin, size, and how often it was wrong (limit.go).
//
// # What never leaves
//
// A payment code is in no answer and no log line, whatever field, header or path it was put in: an error names the field and what it
// must be, never its value, and a field that holds a payment code is refused (codes.go).
//
// The document of the API is made from the types in the api files and stands in testdata/openapi.json.
package till
