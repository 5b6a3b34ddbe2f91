"""What a person does to images on a page is recorded under a name and can be taken back."""

from io import BytesIO

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from core.state import catalog, labels
from core.state.workspace import Workspace
from pages._images import as_csv
from tests.pages.conftest import OpenPage, checked, click, component_data, send, shown_ids, texts


def pick(at: AppTest, n_images: int = 2) -> list[int]:
    """Select the first images of the gallery; their ids."""
    ids = shown_ids(at, "dataset.gallery")[:n_images]
    send(at, "dataset.gallery", selection=ids)
    return ids


def give_name(at: AppTest, name: str) -> None:
    """Fill in the form in the header: the one in the dialog runs alone, which AppTest cannot."""
    at.text_input(key="shared.person.name").set_value(name)
    click(at, "shared.person.keep")


def labels_of(workspace: Workspace, ids: list[int]) -> list[str | None]:
    return [catalog.get_image(workspace, image_id).label for image_id in ids]


def test_nothing_can_be_done_while_nothing_is_picked(open_page: OpenPage, small: Workspace) -> None:
    at = open_page("dataset")
    keys = ("relabel", "exclude", "include", "triage")
    assert all(at.button(key=f"dataset.act.{key}").disabled for key in keys)


def test_the_first_action_asks_for_a_name_and_the_next_is_recorded_under_it(
    open_page: OpenPage, small: Workspace
) -> None:
    at = open_page("dataset", person=None, dataset__label="drop")
    ids = pick(at)
    at.selectbox(key="dataset.act.label").select("scratch")
    checked(at.run())
    click(at, "dataset.act.relabel")
    assert at.text_input(key="shared.dialog.name")
    assert labels_of(small, ids) == ["drop", "drop"]
    give_name(at, "  Grace Hopper ")
    click(at, "dataset.act.relabel")
    assert labels_of(small, ids) == ["scratch", "scratch"]
    batch = labels.list_batches(small)[0]
    assert (batch.actor, batch.action, batch.n_changes) == ("Grace Hopper", "relabel", 2)


def test_a_change_is_undone_from_the_bar_that_tells_of_it(
    open_page: OpenPage, small: Workspace
) -> None:
    at = open_page("dataset", dataset__label="drop")
    ids = pick(at)
    at.selectbox(key="dataset.act.label").select("scratch")
    checked(at.run())
    click(at, "dataset.act.relabel")
    assert "Labelled scratch · 2 images" in texts(at)
    click(at, f"shared.undo.{labels.list_batches(small)[0].id}")
    assert labels_of(small, ids) == ["drop", "drop"]
    assert "Labelled scratch" not in texts(at)


def test_the_bar_can_be_dismissed_and_the_change_stays(
    open_page: OpenPage, small: Workspace
) -> None:
    at = open_page("dataset")
    pick(at)
    click(at, "dataset.act.exclude")
    click(at, f"shared.dismiss.{labels.list_batches(small)[0].id}")
    assert "Excluded from training ·" not in texts(at)
    assert catalog.summarise(small).n_excluded == 2


def test_excluding_and_including_again(open_page: OpenPage, small: Workspace) -> None:
    at = open_page("dataset")
    ids = pick(at)
    click(at, "dataset.act.exclude")
    assert all(catalog.get_image(small, image_id).excluded for image_id in ids)
    flagged = {
        item["id"] for item in component_data(at, "dataset.gallery")["items"] if item["flagged"]
    }
    assert flagged == set(ids)
    click(at, "dataset.act.include")
    assert catalog.summarise(small).n_excluded == 0


def test_sending_to_triage_and_withdrawing(open_page: OpenPage, small: Workspace) -> None:
    at = open_page("dataset")
    ids = pick(at)
    click(at, "dataset.act.triage")
    queued = catalog.ImageFilter(queued=True)
    assert sorted(catalog.image_ids(small, queued).tolist()) == sorted(ids)
    badges = {
        item["id"]: [badge["text"] for badge in item["badges"]]
        for item in component_data(at, "dataset.gallery")["items"]
    }
    assert {image_id for image_id, words in badges.items() if "in triage" in words} == set(ids)
    click(at, "dataset.act.withdraw")
    assert catalog.count_images(small, queued) == 0


