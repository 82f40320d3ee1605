"""The Autobahn test suite against the echo endpoint: every protocol case passes.

Left out are 9 (performance), 12 and 13 (compression, which is not offered).
"""

import asyncio
import json
import sys
from pathlib import Path

from tests.support.door import serve
from unique_cs.gateway.echo import admit_echo

CASES = 247
SECONDS = 90.0
PASSED = {"OK", "INFORMATIONAL"}  # not NON-STRICT: invalid text fails at its first wrong byte


async def run_suite(port: int, reports: Path) -> dict[str, dict[str, str]]:
    """Run the suite as a client of a port of this host; return what it says of each case."""
    skip = [argument for group in ("9.*", "12.*", "13.*") for argument in ("-x", group)]
    kosoku = str(Path(sys.executable).with_name("kosoku"))
    command = [kosoku, f"127.0.0.1:{port}", *skip, "-o", str(reports)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
    try:
        await asyncio.wait_for(process.wait(), SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    [cases] = json.loads((reports / "index.json").read_text()).values()
    assert isinstance(cases, dict)
    return cases


async def test_every_protocol_case_passes(tmp_path: Path) -> None:
    async with serve({"/": admit_echo}) as served:
        cases = await run_suite(served.port, tmp_path)
    assert len(cases) == CASES
    failed = {name for name, case in cases.items() if {case["behavior"], case["behaviorClose"]} - PASSED}
    assert failed == set()
