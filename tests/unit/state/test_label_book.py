"""What a type of defect is changes with all that follows from it, and can be taken back."""

import pytest

from core import actions
from core.errors import OperatorError
from core.state import catalog, decisions, labels, models, retyping, triage_queue
from core.state.decisions import Entry
from core.state.label_book import (
    FREE_KEYS,
    define,
    exchange_colours,
    find_entry,
    keys_in_triage,
    list_offered,
    list_versions,
)
from core.state.workspace import Workspace
from tests.classifiers import add_model
from tests.factories import fill, new_image


@pytest.fixture
def shop(workspace: Workspace) -> list[int]:
    """Three scratches, two drops, and one image nobody has labelled."""
    given = ("scratch", "scratch", "scratch", "drop", "drop", None)
    return fill(workspace, *(new_image(n, label=label) for n, label in enumerate(given)))


def label_of(workspace: Workspace, ids: list[int]) -> list[str | None]:
    return [catalog.get_image(workspace, each).label for each in ids]


def test_a_new_type_is_shown_by_its_first_images_and_undone_with_their_labels(workspace, shop):
    batch = retyping.add(workspace, "  blister ", shop[4:], actor="Ada", definition="Raised.")
    entry = find_entry(workspace, "blister")
    assert (entry.definition, entry.images, entry.n_images) == (
        "Raised.",
        {"example": tuple(shop[4:])},
        2,
    )
    assert catalog.get_image(workspace, shop[5]).label_origin == "human"
    actions.undo(workspace, batch.id, actor="Bo")
    assert label_of(workspace, shop[4:]) == ["drop", None]
    assert "blister" not in list_offered(workspace)
    assert [each.action for each in list_versions(workspace, "blister")] == ["undo", "add"]


def test_a_renamed_type_is_called_so_by_images_models_and_the_queue_and_keeps_its_colour(
    workspace, shop
):
    model = add_model(workspace, classes=("drop", "scratch"))
    labels.set_queued(workspace, shop[:1], True, actor="line")
    [item] = triage_queue.lease(workspace, actor="Ada", n=1, order="oldest")
    place = catalog.list_classes(workspace).index("scratch")
    batch = retyping.rename(workspace, "scratch", "Kratzer", actor="Ada")
    assert batch.n_changes == 3
    assert label_of(workspace, shop[:3]) == ["Kratzer"] * 3
    assert catalog.get_image(workspace, shop[0]).label_origin == "imported"
    assert models.get_model(workspace, model.id).classes == ("drop", "Kratzer")
    assert catalog.list_classes(workspace).index("Kratzer") == place
    # What has got the new name since goes back to the old one with the rest.
    labels.relabel(workspace, shop[5:], "Kratzer", actor="Bo")
    actions.undo(workspace, batch.id, actor="Bo")
    assert label_of(workspace, [*shop[:3], shop[5]]) == ["scratch"] * 4
    assert models.get_model(workspace, model.id).classes == ("drop", "scratch")
    assert item.image_id == shop[0]


def test_what_waits_is_suggested_and_checked_by_the_new_name(workspace, shop):
    from core.state.database import reading, writing
    from core.state.queue_rows import NewItem, add_items
    from core.state.schema import queue

    facts = {"top": [["scratch", 0.7], ["drop", 0.3]], "nearest": [], "novelty": None}
    item = NewItem(shop[5], "", kind="audit", suggested="scratch", truth="scratch", facts=facts)
    with writing(workspace) as connection:
        add_items(connection, [item], actor="line")
    batch = retyping.merge(workspace, "scratch", "drop", actor="Ada")
    with reading(workspace) as connection:
        row = connection.execute(queue.select()).one()
    assert (row.suggested, row.truth) == ("drop", "drop")
    assert row.facts["top"] == [["drop", 0.7], ["drop", 0.3]]
    actions.undo(workspace, batch.id, actor="Ada")
    assert label_of(workspace, shop[:5]) == ["scratch"] * 3 + ["drop"] * 2


def test_a_merged_type_is_retired_and_comes_back_with_its_images(workspace, shop):
    batch = retyping.merge(workspace, "scratch", "drop", actor="Ada")
    assert label_of(workspace, shop[:5]) == ["drop"] * 5
    entry = find_entry(workspace, "scratch")
    assert (entry.is_retired, entry.merged_into) == (True, "drop")
    labels.relabel(workspace, shop[:1], "dirt", actor="Bo")  # a later word stays
    done = actions.undo(workspace, batch.id, actor="Bo")
    assert (done.n_restored, done.n_kept) == (2, 1)
    assert label_of(workspace, shop[:5]) == ["dirt", "scratch", "scratch", "drop", "drop"]
    entry = find_entry(workspace, "scratch")
    assert (entry.is_retired, entry.merged_into) == (False, None)


