"""Who gets which item next: one person each, for a while, and no item twice to one person."""

import pytest

from core.state import decisions, labels, triage_queue
from core.state.database import writing
from core.state.decisions import Entry
from core.state.queue_rows import NewItem, add_items
from core.state.workspace import Workspace
from tests.factories import fill, new_image


@pytest.fixture
def images(workspace: Workspace) -> list[int]:
    """Six images without labels."""
    return fill(workspace, *(new_image(number) for number in range(1, 7)))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that leases are measured by; its one entry may be changed."""
    at = [1_000_000.0]
    monkeypatch.setattr("core.state.triage_queue.time.time", lambda: at[0])
    return at


def enqueue(workspace: Workspace, *items: NewItem) -> None:
    with writing(workspace) as connection:
        add_items(connection, items, actor="model")


def leased(workspace: Workspace, actor: str, n: int = 10, order: str = "oldest") -> list[int]:
    return [i.image_id for i in triage_queue.lease(workspace, actor=actor, n=n, order=order)]


def decide(workspace: Workspace, item: int, label: str | None, actor: str, kind: str = "label"):
    entry = Entry(f"{actor} {item} {kind}", 1, item, kind, label, None)
    return decisions.decide(workspace, entry, actor=actor)


def test_two_people_never_hold_the_same_item(workspace: Workspace, images: list[int]) -> None:
    labels.set_queued(workspace, images, True, actor="eve", reason="a look")
    first, second = leased(workspace, "ann", 4), leased(workspace, "bob", 4)
    assert first == images[:4]
    assert second == images[4:]
    assert leased(workspace, "cid") == []


def test_what_a_person_holds_comes_again_after_a_reload(
    workspace: Workspace, images: list[int]
) -> None:
    labels.set_queued(workspace, images, True, actor="eve")
    first = leased(workspace, "ann", 2)
    assert leased(workspace, "ann", 2) == first
    assert leased(workspace, "ann", 3)[:2] == first


def test_a_lease_that_ran_out_is_anybodys_unless_it_was_renewed(
    workspace: Workspace, images: list[int], clock: list[float]
) -> None:
    labels.set_queued(workspace, images[:2], True, actor="eve")
    items = triage_queue.lease(workspace, actor="ann", n=2, order="oldest")
    clock[0] += triage_queue.LEASE_S - 1
    assert triage_queue.renew(workspace, [items[0].id], actor="ann") == 1
    clock[0] += 2
    assert leased(workspace, "bob") == images[1:2]
    assert triage_queue.renew(workspace, [i.id for i in items], actor="ann") == 1


def test_what_is_given_back_is_free_at_once(workspace: Workspace, images: list[int]) -> None:
    labels.set_queued(workspace, images[:2], True, actor="eve")
    items = triage_queue.lease(workspace, actor="ann", n=2, order="oldest")
    assert triage_queue.release(workspace, actor="ann", item_ids=[items[1].id]) == 1
    assert leased(workspace, "bob") == images[1:2]
    assert triage_queue.release(workspace, actor="ann") == 1


def test_a_second_opinion_goes_to_somebody_else(workspace: Workspace, images: list[int]) -> None:
    enqueue(workspace, NewItem(images[0], "", n_opinions=2))
    (item,) = triage_queue.lease(workspace, actor="ann", n=5)
    assert (item.opinion, item.n_opinions) == (1, 2)
    (other,) = triage_queue.lease(workspace, actor="bob", n=5)
    assert (other.id, other.opinion) == (item.id, 2)
    decide(workspace, item.id, "drop", "ann")
    assert leased(workspace, "ann") == []
    assert leased(workspace, "bob") == images[:1]


def test_the_order_is_the_persons_choice(workspace: Workspace, images: list[int]) -> None:
    enqueue(
        workspace,
        NewItem(images[0], "", by_uncertainty=0.9, by_novelty=0.1, by_diversity=0.5),
        NewItem(images[1], "", by_uncertainty=0.1, by_novelty=0.9, by_diversity=0.4),
        NewItem(images[2], "", by_uncertainty=0.5, by_novelty=0.5, by_diversity=0.1),
    )
    found = {}
    for order in triage_queue.ORDERS:
        found[order] = leased(workspace, order, 1, order)[0]
        triage_queue.release(workspace, actor=order)
    assert found == {
        "uncertainty": images[1],
        "novelty": images[0],
        "diversity": images[2],
        "oldest": images[0],
    }
    with pytest.raises(ValueError, match="'loudest'"):
        triage_queue.lease(workspace, actor="ann", n=1, order="loudest")


def test_a_group_of_alike_images_is_leased_whole_and_alone(
    workspace: Workspace, images: list[int]
) -> None:
    enqueue(
        workspace,
        *(
            NewItem(image, "", suggested=label, alike=group, by_uncertainty=place / 10)
            for place, (image, label, group) in enumerate(
                zip(images, ["a", "b", "a", "b", "a", None], [1, 2, 1, 2, 3, None], strict=True)
            )
        ),
    )
    triage_queue.lease(workspace, actor="ann", n=2)  # one of either group
    group = triage_queue.lease_alike(workspace, actor="ann")
    assert {item.image_id for item in group} == {images[0], images[2]}
    assert triage_queue.lease_alike(workspace, actor="ann") == group
    others = triage_queue.lease_alike(workspace, actor="bob")
    assert {item.image_id for item in others} == {images[1], images[3]}
    assert len(triage_queue.lease_alike(workspace, actor="cid", limit=1)) == 1
    assert triage_queue.lease_alike(workspace, actor="dan") == []


def test_what_a_person_passed_over_comes_to_others_until_they_ask_again(
    workspace: Workspace, images: list[int]
) -> None:
    labels.set_queued(workspace, images[:1], True, actor="eve")
    (item,) = triage_queue.lease(workspace, actor="ann", n=1)
    decide(workspace, item.id, None, "ann", "skip")
    assert leased(workspace, "ann") == []
    assert triage_queue.progress(workspace, actor="ann").n_skipped == 1
    assert leased(workspace, "bob") == images[:1]
    triage_queue.release(workspace, actor="bob")
    assert decisions.ask_again(workspace, actor="ann") == 1
    assert leased(workspace, "ann") == images[:1]


def test_progress_counts_what_is_done_and_what_others_hold(
    workspace: Workspace, images: list[int]
) -> None:
    labels.set_queued(workspace, images[:4], True, actor="eve")
    first, second = triage_queue.lease(workspace, actor="ann", n=2, order="oldest")
    leased(workspace, "bob", 1)
    decide(workspace, first.id, "drop", "ann")
    decide(workspace, second.id, None, "ann", "flag")
    found = triage_queue.progress(workspace, actor="ann")
    assert (found.n_pending, found.n_decided, found.n_to_settle) == (2, 1, 1)
    assert found.n_leased_by_others == 1


def test_a_withdrawn_item_is_given_to_nobody(workspace: Workspace, images: list[int]) -> None:
    labels.set_queued(workspace, images[:2], True, actor="eve")
    labels.set_queued(workspace, images[:1], False, actor="eve")
    assert leased(workspace, "ann") == images[1:2]
