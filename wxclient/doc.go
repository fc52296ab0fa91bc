// Package wxclient speaks WeChat Pay's API v3 Global: it signs and sends pay, query, reverse, refund, the queries of refunds and
// settlements, the statement and the certificates call, verifies every answer and notification, and turns each into payflow's
// words, or into an error that means "we do not know".
//
// Its one promise: err == nil only for an outcome that is known and verified (or for the certainty that nothing was
// sent). Everything else, a time-out, a 500, a bad signature, a page of HTML, a code that outcome.go does not list, is
// a *payflow.LostError, and whoever called asks again.
//
// The way of a call:
//
//	pay.go, query.go, reverse.go, refund.go, refundquery.go, settlement.go, statement.go
//	                               what is asked, as the documents write it
//	sign.go                        the Authorization header, over the very bytes that are sent
//	signers.go                     which merchant certificate signs, while there are two
//	hosts.go, conn.go, link.go     one HTTP/1.1 exchange over TLS, and whether a byte of it may have left
//	download.go                    the same for an answer that is too large to hold
//	verify.go, certificates.go, publickey.go
//	                               whose answer it is
//	nonces.go, heard.go, start.go  that it is no answer from before, over restarts too
//	clock.go                       how far this PC's clock is off, by WeChat Pay's signed time
//	outcome.go                     what the answer means, as one table for each call
//	statementrows.go               the rows of a statement
//	notify.go, notice.go           what WeChat Pay sends by itself
//
// The client does not use net/http's Transport: one pay call must make at most one whole arrival, and must know for
// certain when nothing has left. Here one call is one Write on one connection of our own, with no pool, no redirect, no
// resend and no proxy from the environment in between; net/http only parses the answer. A byte "may have left" from the
// first Write under TLS after the handshake on, whatever that Write returns.
//
// Doubts about the documents stand in docs/wechat-pay.md.
package wxclient
