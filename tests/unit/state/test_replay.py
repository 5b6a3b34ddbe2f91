"""Whatever people do, the columns of `images` are what the appended changes add up to."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from core.errors import OperatorError
from core.state import catalog, labels
from core.state import database as databases
from core.state.database import reading
from core.state.schema import changes
from core.state.workspace import Workspace, create_workspace
from core.vocabulary import SPLITS
from tests.factories import fill, new_image

N_IMAGES = 4
_places = st.sets(st.integers(0, N_IMAGES - 1))

Facts = dict[int, dict[str, Any]]


class Changes(RuleBasedStateMachine):
    """People relabel, move, exclude, queue and undo at random, beside a model in plain dicts."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.workspace: Workspace = create_workspace(Path(self.folder.name) / "w")
        self.ids = fill(
            self.workspace,
            new_image(0, label="dirt", split="train"),
            new_image(1, label="drop"),
            new_image(2, split="test"),
            new_image(3),
        )
        self.imported = _columns(self.workspace)
        self.batches: list[int] = []

    def teardown(self) -> None:
        databases.drop(self.workspace)
        self.folder.cleanup()

    @rule(places=_places, label=st.sampled_from(["dirt", "drop", "it's", None]))
    def relabel(self, places: set[int], label: str | None) -> None:
        done = labels.relabel(self.workspace, self._at(places), label, actor="eve")
        self.batches.append(done.id)

    @rule(places=_places, split=st.sampled_from([*SPLITS, None]))
    def move(self, places: set[int], split: str | None) -> None:
        done = labels.set_split(self.workspace, self._at(places), split, actor="eve")
        self.batches.append(done.id)

    @rule(places=_places, excluded=st.booleans())
    def exclude(self, places: set[int], excluded: bool) -> None:
        done = labels.set_excluded(self.workspace, self._at(places), excluded, actor="eve")
        self.batches.append(done.id)

    @rule(places=_places, queued=st.booleans())
    def enqueue(self, places: set[int], queued: bool) -> None:
        done = labels.set_queued(self.workspace, self._at(places), queued, actor="eve")
        self.batches.append(done.id)

    @rule(data=st.data())
    def undo(self, data: st.DataObject) -> None:
        if not self.batches:
            return
        chosen = data.draw(st.sampled_from(self.batches[-6:]))
        before = _columns(self.workspace)
        was_undone = any(b.undoes == chosen for b in labels.list_batches(self.workspace, limit=999))
        try:
            done = labels.undo(self.workspace, chosen, actor="adam")
        except OperatorError:
            assert was_undone
            assert _columns(self.workspace) == before
            return
        assert not was_undone
        touched = labels.list_changes(self.workspace, batch_id=chosen)
        assert done.n_restored + done.n_kept == len(touched)
        self.batches.append(done.batch_id)

    @invariant()
    def columns_are_what_replaying_the_changes_gives(self) -> None:
        assert _columns(self.workspace) == self._replayed()

    @invariant()
    def batches_know_how_many_changes_they_hold(self) -> None:
        for batch in labels.list_batches(self.workspace, limit=999):
            held = labels.list_changes(self.workspace, batch_id=batch.id)
            assert batch.n_changes == len(held)

    def _at(self, places: set[int]) -> list[int]:
        return [self.ids[place] for place in places]

    def _replayed(self) -> Facts:
        facts = {image_id: dict(columns) for image_id, columns in self.imported.items()}
        with reading(self.workspace) as connection:
            rows = connection.execute(sa.select(changes).order_by(changes.c.id)).all()
        for row in rows:
            image = facts[row.image_id]
            assert _told(row.field, row.old, row.old_origin) == image[row.field]
            image[row.field] = _told(row.field, row.new, row.new_origin)
        return facts


def _columns(workspace: Workspace) -> Facts:
    queued = set(catalog.image_ids(workspace, catalog.ImageFilter(queued=True)).tolist())
    return {
        image.id: {
            "label": (image.label, image.label_origin),
            "split": image.split,
            "excluded": image.excluded,
            "queued": image.id in queued,
        }
        for image in catalog.list_images(workspace)
    }


def _told(field: str, value: str | None, origin: str | None) -> Any:
    if field == "label":
        return (value, origin)
    return value == "true" if field in ("excluded", "queued") else value


_actions = st.lists(
    st.tuples(
        _places,
        st.one_of(
            st.tuples(st.just("label"), st.sampled_from(["dirt", "drop", None])),
            st.tuples(st.just("split"), st.sampled_from([*SPLITS, None])),
            st.tuples(st.just("excluded"), st.booleans()),
            st.tuples(st.just("queued"), st.booleans()),
        ),
    ),
    min_size=2,
    max_size=6,
)


@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(actions=_actions)
def test_undoing_one_by_one_leads_back_and_redoing_one_by_one_leads_there_again(
    workspace: Workspace, actions: list[tuple[set[int], tuple[str, Any]]]
) -> None:
    change: dict[str, Callable[..., labels.Batch]] = {
        "label": labels.relabel,
        "split": labels.set_split,
        "excluded": labels.set_excluded,
        "queued": labels.set_queued,
    }
    ids = catalog.image_ids(workspace).tolist() or fill(
        workspace, *(new_image(number, label="dirt") for number in range(N_IMAGES))
    )
    states, done = [_columns(workspace)], []
    for places, (field, value) in actions:
        chosen = [ids[place] for place in places]
        done.append(change[field](workspace, chosen, value, actor="eve").id)
        states.append(_columns(workspace))

    undone = []
    for batch, before in zip(done[::-1], states[-2::-1], strict=True):
        undone.append(labels.undo(workspace, batch, actor="eve").batch_id)
        assert _columns(workspace) == before
    for batch, after in zip(undone[::-1], states[1:], strict=True):
        labels.undo(workspace, batch, actor="eve")
        assert _columns(workspace) == after


Changes.TestCase.settings = settings(
    max_examples=8,
    stateful_step_count=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestChanges = Changes.TestCase
