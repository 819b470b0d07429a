"""What Helm prints is taken apart into documents, each with its text, its objects and its file."""

import json

from hypothesis import given

from carbon_platform.cluster.reach import Object
from carbon_platform.release.documents import documents
from carbon_platform.release.manifest import load_objects
from tests.manifests import manifests, texts_of


def config(name: str) -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n"


def names(rendered: str) -> list[tuple[str, list[str], bool]]:
    return [
        (one.source, [obj["metadata"]["name"] for obj in one.objects], one.beside_templates)
        for one in documents(rendered)
    ]


def test_each_document_tells_its_file_and_an_empty_one_is_none() -> None:
    rendered = f"---\n# Source: app/templates/a.yaml\n{config('a')}---\n# Source: app/templates/b.yaml\n\n---\n"
    rendered += f"# Source: app/templates/c.yaml\n{config('c')}"
    assert names(rendered) == [("app/templates/a.yaml", ["a"], False), ("app/templates/c.yaml", ["c"], False)]


def test_documents_of_one_file_that_helm_prints_as_it_is_have_its_source() -> None:
    rendered = f"---\n# Source: app/crds/a.yaml\n{config('a')}--- # another\n{config('b')}"
    assert names(rendered) == [("app/crds/a.yaml", ["a"], True), ("app/crds/a.yaml", ["b"], True)]


def test_kinds_of_charts_within_are_beside_templates_too_and_a_template_of_that_name_is_not() -> None:
    files = {
        "app/crds/a.yaml": True,
        "app/charts/below/crds/a.yaml": True,
        "app/charts/below/charts/deep/crds/sub/a.yaml": True,
        "app/templates/crds/a.yaml": False,
        "app/charts/crds/templates/a.yaml": False,
    }
    for file, beside in files.items():
        (one,) = documents(f"---\n# Source: {file}\n{config('a')}")
        assert (file, one.beside_templates) == (file, beside)


def test_the_text_of_one_object_stays_as_it_was_written() -> None:
    text = (
        "# Source: app/templates/a.yaml\n# a comment\napiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  items: 1"
    )
    (one,) = documents(f"---\n{text}\n")
    assert one.text == text


def test_a_separator_in_the_middle_of_a_line_parts_objects_as_it_does_for_helm() -> None:
    (one,) = documents(f"---\n# Source: app/templates/a.yaml\n{config('a')}---{config('b')}")
    assert [obj["metadata"]["name"] for obj in one.objects] == ["a", "b"]
    assert [obj["metadata"]["name"] for obj in load_objects(one.text)] == ["a", "b"]


@given(manifests().flatmap(lambda objects: texts_of(objects).map(lambda text: (objects, text))))
def test_the_texts_make_the_same_objects_and_no_lists_which_helm_could_not_read_again(
    made: tuple[list[Object], str],
) -> None:
    objects, rendered = made
    found = documents(rendered)
    assert [obj for one in found for obj in one.objects] == load_objects(rendered)
    again = "\n---\n".join(one.text for one in found)
    assert load_objects(again) == load_objects(rendered)
    for document in again.split("\n---\n") if objects else ():
        told = "\n".join(line for line in document.splitlines() if not line.startswith("#"))
        assert "items" not in json.loads(told)
