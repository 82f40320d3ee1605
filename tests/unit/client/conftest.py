import pytest

from tests.support.script import Script


@pytest.fixture
def script() -> Script:
    return Script()
