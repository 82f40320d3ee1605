"""Importing a module opens nothing: no socket, no thread, no file for writing."""

import subprocess
import sys

PROGRAM = """
import builtins, importlib, pkgutil, socket, sys, threading
import unique_cs

opened = []
def note(event, arguments):
    if event == "socket.__new__":
        opened.append(arguments)
    if event == "open" and set(str(arguments[1])) & set("wax+"):
        opened.append(arguments)

names = [module.name for module in pkgutil.walk_packages(unique_cs.__path__, "unique_cs.")]
sys.addaudithook(note)
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
assert len(names) > 20, names
assert not opened, opened
assert threading.active_count() == 1, threading.enumerate()
"""


def test_importing_any_module_opens_nothing() -> None:
    # -B: the interpreter's own cache is nothing that a module opens.
    done = subprocess.run([sys.executable, "-B", "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
