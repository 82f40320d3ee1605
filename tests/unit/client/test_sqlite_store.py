"""The stores keep what a session needs; SQLite over a restart as well."""

from pathlib import Path

import pytest

from unique_cs.client import MemoryStore, Position, Send, SQLiteStore, State, Store


@pytest.fixture(params=["memory", "sqlite"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path / "client.db" if request.param == "sqlite" else None


class Stores:
    """One store, reopened as often as wanted."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.store: Store = SQLiteStore(path) if path else MemoryStore()

    def reopened(self) -> State:
        if self._path and isinstance(self.store, SQLiteStore):
            self.store.close()
            self.store = SQLiteStore(self._path)
        return self.store.load()

    def close(self) -> None:
        if isinstance(self.store, SQLiteStore):
            self.store.close()


def test_what_is_kept_is_loaded(path: Path | None) -> None:
    stores = Stores(path)
    stores.store.enqueue(Send(1, {"kind": "text", "text": "你好"}, "7", private=True))
    stores.store.enqueue(Send(2, {"kind": "text", "text": "b"}))
    stores.store.identity(State("s_1", "contact:1", 3, 0, 2))
    stores.store.answered(1)
    stores.store.position("7", Position("e", 4))
    stores.store.position("8", Position("e", 1))
    stores.store.position("8", None)
    state = stores.reopened()
    assert (state.session, state.actor, state.c, state.acked, state.last) == ("s_1", "contact:1", 3, 1, 2)
    assert state.pending == {2: Send(2, {"kind": "text", "text": "b"})}
    assert state.positions == {"7": Position("e", 4)}
    stores.close()


def test_a_new_session_replaces_the_old(path: Path | None) -> None:
    stores = Stores(path)
    stores.store.enqueue(Send(9, {"kind": "text", "text": "a"}))
    state = State("s_2", "contact:1", 1, 0, 1, {1: Send(1, {"kind": "text"})}, {"7": Position("e", 1)})
    stores.store.renumber(state)
    assert stores.reopened() == state
    stores.close()
