"""Texts of strangers, made fit to be shown: what is in them, and nothing it could do.

A control character can move the cursor, change colours or titles, or turn the reading
direction around; on a terminal that is a way to have somebody read what is not there.
"""

from __future__ import annotations


def visible(text: str) -> str:
    """Return `text` with every control character but line ends and tabs spelled out."""
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() or one in "\n\t" else _spelled(one) for one in text
    )


def _spelled(one: str) -> str:
    code = ord(one)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
