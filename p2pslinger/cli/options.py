"""Options and arguments that several commands take."""

from __future__ import annotations

import re

import click

#: Characters of an id's text form, whole or the start of it.
_ID = re.compile(r"[a-z2-7-]{1,64}")


def read_id(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Return an id, or the start of one, in the form in which peers write it.

    Raises:
        BadParameter: it holds what occurs in no id.
    """
    if value is None:
        return None
    text = value.strip().lower()
    if not _ID.fullmatch(text) or not text.strip("-"):
        raise click.BadParameter(f"{value!r} is no id: only a-z and 2-7 occur in one")
    return text


as_json = click.option(
    "--json", "as_json", is_flag=True, help="Print the facts as JSON."
)

how_to_read = click.option(
    "--trust",
    type=click.Choice(["safe", "pickle"]),
    default="safe",
    show_default=True,
    help="Read plain data only, or run what others' results bring along.",
)

whole_ids = click.option(
    "--long", "whole", is_flag=True, help="Show ids in full, not their first group."
)
