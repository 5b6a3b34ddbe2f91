"""Names from files and people are shown as text: nothing in them is read as Markdown or HTML."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.jobs.configs import LookThrough
from core.state import catalog, labels, runs, selections
from core.state.workspace import Workspace, create_workspace
from pages._shared import plain
from tests import samples
from tests.pages.conftest import OpenPage, checked, send

# Each begins with a mark that no page writes itself, so that it is found wherever it is shown.
MARK = "qz"
HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "**bold**[x](javascript:1)",
    "![x](http:evil.example)",
    ":red[x] :material[home] `code` ~~gone~~ $x^2$",
    "# head _it_ #1 - 2. | a |",
)
LIVE = re.compile(MARK + r"\s?[<*\[!:`~$#_]")  # an escaped one has a backslash there


@pytest.fixture
def hostile(home: Path, tmp_path: Path) -> Workspace:
    """A workspace whose every name is hostile."""
    workspace = create_workspace(home / "hostile", name=MARK + HOSTILE[1])
    line = tmp_path / "line"
    rows = [f"path,label,split,{MARK}{HOSTILE[0]}"]
    for number, text in enumerate(HOSTILE):
        name = f"{MARK}{text}.png"
        samples.save_image(line / name, (10 * number, 90, 90))
        rows.append(f'"{name}","{MARK}{text}",train,"{MARK}{text}"')
    rows.append(f'"{MARK}{HOSTILE[0]}.gone.png",,,')
    (line / "labels.csv").write_text("\n".join(rows))
    samples.import_folder(workspace, line)
    samples.compute_all(workspace)
    ids = catalog.image_ids(workspace).tolist()
    labels.relabel(workspace, ids[:2], MARK + HOSTILE[0], actor=MARK + HOSTILE[1], reason="x")
    return workspace


def shown_as_markdown(at: AppTest) -> Iterator[str]:
    """Every text of the page that Streamlit reads as Markdown: bodies, labels, help, progress."""

    def walk(node: Any) -> Iterator[str]:
        proto = getattr(node, "proto", None)
        for name in ("label", "body", "help", "text"):
            value = getattr(proto, name, None)
            if isinstance(value, str):
                yield value
        popover = getattr(proto, "popover", None)
        if popover is not None:
            yield popover.label
        expandable = getattr(proto, "expandable", None)
        if expandable is not None:
            yield expandable.label
        for child in getattr(node, "children", {}).values():
            yield from walk(child)

    yield from walk(at._tree)


@pytest.mark.parametrize(
    ("page", "view"),
    [
        ("overview", ""),
        ("dataset", "Images"),
        ("dataset", "Import"),
        ("dataset", "Report"),
        ("dataset", "Export"),
        ("latent_space", ""),
        ("activity", "Jobs"),
        ("activity", "Changes"),
    ],
)
def test_no_page_reads_a_name_as_markup(
    page: str, view: str, open_page: OpenPage, hostile: Workspace
) -> None:
    query = {f"{page}__view": view} if view else {}
    if page == "latent_space":
        query["selected"] = selections.save_selection(hostile, catalog.image_ids(hostile))
    at = open_page(page, person=MARK + HOSTILE[1], **query)
    if page == "latent_space":
        first = int(catalog.image_ids(hostile)[0])
        send(at, "latent_space.gallery", similar={"seq": 1, "id": first})
    found = [text for text in shown_as_markdown(at) if MARK in text]
    assert found, "the names are nowhere on this page: the test would see nothing"
    assert [text for text in found if LIVE.search(text)] == []


def test_the_bar_that_tells_of_a_change_shows_its_label_as_text(
    open_page: OpenPage, hostile: Workspace
) -> None:
    at = open_page("dataset")
    ids = catalog.image_ids(hostile).tolist()[2:]
    send(at, "dataset.gallery", selection=ids)
    at.selectbox(key="dataset.act.label").select(MARK + HOSTILE[0])
    checked(at.run())
    checked(at.button(key="dataset.act.relabel").click().run())
    told = [text for text in shown_as_markdown(at) if "Labelled" in text]
    assert told
    assert not any(LIVE.search(text) for text in told)


def test_an_error_shows_what_it_names_as_text(
    open_page: OpenPage, hostile: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / f"{MARK}{HOSTILE[0]}"
    root.mkdir()
    monkeypatch.setenv("LACQUER_IMPORT_ROOTS", str(root))
    at = open_page("dataset", dataset__view="Import")
    at.segmented_control(key="dataset.source").set_value("Folder or CSV on this machine")
    checked(at.run())
    at.text_input(key="dataset.below").set_value("../elsewhere")
    checked(at.button(key="dataset.look").click().run())
    assert at.error
    assert not any(LIVE.search(text) for text in shown_as_markdown(at))


def test_what_a_look_has_found_is_shown_as_text(
    open_page: OpenPage, hostile: Workspace, tmp_path: Path
) -> None:
    config = LookThrough(source=str(tmp_path / "line"), shown_as=f"{MARK}{HOSTILE[0]}.zip")
    look = samples.do(hostile, config, actor=MARK + HOSTILE[1])
    assert look.status == "succeeded"
    at = open_page("dataset", look=str(look.id))
    at.selectbox(key=f"dataset.group_rule.{look.id}").select("column")
    checked(at.run())
    found = [text for text in shown_as_markdown(at) if MARK in text]
    tiles = [text for text in found if "lq-tiles" in text]
    assert len(tiles) == 1
    assert not re.search(f"<img src=x|{MARK}<", tiles[0])
    assert [text for text in found if LIVE.search(text) and text not in tiles] == []
    at = open_page("dataset", dataset__view="Import")
    waiting = [text for text in shown_as_markdown(at) if f"{MARK}\\<" in text]
    assert waiting
    assert not any(LIVE.search(text) for text in waiting)


@pytest.mark.parametrize("text", HOSTILE)
def test_plain_text_has_no_character_left_that_markup_begins_with(text: str) -> None:
    assert not set(re.sub(r"\\.", "", plain(text))) & set("\\`*_[]()#!|<>:$~")


def test_the_runs_of_the_fixture_are_there(hostile: Workspace) -> None:
    assert {run.kind for run in runs.list_runs(hostile)} == {
        "embedding",
        "projection",
        "clustering",
    }
