"""Generate the code of `proto/`, and refuse to pack without the built web assets."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class AssetsHook(BuildHookInterface[Any]):
    """Looks for the stamp that `python -m scripts.web build` leaves. An editable install needs no assets."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Raise `RuntimeError` where a package would lack its pages."""
        subprocess.run([sys.executable, "-m", "scripts.proto"], cwd=self.root, check=True)
        built = Path(self.root, "src", "unique_cs", "api", "assets", ".built")
        if version != "editable" and not built.is_file():
            message = "the web assets are not built: run `.venv/bin/python -m scripts.web build` first"
            raise RuntimeError(message)
