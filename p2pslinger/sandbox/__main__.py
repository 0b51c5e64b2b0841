"""The zygote's entry, run by path so that it starts without its users' environment.

Run by path and with `-P`, the interpreter does not know where p2pslinger lives, or
knows another one that happens to be installed. So the first import is made from here.
What the folder holds besides becomes importable as a last resort only.
"""

from __future__ import annotations

import sys

ROOT = __file__.removesuffix("/p2pslinger/sandbox/__main__.py")

if __name__ == "__main__":
    sys.path.insert(0, ROOT)
    from p2pslinger.sandbox.zygote import main

    sys.path.pop(0)
    if ROOT not in sys.path:
        sys.path.append(ROOT)
    main()
