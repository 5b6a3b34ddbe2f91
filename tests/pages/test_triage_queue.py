"""Triage: every decision written once, undone, told; items leased, renewed, passed over."""

import time
from typing import Any

import pytest
import sqlalchemy as sa
from streamlit.testing.v1 import AppTest

from core.state import catalog, decisions, triage_queue
from core.state.database import reading
from core.state.decisions import Entry
from core.state.schema import opinions
from core.state.workspace import Workspace
from pages._triage_card import Idle, TriageProgress, parse_alive, parse_log, triage_card
from tests.pages.conftest import (
    OpenPage,
    choose,
    click,
    component,
    component_data,
    send,
    texts,
)
from tests.queued import enqueue

PAGE = "triage"
FOCUS, GRID = "triage.focus", "triage.grid"


def items_of(at: AppTest, key: str = FOCUS) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = component_data(at, key)["items"]
    return items


def given(seq: int, item: dict[str, Any], label: str | None = None) -> dict[str, Any]:
    label = label or item["suggested"]["text"]
    seen = item["seen"]
    return {
        "seq": seq,
        "id": item["id"],
        "kind": "label",
        "label": label,
        "seen": seen,
        "seconds": 1.5,
    }


def said(seq: int, item: dict[str, Any], kind: str, **more: Any) -> dict[str, Any]:
    return {"seq": seq, "id": item["id"], "kind": kind, "label": None, "seen": item["seen"], **more}


def undone(seq: int, of: int) -> dict[str, Any]:
    return {"seq": seq, "id": 0, "kind": "undo", "of": of}


def decide(at: AppTest, *entries: dict[str, Any], name: str = "abc", key: str = FOCUS) -> AppTest:
    """What the browser sends after keys were pressed."""
    return send(at, key, log={"log": name, "entries": list(entries)})


def told(at: AppTest, key: str = FOCUS) -> list[tuple[int, str, str]]:
    return [
        (each["seq"], each["standing"], each["text"]) for each in component_data(at, key)["told"]
    ]


def label_of(workspace: Workspace, image_id: int) -> tuple[str | None, str | None]:
    image = catalog.get_image(workspace, image_id)
    return image.label, image.label_origin


def test_an_empty_queue_says_what_to_do(open_page: OpenPage, small: Workspace) -> None:
    at = open_page(PAGE)
    assert "Nothing waits for a person yet" in texts(at)
    assert at.button(key="triage.to_plan")
    assert FOCUS not in [each.key for each in at.get("bidi_component")]


def test_work_begins_when_the_persons_name_is_known(open_page: OpenPage, small: Workspace) -> None:
    enqueue(small)
    at = open_page(PAGE, person=None)
    assert not [each for each in at.get("bidi_component") if each.key == FOCUS]
    click(at, "triage.begin")
    assert at.text_input(key="shared.dialog.name")


def test_a_batch_is_leased_with_all_that_helps_to_judge(
    open_page: OpenPage, small: Workspace
) -> None:
    ids = enqueue(small)
    data = component_data(open_page(PAGE), FOCUS)
    assert [item["image_id"] for item in data["items"]] == ids[:24]
    item = data["items"][3]
    assert item["suggested"]["text"] == "dirt"
    assert item["why"] == "Looks like dirt 0.54 and rust 0.41."
    assert [guess["text"] for guess in item["top"]] == ["dirt", "rust"]
    assert [each["id"] for each in item["nearest"]] == [ids[2], ids[1]]
    assert {each["text"] for each in item["nearest"]} == {"dirt"}
    assert "/" not in item["title"]  # a folder is often named by the class
    keys = {label["key"]: label["text"] for label in data["labels"]}
    assert [keys[key] for key in "123mxu"] == [
        *("dirt", "drop", "scratch"),
        *("multiple", "not_a_defect", "unusable"),
    ]
    assert len(data["examples"]["drop"]) == 7
    assert len(data["map"]["palette"]) == 3
    assert data["progress"] == {"n_done": 0, "n_total": 24, "remaining": ""}


def test_decisions_are_a_persons_and_further_items_follow(
    open_page: OpenPage, small: Workspace
) -> None:
    enqueue(small)
    at = open_page(PAGE)
    first, second, third, *others = items_of(at)
    decide(
        at,
        given(1, first),
        given(2, second, "scratch"),
        said(3, third, "flag", comment="blurred"),
    )
    assert label_of(small, first["image_id"]) == ("dirt", "human")
    assert label_of(small, second["image_id"]) == ("scratch", "human")
    assert [item["id"] for item in items_of(at)] == [item["id"] for item in others]
    data = component_data(at, FOCUS)
    assert data["acked"] == {"log": "abc", "seq": 3}
    assert told(at) == [(1, "saved", ""), (2, "saved", ""), (3, "saved", "")]
    assert (data["progress"]["n_done"], data["progress"]["n_total"]) == (2, 23)
    recorded = decisions.list_decisions(small)
    assert [(each.actor, each.kind) for each in recorded] == [
        ("Ada", "flag"),
        ("Ada", "label"),
        ("Ada", "label"),
    ]
    assert recorded[0].comment == "blurred"
    assert recorded[1].seconds == 1.5


