import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from carbon_platform.errors import CarbonError
from carbon_platform.local.images.archives import Archives
from carbon_platform.local.images.making import CONCURRENCY, RECIPE_LABEL, Making
from carbon_platform.local.images.process import DiskFull, ProgramFailed
from carbon_platform.local.images.progress import Steps
from carbon_platform.local.images.registries import Registries
from carbon_platform.local.images.resolution import Image, ImageUnavailable, Way, wanted
from tests.unit.images.fake_engine import FakeEngine
from tests.unit.images.folders import small_platform

SERVER, GATEWAY, BASE = (f"localhost/carbon/{name}:1" for name in ("server", "gateway", "base"))


class Bench:
    """A session of making on the small platform, with a network that can be cut."""

    def __init__(self, folder: Path, reachable: bool) -> None:
        self.recipes = small_platform(folder / "recipes")
        self.archives = Archives(folder / "archives")
        self.archives.folder.mkdir()
        self.engine = FakeEngine()
        self.told: list[tuple[str, str, float]] = []
        self._folder = folder
        self._reachable = reachable

    def image(self, reference: str) -> Image:
        return wanted(reference, self.recipes, lambda program: program)

    @contextlib.asynccontextmanager
    async def making(self) -> AsyncIterator[Making]:
        async def ask(registry: str) -> str | None:
            return None if self._reachable else "no such host"

        async def program_folder(names: Sequence[str]) -> Path:
            return self._folder / "-".join(names)

        making = Making(
            self.recipes,
            self.archives,
            self.engine,
            Registries(self._folder / "known.json", ask),
            lambda program: program,
            program_folder,
            Steps(lambda *step: self.told.append(step)),
        )
        try:
            yield making
        finally:
            await making.stop()

    async def make(self, *references: str) -> list[Path | BaseException]:
        async with self.making() as making:
            wanted_images = [self.image(reference) for reference in references]
            return await asyncio.gather(*map(making.archive, wanted_images), return_exceptions=True)


@pytest.fixture
def offline(tmp_path: Path) -> Bench:
    return Bench(tmp_path, reachable=False)


@pytest.fixture
def online(tmp_path: Path) -> Bench:
    return Bench(tmp_path, reachable=True)


async def test_what_an_image_is_built_on_is_made_first_and_kept_too(offline: Bench) -> None:
    (path,) = await offline.make(SERVER)
    assert isinstance(path, Path)
    assert path.read_text() == f"image {SERVER}"
    builds = [what for what in offline.engine.done if not what.startswith("save")]
    assert builds == ["bootstrap bookworm", "build runtime", "build tool", "build server"]
    assert len(list(offline.archives.folder.iterdir())) == 4


async def test_a_build_is_given_its_base_its_builder_and_its_digest(offline: Bench) -> None:
    await offline.make(SERVER)
    expected = {"BASE": "localhost/carbon/runtime:1", "BUILDER": "localhost/carbon/tool:1"}
    assert offline.engine.arguments[SERVER] == expected
    assert offline.engine.labels[SERVER] == {RECIPE_LABEL: offline.image(SERVER).digest}


async def test_a_program_comes_in_a_folder_of_its_own(offline: Bench, tmp_path: Path) -> None:
    await offline.make(GATEWAY)
    assert offline.engine.contexts[GATEWAY] == {"program": tmp_path / "gatewayd"}


async def test_a_cached_archive_is_used_and_nothing_is_made(offline: Bench) -> None:
    await offline.make(SERVER)
    offline.engine.done.clear()
    (path,) = await offline.make(SERVER)
    assert isinstance(path, Path)
    assert offline.engine.done == []


async def test_a_changed_recipe_is_built_anew_on_the_cached_archives_of_the_others(
    offline: Bench, tmp_path: Path
) -> None:
    await offline.make(SERVER)
    (tmp_path / "recipes" / "server" / "Containerfile").write_text("FROM scratch\nUSER 1\n")
    offline.engine.done.clear()
    await offline.make(SERVER)
    assert offline.engine.done == ["load runtime_1", "load tool_1", "build server", f"save {SERVER}"]


