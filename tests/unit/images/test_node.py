from carbon_platform.local.images.node import parse_images

TABLE = """\
REF                      TYPE                                       DIGEST         SIZE     PLATFORMS   LABELS
docker.io/a/b:1          application/vnd.oci.image.manifest.v1+json sha256:877c142 72.9 MiB linux/amd64 -
localhost/carbon/redis:7 application/vnd.oci.image.manifest.v1+json sha256:1d6a5e4 81.5 MiB linux/amd64 \
carbon.recipe=abc,io.cri-containerd.image=managed
"""


def test_each_image_comes_with_what_it_was_made_from() -> None:
    assert parse_images(TABLE) == {"docker.io/a/b:1": "", "localhost/carbon/redis:7": "abc"}


def test_a_node_without_images_has_none() -> None:
    assert parse_images("REF TYPE DIGEST SIZE PLATFORMS LABELS\n") == {}
