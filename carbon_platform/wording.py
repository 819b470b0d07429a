"""Numbers in sentences."""


def counted(number: int, noun: str) -> str:
    """The number with its noun, which takes an s where it is not one."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
