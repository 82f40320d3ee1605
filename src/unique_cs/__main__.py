"""Command line: serve, bench, and what an operator needs on the machine itself."""

import asyncio
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from unique_cs import __version__
from unique_cs.config import Settings, read_settings
from unique_cs.errors import SettingsError, UniqueCsError

if TYPE_CHECKING:
    from unique_cs.app import App

USAGE: Final = """unique-cs: a self-hosted customer-service system

usage: unique-cs COMMAND

  serve [--workers N]
                run the server; settings come from the environment (docs/reference/settings.md);
                with --workers, as N processes behind the same ports
  bench         measure what one node of this machine holds (bench --help)
  check-config  read the settings and say what is wrong with them
  health        ask the server that has these settings whether it is alive; exit status 0 or 1
  reset-password EMAIL
                give an agent a new random password and print it; then restart the server
  migrate       bring the database to this version's schema (serve does so too when it starts)
  move --from sqlite --to mysql
                take the embedded archive to the database at UNIQUE_CS_DATABASE_URL,
                and put there what several nodes need to go on
  new-epoch     after a backup was restored: let clients that are ahead of it read everything again
  sm-key        print the fingerprint by which clients of unique-cs.v1+sm know this server
  version       print the version
"""


def main(argv: list[str] | None = None) -> int:
    """Run a command; return the exit status (1: it failed; 2: the call or a setting is wrong)."""
    arguments = sys.argv[1:] if argv is None else argv
    command = _COMMANDS.get(arguments[0] if arguments else "")
    if command is None:
        sys.stderr.write(USAGE)
        return 0 if arguments[:1] in (["help"], ["--help"], ["-h"]) else 2
    try:
        return command(arguments[1:])
    except UniqueCsError as error:
        sys.stderr.write(f"unique-cs: {error}\n")
        return 2 if isinstance(error, SettingsError) else 1


def _serve(arguments: list[str]) -> int:
    option, value = arguments if len(arguments) == 2 else ("", "")
    count = int(value) if option == "--workers" and value.isdecimal() else 0
    if arguments and not count and option != "--sockets":
        sys.stderr.write(USAGE)
        return 2
    # Imported here: other commands need not load the server.
    from unique_cs.telemetry import set_up_logging

    settings = read_settings(os.environ)
    set_up_logging(settings.log_level)
    if count:
        from unique_cs.workers.supervisor import Supervisor

        return asyncio.run(Supervisor(settings, count).run())
    return _serve_here(settings, value)


def _serve_here(settings: Settings, sockets: str) -> int:
    """Be the server, or the worker whose supervisor opened `sockets`."""
    import uvloop

    from unique_cs.app import serve
    from unique_cs.listeners import Handed
    from unique_cs.workers.worker import end_with_parent

    if sockets:
        end_with_parent()
    handed = Handed.parse(sockets) if sockets else None
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        told = runner.run(serve(settings, lambda app: _announce(settings, app), handed))
    return 0 if told else 1


def _announce(settings: Settings, app: "App") -> None:
    scheme = "https" if settings.tls_certificate else "http"
    host = "localhost" if settings.host in ("0.0.0.0", "::", "") else settings.host  # noqa: S104  # compared only
    base = settings.public_url.rstrip("/") or f"{scheme}://{host}:{app.port}"
    lines = [
        f"unique-cs {__version__} is ready",
        f"  demo shop  {base}/demo/",
        f"  console    {base}/console/",
        f"  chat page  {base}/chat/{app.inbox_key}",
        f"  API docs   {base}/api/docs",
        f"  metrics    {base}/metrics",
    ]
    if app.made is not None:
        lines.append(f"  owner      {app.made.email}")
        if app.made.password:
            lines.append(f"  password   {app.made.password}   (shown this once; kept nowhere)")
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def _bench(arguments: list[str]) -> int:
    from unique_cs.bench import main as bench

    return bench(arguments)


def _check_config() -> int:
    from unique_cs.upkeep import check

    check(read_settings(os.environ))
    sys.stdout.write("the settings are fine\n")
    return 0


def _health() -> int:
    from unique_cs.probe import probe

    fault = probe(read_settings(os.environ))
    sys.stdout.write(f"{fault or 'alive'}\n")
    return int(bool(fault))


def _reset_password(arguments: list[str]) -> int:
    from unique_cs.upkeep import reset_password

    if len(arguments) != 1:
        sys.stderr.write(USAGE)
        return 2
    password = asyncio.run(reset_password(read_settings(os.environ), arguments[0]))
    sys.stdout.write(f"new password of {arguments[0]}: {password}\nRestart the server if it is running.\n")
    return 0


def _migrate() -> int:
    from unique_cs.upkeep import migrate

    revision = asyncio.run(migrate(read_settings(os.environ)))
    sys.stdout.write(f"the database is at revision {revision}\n")
    return 0


def _move(arguments: list[str]) -> int:
    from unique_cs.upkeep import move_to_mysql

    if arguments != ["--from", "sqlite", "--to", "mysql"]:
        sys.stderr.write(USAGE)
        return 2
    asyncio.run(move_to_mysql(read_settings(os.environ), _tell))
    sys.stdout.write("moved; start the server with the same UNIQUE_CS_DATABASE_URL\n")
    return 0


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _new_epoch() -> int:
    from unique_cs.upkeep import new_epoch

    sys.stdout.write(f"the epoch is now {new_epoch(read_settings(os.environ))}\n")
    return 0


def _sm_key() -> int:
    from unique_cs.gateway.sm import SmCodec, identity_key
    from unique_cs.plugins import setup_of
    from unique_cs.sm.curve import encode
    from unique_cs.sm.handshake import fingerprint

    settings = read_settings(os.environ)
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = identity_key(setup_of(SmCodec, "sm", settings.plugin_options, settings.data_dir / "plugins"))
    sys.stdout.write(f"fingerprint {fingerprint(key.public)}\npublic key  {encode(key.public).hex()}\n")
    return 0


def _version() -> int:
    sys.stdout.write(f"unique-cs {__version__}\n")
    return 0


def _alone(command: Callable[[], int]) -> Callable[[list[str]], int]:
    """A command that takes no arguments."""

    def run(arguments: list[str]) -> int:
        if arguments:
            sys.stderr.write(USAGE)
            return 2
        return command()

    return run


_COMMANDS: Final[dict[str, Callable[[list[str]], int]]] = {
    "serve": _serve,
    "bench": _bench,
    "check-config": _alone(_check_config),
    "health": _alone(_health),
    "reset-password": _reset_password,
    "migrate": _alone(_migrate),
    "move": _move,
    "new-epoch": _alone(_new_epoch),
    "sm-key": _alone(_sm_key),
    "version": _alone(_version),
}

if __name__ == "__main__":
    sys.exit(main())
