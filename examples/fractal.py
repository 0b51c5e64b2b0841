"""Render a Mandelbrot set on a throw-away grid of three local peers.

    python examples/fractal.py --width 1200 --height 800 --out fractal.png

Each task is one row of the picture. `row` is an ordinary function: the grid ships it,
together with the constants and functions that it uses, to whoever computes.
"""

from __future__ import annotations

import argparse
import math
import struct
import sys
import zlib
from collections.abc import Iterable
from pathlib import Path

import p2pslinger as slinger

#: The middle of the picture in the complex plane, and its width there.
MIDDLE = complex(-0.7453, 0.1127)
SPAN = 0.0065

#: Iterations after which a point counts as inside. Inside is black.
DEPTH = 400

#: Beyond this distance a point has escaped; large, so that colours are smooth.
ESCAPE = 16.0


def row(y: int, width: int, height: int) -> bytes:
    """Compute one row of the picture: three bytes (red, green, blue) for each pixel."""
    step = SPAN / width
    left = MIDDLE - SPAN / 2 + 1j * (height / 2 - y) * step
    pixels = bytearray()
    for x in range(width):
        pixels += colour(escape(left + x * step))
    return bytes(pixels)


def escape(point: complex) -> float | None:
    """Say how many steps it takes to escape from `point`, smoothly; None: for ever."""
    z = 0j
    for steps in range(DEPTH):
        z = z * z + point
        if abs(z) > ESCAPE:
            return steps + 1 - math.log2(math.log(abs(z)) / math.log(ESCAPE))
    return None


def colour(steps: float | None) -> bytes:
    """Turn steps into red, green and blue: three waves, a little out of phase."""
    if steps is None:
        return bytes(3)
    turn = 1.9 * math.log(max(steps, 1.0))
    waves = (math.cos(turn + phase) for phase in (2.4, 3.0, 3.7))
    return bytes(int(127.5 + 127.5 * wave) for wave in waves)


def png(width: int, height: int, rows: Iterable[bytes]) -> bytes:
    """Put rows of pixels into a PNG file."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + line for line in rows))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", pixels)
        + chunk(b"IEND", b"")
    )


def main() -> None:
    """Render the picture and say who did how much of it."""
    parser = argparse.ArgumentParser(description="Render a Mandelbrot set on a grid.")
    parser.add_argument("--width", type=int, default=1200, help="pixels")
    parser.add_argument(
        "--height", type=int, default=800, help="pixels, one task a row"
    )
    parser.add_argument("--peers", type=int, default=3, help="local peers to start")
    parser.add_argument(
        "--out", type=Path, default=Path("fractal.png"), help="PNG file"
    )
    parser.add_argument(
        "--strangers", action="store_true", help="peers that don't trust each other"
    )
    options = parser.parse_args()
    width, height = options.width, options.height

    peers, strangers = options.peers, options.strangers
    with slinger.local(peers, slots=1, strangers=strangers) as grid:
        names = {peer.peer[:7]: peer.name for peer in grid.peers()}
        tasks = [(y, width, height) for y in range(height)]
        job = grid.start(row, tasks, name="fractal")
        live, shown = sys.stdout.isatty(), -1
        for progress in job.updates():
            who = ", ".join(
                f"{names[peer]}: {rows}" for peer, rows in progress.by_peer.items()
            )
            tenths = int(10 * progress.fraction)
            if live or tenths > shown:  # in a file, ten lines will do
                shown = tenths
                line = f"{bar(progress.fraction)} {who}"
                print(line, end="\r" if live else "\n", flush=True)
        print()
        options.out.write_bytes(png(width, height, job.results()))
        print(f"{options.out}: {width} x {height}\n")
        print(table(job.tally()))


def bar(done: float, cells: int = 40) -> str:
    """Draw how much is done, 0 to 1."""
    full = int(cells * done)
    return f"[{'#' * full}{'.' * (cells - full)}] {done:4.0%}"


def table(rows: Iterable[slinger.TallyFacts]) -> str:
    """Say who has computed how much."""
    lines = [f"{'peer':<10} {'tasks':>6} {'CPU seconds':>12} {'share':>6}"]
    for one in sorted(rows, key=lambda one: one.name):
        lines.append(
            f"{one.name:<10} {one.tasks:>6} {one.cpu:>12.2f} {one.share:>6.0%}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
