"""What the owner is told about the sandbox: its level, what it lacks, what to do."""

from __future__ import annotations

import re

from p2pslinger.peer.computing.confining import Confining
from p2pslinger.sandbox.confine.confinement import Confinement
from p2pslinger.sandbox.level import UNTESTED, Level
from p2pslinger.wire.ownfacts import CheckFacts, SandboxFacts

_MEMBERS, _NOBODY = "other members' tasks run in it", "no other member's task runs here"

#: How a sentence about what is missing begins, which says nothing to its reader.
_NOTICED = re.compile(
    r"no slots?: |the zygote can't start: |the zygote has ended: |\[Errno \d+\] "
)

#: What to do about what is missing, by a word in the sentence that says so.
_REMEDIES = {
    "bubblewrap": "install bubblewrap (the package is called that)",
    "bwrap": "let bubblewrap make namespaces; docs/security.md says what it needs",
    "Landlock": "run a kernel with Landlock: Linux 6.2 or newer, with it switched on",
    "seccomp": "run a kernel that has seccomp filters",
    "data folder": "set SLINGER_DATA to a folder outside of where Python lies",
    "Python lies where": "install Python where every user may read it",
}


def sandbox_facts(confining: Confining) -> SandboxFacts:
    """Return what there is to know about a peer's sandbox."""
    finding = confining.finding
    return SandboxFacts(
        confining.level.value,
        confining.for_members,
        confining.trusts_all,
        _sentence(confining),
        tuple(map(_plain, finding.missing)) if finding else (),
        finding.possible if finding else (),
        _advice(confining),
        finding is not None,
    )


def sandbox_checks(confining: Confining, slots: int) -> tuple[CheckFacts, ...]:
    """Return what `doctor` says about it."""
    if not slots:
        return (CheckFacts("sandbox", True, "not needed: this peer has no slots", ""),)
    facts = sandbox_facts(confining)
    text = "; not ".join([facts.text, *facts.missing])
    if facts.possible:
        text += f"; a task could {', '.join(facts.possible)}"
    fine = facts.for_members or (confining.finding is None and not confining.doubt)
    untested = f"nobody has run these yet: {', '.join(UNTESTED)}"
    return (
        CheckFacts("sandbox", fine, text, facts.advice),
        CheckFacts("untested", True, untested, ""),
    )


def _plain(missing: str) -> str:
    """Return what is missing without the way on which it was noticed."""
    return _NOTICED.sub("", missing)


def _sentence(confining: Confining) -> str:
    level = confining.level.value
    if confining.trusts_all:
        return f"{level}, and not used: every member is trusted like you"
    if confining.for_members:
        return f"{level}: {_MEMBERS}"
    if confining.finding is None and not confining.doubt:
        return "not tried yet: it is as soon as another peer is there"
    return f"{confining.why_not}: {_NOBODY}"


def _advice(confining: Confining) -> str:
    finding = confining.finding
    if confining.trusts_all or finding is None or finding.level is Level.STRONG:
        return ""
    missing = " ".join(finding.missing)
    found = [advice for word, advice in _REMEDIES.items() if word in missing]
    advice = found[:1]
    if finding.confinement is Confinement.WEAK and not confining.for_members:
        advice.append(
            "name whom you trust with this machine, or all members by `--trust-members`"
        )
    return "; or ".join(advice)
