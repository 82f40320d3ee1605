"""Which pages of other origins may call us from their scripts."""

from collections.abc import Callable, Iterable


class AllowedOrigins:
    """The origins of the settings, and those of the inboxes as they are when a request comes.

    An origin is `https://host[:port]` as the browser sends it; `*` stands for all.
    """

    def __init__(self, configured: Iterable[str], of_inboxes: Callable[[], Iterable[str]] = tuple) -> None:
        self._configured = frozenset(map(_plain, configured))
        self._of_inboxes = of_inboxes

    def admits(self, origin: str) -> bool:
        """Whether scripts of this origin may call."""
        wanted = ("*", _plain(origin))
        if any(each in self._configured for each in wanted):
            return True
        return any(_plain(each) in wanted for each in self._of_inboxes())


def _plain(origin: str) -> str:
    return origin.lower().rstrip("/")
