"""Pin every dependency with its hashes: `python -m scripts.lock`. No address of an index is written."""

from __future__ import annotations

from scripts.shared import VENV, run

COMPILE = (
    VENV / "bin" / "uv", "pip", "compile", "--upgrade", "--universal", "--python-version", "3.11",
    "--generate-hashes", "--no-emit-index-url", "--no-header", "--quiet",
)  # fmt: skip


def main() -> None:
    """Write the locks; the one for development keeps the versions of the one for running."""
    run(*COMPILE, "pyproject.toml", "--group", "build", "-o", "requirements.txt")
    development = ("--extra", "dev", "--group", "build", "-c", "requirements.txt")
    run(*COMPILE, "pyproject.toml", *development, "-o", "requirements-dev.txt")
    for group in ("node", "deploy"):
        run(*COMPILE, "--group", group, "-o", f"requirements-{group}.txt")


if __name__ == "__main__":
    main()
