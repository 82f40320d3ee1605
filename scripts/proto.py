"""Generate the Python code of `proto/` into the package: `python -m scripts.proto`, twice for nothing.

Every file goes where its own imports expect it: `unique_cs/v1/x.proto` becomes `unique_cs.v1.x_pb2`.
"""

from __future__ import annotations

import sys

from scripts.shared import ROOT, digest, is_fresh, run, say

SOURCES = ROOT / "proto"
PACKAGE = ROOT / "src" / "unique_cs" / "v1"


def main() -> None:
    """Bring the generated code to what the definitions and this script say."""
    files = sorted(SOURCES.rglob("*.proto"))
    wanted = digest([*files, ROOT / "scripts" / "proto.py", ROOT / "pyproject.toml"])
    stamp = PACKAGE / ".built"
    if is_fresh(stamp, wanted):
        return
    say("generating the code of proto/")
    PACKAGE.mkdir(exist_ok=True)
    (PACKAGE / "__init__.py").write_text('"""Generated from `proto/`; not to be edited."""\n')
    out = ROOT / "src"
    run(sys.executable, "-m", "grpc_tools.protoc", f"-I{SOURCES}", f"--python_out={out}",
        f"--pyi_out={out}", *files)  # fmt: skip
    stamp.write_text(wanted)


if __name__ == "__main__":
    main()