def test_moving_to_another_split(open_page: OpenPage, small: Workspace) -> None:
    at = open_page("dataset")
    ids = pick(at)
    at.segmented_control(key="dataset.act.split").set_value("test")
    checked(at.run())
    click(at, "dataset.act.move")
    assert {catalog.get_image(small, image_id).split for image_id in ids} == {"test"}


def test_taking_labels_away(open_page: OpenPage, small: Workspace) -> None:
    at = open_page("dataset")
    ids = pick(at)
    click(at, "dataset.act.unlabel")
    assert labels_of(small, ids) == [None, None]
    assert "Label taken away" in texts(open_page("activity", activity__view="Changes"))


def test_one_action_on_all_that_match(open_page: OpenPage, small: Workspace) -> None:
    at = open_page("dataset", dataset__label="dirt")
    at.toggle(key="dataset.whole").set_value(True)
    checked(at.run())
    click(at, "dataset.act.exclude")
    dirt = catalog.ImageFilter(labels=("dirt",), excluded=True)
    assert catalog.count_images(small, dirt) == catalog.summarise(small).n_excluded == 8


def test_ids_that_are_not_on_the_page_are_not_acted_on(
    open_page: OpenPage, small: Workspace
) -> None:
    at = open_page("dataset", dataset__label="dirt")
    elsewhere = catalog.image_ids(small, catalog.ImageFilter(labels=("drop",))).tolist()
    send(at, "dataset.gallery", selection=[*elsewhere, 10_000, "1", None])
    assert at.button(key="dataset.act.exclude").disabled


def test_an_undo_leaves_alone_what_somebody_changed_since(
    open_page: OpenPage, small: Workspace
) -> None:
    at = open_page("dataset", dataset__label="drop")
    ids = pick(at)
    click(at, "dataset.act.unlabel")
    labels.relabel(small, ids[:1], "scratch", actor="Grace")
    click(at, f"shared.undo.{next(b.id for b in labels.list_batches(small) if b.actor == 'Ada')}")
    assert labels_of(small, ids) == ["scratch", "drop"]


# Activity


def test_an_undo_in_the_activity_asks_for_a_name_first(
    open_page: OpenPage, small: Workspace
) -> None:
    ids = catalog.image_ids(small).tolist()[:3]
    batch = labels.relabel(small, ids, "scratch", actor="Ada")
    at = open_page("activity", person=None, activity__view="Changes")
    assert "Labelled scratch" in texts(at)
    click(at, f"activity.undo.{batch.id}")
    assert at.text_input(key="shared.dialog.name")
    assert labels_of(small, ids) == ["scratch"] * 3
    give_name(at, "Grace")
    click(at, f"activity.undo.{batch.id}")
    assert labels_of(small, ids) == ["dirt"] * 3
    assert labels.list_batches(small)[0].actor == "Grace"
    assert at.button(key=f"activity.undo.{batch.id}").disabled


def test_the_activity_lists_the_images_of_a_change(open_page: OpenPage, small: Workspace) -> None:
    ids = catalog.image_ids(small).tolist()[:3]
    batch = labels.relabel(small, ids, "scratch", actor="Ada")
    at = open_page("activity", activity__view="Changes")
    at.toggle(key=f"activity.changes.{batch.id}").set_value(True)
    table = checked(at.run()).dataframe[0].value
    assert sorted(table["image"]) == ids
    assert set(table["from"]) == {"dirt"}
    assert set(table["to"]) == {"scratch"}


# Names


@pytest.mark.parametrize("name", ["", "   ", "\n"])
def test_a_blank_name_is_none(name: str, open_page: OpenPage, small: Workspace) -> None:
    at = open_page("dataset", person=None)
    pick(at)
    give_name(at, name)
    click(at, "dataset.act.exclude")
    assert catalog.summarise(small).n_excluded == 0


def test_a_name_can_be_changed_in_the_header(open_page: OpenPage, small: Workspace) -> None:
    at = open_page("dataset")
    give_name(at, "Grace")
    pick(at)
    click(at, "dataset.act.exclude")
    assert labels.list_batches(small)[0].actor == "Grace"


def test_the_csv_has_the_images_as_they_are_now(small: Workspace) -> None:
    ids = catalog.image_ids(small).tolist()[:3]
    labels.relabel(small, ids, 'a "quoted", label', actor="Ada")
    table = pd.read_csv(BytesIO(as_csv(small, ids)))
    assert sorted(table["id"]) == ids
    assert set(table["label"]) == {'a "quoted", label'}
    assert set(table["label_origin"]) == {"human"}
