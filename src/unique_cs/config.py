"""Settings: one frozen object, read once from the environment. Unknown names are refused."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from unique_cs.errors import SettingsError

PREFIX = "UNIQUE_CS_"

Port = Annotated[int, Meta(ge=0, le=65_535)]
Positive = Annotated[int, Meta(ge=1)]
Threshold = Annotated[int, Meta(ge=0)]


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """Every setting, with its default. `docs/reference/settings.md` says what each does."""

    host: str = "0.0.0.0"
    http_port: Port = 8080
    grpc_port: Port = 8081
    mqtt_port: Port = 1883
    admin_port: Port = 0
    mqtt_bridge_url: Annotated[str, Meta(pattern="^(mqtts?://.+)?$")] = ""
    data_dir: Path = Path("./data")
    redis_url: str = ""
    database_url: str = ""
    tls_certificate: str = ""
    tls_key: str = ""
    public_url: str = ""
    allowed_origins: str = ""
    trusted_proxies: str = "127.0.0.1,::1"
    owner_email: str = ""
    owner_password: str = ""
    inbox_key: str = ""
    log_level: str = "info"
    metrics_token: str = ""
    rate_limits: bool = True
    echo: bool = False
    plugins: str = ""
    plugin_options: str = ""
    max_frame: Annotated[int, Meta(ge=1_024, le=1_048_576)] = 65_536
    max_text: Annotated[int, Meta(ge=1, le=100_000)] = 8_000
    max_queue: Positive = 1_048_576
    max_connections: Positive = 100_000
    heartbeat_ms: Annotated[int, Meta(ge=1_000)] = 25_000
    connect_timeout_ms: Annotated[int, Meta(ge=100)] = 10_000
    handshakes_per_second: Positive = 10_000
    handshakes_per_ip: Positive = 200
    sends_per_second: Positive = 20
    sends_per_contact: Positive = 40
    sends_per_ip: Positive = 200
    sends_per_inbox: Positive = 5_000
    signals_per_second: Positive = 20
    max_lag_ms: Positive = 200
    ack_target_ms: Positive = 20
    min_backlog: Positive = 30
    max_backlog: Positive = 10_000
    max_queued: Positive = 268_435_456
    max_memory_mb: Annotated[int, Meta(ge=0)] = 0
    requests_per_ip: Positive = 200
    logins_per_minute: Positive = 10
    session_days: Annotated[int, Meta(ge=7)] = 30
    contact_token_days: Positive = 365
    login_days: Positive = 30
    hot_hours: Annotated[int, Meta(ge=24)] = 48
    disk_reserve_mb: Positive = 64
    alarm_waiting: Threshold = 50
    alarm_wait_minutes: Threshold = 10
    alarm_undelivered: Threshold = 10
    alarm_undelivered_minutes: Positive = 10
    alarm_relay_seconds: Threshold = 60
    alarm_redis_percent: Annotated[int, Meta(ge=0, le=100)] = 80
    alarm_calm_seconds: Positive = 60
    webhook_url: str = ""
    webhook_secret: str = ""
    webhook_events: str = ""
    webhook_allow_private: bool = False
    drain_ms: Annotated[int, Meta(ge=0)] = 10_000


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Return the settings in `environ` (names begin with `UNIQUE_CS_`).

    Raises `SettingsError` that names the setting when one is unknown or its value unusable.
    """
    given = {name[len(PREFIX) :].lower(): value for name, value in environ.items() if name.startswith(PREFIX)}
    unknown = sorted(set(given) - set(Settings.__struct_fields__))
    if unknown:
        raise SettingsError(f"unknown setting {PREFIX}{unknown[0].upper()}; see docs/reference/settings.md")
    values = {name: _switch(value) if name in _SWITCHES else value for name, value in given.items()}
    try:
        return msgspec.convert(values, Settings, strict=False, dec_hook=_path)
    except msgspec.ValidationError as error:
        raise SettingsError(f"setting {_name_in(str(error))}: {error}") from error


_SWITCHES = frozenset({"rate_limits", "echo", "webhook_allow_private"})


def _switch(value: str) -> str:
    return {"on": "true", "off": "false", "yes": "true", "no": "false"}.get(value.lower(), value)


def _path(kind: type, value: object) -> Path:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise NotImplementedError(kind)


def _name_in(message: str) -> str:
    _, _, where = message.partition("$.")
    return PREFIX + where.rstrip("`").upper() if where else PREFIX + "*"
