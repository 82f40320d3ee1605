"""A whole talk of `unique-cs.v1+sm`, kept as bytes in sm.json for clients in other languages."""

import json
import random
from pathlib import Path
from typing import Any

from unique_cs.sm.handshake import answer, begin, fingerprint, finish, make_credentials
from unique_cs.sm.sm2 import make_key

GOLDEN = Path(__file__).with_name("sm.json")
UP = ['{"type":"ping"}', "", '{"text":"国密"}']
DOWN = ['{"type":"pong","time":1}', "x" * 1_000]


def talk() -> dict[str, Any]:
    """What the bytes are where these random numbers are drawn."""
    draw = random.Random(32918).randbytes
    identity = make_key(draw)
    hello = begin(draw)
    message, server = answer(make_credentials(identity, draw), hello.message, draw)
    client = finish(hello, message, fingerprint(identity.public))
    found: dict[str, Any] = {
        "fingerprint": fingerprint(identity.public),
        "client_private": f"{hello.own.private:064x}",
        "client_once": f"{hello.once.private:064x}",
        "hello": hello.message.hex(),
        "answer": message.hex(),
        "up": [{"frame": frame, "record": client.sealer.seal(frame.encode()).hex()} for frame in UP],
        "down": [{"frame": frame, "record": server.sealer.seal(frame.encode()).hex()} for frame in DOWN],
    }
    for each in found["up"]:
        assert server.opener.open(bytes.fromhex(each["record"])).decode() == each["frame"]
    return found


def test_the_bytes_stay_what_they_are() -> None:
    assert json.loads(GOLDEN.read_text()) == talk()
