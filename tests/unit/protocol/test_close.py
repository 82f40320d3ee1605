"""The closed table of close codes."""

from unique_cs.protocol import close


def test_ranges_say_who_is_wrong() -> None:
    """Codes are unique, 4400-4499 or 4500-4599; of the latter the client always comes back."""
    codes = [each.code for each in close.ALL]
    assert len(set(codes)) == len(codes)
    for each in close.ALL:
        assert 4400 <= each.code < 4600
        assert each.reconnect or each.code < 4500


def test_who_must_not_come_back() -> None:
    """Bad frames, forbidden, replaced and too large frames say not to reconnect."""
    assert {each.code for each in close.ALL if not each.reconnect} == {4400, 4403, 4409, 4413}


def test_reasons_fit_a_control_frame() -> None:
    """A WebSocket close frame carries at most 123 bytes of reason (RFC 6455, 5.5)."""
    assert all(0 < len(each.reason.encode()) <= 123 for each in close.ALL)
