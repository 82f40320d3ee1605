"""The address of a MySQL database, as in `UNIQUE_CS_DATABASE_URL`."""

import ssl
from typing import Final, NamedTuple

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from unique_cs.errors import SettingsError

POOL: Final = 8
"""Connections for writing, and as many for reading, unless the address says otherwise."""

_FORM: Final = "mysql://user:password@host:port/name"
_OPTIONS: Final = frozenset({"pool", "ssl", "ssl_ca", "ssl_cert", "ssl_key"})


class MySqlUrl(NamedTuple):
    """What the address says. `address` holds the password: never log it."""

    address: URL
    tls: ssl.SSLContext | None
    pool: int

    @classmethod
    def parse(cls, text: str) -> "MySqlUrl":
        """Read `mysql://user:password@host:port/name?option=value`; `mariadb://` means the same.

        Raises `SettingsError`, which never repeats the password.
        """
        try:
            url = make_url(text)
        except (ArgumentError, ValueError):
            raise SettingsError(f"the database's address is not {_FORM}") from None
        if "@" in (url.host or ""):
            raise SettingsError(f"the database's address is not {_FORM}; write @ in a password as %40")
        if url.drivername not in {"mysql", "mariadb"} or not url.host or not url.database:
            shown = url.render_as_string(hide_password=True)
            raise SettingsError(f"the database's address {shown} is not {_FORM}")
        options = {name: value for name, value in url.query.items() if isinstance(value, str)}
        unknown = sorted(set(url.query) - _OPTIONS)
        if unknown:
            raise SettingsError(f"unknown option {unknown[0]} in the database's address")
        address = url.set(drivername="mysql+asyncmy", query={}, port=url.port or 3306)
        return cls(address, _tls(options), _pool(options.get("pool", str(POOL))))


def _pool(value: str) -> int:
    if not value.isdecimal() or not 1 <= int(value) <= 200:
        raise SettingsError(f"pool={value} in the database's address is not a number from 1 to 200")
    return int(value)


def _tls(options: dict[str, str]) -> ssl.SSLContext | None:
    """The server's certificate and name are always checked; without `ssl_ca` by the machine's authorities."""
    if options.get("ssl", "on") != "on":
        raise SettingsError("ssl in the database's address can only be on; leave it out to go without")
    if not options.keys() & {"ssl", "ssl_ca", "ssl_cert", "ssl_key"}:
        return None
    try:
        context = ssl.create_default_context(cafile=options.get("ssl_ca"))
        if "ssl_cert" in options:
            context.load_cert_chain(options["ssl_cert"], options.get("ssl_key"))
    except OSError as error:
        raise SettingsError(f"TLS in the database's address can't be used: {error}") from error
    return context
