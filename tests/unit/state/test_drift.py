"""Drift windows and the images that came in, on each database."""

import pytest

from core.state import drift
from core.state.database import writing
from core.state.schema import arrivals
from core.state.workspace import Workspace
from tests.factories import fill, new_image


@pytest.fixture
def arrived(workspace: Workspace) -> list[int]:
    """Five arrivals of a second each: the second was known, the fourth refused; the images' ids."""
    ids = fill(workspace, *(new_image(number) for number in range(1, 4)))
    statuses = ["taken", "known", "taken", "refused", "taken"]
    of_image = [ids[0], ids[0], ids[1], None, ids[2]]
    with writing(workspace) as connection:
        connection.execute(
            arrivals.insert(),
            [
                {
                    "at": f"2026-01-31T12:00:0{second}.000Z",
                    "source": "/line",
                    "path": f"{second}.png",
                    "fingerprint": "1",
                    "status": status,
                    "image_id": image_id,
                }
                for second, (status, image_id) in enumerate(zip(statuses, of_image, strict=True), 1)
            ],
        )
    return ids


def add(workspace: Workspace, first: int, last: int, *, plan: str = "plan-1") -> bool:
    return drift.add_window(
        workspace,
        model="net-1",
        plan=plan,
        first_arrival=first,
        last_arrival=last,
        n_images=3,
        is_alarm=first > 1,
        result={"tests": [], "novelty": None},
    )


def test_only_images_that_were_taken_count_in_the_order_in_which_they_came(
    workspace: Workspace, arrived: list[int]
) -> None:
    assert [each.image_id for each in drift.images_taken(workspace)] == arrived
    assert drift.count_taken(workspace) == 3


def test_what_came_at_a_time_or_before_is_left_out(
    workspace: Workspace, arrived: list[int]
) -> None:
    since = "2026-01-31T12:00:03.000Z"
    assert [each.id for each in drift.images_taken(workspace, since=since)] == [5]
    assert [each.id for each in drift.images_taken(workspace, first=3)] == [3, 5]
    assert drift.count_taken(workspace, since=since) == 1


def test_windows_come_back_newest_first_and_by_their_plan(
    workspace: Workspace, arrived: list[int]
) -> None:
    assert add(workspace, 1, 3)
    assert add(workspace, 3, 5)
    assert add(workspace, 1, 5, plan="plan-2")
    found = drift.list_windows(workspace, plan="plan-1")
    assert [(each.first_arrival, each.is_alarm) for each in found] == [(3, True), (1, False)]
    assert found[0].result == {"tests": [], "novelty": None}
    assert [each.plan for each in drift.list_windows(workspace, limit=1)] == ["plan-2"]


def test_a_window_that_begins_no_later_than_the_last_is_not_recorded(
    workspace: Workspace, arrived: list[int]
) -> None:
    add(workspace, 3, 5)
    assert not add(workspace, 3, 5)
    assert not add(workspace, 1, 5)
    assert len(drift.list_windows(workspace)) == 1


def test_the_images_of_an_import_are_its_own(workspace: Workspace, arrived: list[int]) -> None:
    more = fill(workspace, new_image(8), new_image(9))
    assert drift.images_of_import(workspace, 1).tolist() == arrived
    assert drift.images_of_import(workspace, 2).tolist() == more
    assert drift.images_of_import(workspace, 3).tolist() == []
