// Package v2 speaks WeChat Pay's API v2, for the stores that are still on it: Quick Pay (micropay), order query, reverse, refund
// and refund query, the bill, and the open id of a payment code. It has the same methods as wxclient.Client and turns every
// answer into the same payflow.Outcome, by the same table of codes (wxclient/outcome.go).
//
// Its one promise is wxclient's: err == nil only for an outcome that is known and verified, or for the certainty that nothing was
// sent. The connection is wxclient's too (wxclient.Line): one call is one Write, a pay call makes at most one whole arrival, and
// hosts change for a pay call only while nothing was written.
//
// The way of a call:
//
//	pay.go, query.go, reverse.go, refund.go, statement.go   what is asked, as the documents write it
//	sign.go                                                 MD5 or HMAC-SHA256 over the fields by name, with the API key
//	xml.go                                                  the fields as XML, and XML read by tokens
//	answer.go                                               whose answer it is, and what it means
//	notice.go                                               refund notifications
//
// # What an answer is believed for
//
// In this order (API v2, error handling): it came over verified TLS with status 200; its XML is flat, without DOCTYPE and
// without a name that comes twice; return_code is SUCCESS (FAIL is unknown: it carries no sign, and system faults are told that
// way); its sign fits everything that was received, unknown fields too; result_code and err_code say what happened.
//
// What protects an answer, and what does not:
//
//   - TLS protects it from everybody on the way. It is never switched off, and nothing below would replace it.
//   - The sign is made with a key that this till holds as well. It shows that the sender knows the key; it shows nobody a
//     third party. Whoever has read the till's API key can make answers, if he can also break TLS.
//   - An answer carries no time. There is no window of five minutes as in API v3, and the PC's clock is compared with the Date
//     header alone, which corrects nothing.
//   - So a kept answer would fit again. An answer that decides something for an order must name it (out_trade_no, or the
//     transaction_id that was asked for), and a kept answer about this very order was true once: an older state delays, and does not lie. An answer that names no order (ORDERNOTEXIST, a refusal, a reverse that was done) must carry a nonce_str that did not
//     come within the last ten minutes, in any answer, nor among the last 1024 before a restart. An older copy would
//     pass if TLS were broken too; "no such order" is therefore believed at T_dead only, after a reverse, and twice (payflow, rule 7).
//   - The signed text joins name=value by "&" without escaping, so that a value which holds "&name=value" signs like a field of its own.
//     Whoever is within TLS could fold a field into the one before it: so each field that decides (result_code, out_trade_no,
//     total_fee, trade_state, the merchant's ids) must be there by itself, and its absence is unknown or a mismatch. He could also
//     unfold a value: attach is the only text of ours that comes back, and no name that decides sorts between it and its neighbour.
//   - MD5 is weak against collisions, not against forging without the key. An answer's sign tells its kind by its length, and either
//     is taken, whatever we sign with: errors come signed by MD5 whatever was asked.
//   - A refund notification has no sign at all. That it could be opened with our key is its only proof, and AES-ECB lets blocks of
//     one message be put into another. It is therefore a hint to ask, never a proof.
//
// The merchant's certificate is shown where WeChat Pay demands it (reverse, refund), on connections of their own. Without one
// there is no client: no payment is started when a reverse would be impossible.
//
// Doubts about the documents stand in docs/wechat-pay.md.
package v2
