"""Trimming: what is archived and old enough leaves the hot tier; sessions end when nobody came back."""

import asyncio
from collections.abc import Callable
from itertools import takewhile
from typing import Final

from msgspec.structs import replace

from unique_cs.ports import Archive, Clock
from unique_cs.protocol.session import MAX_IN_FLIGHT
from unique_cs.storage import keys, rows
from unique_cs.storage.group import GroupCommit
from unique_cs.storage.hot import Hot
from unique_cs.telemetry import log

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
TRIM_S: Final = 60.0
_GROUPS: Final = 200
_SESSIONS: Final = 1_000


class Trimmer:
    """Deletes in small steps, so that the loop stays free."""

    def __init__(
        self,
        hot: Hot,
        group: GroupCommit,
        archive: Archive,
        clock: Clock,
        hot_hours: int,
        session_days: int,
        is_live: Callable[[bytes], bool] = lambda _: False,
    ) -> None:
        """Events stay `hot_hours` after their write, sessions `session_days` after their last connection.

        `is_live` says whether the session with this key has a connection.
        """
        self._hot = hot
        self._group = group
        self._archive = archive
        self._clock = clock
        self._hot_ms = hot_hours * HOUR_MS
        # A live session is noted once a day, so its last connection may have ended a day later.
        self._session_ms = (session_days + 1) * DAY_MS
        self._is_live = is_live
        self._sessions_from = b"s"

    async def run(self) -> None:
        """Trim once a minute."""
        while True:
            await asyncio.sleep(TRIM_S)
            try:
                await self.run_once()
            except Exception as error:  # noqa: BLE001  # it is tried again in a minute
                log.error("trimming failed", error=repr(error))

    async def run_once(self) -> tuple[int, int]:
        """Trim everything that is due; return how many groups and sessions went."""
        return await self._trim_events(), await self._trim_sessions()

    async def _trim_events(self) -> int:
        # The newest group stays: the next one is numbered after it.
        end = min(await self._archive.cursor() + 1, self._group.durable_number)
        trimmed = 0
        while found := self._hot.scan(b"l", keys.group(end), _GROUPS):
            # A clock that was set back made later groups older: the order of groups counts, not their times.
            due = list(takewhile(lambda each: self._is_old(each[1]), found))
            for key, row in due:
                self._trim_group(row)
                self._group.delete(key)
            await self._group.durable()
            trimmed += len(due)
            if len(due) < len(found) or len(found) < _GROUPS:
                break
        return trimmed

    def _is_old(self, row: bytes) -> bool:
        return int.from_bytes(row[:8], "big") < self._clock.now_ms() - self._hot_ms

    def _trim_group(self, row: bytes) -> None:
        events, _ = rows.read_references(row)
        for conversation, seq in events:
            # The newest event stays, for it is the head; it goes with its successor. So what is left of a
            # conversation is always the end of its timeline, without a hole.
            self._trim_event(conversation, seq - 1)
            if self._hot.get(keys.event(conversation, seq + 1)) is not None:
                self._trim_event(conversation, seq)

    def _trim_event(self, conversation: int, seq: int) -> None:
        key = keys.event(conversation, seq)
        row = self._hot.get(key)
        if row is not None:
            self._trim_answer(row)
            self._group.delete(key)

    def _trim_answer(self, row: bytes) -> None:
        event = rows.read_event(0, row)
        if event.session == rows.NO_SESSION:
            return
        keep = self._hot.get(keys.session(event.session)) is not None
        newest = keys.answer(event.session, event.n + MAX_IN_FLIGHT)
        if not keep or self._hot.get(newest) is not None:
            self._group.delete(keys.answer(event.session, event.n))

    async def _trim_sessions(self) -> int:
        found = self._hot.scan(self._sessions_from, b"t", _SESSIONS)
        self._sessions_from = found[-1][0] + b"\0" if len(found) == _SESSIONS else b"s"
        ended = 0
        now = self._clock.now_ms()
        for key, row in found:
            session = rows.read_session(row)
            if self._is_live(key[1:]):
                if session.seen_at < now - DAY_MS:
                    self._group.put(key, rows.encode(replace(session, seen_at=now)))
            elif session.seen_at < now - self._session_ms:
                self._end_session(key)
                ended += 1
        await asyncio.sleep(0)
        return ended

    def _end_session(self, key: bytes) -> None:
        self._group.delete(key)
        for answer, _ in self._hot.scan(b"a" + key[1:], b"a" + key[1:] + b"\xff" * 8, 100_000):
            self._group.delete(answer)
