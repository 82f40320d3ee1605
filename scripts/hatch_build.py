"""Refuse to pack a wheel or a source archive without the built web assets."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class AssetsHook(BuildHookInterface[Any]):
    """Looks for the stamp that `python -m scripts.web build` leaves. An editable install needs no assets."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Raise `RuntimeError` where a package would lack its pages."""
        built = Path(self.root, "src", "unique_cs", "api", "assets", ".built")
        if version != "editable" and not built.is_file():
            message = "the web assets are not built: run `.venv/bin/python -m scripts.web build` first"
            raise RuntimeError(message)
