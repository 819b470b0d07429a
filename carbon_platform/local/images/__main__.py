"""Make image archives by hand: `python -m carbon_platform.local.images [NAME…]`, all of them by default."""

import asyncio
import sys

from carbon_platform.errors import CarbonError, ConfigurationError
from carbon_platform.local.images.provision import prepare
from carbon_platform.local.images.recipes import default_folder, load_recipes


def main(names: list[str]) -> int:
    """Make the archives of the named recipes; the exit code."""
    try:
        recipes = load_recipes(default_folder())
        unknown = [name for name in names if name not in recipes]
        if unknown:
            raise ConfigurationError(
                f"there is no recipe {', '.join(unknown)}", "", f"use some of: {', '.join(sorted(recipes))}"
            )
        asyncio.run(prepare([recipes[name].reference for name in names or recipes], _tell))
    except CarbonError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


def _tell(image: str, step: str, seconds: float) -> None:
    print(f"{seconds:6.1f} s  {image}  {step}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
