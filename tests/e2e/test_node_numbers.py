"""Many processes make ids while they are killed, paused beyond their lease and started again."""

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from tests.support.id_maker import Made, forks, read, run
from tests.support.redis import RedisServer, until

TTL_MS = 500
PAUSE_S = 1.5 * TTL_MS / 1000
SECONDS = 5.0


class Pause:
    """A process that was stopped from `since` to `until` (monotonic)."""

    def __init__(self, path: Path, pid: int) -> None:
        self.path = path
        self.pid = pid
        os.kill(pid, signal.SIGSTOP)
        until(lambda: _state(pid) == "T", 5, "the process does not stop")
        self.since, self.until = time.monotonic(), 0.0

    def end(self) -> None:
        self.until = time.monotonic()
        os.kill(self.pid, signal.SIGCONT)


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]


class Town:
    """Makers in `places`; each writes a file of its own."""

    def __init__(self, folder: Path, url: str, places: int) -> None:
        self._folder = folder
        self._url = url
        self._forks = forks()
        self._started = 0
        self.makers: list[tuple[BaseProcess, Path]] = [self._start(place) for place in range(places)]
        self.pauses: list[Pause] = []
        self.kills = 0

    def _start(self, place: int) -> tuple[BaseProcess, Path]:
        self._started += 1
        path = self._folder / f"{self._started}.ids"
        # Four places like the same number.
        arguments = (self._url, f"10.0.0.{place // 4}", TTL_MS, path)
        maker = self._forks.Process(target=run, args=arguments, daemon=True)
        maker.start()
        return maker, path

    def disturb(self) -> None:
        """Kill one and start another in its place, or pause one."""
        place = random.randrange(len(self.makers))
        maker, path = self.makers[place]
        assert maker.pid is not None
        if any(pause.pid == maker.pid and not pause.until for pause in self.pauses):
            return
        if random.random() < 0.5:
            maker.kill()
            self.kills += 1
            self.makers[place] = self._start(place)
        elif read(path):
            self.pauses.append(Pause(path, maker.pid))

    def resume(self) -> None:
        """Let those go on whose lease is over."""
        for pause in self.pauses:
            if not pause.until and time.monotonic() - pause.since > PAUSE_S:
                pause.end()

    def end(self) -> None:
        for maker, _ in self.makers:
            maker.kill()
            maker.join()

    def histories(self) -> list[list[Made]]:
        return [read(path) for path in self._folder.glob("*.ids")]


@contextmanager
def town(folder: Path, url: str, places: int) -> Iterator[Town]:
    made = Town(folder, url, places)
    try:
        yield made
    finally:
        made.end()


def check(here: Town) -> None:
    """No id twice, and none by a paused maker before it had a number again."""
    histories = here.histories()
    made = [each.id for history in histories for each in history]
    assert len(made) > 2_000
    assert len(set(made)) == len(made)
    went_on = 0
    for pause in here.pauses:
        history = read(pause.path)
        before = max(each.times_taken for each in history if each.before <= pause.since)
        after = [each.times_taken for each in history if each.before > pause.until]
        assert not after or min(after) > before
        went_on += bool(after)
    assert went_on > 2
    assert here.kills > 5


@pytest.mark.slow
def test_64_processes_repeat_no_id(redis_server: RedisServer, tmp_path: Path) -> None:
    with town(tmp_path, redis_server.url, 64) as here:
        until(lambda: all(read(path) for _, path in here.makers), 60, "not everybody makes ids")
        _disturb(here, SECONDS)
    check(here)


@pytest.mark.slow
def test_no_id_is_repeated_where_redis_forgets(tmp_path: Path) -> None:
    """It is emptied, and killed with its last second unwritten."""
    redis = RedisServer(tmp_path / "redis", "--appendonly", "yes", "--appendfsync", "everysec")
    redis.start()
    try:
        with town(tmp_path, redis.url, 16) as here:
            until(lambda: all(read(path) for _, path in here.makers), 60, "not everybody makes ids")
            for forget in (redis.flush, redis.kill, redis.flush, redis.kill):
                _disturb(here, SECONDS / 4)
                forget()
                if forget == redis.kill:
                    redis.start()
            _disturb(here, SECONDS / 4)
        check(here)
    finally:
        redis.kill()


def _disturb(here: Town, seconds: float) -> None:
    ended = time.monotonic() + seconds
    while time.monotonic() < ended:
        here.disturb()
        here.resume()
        time.sleep(0.05)
    time.sleep(PAUSE_S)
    here.resume()
    time.sleep(PAUSE_S)
