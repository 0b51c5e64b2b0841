"""The entry of zygotes and debuggers, run by path without the users' environment.

Run by path and with `-P`, the interpreter does not know where p2pslinger lives, or
knows another one that happens to be installed. So the first import is made from here.
What the folder holds besides becomes importable as a last resort only; and not at all
for another interpreter than the daemon's, since it is not installed for that one. Such
an interpreter gets the daemon's cloudpickle, whether it has its own or not: functions
were packed with one like it.
"""

from __future__ import annotations

import gc
import sys

ROOT = __file__.removesuffix("/p2pslinger/sandbox/__main__.py")


def lend(name: str, folder: str) -> None:
    """Import a package that is installed for another interpreter, and nothing else."""
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location(
        name, f"{folder}/__init__.py", submodule_search_locations=[folder]
    )
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = module_from_spec(spec)
    spec.loader.exec_module(module)


if __name__ == "__main__":
    gc.disable()  # what is imported stays: to look for garbage in it takes time
    lent = sys.argv.pop()
    if lent:
        lend("cloudpickle", lent)
    sys.path.insert(0, ROOT)
    if sys.argv[1] == "debug":
        from p2pslinger.sandbox.underpdb import main
    else:
        from p2pslinger.sandbox.zygote import main

    gc.enable()
    sys.path.pop(0)
    if ROOT not in sys.path and not lent:
        sys.path.append(ROOT)
    main()
