"""`python -m p2pslinger` is `slinger`."""

from __future__ import annotations

import sys

from p2pslinger.cli.main import main

sys.exit(main())