async def test_upstream_is_pulled_where_a_registry_is_reachable_and_the_recipe_left_alone(online: Bench) -> None:
    await online.make(GATEWAY)
    assert online.engine.done == ["pull docker.io/acme/gateway:1", f"save {GATEWAY}"]


async def test_a_pull_that_fails_leads_to_the_recipe(online: Bench) -> None:
    online.engine.failing["pull docker.io/acme/gateway:1"] = ProgramFailed("buildah failed", "manifest unknown")
    (path,) = await online.make(GATEWAY)
    assert isinstance(path, Path)
    assert "build gateway" in online.engine.done


async def test_without_registry_and_with_a_broken_build_the_error_tells_all_of_it(offline: Bench) -> None:
    offline.engine.failing["build gateway"] = ProgramFailed("buildah failed", "exit status 1", "see gateway.log")
    (error,) = await offline.make(GATEWAY)
    assert isinstance(error, ImageUnavailable)
    assert [attempt.way for attempt in error.attempts] == [Way.ARCHIVE, Way.PULL, Way.BUILD]
    assert "docker.io: no such host" in error.cause
    assert "exit status 1" in error.cause


async def test_an_image_whose_base_fails_names_the_base_and_others_are_made(online: Bench) -> None:
    online.engine.failing["build runtime"] = ProgramFailed("buildah failed", "exit status 100")
    error, path = await online.make(SERVER, GATEWAY)
    assert isinstance(error, ImageUnavailable)
    assert error.root.image.reference == "localhost/carbon/runtime:1"
    assert isinstance(path, Path)


async def test_images_asked_for_together_share_what_they_are_built_on(offline: Bench) -> None:
    await offline.make(SERVER, GATEWAY, BASE)
    assert offline.engine.done.count("bootstrap bookworm") == 1
    assert offline.engine.done.count(f"save {BASE}") == 1


async def test_no_more_than_a_few_pieces_of_work_go_on_at_once(offline: Bench) -> None:
    await offline.make(SERVER, GATEWAY, BASE, "localhost/carbon/tool:1")
    assert offline.engine.most_at_once == CONCURRENCY


async def test_a_damaged_archive_of_a_base_is_made_anew(offline: Bench) -> None:
    await offline.make(BASE)
    base = offline.image(BASE)
    offline.archives.path(BASE, base.digest).write_bytes(b"damaged")
    (path,) = await offline.make(GATEWAY)
    assert isinstance(path, Path)
    assert offline.engine.done.count("bootstrap bookworm") == 2


async def test_a_full_disk_ends_it_without_trying_other_ways(online: Bench) -> None:
    online.engine.failing["pull docker.io/acme/gateway:1"] = DiskFull("buildah ran out of disk", "0 MiB left")
    (error,) = await online.make(GATEWAY)
    assert isinstance(error, DiskFull)
    assert error.summary == f"no room left while making image {GATEWAY}"
    assert "CARBON_CACHE" in error.fix
    assert list(online.archives.folder.iterdir()) == []


async def test_an_image_that_no_registry_has_and_no_recipe_makes_says_so(online: Bench) -> None:
    foreign = "docker.io/grafana/grafana:12.2.0"
    online.engine.failing[f"pull {foreign}"] = ProgramFailed("buildah failed", "manifest unknown")
    (error,) = await online.make(foreign)
    assert isinstance(error, CarbonError)
    assert "manifest unknown" in error.cause
    assert foreign in error.fix


async def test_every_step_is_told_with_the_time_since_the_first_one(offline: Bench) -> None:
    await offline.make(BASE)
    assert [step for image, step, _ in offline.told if image == BASE] == [
        "made of the packages of bookworm",
        "saving",
        "made",
    ]
    assert all(seconds >= 0 for _, _, seconds in offline.told)