def test_parts_are_told_apart_and_a_type_of_which_nothing_is_left_is_retired(workspace, shop):
    first = retyping.split(workspace, "scratch", {shop[0]: "deep scratch"}, actor="Ada")
    assert label_of(workspace, shop[:3]) == ["deep scratch", "scratch", "scratch"]
    assert "scratch" in list_offered(workspace)
    rest = dict.fromkeys(shop[1:3], "hairline")
    second = retyping.split(workspace, "scratch", rest, actor="Ada")
    assert "scratch" not in list_offered(workspace)
    with pytest.raises(OperatorError, match="changed again since"):
        actions.undo(workspace, first.id, actor="Ada")
    for batch in (second, first):
        actions.undo(workspace, batch.id, actor="Ada")
    assert label_of(workspace, shop[:3]) == ["scratch"] * 3
    assert set(list_offered(workspace)) == {"drop", "scratch"}


def test_a_retired_type_is_kept_by_its_images_and_offered_to_nobody(workspace, shop):
    retyping.retire(workspace, "drop", actor="Ada")
    assert list_offered(workspace) == ["scratch"]
    assert label_of(workspace, shop[3:5]) == ["drop", "drop"]
    assert keys_in_triage(workspace) == {"scratch": "1"}
    with pytest.raises(OperatorError, match="retired already"):
        retyping.retire(workspace, "drop", actor="Ada")
    retyping.bring_back(workspace, "drop", actor="Bo")
    assert set(list_offered(workspace)) == {"drop", "scratch"}


def test_a_type_whose_images_wait_for_a_second_opinion_keeps_its_name(workspace, shop):
    from core.state.database import writing
    from core.state.queue_rows import NewItem, add_items

    with writing(workspace) as connection:
        add_items(connection, [NewItem(shop[0], "", n_opinions=2)], actor="line")
    [item] = triage_queue.lease(workspace, actor="Ada", n=1, order="oldest")
    decisions.decide(workspace, Entry("tab", 1, item.id, "label", "drop", item.seen), actor="Ada")
    for change in (
        lambda: retyping.rename(workspace, "drop", "run", actor="Ada"),
        lambda: retyping.merge(workspace, "drop", "scratch", actor="Ada"),
    ):
        with pytest.raises(OperatorError, match="1 images wait for a second opinion"):
            change()


def test_an_entry_is_defined_in_words_by_a_key_and_by_images_and_every_version_is_kept(
    workspace, shop
):
    shown = {"example": shop[:2], "counter_example": shop[3:4], "borderline": shop[2:3]}
    define(workspace, "scratch", definition=" A line. ", shortcut="G", shown=shown, actor="Ada")
    entry = find_entry(workspace, "scratch")
    assert (entry.definition, entry.shortcut) == ("A line.", "g")
    assert entry.images == {role: tuple(ids) for role, ids in shown.items()}
    assert keys_in_triage(workspace)["scratch"] == "g"
    define(workspace, "scratch", definition="A groove.", shortcut=None, shown={}, actor="Bo")
    told = [
        (each.actor, each.action, each.entry["definition"])
        for each in list_versions(workspace, "scratch")
    ]
    assert told == [
        ("Bo", "define", "A groove."),
        ("Ada", "define", "A line."),
        ("Ada", "found", ""),
    ]
    with pytest.raises(ValueError, match="roles are"):
        define(workspace, "drop", definition="", shortcut=None, shown={"odd": []}, actor="Ada")


def test_a_key_that_means_something_or_is_taken_is_refused(workspace, shop):
    define(workspace, "drop", definition="", shortcut="g", shown={}, actor="Ada")
    for key, why in (("g", "gives drop already"), ("a", "cannot be the key"), ("gg", "cannot be")):
        with pytest.raises(OperatorError, match=why):
            define(workspace, "scratch", definition="", shortcut=key, shown={}, actor="Ada")
    assert not set(FREE_KEYS) & set("asflnhicwemxuk")


def test_two_types_exchange_their_colours(workspace, shop):
    before = catalog.list_classes(workspace)
    exchange_colours(workspace, *before, actor="Ada")
    assert catalog.list_classes(workspace) == before[::-1]


@pytest.mark.parametrize("name", ["drop", "multiple", " ", "a/b"])
def test_a_name_that_is_taken_reserved_or_none_is_refused(workspace, shop, name):
    with pytest.raises(OperatorError):
        retyping.rename(workspace, "scratch", name, actor="Ada")
    with pytest.raises(OperatorError):
        retyping.add(workspace, name, shop[:1], actor="Ada")
    assert label_of(workspace, shop[:3]) == ["scratch"] * 3


def test_a_rename_judges_no_image(workspace, shop):
    retyping.rename(workspace, "scratch", "groove", actor="Ada")
    assert labels.decided_since(workspace, "2000") == set()
