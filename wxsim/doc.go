// Package wxsim plays WeChat Pay's side of API v3 Global and of API v2 (XML) at one address: pay, query, reverse, refunds with their
// queries and notifications, statements, bills, settlements and platform certificates, over TLS, with real signatures and certificates
// that are made at start. It is for tests, for the demo and for trial installs. It knows the documents and nothing of posagent: a
// misreading must not agree with itself.
//
//	sim, err := wxsim.New(wxsim.Config{})
//	url, err := sim.Start("127.0.0.1:0")
//	err = sim.WriteCredentials(dir)
//	…
//	books := sim.Books()
//	sim.Close()
//
// Requests are checked as WeChat Pay checks them: scheme, signature, serial, time and nonce of the Authorization header, User-Agent
// and Accept, exactly one set of ids, the fields of the body with their lengths and forms. Every answer is signed, errors too
// (Behaviour.ErrorsUnsigned leaves those out: no document says).
//
// # API v2
//
// Pay, query, reverse, refund, query refund, download bill and code to openid, at the paths of its pages. Requests are checked as v3's
// are: one flat XML message, the fields of the page and no others, the sign (MD5, or HMAC-SHA256 where sign_type says so), the ids.
// What is not understood or not believed is return_code FAIL, unsigned; any other refusal is result_code FAIL with err_code, and
// signed. Answers are signed as their requests were, over all fields, some of which no page lists (Behaviour.ExtraEvery).
// The notification of a refund carries no sign: its req_info opens under the API key. A bill is printed from the rows of the statement.
//
// Reverse and refund demand the merchant's client certificate. The handshake asks for one and demands none, for v3 has the same
// address: without it the call gets a page with status 400, as from WeChat Pay's own gateway, and Books.Uncertified counts it.
//
// Orders, codes, scenarios, faults, refunds and books are those of v3. An order remembers the API that made it, and the other one does
// not find it unless Behaviour.APIsShareOrders. A scenario says in v2 what it says in v3: 403 NOT_ENOUGH is err_code NOTENOUGH, 202 or
// 200 USERPAYING is err_code USERPAYING, 503 is return_code FAIL, an unsigned answer has no sign, one forged, of an unknown serial
// or a probe has a wrong one, duplicate headers are sign twice; stale and rolled-over pay as if nothing were.
//
// # An order's life
//
//	pay ──> SUCCESS ──────────────── reverse ──> REVOKED, refunded in full
//	 │        ^    └── Refund ──> REFUND
//	 │        │ the customer pays
//	 └──> USERPAYING, NOTPAY, PAYERROR ── reverse, or 45 s ──> REVOKED
//
// A reverse is refused, and written down as a violation, sooner than 15 s after the pay call; the reverse of a number that nobody
// knows is done (204), and a pay call that comes later makes the order all the same, unless Behaviour.ReverseBlocks. A payment
// code serves one order and lives a minute. One number has one set of parameters.
//
// # A refund's life
//
//	refund ──> PROCESSING ──> SUCCESS, REFUNDCLOSE or ABNORMAL, after Behaviour.RefundAfter
//
// The order reads REFUND from the first refund on. One number is one refund: the same call again is the same refund, and other
// parameters are refused. All refunds but the closed ones add up to what was paid at most. Only SUCCESS moves money: until then,
// and where a refund is closed or abnormal, the books say that WeChat Pay holds it.
//
// Once a refund has ended, the notify_url that its call named gets a notification, again and again by the documents' schedule until
// it says 200 or 204: see Notify. Statements and settlements are added up from the same books.
//
// # Whose key signs, and for how long
//
//   - AddCertificate, UseCertificate and DropCertificates roll a platform certificate over.
//   - The public key signs the answer to whoever names it in Wechatpay-Serial. MovePublicKey gives it its share of notifications,
//     and UsePublicKeyOnly ends the platform certificates.
//   - AddMerchantCertificate and DropMerchantCertificate renew a merchant's own certificate.
//
// # What goes wrong, and who chooses it
//
// Inject arms a Fault for the next calls that fit it: faults.go has the kinds. Without one, the payment code chooses, and without
// a scenario code the amount does:
//
//   - A scenario code has 18 digits: a prefix from 10 to 15, 0000, ten digits as one likes, and the two digits of the scenario,
//     such as 13 0000 0000000001 41. CodeFor makes them.
//   - An ordinary code takes its scenario from an amount of 99.NN, such as 99.41 (9941 minor units, in any currency).
//   - The code wins over the amount. An ordinary code with an ordinary amount pays at once.
//   - Scenarios 83 to 96 are of refunds: the order pays at once, and they say how its refunds go. A refund of an order of any
//     other scenario takes its own from a refund amount of 99.NN, such as 99.84. An ordinary refund goes through.
//
// # Scenarios
//
//	00  99.00  pays-at-once              paid with the pay call, without a password
//	01  99.01  password-pays             the password is asked for (202 USERPAYING, or as the simulator is set), and the customer pays after 6 s
//	02  99.02  password-pays-200         the same, said by 200 and trade_state USERPAYING
//	03  99.03  password-pays-202         the same, said by 202 and a bare code
//	04  99.04  password-refused          the password is asked for; the customer gives up after 6 s and the order stays unpaid
//	05  99.05  password-never            the password is asked for and never typed; WeChat Pay revokes the order 45 s after the pay call
//	06  99.06  password-late             the customer pays 36 s after the pay call
//	07  99.07  pays-in-the-gap           unpaid until the reverse comes: the payment lands just before it, and is refunded by it
//	08  99.08  slow-answer               WeChat Pay tries the customer's cards in turn: paid, answered after 8 s
//	09  99.09  pay-error                 the password is asked for; after 3 s the order reads PAYERROR
//	10  99.10  no-money                  refused: NOT_ENOUGH, no order is made
//	11  99.11  expired-code              refused: AUTH_CODE_EXPIRE
//	12  99.12  reused-code               refused: AUTH_CODE_ERROR, the code was used before
//	13  99.13  not-a-code                refused: AUTH_CODE_INVALID, these digits are no payment code
//	14  99.14  card-not-supported        refused: NOT_SUPORT_CARD, as the documents spell it
//	15  99.15  over-the-limit            refused: RULE_LIMIT
//	16  99.16  account-error             refused: ACCOUNT_ERROR
//	17  99.17  too-many-requests         429 RATE_LIMITED, no order is made
//	18  99.18  no-money-order-open       refused: NOT_ENOUGH, but the order stays open and unpaid until 45 s
//	19  99.19  hidden-deduction          refused: NOT_ENOUGH, but the customer was charged
//	20  99.20  system-error-paid         500 SYSTEM_ERROR, though it is paid
//	21  99.21  system-error-unpaid       500 SYSTEM_ERROR, and the order stays unpaid until 45 s
//	22  99.22  system-error-no-order     500 SYSTEM_ERROR, and there is no order
//	23  99.23  bank-error-paid-later     500 BANK_ERROR; paid after 9 s
//	24  99.24  unlisted-error            403 with a code that no document lists; paid
//	25  99.25  number-of-another-paid    another till's paid order stands under the number: ORDER_PAID
//	26  99.26  number-of-another-unpaid  another till's unpaid order stands under the number: OUT_TRADE_NO_USED
//	27  99.27  number-of-another-closed  another till's closed order stands under the number: ORDER_CLOSED
//	28  99.28  buyer-mismatch            refused: BUYER_MISMATCH, no order is made
//	29  99.29  number-of-another-reversed another till's reversed order stands under the number: ORDER_REVERSED
//	30  99.30  wrong-amount              paid, but every answer says one minor unit more
//	31  99.31  wrong-currency            paid, but every answer says MOP
//	32  99.32  another-attach            paid, but every answer carries another till's attach
//	33  99.33  no-attach                 paid, and no answer carries the attach
//	34  99.34  another-number            paid, but every answer names another order number
//	35  99.35  another-merchant          paid, but every answer names another merchant
//	36  99.36  unknown-state             unpaid, and every answer says trade_state ACCEPT until 45 s
//	37  99.37  wrong-parameter           refused: PARAM_ERROR, no order is made
//	38  99.38  invalid-request           refused: INVALID_REQUEST, no order is made
//	39  99.39  trade-error               refused: TRADE_ERROR, the message tells why
//	40  99.40  request-lost              the connection drops before the pay call is read: there is no order
//	41  99.41  answer-lost               paid, and the connection drops before the answer
//	42  99.42  answer-lost-unpaid        the connection drops before the answer, and nobody pays: revoked at 45 s
//	43  99.43  answer-late               paid, answered after 20 s
//	44  99.44  stall                     the pay call is not carried out, and nothing ever comes back
//	45  99.45  stall-paid                paid, and nothing ever comes back
//	46  99.46  bad-gateway               502 with a web page, unsigned; there is no order
//	47  99.47  bad-gateway-paid          502 with a web page, unsigned; paid
//	48  99.48  unavailable               503 SERVICE_UNAVAILABLE, signed; there is no order
//	49  99.49  unsigned                  paid; the pay answer carries no signature
//	50  99.50  refused-unsigned          NOT_ENOUGH without a signature; there is no order
//	51  99.51  forged                    paid; the pay answer's signature is somebody else's
//	52  99.52  unknown-serial            paid; the pay answer is signed under a serial that WeChat Pay does not have
//	53  99.53  replayed                  paid; the answer to another pay call comes back, well signed (the connection drops if there is none)
//	54  99.54  rolled-over               paid; from this answer on a new platform certificate signs
//	55  99.55  redirect                  307 to the same address; there is no order
//	56  99.56  redirect-elsewhere        307 to another address; there is no order
//	57  99.57  dead-link                 the link goes dead under the pay call: nothing arrives, nothing comes back, nobody hangs up
//	58  99.58  read-late                 the pay call is read only after 20 s, and paid then, whoever is still there
//	59  99.59  wrong-date                paid; the Date header is an hour ahead
//	60  99.60  truncated                 paid; the pay answer ends in the middle
//	61  99.61  oversized                 paid; the pay answer has 2 MiB
//	62  99.62  trailing-json             paid; a second object follows the answer
//	63  99.63  duplicate-headers         paid; nonce and signature of the pay answer stand twice
//	64  99.64  gzip                      paid; the pay answer is compressed
//	65  99.65  stale                     paid; the pay answer was signed six minutes ago
//	66  99.66  probe                     paid; the pay answer's signature begins WECHATPAY/SIGNTEST/
//	67  99.67  no-authority              refused: NO_AUTH, the merchant may not make this call
//	68  99.68  sign-error                401 SIGN_ERROR, no order is made
//	69  99.69  appid-mismatch            refused: APPID_MCHID_NOT_MATCH
//	70  99.70  never-ends                the pay answer is lost, nobody pays, every query is lost and every reverse is SYSTEM_ERROR, for ever
//	71  99.71  reverse-refused           nobody pays; a reverse is refused "during payment" for 30 s from 15 s on
//	72  99.72  reverse-answer-lost       nobody pays; the answer to every reverse is lost
//	73  99.73  query-answers-lost        paid after 6 s; the answer to every query is lost
//	74  99.74  merchant-unknown          refused: MCH_NOT_EXISTS
//	75  99.75  appid-unknown             refused: APPID_NOT_EXIST
//	76  99.76  rate-exceeded             429 RATELIMIT_EXCEEDED, no order is made
//	77  99.77  frequency-exceeded        429 FREQUENCY_LIMIT_EXCEEDED, no order is made
//	78  99.78  frequency-exceed          429 FREQUENCY_LIMIT_EXCEED, as the Global page spells it
//	79  99.79  openid-mismatch           500 OPENID_MISMATCH, and there is no order
//	80  99.80  not-found                 404 NOT_FOUND to the pay call
//	81  99.81  resource-not-there        404 RESOURCE_NOT_EXISTS to the pay call
//	82  99.82  order-not-there           404 ORDER_NOT_EXIST to the pay call
//	83  99.83  refund-never-ends         a refund reads PROCESSING for ever
//	84  99.84  refund-closed             a refund ends REFUNDCLOSE; WeChat Pay keeps the money
//	85  99.85  refund-abnormal           a refund ends ABNORMAL; WeChat Pay keeps the money
//	86  99.86  refund-no-money           a refund is refused: NOT_ENOUGH, the merchant's funds are too small
//	87  99.87  refund-account-dead       a refund is refused: USER_ACCOUNT_ABNORMAL
//	88  99.88  refund-overdue            a refund is refused: TRADE_OVERDUE, the payment is more than a year old
//	89  99.89  refund-error              a refund is refused: ERROR, the message tells why
//	90  99.90  refund-system-error       a refund is taken on, and answered by 500 SYSTEM_ERROR the first time
//	91  99.91  refund-system-error-not-made a refund is not taken on the first time: 500 SYSTEM_ERROR
//	92  99.92  refund-retry              a refund is not taken on the first time: 500 BIZERR_NEED_RETRY
//	93  99.93  refund-too-soon           a refund is not taken on the first time: 429 INVALID_REQ_TOO_MUCH
//	94  99.94  refund-too-often          a refund is not taken on the first time: 429 FREQUENCY_LIMITED
//	95  99.95  refund-answer-lost        a refund is taken on, and the connection drops before the answer, every time
//	96  99.96  refund-unsigned           a refund is taken on; the answer carries no signature
package wxsim
