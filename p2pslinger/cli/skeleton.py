"""The settings file that `slinger init` leaves: every setting, explained, none set."""

from __future__ import annotations

import os
from pathlib import Path

from p2pslinger.errors import DiskError

SKELETON = """\
# Settings of this machine's slinger peer. Take away the "#" before a setting to set it;
# `slinger up` reads this file when it starts. Each can be given in the environment too,
# as in SLINGER_SLOTS=2, and most as an option: `slinger up --help`. What other members
# may have of this machine, and when, is another file: `slinger prefs`.

# What to call this machine; its host name if not set.
# name = "attic"

# How many tasks to compute at once; all cores but one if not set, 0 for none.
# slots = 2

# Which Pythons tasks may run on, besides the one that runs the peer. If not set, one of
# each version from 3.11 on that is found: on the path, in /usr/local, of pyenv, of uv.
# pythons = ["/usr/bin/python3.12", "/home/me/env/bin/python"]

# How much of the machine's memory all of them together may use.
# memory_share = 0.5

# How well this machine must be able to confine other members' tasks to compute them:
# strong, good or weak. `slinger doctor` says how well it can.
# require = "good"

# Treat every member of the grid as you. Their tasks run without a sandbox and can do
# whatever you can, and their results are believed like your own machine's. So say yes
# only where you would let each of them log in.
# trust_members = true

# Keep other members' jobs on this machine's disk, within a quota, while their own
# machines are away. Nothing of them runs here for that. With false, what is here stays
# until other peers have it: `slinger status` says how much that is.
# keep = false

# The port, TCP and UDP. If not set: 8468, or the next free one.
# port = 8468

# The address to listen on; all of the machine's if not set.
# host = "192.168.1.5"

# Peers to join through. On one local network none is needed.
# bootstrap = ["node.example.org", "192.168.1.7:9000"]

# Whether to look for peers on the local network, and be found there.
# mdns = false

# How much goes to the log: "debug", "info", "warning" or "error".
# log_level = "info"

# Where keys, state and results are kept; relative to this file.
# data = "/var/lib/slinger"
"""


def write_skeleton(file: Path, *, replace: bool) -> str:
    """Write the settings file, mode 0600, unless there is one.

    Args:
        file: Where it belongs. Its folder is made.
        replace: Put an existing one aside, as `config.toml.old`.

    Returns:
        What became of it, as a sentence.

    Raises:
        DiskError: it can't be written.
    """
    aside = file.with_name(file.name + ".old")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replaced = replace and file.exists()
        if replaced:
            file.replace(aside)
        written = _write(file)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise DiskError(f"{file} can't be written: {why}") from None
    if replaced:
        return f"Settings are in {file}, the old ones in {aside}."
    return f"Settings {'are' if written else 'stay as they are'} in {file}."


def _write(file: Path) -> bool:
    try:
        fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(fd, "w", encoding="utf-8") as opened:
        opened.write(SKELETON)
    return True
