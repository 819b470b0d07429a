import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "real: works on the real machine: root, network, minutes")