def test_a_log_that_comes_again_is_written_once(open_page: OpenPage, small: Workspace) -> None:
    enqueue(small)
    at = open_page(PAGE)
    first, second, *_ = items_of(at)
    decide(at, given(1, first))
    decide(at, given(1, first), given(2, second))
    reloaded = open_page(PAGE)  # a new session that knows of nothing acknowledged
    decide(reloaded, given(1, first), given(2, second))
    assert component_data(reloaded, FOCUS)["acked"]["seq"] == 2
    assert len(decisions.list_decisions(small)) == 2


def test_undo_gives_the_item_back_first_even_beyond_the_tabs_own_memory(
    open_page: OpenPage, small: Workspace
) -> None:
    enqueue(small)
    at = open_page(PAGE)
    first, second, *_ = items_of(at)
    decide(at, given(1, first, "drop"), given(2, second, "drop"))
    decide(at, given(1, first, "drop"), given(2, second, "drop"), undone(3, of=2))
    assert items_of(at)[0]["id"] == second["id"]
    assert label_of(small, second["image_id"]) == ("dirt", "imported")
    elsewhere = open_page(PAGE)
    decide(elsewhere, undone(1, of=0), name="def")
    assert items_of(elsewhere)[0]["id"] == first["id"]
    assert component_data(elsewhere, FOCUS)["told"][0]["id"] == first["id"]
    decide(elsewhere, undone(1, of=0), undone(2, of=0), name="def")
    assert told(elsewhere)[1] == (2, "returned", "Nothing of yours is left to take back.")


def test_a_conflict_is_told_and_nothing_is_overwritten(
    open_page: OpenPage, small: Workspace
) -> None:
    enqueue(small)
    at = open_page(PAGE)
    first, second, *_ = items_of(at)
    for item, label in ((first, "scratch"), (second, "dirt")):
        decisions.decide(
            small,
            Entry(f"grace{label}", 1, item["id"], "label", label, item["seen"]),
            actor="Grace",
        )
    decide(at, given(1, first), given(2, second))
    assert told(at) == [
        (1, "conflict", "Grace decided scratch: it waits to be settled."),
        (2, "agreed", "Grace decided the same before you."),
    ]


def test_a_blind_item_comes_without_scores_which_are_told_afterwards(
    open_page: OpenPage, small: Workspace
) -> None:
    enqueue(small, is_blind=True)
    at = open_page(PAGE)
    item = items_of(at)[0]
    assert item["top"] == []
    assert "0.54" not in str(items_of(at))
    assert item["why"].startswith("Judged blind")
    decide(at, given(1, item))
    assert told(at) == [(1, "saved", "The model found: dirt 0.54 and rust 0.41.")]


@pytest.mark.parametrize("kind", ["audit", "gold"])
def test_an_audited_or_known_item_looks_like_all_others_until_it_is_decided(
    open_page: OpenPage, small: Workspace, kind: str
) -> None:
    usual, checked = catalog.image_ids(small)[:2].tolist()
    enqueue(small, [usual])
    enqueue(small, [checked], kind=kind, truth="dirt", reason=f"an {kind}", by_uncertainty=0.5)
    at = open_page(PAGE)
    first, second = items_of(at)
    own = ("id", "image_id", "title", "nearest")
    assert {**first, **dict.fromkeys(own)} == {**second, **dict.fromkeys(own)}
    decide(at, given(1, second))
    assert told(at)[0][2].startswith("An audit" if kind == "audit" else "A known image")


def test_a_label_that_can_be_none_is_refused_and_the_item_stays(
    open_page: OpenPage, small: Workspace
) -> None:
    enqueue(small)
    at = open_page(PAGE)
    first = items_of(at)[0]
    decide(at, given(1, first, "a/b"), given(2, {**first, "id": 9_999}))
    assert [standing for _, standing, _ in told(at)] == ["refused", "refused"]
    assert items_of(at)[0]["id"] == first["id"]
    assert component_data(at, FOCUS)["acked"]["seq"] == 2


def test_what_is_skipped_comes_again_when_asked_for(open_page: OpenPage, small: Workspace) -> None:
    enqueue(small)
    at = open_page(PAGE)
    first, second, *_ = items_of(at)
    decide(at, said(1, first, "skip"))
    assert items_of(at)[0]["id"] == second["id"]
    click(at, "triage.ask_again")
    assert first["id"] in [item["id"] for item in items_of(at)]


def test_another_order_begins_with_its_own_first_items(
    open_page: OpenPage, small: Workspace
) -> None:
    ids = enqueue(small)
    at = open_page(PAGE)
    choose(at, "triage.order", "novelty")
    assert [item["image_id"] for item in items_of(at)] == ids[::-1]
    assert component_data(at, FOCUS)["order"] == "novelty"
    by_link = open_page(PAGE, triage__order="Oldest first", person="Grace")
    assert by_link.segmented_control(key="triage.order").value == "oldest"


