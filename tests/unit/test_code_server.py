"""What the code server's own process writes to its log."""

import logging
import re

import pytest

from carbon_platform.code_server import _log_with_times


def test_a_warning_of_ours_comes_with_time_and_place(capsys: pytest.CaptureFixture[str]) -> None:
    ours = logging.getLogger("carbon_platform")
    before = list(ours.handlers)
    _log_with_times()
    try:
        logging.getLogger("carbon_platform.healing.watcher").warning("the platform is %s", "seen again")
    finally:
        for handler in set(ours.handlers) - set(before):
            ours.removeHandler(handler)
    time, _, told = capsys.readouterr().err.partition(" - ")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+", time)
    assert told == "carbon_platform.healing.watcher - WARNING - the platform is seen again\n"
