"""The geometry of a selection, and what a browser may not send."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.selection import Points, parse_selection, points_inside, resolve_selection

SQUARE = [(0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (0.0, 4.0)]


def inside_slowly(x: float, y: float, path: list[tuple[float, float]]) -> bool:
    """The rule as the browser applies it, one point and one edge at a time."""
    xs, ys = [corner[0] for corner in path], [corner[1] for corner in path]
    if not (min(xs) <= x < max(xs) and min(ys) <= y < max(ys)):
        return False
    inside = False
    for (xi, yi), (xj, yj) in zip(path, [path[-1], *path[:-1]], strict=True):
        if (yi > y) != (yj > y) and x < ((xj - xi) * (y - yi)) / (yj - yi) + xi:
            inside = not inside
    return inside


def grid(side: int) -> Points:
    """Integer places (column, row), ids counting from 10 line by line."""
    row, column = np.divmod(np.arange(side * side), side)
    return Points(
        x=column.astype(np.float32),
        y=row.astype(np.float32),
        ids=(np.arange(side * side) + 10).astype(np.int32),
    )


def resolve(steps: list[dict], *, points: Points, categories=None, stored=None) -> list[int]:
    selection = parse_selection({"seq": 1, "points": "p", "ops": steps})
    return resolve_selection(
        selection.steps,
        points_for={"p": points}.__getitem__,
        categories_for={"c": categories}.__getitem__,
        stored_for={"kept": stored}.__getitem__,
    ).tolist()


def lasso(op: str, path: list[tuple[float, float]], **more) -> dict:
    return {"op": op, "kind": "lasso", "points": "p", "path": path, **more}


def box(op: str, path: list[tuple[float, float]], **more) -> dict:
    return {"op": op, "kind": "box", "points": "p", "path": path, **more}


coordinates = st.floats(-8, 8, width=32) | st.integers(-4, 4).map(float)
corners = st.tuples(coordinates, coordinates)


@given(
    path=st.lists(corners, min_size=3, max_size=12),
    places=st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=40),
)
def test_a_lasso_agrees_with_testing_each_point_alone(path, places):
    # Corners among the points, too: boundaries and coincident vertices are where rules differ.
    places = places + path
    x, y = np.array(places, np.float32).T
    expected = [inside_slowly(float(a), float(b), path) for a, b in zip(x, y, strict=True)]
    assert points_inside(x, y, kind="lasso", path=path).tolist() == expected


@given(a=corners, b=corners, places=st.lists(corners, min_size=1, max_size=40))
def test_a_box_is_the_lasso_around_its_four_corners(a, b, places):
    x, y = np.array(places, np.float32).T
    around = [(a[0], a[1]), (b[0], a[1]), (b[0], b[1]), (a[0], b[1])]
    assert (
        points_inside(x, y, kind="box", path=[a, b]).tolist()
        == points_inside(x, y, kind="lasso", path=around).tolist()
    )


def test_left_and_lower_edges_belong_to_a_shape_and_the_others_do_not():
    x = np.array([0, 2, 4, 2, 2], np.float32)
    y = np.array([2, 0, 2, 4, 2], np.float32)
    expected = [True, True, False, False, True]
    assert points_inside(x, y, kind="lasso", path=SQUARE).tolist() == expected
    assert points_inside(x, y, kind="box", path=[(4, 4), (0, 0)]).tolist() == expected


def test_where_a_lasso_crosses_itself_the_inside_changes_over():
    bow_tie = [(0.0, 0.0), (4.0, 4.0), (4.0, 0.0), (0.0, 4.0)]
    x = np.array([0.5, 3.5, 2.0], np.float32)
    y = np.array([2.0, 2.0, 3.5], np.float32)
    assert points_inside(x, y, kind="lasso", path=bow_tie).tolist() == [True, True, False]


def test_a_point_without_a_place_is_never_inside():
    nan = np.array([np.nan], np.float32)
    one = np.array([1.0], np.float32)
    assert not points_inside(nan, one, kind="lasso", path=SQUARE).any()
    assert not points_inside(one, nan, kind="box", path=[(0, 0), (4, 4)]).any()


def test_coordinates_are_float32_promoted_to_float64():
    # 0.1 as float32 lies above 0.1 as float64, so an edge at 0.1 has it on its right.
    x, y = np.array([0.1], np.float32), np.array([0.5], np.float32)
    assert points_inside(x, y, kind="box", path=[(0.1, 0.0), (1.0, 1.0)]).all()
    assert not points_inside(x, y, kind="box", path=[(0.0, 0.0), (0.1, 1.0)]).any()


def test_steps_replace_add_and_remove_in_their_order():
    lower_left = box("replace", [(0, 0), (2, 2)])
    steps = [
        lower_left,
        box("add", [(2, 2), (3, 3)]),
        {"op": "remove", "kind": "ids", "ids": [10]},
    ]
    assert resolve(steps, points=grid(3)) == [11, 13, 14, 18]
    assert resolve([*steps, lower_left], points=grid(3)) == [10, 11, 13, 14]
    assert resolve([], points=grid(3)) == []


def test_hidden_categories_are_left_out():
    categories = np.array([0, 1, 255, 0], np.uint8)
    everything = box("replace", [(0, 0), (2, 2)], colours="c", hidden=[1, 255])
    assert resolve([everything], points=grid(2), categories=categories) == [10, 13]


def test_a_kept_selection_is_the_base_of_later_steps():
    steps = [
        {"op": "replace", "kind": "stored", "selection": "kept"},
        box("add", [(0, 0), (1, 1)]),
    ]
    kept = np.array([99, 13], np.int32)
    assert resolve(steps, points=grid(2), stored=kept) == [10, 13, 99]


def test_an_id_named_twice_is_selected_once():
    assert resolve([{"op": "replace", "kind": "ids", "ids": [5, 3, 5]}], points=grid(2)) == [3, 5]


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {"seq": "1", "ops": []},
        {"seq": True, "ops": []},
        {"seq": 1, "ops": "lasso"},
        {"seq": 1, "ops": [None]},
        {"seq": 1, "ops": [{"op": "drop", "kind": "ids", "ids": []}]},
        {"seq": 1, "ops": [{"op": "add", "kind": "circle"}]},
        {"seq": 1, "ops": [{"op": "add", "kind": "ids", "ids": [-1]}]},
        {"seq": 1, "ops": [{"op": "add", "kind": "ids", "ids": [1.5]}]},
        {"seq": 1, "ops": [{"op": "add", "kind": "ids", "ids": list(range(201))}]},
        {"seq": 1, "ops": [{"op": "add", "kind": "ids", "ids": [1], "hidden": [256]}]},
        {"seq": 1, "ops": [box("add", [(0, 0)])]},
        {"seq": 1, "ops": [lasso("add", [(0, 0), (1, 1)])]},
        {"seq": 1, "ops": [lasso("add", [(0, 0), (1, 1), (float("nan"), 2)])]},
        {"seq": 1, "ops": [lasso("add", [(0, 0), (1, 1), ("2", 2)])]},
        {"seq": 1, "ops": [lasso("add", [(0.0, 0.0)] * 1025)]},
    ],
)
def test_what_the_map_would_never_send_is_refused(value):
    with pytest.raises(ValueError, match=r"must|'ops'"):
        parse_selection(value)
