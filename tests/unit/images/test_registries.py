from pathlib import Path

import pytest

from carbon_platform.local.images.registries import MEMORY_SECONDS, Registries, address_of, registry_of


@pytest.mark.parametrize(
    ("reference", "registry"),
    [
        ("docker.io/library/redis:7", "docker.io"),
        ("redis:7", "docker.io"),
        ("grafana/grafana:12", "docker.io"),
        ("quay.io/strimzi/operator:0.50", "quay.io"),
        ("localhost/carbon/redis:7.0", "localhost"),
        ("registry:5000/a/b:1", "registry:5000"),
    ],
)
def test_the_registry_is_the_first_part_that_looks_like_a_host(reference: str, registry: str) -> None:
    assert registry_of(reference) == registry


def test_the_hub_is_asked_where_it_serves_images() -> None:
    assert address_of("docker.io") == "https://registry-1.docker.io/v2/"
    assert address_of("quay.io") == "https://quay.io/v2/"


class Network:
    """Registries that answer as told; remembers who was asked."""

    def __init__(self, reason: str | None) -> None:
        self.reason = reason
        self.asked: list[str] = []
        self.now = 1000.0

    async def ask(self, registry: str) -> str | None:
        self.asked.append(registry)
        return self.reason

    def registries(self, file: Path) -> Registries:
        return Registries(file, self.ask, lambda: self.now)


async def test_a_registry_that_does_not_answer_is_asked_once_by_all_processes(tmp_path: Path) -> None:
    network = Network("no such host")
    first = network.registries(tmp_path / "known.json")
    assert await first.unreachable("docker.io/library/redis:7") == "docker.io: no such host"
    assert await first.unreachable("docker.io/library/postgres:15") == "docker.io: no such host"
    another_process = network.registries(tmp_path / "known.json")
    assert await another_process.unreachable("redis:7") == "docker.io: no such host"
    assert network.asked == ["docker.io"]


async def test_it_is_asked_again_after_a_while(tmp_path: Path) -> None:
    network = Network("no such host")
    registries = network.registries(tmp_path / "known.json")
    await registries.unreachable("redis:7")
    network.now += MEMORY_SECONDS + 1
    network.reason = None
    assert await registries.unreachable("redis:7") is None


async def test_a_file_that_is_damaged_costs_one_question(tmp_path: Path) -> None:
    (tmp_path / "known.json").write_text('{"docker.io": [')
    network = Network(None)
    assert await network.registries(tmp_path / "known.json").unreachable("redis:7") is None
    assert network.asked == ["docker.io"]
