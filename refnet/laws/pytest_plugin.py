"""A test for every law without a test file: ``pytest -p refnet.laws.pytest_plugin --sut M:OBJ``.

Options: ``--sut MODULE:OBJECT`` (repeatable), ``--laws-xfails FILE`` (a line each: law, reason; an
expected failure that passes is a failure), ``--laws-examples N``, ``--laws-seed N``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from refnet.laws.checks import LawBroken, LawCheck, claimed
from refnet.laws.loading import load, read_expected
from refnet.laws.sut import QuantizerUnderTest


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of the laws."""
    group = parser.getgroup("laws", "laws of quantizers")
    group.addoption("--sut", action="append", default=[], metavar="MODULE:OBJECT",
                    help="a quantizer under test; repeatable")
    group.addoption("--laws-xfails", metavar="FILE", help="laws expected to fail, with reasons")
    group.addoption("--laws-examples", type=int, default=200, metavar="N", help="(default: 200)")
    group.addoption("--laws-seed", type=int, default=0, metavar="N", help="(default: 0)")


class LawItem(pytest.Item):
    """One law, tried on one quantizer."""

    def __init__(self, *, quantizer: QuantizerUnderTest, check: LawCheck, **given: Any) -> None:
        super().__init__(**given)
        self.quantizer = quantizer
        self.check = check

    def runtest(self) -> None:
        """Try the law."""
        self.check(self.quantizer)

    def repr_failure(self, excinfo: Any, style: Any = None) -> Any:
        """The counterexample alone; what else is raised with its traceback."""
        if isinstance(excinfo.value, LawBroken):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Any, int | None, str]:
        """Where it is from."""
        return self.path, None, self.name


def _items(session: pytest.Session, config: pytest.Config) -> Iterator[LawItem]:
    path = config.getoption("--laws-xfails")
    expected = read_expected(path) if path else {}
    for name in config.getoption("--sut"):
        for q in load(name):
            for law in claimed(q)[0]:
                check = LawCheck(
                    law=law, seed=config.getoption("--laws-seed"),
                    max_examples=config.getoption("--laws-examples"),
                )
                item: LawItem = LawItem.from_parent(
                    session, name=f"{q.name}::{law}", quantizer=q, check=check
                )
                if law in expected:
                    item.add_marker(pytest.mark.xfail(reason=expected[law], strict=True))
                yield item


def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Add the laws to what was collected."""
    try:
        items.extend(_items(session, config))
    except (ValueError, OSError) as error:
        raise pytest.UsageError(str(error)) from None
