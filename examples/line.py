#!/usr/bin/env python3
"""Sells one thing by posagent's line protocol, over TCP. Python 3.8, standard library only.

    python3 line.py SALE MINOR [HOST:PORT]

posagent's scanner reads the customer's code. A lost connection is made again, and the same PAY asks for the same payment: so does this
program after a crash. Exit status: 0 paid (goods go), 1 not paid (other means), 2 refused (do what the text says),
3 not known yet (no goods, no other means: run again).
Over a COM port it is the same words; open the port with the settings of [api] line_baud and its sisters.
"""
import socket, sys, time

PAID, NOT_PAID, REFUSED, UNKNOWN = 0, 1, 2, 3


class Line:
    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=5)
        self.rest = b""

    def say(self, text):
        self.socket.sendall(text.encode("ascii") + b"\r\n")

    def hear(self, within=30):
        """Returns the next line; raises OSError where the line is lost or silent."""
        self.socket.settimeout(within)
        while b"\n" not in self.rest:
            some = self.socket.recv(512)
            if not some:
                raise OSError("the line was closed")
            self.rest += some
        line, self.rest = self.rest.split(b"\n", 1)
        return line.decode("utf-8").rstrip("\r")


def sell(address, sale, minor, patience=180):
    until = time.monotonic() + patience
    while time.monotonic() < until:
        try:
            line = Line(address)
            line.say(f"PAY {sale} {minor}")
            while time.monotonic() < until:
                word, _, rest = line.hear().partition(" ")
                print(word, rest)
                if word in ("OK", "NO"):
                    line.say("ACK " + rest.split(" ")[0])  # the cashier was told, and gives the goods where it is OK
                    print(line.hear())
                    return PAID if word == "OK" else NOT_PAID
                if word == "ERR":  # not_ready: nothing was armed, take cash. already_paid, sale_open: no other means!
                    return {"not_ready": NOT_PAID, "internal": UNKNOWN, "stopping": UNKNOWN}.get(rest.split(" ")[0], REFUSED)
                if word == "NOTPAID":  # other means are allowed; posagent goes on taking back. WAIT, HOLD: hand over nothing
                    return NOT_PAID
        except OSError as lost:  # also silence: ask again
            print("line:", lost, file=sys.stderr)
            time.sleep(1)
    print("not known yet: hand over nothing, charge nothing again", file=sys.stderr)
    return UNKNOWN


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    sys.exit(sell(sys.argv[3] if len(sys.argv) == 4 else "127.0.0.1:7081", sys.argv[1], int(sys.argv[2])))
