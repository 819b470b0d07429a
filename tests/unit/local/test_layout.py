from pathlib import Path

import pytest

from carbon_platform.errors import ConfigurationError
from carbon_platform.local.layout import Layout, kept


def test_a_folder_whose_sockets_would_have_no_valid_path_is_refused() -> None:
    Layout(Path("/" + "a" * 60))
    with pytest.raises(ConfigurationError, match="can't be the folder of a cluster"):
        Layout(Path("/" + "a" * 90))


@pytest.mark.parametrize("name", ["100%", 'say "cheese"', "a;b", "new\nline", "$HOME"])
def test_a_folder_that_configuration_files_would_misread_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="can't be the folder of a cluster"):
        Layout(Path("/home") / name)


def test_nothing_listens_where_the_network_outside_could_reach_it() -> None:
    for layout in (Layout(Path("/a")), Layout(Path("/a"), real_node=False)):
        assert {address for address, _, _ in layout.ports} <= {"127.0.0.1", "10.244.0.1"}


def test_two_clusters_never_share_a_cgroup() -> None:
    assert Layout(Path("/a")).cgroup != Layout(Path("/b")).cgroup
    assert Layout(Path("/a")).cgroup == Layout(Path("/a"), api_port=7443).cgroup


def test_a_folder_remembers_what_cluster_is_in_it(folder: Path) -> None:
    assert kept(folder) is None
    layout = Layout(folder, api_port=7443, real_node=False, context="mine")
    layout.keep()
    assert kept(folder) == layout
    (folder / "cluster.json").write_text("half a", encoding="utf-8")
    assert kept(folder) is None
