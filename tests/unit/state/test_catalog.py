"""The images of a workspace: taken in once, counted, filtered, sorted, found on disk."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import OperatorError
from core.state import catalog, labels
from core.state.catalog import ImageFilter
from core.state.workspace import Workspace
from tests.factories import copy_in, fill, fill_many, new_image

ODD_NAMES = [
    "it's",
    "50 %",
    "%(x)s",
    "a_b",
    "ÄÖ 缺陷 🚗",
    "tab\there",
    "\\",
    'a"b',
    "'; DROP TABLE images;--",
]


def _names(workspace: Workspace, chosen: ImageFilter) -> list[str]:
    return [image.name for image in catalog.list_images(workspace, chosen, sort="name")]


@pytest.fixture
def three(workspace: Workspace) -> list[int]:
    """Dirt in train (bright, line 1), a scratch in test (dark, line 2), one that has nothing."""
    bright = dict.fromkeys(catalog.QUALITY_MEASURES, 0.1) | {"brightness": 0.9}
    dark = dict.fromkeys(catalog.QUALITY_MEASURES, 0.3) | {"brightness": 0.2}
    return fill(
        workspace,
        new_image(
            1,
            name="a.png",
            label="dirt",
            split="train",
            quality=bright,
            attributes={"line": "1", "shift": 2.0},
        ),
        new_image(
            2,
            name="B_1%.png",
            label="scratch",
            split="test",
            quality=dark,
            attributes={"line": "2", "shift": 2.5},
        ),
        new_image(3, name="c.png"),
    )


def test_classes_keep_their_place_and_new_ones_follow_by_name(workspace: Workspace) -> None:
    fill(workspace, new_image(1, label="scratch"), new_image(2, label="drop"), new_image(3))
    fill(workspace, new_image(4, label="dirt"), new_image(5, label="drop"))
    assert catalog.list_classes(workspace) == ["drop", "scratch", "dirt"]


def test_an_attribute_is_a_number_until_one_value_is_text(workspace: Workspace) -> None:
    fill(workspace, new_image(1, attributes={"line": 1.0, "shift": "early"}))
    assert catalog.list_attributes(workspace) == {"line": "number", "shift": "text"}
    fill(workspace, new_image(2, attributes={"line": "2b", "shift": 3.0}))
    assert catalog.list_attributes(workspace) == {"line": "text", "shift": "text"}


def test_attribute_values_are_listed_once_and_sorted(workspace: Workspace) -> None:
    fill(
        workspace,
        *(new_image(i, attributes={"line": text}) for i, text in enumerate(["b", "a", "b", "c"])),
        new_image(9),
    )
    assert catalog.attribute_values(workspace, "line") == ["a", "b", "c"]
    assert catalog.attribute_values(workspace, "line", limit=2) == ["a", "b"]
    assert catalog.attribute_values(workspace, "no such") == []


@pytest.mark.parametrize(
    ("chosen", "names"),
    [
        (ImageFilter(), ["B_1%.png", "a.png", "c.png"]),
        (ImageFilter(labels=("dirt",)), ["a.png"]),
        (ImageFilter(labels=("dirt", None)), ["a.png", "c.png"]),
        (ImageFilter(labels=(None,)), ["c.png"]),
        (ImageFilter(splits=("test", "train")), ["B_1%.png", "a.png"]),
        (ImageFilter(splits=(None,)), ["c.png"]),
        (ImageFilter(origins=("imported",)), ["B_1%.png", "a.png"]),
        (ImageFilter(origins=("human",)), []),
        (ImageFilter(text="b_1%"), ["B_1%.png"]),
        (ImageFilter(text="_"), ["B_1%.png"]),
        (ImageFilter(text="no"), []),
        (ImageFilter(attributes=(("line", "2"),)), ["B_1%.png"]),
        (ImageFilter(attributes=(("shift", "2.0"),)), ["a.png"]),
        (ImageFilter(attributes=(("line", "2"), ("shift", "2.0"))), []),
        (ImageFilter(condition="missing"), []),
        (ImageFilter(condition="ok", labels=("scratch",), text="1"), ["B_1%.png"]),
        (ImageFilter(excluded=True), []),
        (ImageFilter(queued=True), []),
    ],
    ids=lambda value: str(value) if isinstance(value, ImageFilter) else "",
)
def test_every_condition_of_a_filter_must_hold(
    workspace: Workspace, three: list[int], chosen: ImageFilter, names: list[str]
) -> None:
    assert sorted(_names(workspace, chosen)) == sorted(names)
    assert catalog.count_images(workspace, chosen) == len(names)
    assert len(catalog.image_ids(workspace, chosen)) == len(names)


def test_filters_follow_exclusion_queue_condition_and_ids(
    workspace: Workspace, three: list[int]
) -> None:
    labels.set_excluded(workspace, three[:1], True, actor="eve")
    labels.set_queued(workspace, three[1:], True, actor="eve")
    catalog.set_conditions(workspace, {three[0]: "missing", three[2]: "changed"})

    def ids(**conditions: Any) -> list[int]:
        return catalog.image_ids(workspace, ImageFilter(**conditions)).tolist()

    assert ids(excluded=True) == three[:1]
    assert ids(excluded=False) == three[1:]
    assert ids(queued=True) == three[1:]
    assert ids(queued=False) == three[:1]
    assert ids(condition="missing") == three[:1]
    assert ids(ids=(three[2], 999)) == three[2:]
    assert catalog.image_ids(workspace).dtype == np.int64


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("newest", [2, 1, 0]),
        ("oldest", [0, 1, 2]),
        ("label", [0, 1, 2]),
        ("brightness", [1, 0, 2]),
        ("contrast", [0, 1, 2]),
        ("sharpness", [0, 1, 2]),
    ],
)
def test_images_are_sorted_and_those_without_a_value_come_last(
    workspace: Workspace, three: list[int], sort: str, order: list[int]
) -> None:
    listed = [image.id for image in catalog.list_images(workspace, sort=sort)]
    assert listed == [three[place] for place in order]


def test_pages_of_a_sorted_list_hold_every_image_once(workspace: Workspace) -> None:
    fill(workspace, *(new_image(number, name=f"{number % 3}.png") for number in range(10)))
    for sort in catalog.SORTS:
        pages = [
            catalog.list_images(workspace, sort=sort, offset=offset, limit=4)
            for offset in (0, 4, 8)
        ]
        whole = catalog.list_images(workspace, sort=sort)
        assert [image for page in pages for image in page] == whole
        assert len({image.id for image in whole}) == 10


def test_an_unknown_sort_is_refused(workspace: Workspace) -> None:
    with pytest.raises(ValueError, match=r"sort must be one of newest, .* got 'size'"):
        catalog.list_images(workspace, sort="size")


@pytest.mark.parametrize("name", ODD_NAMES)
def test_names_are_stored_found_and_filtered_as_they_are(workspace: Workspace, name: str) -> None:
    odd = new_image(1, name=name, label=name, attributes={name: name})
    [image_id, _] = fill(workspace, odd, new_image(2))
    chosen = ImageFilter(labels=(name,), text=name, attributes=((name, name),))
    [image] = catalog.list_images(workspace, chosen)
    assert (image.name, image.label, image.attributes) == (name, name, {name: name})
    assert catalog.attribute_values(workspace, name) == [name]
    assert catalog.column(workspace, np.array([image_id]), f"attribute:{name}") == [name]


def test_the_quality_of_all_measured_images_is_one_table(
    workspace: Workspace, three: list[int]
) -> None:
    ids, columns = catalog.quality_table(workspace)
    assert ids.tolist() == three[:2]
    assert set(columns) == set(catalog.QUALITY_MEASURES)
    assert columns["brightness"].tolist() == [0.9, 0.2]


def test_an_image_of_another_workspace_is_not_found(workspace: Workspace) -> None:
    with pytest.raises(OperatorError, match="no image 7 in Paint shop"):
        catalog.get_image(workspace, 7)


def test_the_summary_counts_images_by_label_and_split(
    workspace: Workspace, three: list[int]
) -> None:
    labels.set_excluded(workspace, three[:2], True, actor="eve")
    labels.set_queued(workspace, three[:1], True, actor="eve")
    catalog.set_conditions(workspace, {three[0]: "missing"})
    summary = catalog.summarise(workspace)
    assert (summary.n_images, summary.n_labelled, summary.n_excluded) == (3, 2, 2)
    assert (summary.n_queued, summary.n_unreachable) == (1, 1)
    assert summary.by_label_and_split == (
        ("dirt", "train", 1),
        ("scratch", "test", 1),
        (None, None, 1),
    )


def test_an_empty_workspace_counts_zero(workspace: Workspace) -> None:
    assert catalog.summarise(workspace) == catalog.Summary(0, 0, 0, 0, 0, ())
    assert catalog.list_images(workspace) == []
    assert catalog.image_ids(workspace).shape == (0,)


def test_a_column_has_one_value_an_id_in_the_order_of_the_ids(
    workspace: Workspace, three: list[int]
) -> None:
    labels.set_queued(workspace, three[1:2], True, actor="eve")
    ids = np.array([three[2], three[0], three[1], 999])
    expected = {
        "label": [None, "dirt", "scratch", None],
        "split": [None, "train", "test", None],
        "label_origin": [None, "imported", "imported", None],
        "excluded": [False, False, False, None],
        "queued": [None, None, True, None],
        "condition": ["ok", "ok", "ok", None],
        "brightness": [None, 0.9, 0.2, None],
        "attribute:line": [None, "1", "2", None],
        "attribute:shift": [None, "2.0", "2.5", None],
        "attribute:none such": [None, None, None, None],
    }
    assert {name: catalog.column(workspace, ids, name) for name in expected} == expected
    with pytest.raises(ValueError, match="'colour' is no column"):
        catalog.column(workspace, ids, "colour")


def test_the_fingerprint_changes_with_every_change_and_not_without(
    workspace: Workspace, three: list[int]
) -> None:
    seen = [catalog.fingerprint(workspace)]
    relabelled = labels.relabel(workspace, three, "drop", actor="eve")
    seen.append(catalog.fingerprint(workspace))
    labels.set_split(workspace, three, "test", actor="eve")
    seen.append(catalog.fingerprint(workspace))
    labels.set_excluded(workspace, three, True, actor="eve")
    seen.append(catalog.fingerprint(workspace))
    labels.set_queued(workspace, three, True, actor="eve")
    seen.append(catalog.fingerprint(workspace))
    labels.undo(workspace, relabelled.id, actor="eve")
    seen.append(catalog.fingerprint(workspace))
    fill(workspace, new_image(9))
    seen.append(catalog.fingerprint(workspace))
    assert len(set(seen)) == 7
    assert catalog.fingerprint(workspace) == seen[-1]


def test_missing_and_changed_files_are_told_from_those_that_are_as_they_were(
    workspace: Workspace, tmp_path: Path
) -> None:
    outside = tmp_path / "outside.png"
    outside.write_bytes(b"outside")
    stat = outside.stat()
    copied, lost, referenced = fill(
        workspace,
        copy_in(workspace, 1, b"kept"),
        new_image(2),
        new_image(
            3,
            storage="referenced",
            location=str(outside),
            n_bytes=stat.st_size,
            modified_ns=stat.st_mtime_ns,
        ),
    )
    found = catalog.check_files(workspace)
    assert found == {lost: "missing"}
    catalog.set_conditions(workspace, found)
    assert catalog.check_files(workspace) == {}

    os.utime(outside, ns=(0, 0))
    (workspace.path / "images" / "00001.png").write_bytes(b"cut")
    assert catalog.check_files(workspace) == {copied: "changed", referenced: "changed"}
    only = ImageFilter(ids=(referenced,))
    assert catalog.check_files(workspace, only) == {referenced: "changed"}


def test_a_hundred_thousand_ids_are_changed_and_read_at_once(workspace: Workspace) -> None:
    ids = fill_many(workspace, 20_000)
    asked = [*ids, *range(10**6, 10**6 + 80_000)]
    assert labels.relabel(workspace, asked, "drop", actor="eve").n_changes == 20_000
    assert len(catalog.list_images(workspace, ImageFilter(ids=tuple(asked)))) == 20_000
    assert set(catalog.column(workspace, np.array(asked), "label")) == {"drop", None}
