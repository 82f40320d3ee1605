"""The examples that the standards publish."""

import itertools
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import SM4
from cryptography.hazmat.primitives.ciphers.modes import ECB

from unique_cs.sm import sm2
from unique_cs.sm.channel import BadRecord, Opener, Sealer
from unique_cs.sm.curve import _LIBRARIES, Curve, Gmalg, Libcrypto, NotOnCurve
from unique_cs.sm.sm2 import Party, agree, derive, identity, key_of, sign, sm3, verify

NAME = b"1234567812345678"


def number(text: str) -> int:
    return int(text.replace(" ", ""), 16)


def octets(text: str) -> bytes:
    return bytes.fromhex(text)


def system() -> Curve:
    """The machine's libcrypto."""
    for name in _LIBRARIES:
        try:
            return Libcrypto(name)
        except (OSError, AttributeError, NotOnCurve):
            continue
    pytest.skip("this machine has no libcrypto with the curve of SM2")


@pytest.fixture(params=[system, Gmalg], ids=["libcrypto", "gmalg"])
def _curve(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to calculate."""
    made = request.param()
    monkeypatch.setattr(sm2, "curve", lambda: made)


def drawing(k: int) -> Callable[[int], bytes]:
    """Random bytes from which the number k is drawn."""
    return lambda size: (k - 1).to_bytes(size, "big")


@pytest.mark.parametrize(
    ("message", "digest"),
    [
        (b"abc", "66c7f0f4 62eeedd9 d1f2d46b dc10e4e2 4167c487 5cf2f7a2 297da02b 8f4ba8e0"),
        (b"abcd" * 16, "debe9ff9 2275b8a1 38604889 c18e5a4d 6fdb70e5 387e5765 293dcba3 9c0c5732"),
    ],
)
def test_sm3(message: bytes, digest: str) -> None:
    """GB/T 32905-2016, A.1 and A.2."""
    assert sm3(message) == octets(digest)


def test_sm4() -> None:
    """GB/T 32907-2016, A.1: one block."""
    key = octets("01234567 89abcdef fedcba98 76543210")
    encryptor = Cipher(SM4(key), ECB()).encryptor()
    assert encryptor.update(key) == octets("681edf34 d206965e 86b3e94f 536e4246")


def test_sm4_a_million_times() -> None:
    """GB/T 32907-2016, A.2: the same block, encrypted 1,000,000 times."""
    block = key = octets("01234567 89abcdef fedcba98 76543210")
    update = Cipher(SM4(key), ECB()).encryptor().update
    for _ in itertools.repeat(None, 1_000_000):
        block = update(block)
    assert block == octets("595298c7 c6fd271f 0402f804 c33d3f66")


def test_sm4_gcm() -> None:
    """RFC 8998, A.1: what our records are made of."""
    key = octets("0123456789abcdeffedcba9876543210")
    nonce, bound = octets("00001234567800000000abcd"), octets("feedfacedeadbeeffeedfacedeadbeefabaddad2")
    plain = octets(
        "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccdddddddddddddddd"
        "eeeeeeeeeeeeeeeeffffffffffffffffeeeeeeeeeeeeeeeeaaaaaaaaaaaaaaaa"
    )
    record = octets(
        "17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735"
        "d82710ca5c22f0ccfa7cbf93d496ac15a56834cbcf98c397b4024a2691233b8d"
        "83de3541e4c2b58177e065a9bf7b62ec"
    )
    assert Sealer(key, nonce, bound).seal(plain) == record
    assert Opener(key, nonce, bound).open(record) == plain
    with pytest.raises(BadRecord):
        Opener(key, nonce, b"").open(record)


@pytest.mark.usefixtures("_curve")
def test_signature() -> None:
    """GB/T 32918.5-2017, annex A: signature and verification on the recommended curve."""
    key = key_of(number("3945208F 7B2144B1 3F36E38A C6D39F95 88939369 2860B51A 42FB81EF 4DF7C5B8"))
    assert key.public == (
        number("09F9DF31 1E5421A1 50DD7D16 1E4BC5C6 72179FAD 1833FC07 6BB08FF3 56F35020"),
        number("CCEA490C E26775A5 2DC6EA71 8CC1AA60 0AED05FB F35E084A 6632F607 2DA9AD13"),
    )
    assert identity(NAME, key.public) == octets(
        "B2E14C5C 79C6DF5B 85F4FE7E D8DB7A26 2B9DA7E0 7CCB0EA9 F4747B8C CDA8A4F3"
    )
    k = number("59276E27 D506861A 16680F3A D9C02DCC EF3CC1FA 3CDBE4CE 6D54B80D EAC1BC21")
    signature = sign(key, NAME, b"message digest", drawing(k))
    assert signature == octets(
        "F5A03B06 48D2C463 0EEAC513 E1BB81A1 5944DA38 27D5B741 43AC7EAC EEE720B3"
        "B1B6AA29 DF212FD8 763182BC 0D421CA1 BB9038FD 1F7F42D4 840B69C4 85BBC1AA"
    )
    assert verify(key.public, NAME, b"message digest", signature)
    assert not verify(key.public, NAME, b"message digesT", signature)
    assert not verify(key.public, b"another", b"message digest", signature)
    assert not verify(key.public, NAME, b"message digest", bytes(64))
    assert not verify(key.public, NAME, b"message digest", signature[:-1])


@pytest.mark.usefixtures("_curve")
def test_key_agreement() -> None:
    """GB/T 32918.5-2017, annex B: both sides of a key agreement on the recommended curve."""
    a = key_of(number("81EB26E9 41BB5AF1 6DF11649 5F906952 72AE2CD6 3D6C4AE1 678418BE 48230029"))
    b = key_of(number("78512991 7D45A9EA 5437A593 56B82338 EAADDA6C EB199088 F14AE10D EFA229B5"))
    once_a = key_of(number("D4DE1547 4DB74D06 491C440D 305E0124 00990F3E 390C7E87 153C12DB 2EA60BB3"))
    once_b = key_of(number("7E071248 14B30948 9125EAED 10111316 4EBF0F34 58C5BD88 335C1F9D 596243D6"))
    parties = Party(NAME, a.public, once_a.public), Party(NAME, b.public, once_b.public)
    key = octets("6C893473 54DE2484 C60B4AB1 FDE4C6E5")
    assert agree(a, once_a, *parties, 16, initiates=True) == key
    assert agree(b, once_b, *parties, 16, initiates=False) == key


def test_key_derivation() -> None:
    """GB/T 32918.5-2017, annex C: the key stream of its encryption example."""
    shared = octets(
        "335E18D7 51E51F04 0E27D468 138B7AB1 DC86AD7F 981D7D41 6222FD6A B3ED230D"
        "AB743EBC FB22D64F 7B6AB791 F70658F2 5B48FA93 E54064FD BFBED3F0 BD847AC9"
    )
    assert derive(shared, 19) == octets("44E60F DBF0BAE8 14376653 74BEF267 49046C9E")
