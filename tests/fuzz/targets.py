"""All fuzz targets by name."""

from typing import Final

from tests.fuzz import decoders, endpoints, sealed, sessions
from tests.fuzz.target import Target

TARGETS: Final[dict[str, Target]] = {
    **decoders.TARGETS,
    **sessions.TARGETS,
    **endpoints.TARGETS,
    **sealed.TARGETS,
}
