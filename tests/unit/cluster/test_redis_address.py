"""An address of Redis that will not do is refused, and its password is not repeated."""

import pytest

from unique_cs.cluster.shard import Shard
from unique_cs.errors import SettingsError


@pytest.mark.parametrize(
    "address",
    [
        "host",
        "http://ann:secret@host",
        "redis://ann:secret@",
        "redis://ann:secret@host:port",
        "redis://ann:secret@host:99999",
        "redis://ann:secret@host/number",
        "redis://ann:secret/@host",
        "redis://ann:two/secret@host",
        "redis://ann:two#secret@host",
        "redis://ann:two?secret@host",
        "redis+sentinel://ann:secret@one,two:port/service",
        "rediss://ann:secret@host?ssl=secret",
    ],
)
def test_an_address_that_will_not_do(address: str) -> None:
    with pytest.raises(SettingsError) as raised:
        Shard(address)
    assert "secret" not in raised.value.message
