"""The client's side of RFC 6455 framing, written apart from the engine so that the two check each other."""

import base64
import hashlib

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
KEY = "dGhlIHNhbXBsZSBub25jZQ=="

FIREFOX = (
    "GET {path} HTTP/1.1\r\nHost: {host}\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0\r\n"
    "Accept: */*\r\nAccept-Language: zh-CN,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n"
    "Sec-WebSocket-Version: 13\r\nOrigin: http://{host}\r\nSec-WebSocket-Extensions: permessage-deflate\r\n"
    "Sec-WebSocket-Key: " + KEY + "\r\nConnection: keep-alive, Upgrade\r\nSec-Fetch-Dest: empty\r\n"
    "Sec-Fetch-Mode: websocket\r\nSec-Fetch-Site: same-origin\r\nPragma: no-cache\r\n"
    "Cache-Control: no-cache\r\nUpgrade: websocket\r\n\r\n"
)


def upgrade(path: str = "/ws", host: str = "chat.test", **changes: str | None) -> bytes:
    """A handshake request as Firefox sends it; `sec_websocket_key=None` leaves that header out."""
    first, *lines = FIREFOX.format(path=path, host=host).removesuffix("\r\n\r\n").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    for name, value in changes.items():
        spelled = name.replace("_", "-").title().replace("Websocket", "WebSocket")
        headers.pop(spelled, None)
        if value is not None:
            headers[spelled] = value
    return "\r\n".join([first, *(f"{name}: {value}" for name, value in headers.items()), "", ""]).encode()


def accept_of(key: str) -> str:
    """What the server answers to a key (4.2.2)."""
    return base64.b64encode(
        hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
    ).decode()


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, mask: bytes = b"\x11\xf2\x00\x83", rsv: int = 0
) -> bytes:
    """A masked frame."""
    size = len(payload)
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    if size < 126:
        head += bytes([0x80 | size])
    elif size < 65536:
        head += b"\xfe" + size.to_bytes(2, "big")
    else:
        head += b"\xff" + size.to_bytes(8, "big")
    return head + mask + bytes(byte ^ mask[index & 3] for index, byte in enumerate(payload))


def close(code: int | None, reason: bytes = b"") -> bytes:
    """A masked close frame."""
    return frame(CLOSE, b"" if code is None else code.to_bytes(2, "big") + reason)


def read_frames(data: bytes) -> list[tuple[int, bytes]]:
    """The opcodes and payloads of a server's frames, which must all be whole, final and unmasked."""
    frames = []
    while data:
        first, size = data[0], data[1]
        assert first & 0xF0 == 0x80
        assert size < 128
        start = {126: 4, 127: 10}.get(size, 2)
        size = int.from_bytes(data[2:start], "big") if start > 2 else size
        assert len(data) >= start + size
        frames.append((first & 0x0F, data[start : start + size]))
        data = data[start + size :]
    return frames
