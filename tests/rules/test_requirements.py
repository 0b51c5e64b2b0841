"""Requirements have one form for each meaning, and what depends on a place is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pslinger import limits
from p2pslinger.errors import UsageError
from p2pslinger.rules.requirements import met, needs_of, package_of, platform_of
from p2pslinger.wire.needs import NOTHING, Needs


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("numpy", "numpy"),
        ("numpy>=2", "numpy>=2"),
        (" NumPy >= 2 ", "numpy>=2"),
        ("scikit_learn <2, >=1.5", "scikit-learn<2,>=1.5"),
        ("a.b_c==1.*", "a-b-c==1.*"),
    ],
)
def test_a_requirement_has_one_form(text: str, canonical: str) -> None:
    assert package_of(text) == canonical
    assert package_of(canonical) == canonical


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("numpy>=", "no requirement such as"),
        ("", "no requirement such as"),
        ("two words", "no requirement such as"),
        ("numpy[all]", "has extras"),
        ("numpy; python_version > '3'", "has a marker"),
        ("numpy @ https://example.org/numpy.whl", "has an address"),
        ("n" * 60, "has 60 characters, and 50 are the most"),
    ],
)
def test_what_is_no_requirement_is_refused_in_a_sentence(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why) as caught:
        needs_of([text])
    assert "\n" not in str(caught.value)


def test_what_is_no_list_or_too_long_a_one_is_refused() -> None:
    with pytest.raises(UsageError, match=r"write \['numpy'\]"):
        needs_of("numpy")
    with pytest.raises(UsageError, match="13 packages are required, and 12 are"):
        needs_of(f"p{i}" for i in range(limits.REQUIRED + 1))
    with pytest.raises(UsageError, match="7 is no requirement"):
        needs_of([7])  # type: ignore[list-item]  # a user's mistake


def test_needs_are_in_order_and_without_repetition() -> None:
    assert needs_of(["scipy", "numpy>=2", "SciPy"]) == Needs(("numpy>=2", "scipy"))
    assert needs_of([]) == NOTHING
    assert needs_of([], "macOS-arm64") == Needs(platform="darwin-arm64")


@pytest.mark.parametrize(
    ("text", "platform"),
    [
        ("linux", "linux"),
        ("Linux-x86_64", "linux-x86_64"),
        ("linux/amd64", "linux-x86_64"),
        ("macos", "darwin"),
        ("darwin-aarch64", "darwin-arm64"),
        ("win32-amd64", "windows-x86_64"),
    ],
)
def test_a_platform_has_one_form(text: str, platform: str) -> None:
    assert platform_of(text) == platform


@pytest.mark.parametrize("text", ["", "beos", "linux-", "linux x86", "x86_64"])
def test_what_is_no_platform_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no platform such as"):
        platform_of(text)


INSTALLED = {"NumPy": "2.1.0", "scikit_learn": "1.6.0rc1", "odd": "no version"}


@pytest.mark.parametrize(
    ("required", "is_met"),
    [
        ("numpy", True),
        ("numpy>=2", True),
        ("numpy<2", False),
        ("numpy==2.1.*", True),
        ("scikit-learn>=1.5", True),
        ("scikit-learn>=1.6", False),
        ("scipy", False),
        ("odd", False),
        ("numpy[x]", False),
        ("", False),
        ("no requirement", False),
    ],
)
def test_requirements_are_met_by_what_is_installed(required: str, is_met: bool) -> None:
    assert met([required], INSTALLED) == ((required,) if is_met else ())


@given(st.lists(st.text(max_size=20)))
def test_no_text_of_a_stranger_breaks_the_look_up(texts: list[str]) -> None:
    assert set(met(texts, INSTALLED)) <= set(texts)
