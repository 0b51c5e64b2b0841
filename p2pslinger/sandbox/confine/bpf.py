"""An assembler for the filters that the kernel runs before each system call.

A filter is a list of rules, tried in order. A rule names a system call and conditions
on its arguments, and gives a verdict if all hold; what no rule names is allowed.

    Rule(41, EPERM)                                   never
    Rule(56, EPERM, (lacks(0, CLONE_THREAD),))        only with this flag

Conditions see 32 bits of an argument at a time: most arguments have no more.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NamedTuple

#: Verdicts, from <linux/seccomp.h>. A refusal carries its errno.
ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050000, 0x80000000

#: Instructions, from <linux/bpf_common.h>: load a word; jumps; return.
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _IF_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06

#: Offsets in struct seccomp_data.
_NUMBER, _MACHINE, _ARGUMENTS = 0, 4, 16

#: One instruction: its code, two distances to jump, a constant.
INSTRUCTION = struct.Struct("=HBBI")


class Condition(NamedTuple):
    """What must hold of an argument.

    Attributes:
        argument: Its position.
        jump: The comparison.
        value: With what.
        holds: Whether the comparison must be true, or false.
        high: Look at the upper half of the argument.
    """

    argument: int
    jump: int
    value: int
    holds: bool = True
    high: bool = False


def equals(argument: int, value: int) -> Condition:
    """An argument is this value."""
    return Condition(argument, _IF_EQUAL, value)


def differs(argument: int, value: int, *, high: bool = False) -> Condition:
    """An argument is another value than this."""
    return Condition(argument, _IF_EQUAL, value, holds=False, high=high)


def has(argument: int, bits: int) -> Condition:
    """An argument has one of these bits set."""
    return Condition(argument, _IF_ANY_BIT, bits)


def lacks(argument: int, bits: int) -> Condition:
    """An argument has none of these bits set."""
    return Condition(argument, _IF_ANY_BIT, bits, holds=False)


class Rule(NamedTuple):
    """A verdict on a system call."""

    number: int
    verdict: int
    conditions: tuple[Condition, ...] = ()


class _Instruction(NamedTuple):
    code: int
    if_true: int
    if_false: int
    constant: int


def assemble(
    machine: int, rules: Iterable[Rule], *, newest: int, unknown: int
) -> bytes:
    """Return the filter for a machine.

    Args:
        machine: As in <linux/audit.h>. Calls in another machine's manner are fatal.
        newest: Highest number that the rules were written for.
        unknown: The verdict on numbers above it, unless a rule comes first.
    """
    code = [
        _load(_MACHINE),
        _Instruction(_IF_EQUAL, 1, 0, machine),
        _verdict(KILL),
        _load(_NUMBER),
    ]
    for rule in rules:
        code += _block(rule)
    code += [_Instruction(_IF_AT_LEAST, 0, 1, newest + 1), _verdict(unknown)]
    code.append(_verdict(ALLOW))
    return b"".join(INSTRUCTION.pack(*instruction) for instruction in code)


def _block(rule: Rule) -> list[_Instruction]:
    """Return the instructions of one rule; the call's number is loaded after them."""
    if not rule.conditions:
        tail = [_verdict(rule.verdict)]
    else:
        tail = []
        left = 2 * len(rule.conditions)
        for condition in rule.conditions:
            left -= 2
            miss = left + 1  # over the other conditions and the verdict
            yes, no = (0, miss) if condition.holds else (miss, 0)
            offset = _ARGUMENTS + 8 * condition.argument + 4 * condition.high
            tail.append(_load(offset))
            tail.append(_Instruction(condition.jump, yes, no, condition.value))
        tail += [_verdict(rule.verdict), _load(_NUMBER)]
    return [_Instruction(_IF_EQUAL, 0, len(tail), rule.number), *tail]


def _load(offset: int) -> _Instruction:
    return _Instruction(_LOAD, 0, 0, offset)


def _verdict(value: int) -> _Instruction:
    return _Instruction(_RETURN, 0, 0, value)
