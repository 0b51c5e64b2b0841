"""Which object it was that can't be sent, and what to do about it.

Pickle says "cannot pickle '_thread.lock' object" and leaves the reader to find the
lock. Here the object is taken apart until the smallest piece is found that can't be
pickled by itself, and the way to it becomes a sentence:

    the function `f` uses the global variable `lock` of type _thread.lock, which can't
    be sent to other machines (...); create it inside the function
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from types import CodeType, FunctionType, GeneratorType, MethodType
from typing import NamedTuple

from p2pslinger.client.pickling import failure_of, globals_of

#: Steps from the function or argument to the culprit: deeper, the outer object says
#: more than a long chain.
DEPTH = 6

#: Objects that are tried in a search, so that a large list does not take minutes.
TRIES = 2000

#: What a single call is to the reader; its value is a tuple of arguments, and a dict.
CALL = "the call"

#: Characters of pickle's own words that are repeated.
REASON = 200


class _Step(NamedTuple):
    """One step inwards: "uses", "the global variable `lock`", and the lock."""

    verb: str
    noun: str
    value: object


def blame(subject: str, value: object, error: BaseException, *, remedy: str) -> str:
    """Say in a sentence why `value` can't be sent.

    Args:
        subject: What `value` is to the reader: "the function `f`".
        value: What failed to pickle.
        error: The failure, in case the search finds nothing.
        remedy: What to do now, to finish the sentence.
    """
    if isinstance(error, MemoryError):
        return f"{subject} is too large for this machine's memory; send less at once"
    steps, error = _search(value, error, is_call=subject == CALL)
    way = ", which ".join(f"{step.verb} {step.noun}" for step in steps)
    culprit = steps[-1].value if steps else value
    link = "of type" if steps else "is of type"
    if isinstance(culprit, GeneratorType):
        remedy = "send a list of what it yields"
    sentence = " ".join(filter(None, (subject, way, link, type_name(type(culprit)))))
    why = f"which can't be sent to other machines ({_reason(error)})"
    return f"{sentence}, {why}; {remedy}"


def type_name(kind: type) -> str:
    """Name a class as its owner would write it."""
    if kind.__module__ in {"builtins", "__main__"}:
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= REASON else text[: REASON - 1] + "…"


def _search(
    value: object, error: BaseException, *, is_call: bool
) -> tuple[list[_Step], BaseException]:
    """Go inwards as long as a part fails by itself."""
    steps: list[_Step] = []
    seen = {id(value)}
    budget = iter(range(TRIES))
    while len(steps) < DEPTH:
        outermost = is_call and not steps
        for step in _parts_of_call(value) if outermost else _parts(value):
            if id(step.value) in seen:
                continue
            seen.add(id(step.value))
            failure = failure_of(step.value)
            if failure is not None:
                break
            if next(budget, None) is None:
                return steps, error
        else:
            return steps, error
        steps.append(step)
        value, error = step.value, failure
    return steps, error


def _parts_of_call(value: object) -> Iterator[_Step]:
    match value:
        case (tuple() as args, dict() as keywords):
            for key, part in (*enumerate(args), *keywords.items()):
                yield _Step("has", f"the argument {key!r:.60}", part)


def _parts(value: object) -> Iterator[_Step]:
    """What `value` would take along, each with the words for it."""
    match value:
        case FunctionType():
            yield from _parts_of_function(value)
        case partial():
            yield _Step("wraps", f"`{value.func!r:.60}`", value.func)
            held = (*value.args, *value.keywords.values())
            yield from (_Step("holds", "an argument", part) for part in held)
        case MethodType():
            yield _Step("belongs to", "an object", value.__self__)
        case dict() | list() | tuple() | set() | frozenset():
            yield from _parts_of_container(value)
        case _ if type(value).__module__ == "functools":
            yield _Step("wraps", "a function", getattr(value, "__wrapped__", None))
        case _:
            yield from _parts_of_instance(value)


def _parts_of_container(value: object) -> Iterator[_Step]:
    match value:
        case dict():
            items: Iterable[tuple[object, object]] = value.items()
        case list() | tuple():
            items = enumerate(value)
        case set() | frozenset():
            items = ((part, part) for part in value)
        case _:
            items = ()
    for key, part in islice(items, TRIES):
        yield _Step("holds", f"the item {key!r:.60}", part)


def _parts_of_function(function: FunctionType) -> Iterator[_Step]:
    code: CodeType = function.__code__
    for name in globals_of(code):
        if name in function.__globals__:
            value = function.__globals__[name]
            yield _Step("uses", f"the global variable `{name}`", value)
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        try:
            value = cell.cell_contents
        except ValueError:
            continue  # not assigned yet
        yield _Step("uses", f"the variable `{name}` of the function around it", value)
    defaults = function.__defaults__ or ()
    named = code.co_varnames[code.co_argcount - len(defaults) : code.co_argcount]
    pairs = {
        **dict(zip(named, defaults, strict=True)),
        **(function.__kwdefaults__ or {}),
    }
    for name, value in pairs.items():
        yield _Step("has", f"the parameter `{name}` with a default", value)
    for name, value in vars(function).items():
        yield _Step("has", f"the attribute `{name}`", value)


def _parts_of_instance(value: object) -> Iterator[_Step]:
    held = dict(getattr(value, "__dict__", {}))
    if isinstance(value, type):
        held = {name: part for name, part in held.items() if not name.startswith("__")}
    for kind in type(value).__mro__:
        slots = vars(kind).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if hasattr(value, name):
                held.setdefault(name, getattr(value, name))
    for name, part in held.items():
        yield _Step("holds", f"the attribute `{name}`", part)
