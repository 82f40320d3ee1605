"""Identity tokens: JWTs (RFC 7519) by which a site's own server says who its visitor is."""

from typing import Any, Final

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from msgspec import Struct

from unique_cs.domain.people import Inbox
from unique_cs.errors import Code, UniqueCsError

MAX_SUBJECT: Final = 255

_Key = OctKey | RSAKey | ECKey | OKPKey
_KEYS: Final[dict[str, type[_Key]]] = {
    "HS256": OctKey,
    "HS384": OctKey,
    "HS512": OctKey,
    "RS256": RSAKey,
    "ES256": ECKey,
    "Ed25519": OKPKey,
}
"""The algorithms that an inbox can be set to; `identity_secret` is the secret or the public key in PEM."""


class Identity(Struct, frozen=True):
    """What a valid token says. `subject` is unique within the inbox; the others may be empty."""

    subject: str
    name: str
    email: str


def read_identity(inbox: Inbox, token: str, now_ms: int) -> Identity:
    """Return what `token` says, with the one algorithm of the inbox and `aud`, `sub` and `exp` required.

    Raises `unauthorized`, and says why: the site's developers read it.
    """
    if not inbox.identity_secret:
        raise _refused("this inbox takes no identity tokens")
    claims = _verified(inbox, token)
    # When it was made decides nothing; a site's clock may be ahead of ours.
    claims.pop("iat", None)
    registry = jwt.JWTClaimsRegistry(
        now=now_ms // 1000,
        aud={"essential": True, "value": inbox.key},
        sub={"essential": True},
        exp={"essential": True},
    )
    try:
        registry.validate(claims)
    except (JoseError, ValueError) as error:
        raise _refused(str(error)) from error
    subject = claims["sub"]
    if not 0 < len(subject) <= MAX_SUBJECT or _whole(subject) != subject:
        raise _refused(f"sub has 1 to {MAX_SUBJECT} characters")
    return Identity(subject, _text(claims, "name"), _text(claims, "email"))


def _verified(inbox: Inbox, token: str) -> dict[str, Any]:
    algorithm = inbox.identity_algorithm
    try:
        key = _KEYS[algorithm].import_key(inbox.identity_secret)
        return dict(jwt.decode(token, key, algorithms=[algorithm]).claims)
    except (JoseError, ValueError, TypeError) as error:
        raise _refused("its signature or form is wrong") from error


def _text(claims: dict[str, Any], name: str) -> str:
    value = claims.get(name)
    return _whole(value).strip()[:300] if isinstance(value, str) else ""


def _whole(text: str) -> str:
    """The text without halves of surrogate pairs, as a cut emoji leaves them: no store takes these."""
    return text.encode(errors="replace").decode()


def _refused(why: str) -> UniqueCsError:
    return UniqueCsError(Code.UNAUTHORIZED, f"the identity token is not valid: {why}")
