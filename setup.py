"""What setup.cfg can't say: a wheel carries the example that `slinger demo` runs.

In a checkout, and so in an editable install, the command finds it in examples/.
"""

from __future__ import annotations

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

EXAMPLE = Path("examples", "fractal.py")
INSIDE = Path("p2pslinger", "cli", "_example_fractal.py")


class BuildWithExample(build_py):
    """Copies the example into what is being built."""

    def run(self) -> None:
        """Build as ever, then copy."""
        super().run()
        if not self.editable_mode:
            self.copy_file(str(EXAMPLE), str(Path(self.build_lib, INSIDE)))

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """Return every file that was built."""
        return [
            *super().get_outputs(include_bytecode),
            str(Path(self.build_lib, INSIDE)),
        ]


setup(cmdclass={"build_py": BuildWithExample})
