"""Requirements: what a submitter writes, in one form per meaning, and who meets it.

    packages    a name and versions, as `pip` takes them: "numpy>=2", "scipy"
    platforms   a system, or a system and a machine: "linux", "macos-arm64"

What depends on where it is read (markers, addresses, extras) is refused: a requirement
means the same on all machines, or it is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import InvalidVersion, Version

from p2pslinger import limits
from p2pslinger.errors import UsageError
from p2pslinger.rules.fitting import platform_name
from p2pslinger.wire.needs import Needs

_KNOWN = ("linux", "darwin", "windows")

_PLATFORM = re.compile(r"([a-z0-9]+)(?:[-/]([a-z0-9_]+))?")


def needs_of(requires: Iterable[str], platform: str = "") -> Needs:
    """Return what a submitter asks for.

    Raises:
        UsageError: something in it is no requirement, or there are too many.
    """
    if isinstance(requires, str):
        raise UsageError(f"requires={requires!r} is one text: write [{requires!r}]")
    packages = tuple(sorted({package_of(one) for one in requires}))
    if len(packages) > limits.REQUIRED:
        raise UsageError(
            f"{len(packages)} packages are required, and {limits.REQUIRED} are the "
            "most: name those that the others depend on"
        )
    return Needs(packages, platform_of(platform) if platform else "")


def package_of(text: str) -> str:
    """Return a requirement of one package in its one form.

    Raises:
        UsageError: it is none, or one that depends on where it is read.
    """
    try:
        found = Requirement(text)
    except (InvalidRequirement, TypeError) as error:
        why = str(error).partition("\n")[0] or type(error).__name__
        raise UsageError(
            f'{text!r} is no requirement such as "numpy>=2": {why}'
        ) from None
    for what, is_there in (
        ("an address", found.url),
        ("a marker", found.marker),
        ("extras", found.extras),
    ):
        if is_there:
            raise UsageError(
                f"the requirement {text!r} has {what}: only a package's name and its "
                "versions can be required of other machines"
            )
    canonical = f"{canonicalize_name(found.name)}{found.specifier}"
    if len(canonical) > limits.REQUIREMENT:
        raise UsageError(
            f"the requirement {text!r} has {len(canonical)} characters, and "
            f"{limits.REQUIREMENT} are the most"
        )
    return canonical


def platform_of(text: str) -> str:
    """Return a platform in its one form: "linux", "darwin-arm64".

    Raises:
        UsageError: it is none.
    """
    match = _PLATFORM.fullmatch(text.strip().lower())
    found = platform_name(match[1], match[2] or "") if match else ""
    if found.partition("-")[0] not in _KNOWN:
        raise UsageError(
            f'{text!r} is no platform such as "linux", "linux-x86_64" or "macos-arm64"'
        )
    return found


def met(required: Iterable[str], installed: Mapping[str, str]) -> tuple[str, ...]:
    """Return those of some requirements that an interpreter's packages meet.

    Args:
        required: Requirements, perhaps of a stranger: what is none is not met.
        installed: Versions by name, in the forms that the packages give them.
    """
    versions = {canonicalize_name(name): text for name, text in installed.items()}
    return tuple(one for one in required if _is_met(one, versions))


def _is_met(required: str, versions: Mapping[NormalizedName, str]) -> bool:
    try:
        wanted = Requirement(required)
        version = versions.get(canonicalize_name(wanted.name))
        if version is None or wanted.url or wanted.marker or wanted.extras:
            return False
        return wanted.specifier.contains(Version(version), prereleases=True)
    except (InvalidRequirement, InvalidVersion):
        return False
