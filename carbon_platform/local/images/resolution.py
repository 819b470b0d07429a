"""Where an image comes from: which ways are tried, in which order, and the story told when none led there."""

import dataclasses
import enum
import hashlib
from collections.abc import Callable, Mapping, Sequence

from carbon_platform.errors import Blocked, CarbonError
from carbon_platform.local.images.recipes import Recipe, Recipes, recipe_digest
from carbon_platform.wording import counted


class Way(enum.Enum):
    """A way to come by an image; the value is how it is told."""

    NODE = "the node"
    ARCHIVE = "the cache"
    PULL = "the registry"
    BUILD = "the recipe"


@dataclasses.dataclass(frozen=True)
class Image:
    """An image that is wanted."""

    reference: str
    digest: str
    """What it must be made from: the digest of its recipe, or of the reference where there is no recipe."""
    upstream: str | None
    """What a registry has it as, if any has."""
    recipe: Recipe | None


@dataclasses.dataclass(frozen=True)
class Attempt:
    """A way that did not lead to the image, and why."""

    way: Way
    reason: str
    fix: str = ""
    evidence: tuple[str, ...] = ()


def wanted(reference: str, recipes: Recipes, program_digest: Callable[[str], str]) -> Image:
    """What is known of an image before anything is tried. A reference without a recipe can only be pulled."""
    recipe = next((one for one in recipes.values() if one.reference == reference), None)
    if recipe is None:
        return Image(reference, hashlib.sha256(reference.encode()).hexdigest(), reference, None)
    return Image(reference, recipe_digest(recipe, recipes, program_digest), recipe.upstream, recipe)


def on_node(image: Image, node: Mapping[str, str]) -> bool:
    """Whether the node has the image, given its references with the digests they were made from.

    One that was made from an older recipe does not count. An image without a recipe counts whoever brought it.
    """
    if image.reference not in node:
        return False
    return image.recipe is None or node[image.reference] == image.digest


def ways_to_make(image: Image) -> tuple[Way, ...]:
    """How the archive of an image can be come by, in the order of trying; the first that works ends it."""
    ways = [Way.ARCHIVE]
    if image.upstream:
        ways.append(Way.PULL)
    if image.recipe:
        ways.append(Way.BUILD)
    return tuple(ways)


class ImageUnavailable(Blocked):
    """No way led to an image.

    `attempts` are the ways that were tried; `root` is the image that could not be made, where that is another one,
    which this one is built on.
    """

    def __init__(self, image: Image, attempts: Sequence[Attempt], root: "ImageUnavailable | None" = None) -> None:
        self.image = image
        self.attempts = tuple(attempts)
        self.root: ImageUnavailable = root.root if root else self
        super().__init__(
            f"image {image.reference} can't be had",
            "; ".join(f"{attempt.way.value}: {attempt.reason}" for attempt in attempts),
            "; or ".join(dict.fromkeys(attempt.fix for attempt in attempts if attempt.fix)),
            [line for attempt in attempts for line in attempt.evidence],
        )


def attempt_failed(way: Way, image: Image, error: CarbonError) -> Attempt:
    """The attempt that ended with an error, in the words of the story."""
    if isinstance(error, ImageUnavailable):
        root = error.root
        reason = f"it is built on {root.image.reference}, which can't be had ({root.cause})"
        return Attempt(way, reason, root.fix, root.evidence)
    fix = f"see that {image.upstream} can be pulled here" if way is Way.PULL else error.fix
    return Attempt(way, error.cause or error.summary, fix, error.evidence)


class ImagesUnavailable(Blocked):
    """Some images can't be had; the others are where they were wanted. `failures` holds the reason for each."""

    def __init__(self, failures: Mapping[str, CarbonError]) -> None:
        self.failures = dict(failures)
        # What fails for the same reason is told once.
        roots = {str(root): root for root in map(_root, failures.values())}.values()
        super().__init__(
            f"{counted(len(failures), 'image')} can't be had: {', '.join(sorted(failures))}",
            "; ".join(root.told for root in roots),
            "; or ".join(dict.fromkeys(root.fix for root in roots if root.fix)),
            [line for root in roots for line in root.evidence],
        )


def _root(error: CarbonError) -> CarbonError:
    return error.root if isinstance(error, ImageUnavailable) else error
