import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from carbon_platform.cli import check
from carbon_platform.errors import ConfigurationError
from tests.definitions import Definitions


@pytest.mark.parametrize(
    "write", [lambda file: file.write_text("b", encoding="utf-8"), lambda file: (file.parent / "new").rename(file)]
)
async def test_a_definition_that_is_written_or_replaced_is_noticed(
    tmp_path: Path, write: Callable[[Path], object]
) -> None:
    file, other = tmp_path / "defs.yaml", tmp_path / "new"
    file.write_text("a", encoding="utf-8")
    other.write_text("c", encoding="utf-8")
    async with check._changes(file) as changed:
        (tmp_path / "values.yaml").write_text("no matter", encoding="utf-8")
        write(file)
        await asyncio.wait_for(changed.wait(), 30)


def test_a_check_that_there_is_not_is_told_with_those_that_there_are(
    definitions: Definitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "settings", definitions.settings)
    definitions.chart()
    definitions.release("store", checks=[{"type": "redis.info"}, {"type": "redis.roundtrip"}])
    component, chosen = check._chosen("store", ["redis_info"])
    assert (component.key, list(chosen)) == ("store", ["redis_info"])
    assert list(check._chosen("store", ())[1]) == ["redis_info", "redis_roundtrip"]
    with pytest.raises(ConfigurationError, match="store has no check redis_inf") as refused:
        check._chosen("store", ["redis_inf"])
    assert "did you mean 'redis_info'" in refused.value.cause
