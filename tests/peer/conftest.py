"""A peer's tests fill the same small disk as the store's."""

from __future__ import annotations

from tests.store.conftest import small_disk

__all__ = ["small_disk"]
