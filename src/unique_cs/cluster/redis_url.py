"""The address of Redis, as the setting gives it."""

from typing import Any, Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from unique_cs.errors import SettingsError

PORT: Final = 6379
SENTINEL_PORT: Final = 26379
SECURE: Final = "rediss"
SCHEMES: Final = tuple(each + kind for each in ("redis", SECURE) for kind in ("", "+sentinel", "+cluster"))
OPTIONS: Final = frozenset({"ssl_ca", "sentinel_username", "sentinel_password"})

_FORM: Final = "redis://user:password@host:port/number; in user and password write special characters as %40"

Address = tuple[str, int]


def parse(url: str) -> SplitResult:
    """The parts of an address. Raises `SettingsError`, which never repeats a password."""
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES or not parts.netloc.rpartition("@")[2]:
        raise SettingsError(f"UNIQUE_CS_REDIS_URL begins with one of {', '.join(SCHEMES)} and names a host")
    try:
        seeds(parts)
        secrets(parts)
        _options(parts)
    except ValueError:
        # Its words would show the password where that has a / or a # which is not written as %2F or %23.
        raise SettingsError(f"UNIQUE_CS_REDIS_URL is not {_FORM}") from None
    return parts


def seeds(url: SplitResult) -> list[Address]:
    """The servers, sentinels or nodes of the cluster that it names."""
    default = SENTINEL_PORT if url.scheme.endswith("+sentinel") else PORT
    parts = [urlsplit(f"//{each}") for each in url.netloc.rpartition("@")[2].split(",")]
    return [(part.hostname or "localhost", part.port or default) for part in parts]


def secrets(url: SplitResult) -> dict[str, Any]:
    """User, password and database of the URL."""
    user, _, password = url.netloc.rpartition("@")[0].partition(":")
    found: dict[str, Any] = {}
    if user:
        found["username"] = unquote(user)
    if password:
        found["password"] = unquote(password)
    path = url.path.strip("/")
    if path and "+" not in url.scheme:
        found["db"] = int(path)
    return found


def _options(url: SplitResult) -> dict[str, str]:
    found = dict(parse_qsl(url.query, strict_parsing=bool(url.query)))
    unknown = sorted(found.keys() - OPTIONS)
    if unknown:
        raise SettingsError(f"UNIQUE_CS_REDIS_URL can't be used: there is no option {unknown[0]}")
    return found


def sentinel_secrets(url: SplitResult) -> dict[str, Any]:
    """User and password for the sentinels themselves."""
    options = _options(url)
    named = {name: options.get(f"sentinel_{name}") for name in ("username", "password")}
    return {name: value for name, value in named.items() if value}


def tls(url: SplitResult) -> dict[str, Any]:
    """How the server proves who it is: with a certificate of the machine's authorities, or of `ssl_ca`."""
    if not url.scheme.startswith(SECURE):
        return {}
    options = _options(url)
    found: dict[str, Any] = {"ssl": True, "ssl_cert_reqs": "required", "ssl_check_hostname": True}
    return {**found, "ssl_ca_certs": options["ssl_ca"]} if "ssl_ca" in options else found
