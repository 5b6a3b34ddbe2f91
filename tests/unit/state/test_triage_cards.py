"""What stands beside an image in triage."""

from core.state import labels, triage_cards
from core.state.workspace import Workspace
from tests.factories import fill, new_image


def test_neighbours_bear_the_labels_that_they_have_now(workspace: Workspace) -> None:
    first, second, third = fill(
        workspace, new_image(1, label="drop"), new_image(2, label="dirt"), new_image(3)
    )
    labels.relabel(workspace, [second], "scratch", actor="Ada")
    assert triage_cards.labels_of(workspace, [first, second, third]) == {
        first: "drop",
        second: "scratch",
    }


def test_examples_are_a_few_of_each_label_and_none_that_training_leaves_out(
    workspace: Workspace,
) -> None:
    ids = fill(workspace, *(new_image(n, label="dirt" if n % 2 else "drop") for n in range(1, 9)))
    labels.set_excluded(workspace, ids[:1], True, actor="Ada")
    found = triage_cards.examples_of(workspace, ["dirt", "drop", "rust"], n=2)
    assert found == {"dirt": [ids[2], ids[4]], "drop": [ids[1], ids[3]]}
    assert triage_cards.examples_of(workspace, [], n=2) == {}
