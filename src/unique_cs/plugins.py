"""Plug-ins: codecs and transports of installed packages, found by entry points, loaded by name.

Packages import what they need from here; `docs/guides/plugins.md` says what is promised.
"""

from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from ssl import SSLContext
from typing import Any, Final

from unique_cs.errors import SettingsError, UniqueCsError
from unique_cs.gateway.gateway import Gateway
from unique_cs.gateway.link import Link
from unique_cs.gateway.plugin import Channel, Codec, Coding, Frames, Handle, Setup, Transport
from unique_cs.protocol.close import BAD_FRAME, TOO_LARGE, CloseCode
from unique_cs.protocol.codec import BadFrame

__all__ = [
    "BAD_FRAME",
    "TOO_LARGE",
    "BadFrame",
    "Channel",
    "CloseCode",
    "Codec",
    "Coding",
    "Frames",
    "Handle",
    "Link",
    "Plugins",
    "SettingsError",
    "Setup",
    "Transport",
    "UniqueCsError",
    "load_plugins",
    "setup_of",
]

CODECS: Final = "unique_cs.codecs"
TRANSPORTS: Final = "unique_cs.transports"
_SETTING: Final = "UNIQUE_CS_PLUGINS"
_OPTIONS: Final = "UNIQUE_CS_PLUGIN_OPTIONS"


class Plugins:
    """Those that are loaded."""

    def __init__(
        self, codecs: Sequence[Codec] = (), transports: Mapping[str, Transport] | None = None
    ) -> None:
        self.codecs = codecs
        self._transports = transports or {}

    async def start(self, gateway: Gateway) -> None:
        """Let the transports accept. Raises `SettingsError` where one can't."""
        handle = Handle(gateway)
        for name, transport in self._transports.items():
            try:
                await transport.start(handle)
            except Exception as error:
                raise _failed(name, error) from error

    def stop_accepting(self) -> None:
        """Let nobody in any more."""
        for transport in self._transports.values():
            transport.stop_accepting()

    async def close(self) -> None:
        """Free everything; no connection is left."""
        for transport in self._transports.values():
            await transport.close()
        for codec in self.codecs:
            codec.close()


def load_plugins(names: str, options: str, folder: Path, tls: SSLContext | None) -> Plugins:
    """Load by name. `names` and `options` are the settings' lists; `folder` has a folder for each.

    Raises `SettingsError` that names what is unknown or fails.
    """
    given = _read_options(options)
    codecs: list[Codec] = []
    transports: dict[str, Transport] = {}
    for name in dict.fromkeys(_items(names)):
        own = given.pop(name, {})
        for entry in _entries(name):
            plugin = _make(entry, own, folder / name, tls)
            if entry.group == CODECS:
                codecs.append(plugin)
            else:
                transports[name] = plugin
    _check_all_named(given)
    return Plugins(codecs, transports)


def check_plugins(names: str, options: str) -> None:
    """Raise `SettingsError` where a name or an option's name is not known. Makes nothing."""
    given = _read_options(options)
    for name in dict.fromkeys(_items(names)):
        own = given.pop(name, {})
        for entry in _entries(name):
            try:
                _setup(entry.load(), name, own, Path(), None)
            except Exception as error:
                raise _failed(name, error) from error
    _check_all_named(given)


def setup_of(plugin: Any, name: str, options: str, folder: Path) -> Setup:
    """What a plug-in's class would be made with, for a command that needs the same. TLS is left out."""
    return _setup(plugin, name, _read_options(options).get(name, {}), folder / name, None)


def _check_all_named(left: Mapping[str, Mapping[str, str]]) -> None:
    if left:
        raise SettingsError(f"{_OPTIONS} is for {min(left)!r}, which {_SETTING} does not name")


def _items(listed: str) -> list[str]:
    return [item.strip() for item in listed.split(",") if item.strip()]


def _read_options(options: str) -> dict[str, dict[str, str]]:
    given: dict[str, dict[str, str]] = {}
    for option in _items(options):
        place, equals, value = option.partition("=")
        name, dot, key = place.partition(".")
        if not (equals and dot and name and key):
            raise SettingsError(f"{_OPTIONS} has {option!r}; write name.key=value")
        given.setdefault(name.strip(), {})[key.strip()] = value.strip()
    return given


def _entries(name: str) -> list[EntryPoint]:
    """The entry points of that name: a codec, a transport, or one of each."""
    found = [each for group in (CODECS, TRANSPORTS) for each in entry_points(group=group, name=name)]
    # A package that lies at two places of the path is found twice.
    distinct = list({(each.group, each.value): each for each in found}.values())
    if not distinct:
        raise SettingsError(f"{_SETTING} names {name!r}, which no installed package offers")
    if len({each.group for each in distinct}) < len(distinct):
        raise SettingsError(f"{_SETTING} names {name!r}, which several packages offer")
    return distinct


def _make(entry: EntryPoint, options: Mapping[str, str], folder: Path, tls: SSLContext | None) -> Any:
    try:
        plugin = entry.load()
        return plugin(_setup(plugin, entry.name, options, folder, tls))
    except Exception as error:
        raise _failed(entry.name, error) from error


def _setup(plugin: Any, name: str, options: Mapping[str, str], folder: Path, tls: SSLContext | None) -> Setup:
    unknown = sorted(set(options) - set(plugin.options))
    if unknown:
        raise SettingsError(f"{_OPTIONS} has {name}.{unknown[0]}, which the plug-in does not know")
    return Setup({**plugin.options, **options}, folder, tls)


def _failed(name: str, error: Exception) -> SettingsError:
    if isinstance(error, SettingsError):
        return error
    return SettingsError(f"the plug-in {name!r} failed: {error!r}")
