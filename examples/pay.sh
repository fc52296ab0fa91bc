#!/usr/bin/env bash
# Sells one thing through posagent with curl and jq, as a till would: arm, wait, show, acknowledge.
#   POSAGENT_TOKEN=… ./pay.sh SALE MINOR [CODE]
# SALE is the till's own number of the sale, MINOR the amount in minor units (1250 is HK$ 12.50). CODE is a payment code that the till
# scanned itself; without one, posagent's scanner reads it. Run again with the same SALE and MINOR after a crash: it is the same payment.
# Exit status: 0 paid (goods go), 1 not paid (other means), 2 refused (nothing was armed by this run: do what the text says),
# 3 not known yet (no goods, no other means: run it again).
set -euo pipefail
url=${POSAGENT_URL:-http://127.0.0.1:7080}
sale=$1 minor=$2 code=${3:-}
key=pay.sh-$sale-$minor # one key for each payment of the sale, and the same one after a crash

# call METHOD PATH [BODY [HEADER]]: prints the body and then the status on a line of its own; 000 where nobody answered
call() {
  local body=(); [ -z "${3:-}" ] || body=(-H 'Content-Type: application/json' --data-binary "$3")
  curl -sS --max-time 70 -X "$1" -H "Authorization: Bearer $POSAGENT_TOKEN" ${4:+-H "$4"} ${body[@]+"${body[@]}"} \
    -w '\n%{http_code}' "$url$2" 2>/dev/null || printf '\n000'
}
split() { status=${1##*$'\n'} answer=${1%$'\n'*}; }
say() { jq -r '.message.en + " - " + .next_step.en' <<<"$answer"; }

order=$(jq -cn --arg sale "$sale" --argjson amount "$minor" '{sale_ref: $sale, amount: $amount}')
for try in 1 2 3 4 5 6; do # an answer that is lost says nothing: the same key asks for the same payment
  split "$(call POST /v1/payments "$order" "Idempotency-Key: $key")"
  case $status in
    201) break ;;
    000|500) sleep "$try" ;;
    503) # not_ready: nothing was armed, take cash. stopping: it is back in a moment
      [ "$(jq -r .code <<<"$answer")" = stopping ] && { sleep "$try"; continue; }
      jq -r '.code + ": " + .next_step.en' <<<"$answer" >&2; exit 1 ;;
    *) # 409: already_paid, sale_open (no other means!), till_busy
      jq -r '.code + ": " + .next_step.en' <<<"$answer" >&2; exit 2 ;;
  esac
done
[ "$status" = 201 ] || { echo "posagent does not answer; charge nothing again before it does" >&2; exit 3; }
id=$(jq -r .id <<<"$answer")

if [ -n "$code" ] && [ "$(jq -r .status <<<"$answer")" = waiting ]; then
  # The code goes by standard input: an argument could be read by every program of this computer.
  sent=$(jq -Rc '{code: .}' <<<"$code" | curl -sS --max-time 20 -X POST -H "Authorization: Bearer $POSAGENT_TOKEN" \
    -H 'Content-Type: application/json' --data-binary @- "$url/v1/payments/$id/code") || true
  jq -e '.code? // empty | strings' <<<"${sent:-null}" >&2 || true
fi

version=0
for ((i = 0; i < ${POSAGENT_ROUNDS:-20}; i++)); do
  split "$(call GET "/v1/payments/$id?since=$version&wait=10")"
  if [ "$status" != 200 ]; then sleep 1; continue; fi # away: the payment goes on without us
  if [ "$(jq .version <<<"$answer")" != "$version" ]; then say; fi
  version=$(jq .version <<<"$answer")
  [ "$(jq .final <<<"$answer")" = true ] && break
done
state=$(jq -r '.status // "unknown"' <<<"${answer:-null}")
if [ "$(jq -r '.final // false' <<<"$answer")" != true ]; then
  [ "$(jq -r '.sale_may_use_other_means // false' <<<"$answer")" = true ] && { echo "other means are allowed"; exit 1; }
  echo "not known yet: hand over nothing, charge nothing again" >&2; exit 3
fi
split "$(call POST "/v1/payments/$id/acknowledge" '{}')" # once the cashier has been told and, where it is paid, gives the goods
[ "$status" = 200 ] || { echo "the acknowledgement was lost; run this again" >&2; exit 3; }
echo "$state $(jq -r .transaction_id <<<"$answer")"
[ "$state" = paid ]
