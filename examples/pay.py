#!/usr/bin/env python3
"""Sells one thing through posagent, as a till would: arm, wait, show, acknowledge. Python 3.8, standard library only.

    POSAGENT_TOKEN=... python3 pay.py SALE MINOR [CODE]

Run again with the same SALE and MINOR after a crash: it is the same payment. Exit status: 0 paid (goods go), 1 not paid (other means),
2 refused (nothing was armed by this run: do what the text says), 3 not known yet (no goods, no other means: run it again).
"""
import json, os, sys, time, urllib.error, urllib.request

URL = os.environ.get("POSAGENT_URL", "http://127.0.0.1:7080")
PAID, NOT_PAID, REFUSED, UNKNOWN = 0, 1, 2, 3
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy stands before this computer's own till


class Away(Exception):
    """Nobody answered: whether the call was carried out is not known."""


def call(method, path, body=None, key=None, within=30):
    """Returns status and answer; raises Away where there is none."""
    headers = {"Authorization": "Bearer " + os.environ["POSAGENT_TOKEN"]}
    data = None
    if body is not None:
        data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
    if key:
        headers["Idempotency-Key"] = key
    request = urllib.request.Request(URL + path, data=data, headers=headers, method=method)
    try:
        with OPENER.open(request, timeout=within) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused)
    except (OSError, ValueError) as lost:
        raise Away(str(lost))


def arm(sale, minor):
    """The key is made of the sale alone, so that a till that has crashed makes the same one."""
    for pause in (0, 1, 2, 3, 4):
        time.sleep(pause)
        try:
            status, answer = call("POST", "/v1/payments", {"sale_ref": sale, "amount": minor}, key=f"pay.py-{sale}-{minor}")
        except Away:
            continue
        if status != 500 and answer.get("code") != "stopping":
            return status, answer
    raise Away("posagent does not answer")


def follow(payment_id, seen, rounds):
    """Waits for the end. A daemon that is away meanwhile knows the payment when it is back."""
    version, payment = 0, None
    for _ in range(rounds):
        try:
            status, answer = call("GET", f"/v1/payments/{payment_id}?since={version}&wait=10")
        except Away:
            time.sleep(1)
            continue
        if status != 200:
            time.sleep(1)
            continue
        payment = answer
        if payment["version"] != version:
            seen(payment)
        version = payment["version"]
        if payment["final"]:
            break
    return payment


def sell(sale, minor, code=None):
    try:
        status, answer = arm(sale, minor)
    except Away:
        print("posagent does not answer; charge nothing again before it does", file=sys.stderr)
        return UNKNOWN
    if status != 201:  # 503 not_ready: take cash. 409: already_paid, sale_open (no other means!), till_busy
        print(answer["code"] + ": " + answer["next_step"]["en"], file=sys.stderr)
        return NOT_PAID if answer["code"] == "not_ready" else REFUSED
    if code and answer["status"] == "waiting":
        try:
            call("POST", f"/v1/payments/{answer['id']}/code", {"code": code})
        except Away:
            pass  # what became of it is what follow sees
    payment = follow(answer["id"], lambda p: print(p["message"]["en"], "-", p["next_step"]["en"]), int(os.environ.get("POSAGENT_ROUNDS", "20")))
    if payment is None or not payment["final"]:
        if payment and payment["sale_may_use_other_means"]:
            return NOT_PAID
        print("not known yet: hand over nothing, charge nothing again", file=sys.stderr)
        return UNKNOWN
    try:
        if call("POST", f"/v1/payments/{payment['id']}/acknowledge", {})[0] != 200:
            return UNKNOWN
    except Away:
        return UNKNOWN
    print(payment["status"], payment["transaction_id"])
    return PAID if payment["status"] == "paid" else NOT_PAID


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    sys.exit(sell(sys.argv[1], int(sys.argv[2]), *sys.argv[3:]))