def test_leases_are_renewed_while_somebody_is_there(
    open_page: OpenPage, small: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    enqueue(small)
    at = open_page(PAGE)
    ids = [item["id"] for item in items_of(at)]
    later = time.time() + 100
    monkeypatch.setattr("core.state.triage_queue.time.time", lambda: later)
    send(at, FOCUS, alive={"at": 5, "ids": ids})
    assert component_data(at, FOCUS)["alive_at"] == 5
    with reading(small) as connection:
        until = connection.execute(sa.select(sa.func.min(opinions.c.leased_until))).scalar_one()
    assert until == pytest.approx(later + triage_queue.LEASE_S)


def test_two_people_never_get_the_same_item(open_page: OpenPage, small: Workspace) -> None:
    ids = catalog.image_ids(small)[:20].tolist()
    enqueue(small, ids)
    ada, grace = open_page(PAGE), open_page(PAGE, person="Grace")
    assert len(items_of(ada)) == 20
    assert items_of(grace) == []
    assert component_data(grace, FOCUS)["idle"]["title"] == "Others are at the last images."


def test_when_all_is_decided_the_page_says_so_and_undo_still_works(
    open_page: OpenPage, small: Workspace
) -> None:
    enqueue(small, catalog.image_ids(small)[:1].tolist())
    at = open_page(PAGE)
    item = items_of(at)[0]
    decide(at, given(1, item))
    assert component_data(at, FOCUS)["idle"]["title"] == "All done."
    decide(at, given(1, item), undone(2, of=1))
    assert items_of(at)[0]["id"] == item["id"]


def test_a_group_is_of_one_suggestion_and_decided_by_its_own_entries(
    open_page: OpenPage, small: Workspace
) -> None:
    ids = catalog.image_ids(small).tolist()
    enqueue(small, ids[:6], alike=1)
    enqueue(small, ids[8:12], alike=2)
    at = open_page(PAGE, triage__view="Grid")
    group = items_of(at, GRID)
    assert [item["image_id"] for item in group] == ids[:6]
    decide(at, *(given(seq, item) for seq, item in enumerate(group, start=1)), key=GRID)
    assert {label_of(small, image_id) for image_id in ids[:6]} == {("dirt", "human")}
    assert [item["image_id"] for item in items_of(at, GRID)] == ids[8:12]


def test_without_alike_images_the_grid_sends_to_the_queue(
    open_page: OpenPage, small: Workspace
) -> None:
    enqueue(small)
    data = component_data(open_page(PAGE, triage__view="Grid"), GRID)
    assert data["items"] == []
    assert "view Queue" in data["idle"]["text"]


def test_the_map_opens_the_latent_space_with_the_image_selected(
    open_page: OpenPage, small: Workspace
) -> None:
    enqueue(small)
    at = open_page(PAGE)
    image_id = items_of(at)[0]["image_id"]
    send(at, FOCUS, open_map=image_id)
    assert at.query_params["selected"]


@pytest.mark.parametrize(
    "log",
    [
        None,
        {},
        {"log": "abc", "entries": 3},
        {"log": "a/b", "entries": []},
        {"log": "abc", "entries": [{"seq": 1, "id": 1, "kind": "delete"}]},
        {"log": "abc", "entries": [{"seq": -1, "id": 1, "kind": "skip"}]},
        {"log": "abc", "entries": [{"seq": 1, "id": True, "kind": "skip"}]},
        {"log": "abc", "entries": [{"seq": 1, "id": 1, "kind": "label"}]},
        {"log": "abc", "entries": [{"seq": 1, "id": 1, "kind": "skip", "label": "dirt"}]},
        {"log": "abc", "entries": [{"seq": 1, "id": 1, "kind": "skip", "seen": 3}]},
        {"log": "abc", "entries": [{"seq": 1, "id": 1, "kind": "skip", "seconds": "long"}]},
    ],
)
def test_a_forged_log_is_refused(log: object) -> None:
    with pytest.raises(ValueError, match=r"log|entries|entry"):
        parse_log(log)


@pytest.mark.parametrize("alive", [None, {"at": 1}, {"at": -1, "ids": []}, {"at": 1, "ids": ["x"]}])
def test_forged_ids_of_what_is_looked_at_are_refused(alive: object) -> None:
    with pytest.raises(ValueError, match=r"looked at|numbers"):
        parse_alive(alive)


def test_a_forged_log_is_told_and_changes_nothing(open_page: OpenPage, small: Workspace) -> None:
    enqueue(small)
    at = open_page(PAGE)
    send(at, FOCUS, log={"log": "abc", "entries": "all"})
    assert len(at.toast) == 1
    assert decisions.list_decisions(small) == []
    assert component(at, FOCUS)


def test_more_images_than_a_batch_holds_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 48 images at once, got 49"):
        triage_card(
            [None] * 49,  # type: ignore[list-item]
            view="focus",
            labels=(),
            examples={},
            progress=TriageProgress(0, 49),
            idle=Idle(""),
            acked=("", 0),
            told=(),
            place="",
            thumbnail_url="",
            preview_url="",
            image_url="",
            key="many",
        )
