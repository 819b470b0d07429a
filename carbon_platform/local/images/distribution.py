"""A minimal image of a Debian release, out of its packages: for machines that reach no image registry."""

from pathlib import Path

# As in the slim variants of the public images: a container reads no manual. Licences stay.
_LEFT_OUT = ("/usr/share/man/*", "/usr/share/locale/*", "/usr/share/doc/*")
_KEPT = ("/usr/share/doc/*/copyright",)


def bootstrap_command(release: str, archive: Path) -> list[str]:
    """The command that writes a release's root file system to an archive; the mirror is mmdebstrap's default."""
    rules = [f"path-exclude={path}" for path in _LEFT_OUT] + [f"path-include={path}" for path in _KEPT]
    return [
        "mmdebstrap",
        "--variant=minbase",
        "--format=tar",
        '--aptopt=APT::Install-Recommends "false"',
        *(f"--dpkgopt={rule}" for rule in rules),
        release,
        str(archive),
    ]
