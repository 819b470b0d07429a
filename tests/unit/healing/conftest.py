import pytest

from tests.definitions import Definitions
from tests.unit.healing.world import CLIENTS, World


@pytest.fixture
def world(definitions: Definitions) -> World:
    """A database, five components that need it, one above, one apart."""
    definitions.chart()
    definitions.release("db", stateful=True)
    for key in CLIENTS:
        definitions.release(key, needs=["db"])
    definitions.release("portal", needs=["flow"])
    definitions.release("cache")
    return World(definitions.load(), definitions.settings())
