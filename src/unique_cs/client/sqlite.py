"""A client's store in one SQLite file."""

import json
import sqlite3
from pathlib import Path

from unique_cs.client.state import Position, Send, State

_SCHEMA = """
CREATE TABLE IF NOT EXISTS identity (
    one INTEGER PRIMARY KEY, session TEXT, actor TEXT, c INTEGER, acked INTEGER, last INTEGER);
CREATE TABLE IF NOT EXISTS pending (n INTEGER PRIMARY KEY, send TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS positions (conversation TEXT PRIMARY KEY, epoch TEXT, seq INTEGER);
"""


class SQLiteStore:
    """`identity`, `enqueue`, `renumber` are durable on return; the rest becomes so with the next of these."""

    def __init__(self, path: Path | str) -> None:
        self._db = sqlite3.connect(path)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        self._db.commit()
        self._db.close()

    def load(self) -> State:
        row = self._db.execute("SELECT session, actor, c, acked, last FROM identity").fetchone()
        state = State() if row is None else State(*row)
        for n, send in self._db.execute("SELECT n, send FROM pending ORDER BY n"):
            state.pending[n] = Send(n, *json.loads(send))
        for conversation, epoch, seq in self._db.execute("SELECT conversation, epoch, seq FROM positions"):
            state.positions[conversation] = Position(epoch, seq)
        return state

    def identity(self, state: State) -> None:
        self._put_identity(state)
        self._db.commit()

    def enqueue(self, send: Send) -> None:
        self._put_send(send)
        self._db.execute(
            "INSERT INTO identity VALUES (1, NULL, NULL, 0, 0, ?)"
            " ON CONFLICT DO UPDATE SET last = excluded.last",
            (send.n,),
        )
        self._db.commit()

    def answered(self, n: int) -> None:
        self._db.execute("DELETE FROM pending WHERE n = ?", (n,))
        self._db.execute("UPDATE identity SET acked = ?", (n,))

    def position(self, conversation: str, position: Position | None) -> None:
        if position is None:
            self._db.execute("DELETE FROM positions WHERE conversation = ?", (conversation,))
            return
        self._db.execute(
            "INSERT OR REPLACE INTO positions VALUES (?, ?, ?)", (conversation, position.epoch, position.seq)
        )

    def renumber(self, state: State) -> None:
        self._db.execute("DELETE FROM pending")
        self._db.execute("DELETE FROM positions")
        self._put_identity(state)
        for send in state.pending.values():
            self._put_send(send)
        for conversation, position in state.positions.items():
            self.position(conversation, position)
        self._db.commit()

    def _put_identity(self, state: State) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO identity VALUES (1, ?, ?, ?, ?, ?)",
            (state.session, state.actor, state.c, state.acked, state.last),
        )

    def _put_send(self, send: Send) -> None:
        row = json.dumps([send.body, send.conversation, send.private])
        self._db.execute("INSERT OR REPLACE INTO pending VALUES (?, ?)", (send.n, row))
