"""What a render is made of: when none of it changed, what was rendered before is what is desired still. Pure."""

import dataclasses
import hashlib
import json
import re

from carbon_platform.spec.platform import Release

LABEL = "carbon/inputs"
"""Label of a revision: what it was rendered from, and its number. Helm hands labels on to the revisions that others
make after it, so that a number of another revision says that Carbon did not make this one."""
_LABEL = re.compile(r"(?P<definition>[0-9a-f]{16})\.(?P<environment>[0-9a-f]{8})\.(?P<revision>\d+)")
_DRAWS = re.compile(
    r"\b(?:rand\w+|gen(?:CA|CAWithKey|PrivateKey|SelfSignedCert\w*|SignedCert\w*)|uuidv4|now|date\w*|ago|shuffle"
    r"|htpasswd|bcrypt|encryptAES|getHostByName)\b"
)
"""Template functions whose result is another at each render."""
_ASKS = re.compile(r"\blookup\b|\.Capabilities\b|^kubeVersion:", re.MULTILINE)
"""What a template knows of the cluster it is rendered for."""

_COUNTS = re.compile(r"\.Release\.Revision\b")
"""The number of the revision that is to be, which only an upgrade knows."""


@dataclasses.dataclass(frozen=True)
class Inputs:
    """Two digests: of what a definition says (chart and values), and of what renders it (Helm, and the cluster)."""

    definition: str
    environment: str

    def label(self, revision: int) -> str:
        """What the revision made of these is labelled with."""
        return f"{self.definition}.{self.environment}.{revision}"


def labelled(labels: dict[str, str], revision: int) -> Inputs | None:
    """The inputs of a revision by its labels; None when Carbon did not make it."""
    found = _LABEL.fullmatch(labels.get(LABEL, ""))
    if found is None or int(found["revision"]) != revision:
        return None
    return Inputs(found["definition"], found["environment"])


def inputs(release: Release, helm: str, capabilities: str) -> Inputs:
    """The inputs of a render. `helm` tells its program apart; `capabilities`: of the cluster, where they count."""
    parts = [release.name, release.namespace, release.chart.digest, release.values]
    told = json.dumps(parts, sort_keys=True, default=str).encode()
    environment = hashlib.sha256(f"{helm} {capabilities}".encode()).hexdigest()
    return Inputs(hashlib.sha256(told).hexdigest()[:16], environment[:8])


def asks_the_cluster(release: Release) -> bool:
    """True when another cluster, or another state of it, may make another render. Also where that can't be told."""
    return release.chart.text is None or bool(_ASKS.search(_text(release)))


def draws(release: Release) -> bool:
    """True when two renders of the same may differ. Also where that can't be told."""
    return asks_the_cluster(release) or counts(release) or bool(_DRAWS.search(_text(release)))


def counts(release: Release) -> bool:
    """True when the render of each revision may be another. Also where that can't be told."""
    return release.chart.text is None or bool(_COUNTS.search(_text(release)))


def _text(release: Release) -> str:
    # Values are templates as well in charts that hand them to `tpl`.
    return f"{release.chart.text} {json.dumps(release.values, default=str)}"
