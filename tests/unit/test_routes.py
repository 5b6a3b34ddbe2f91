"""Every route asks who is there, answers exactly, and knows nothing of what is gone."""

import asyncio
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image
from starlette.applications import Starlette

from core.jobs.configs import ExportImages, ImportImages
from core.routes import PREFIX, build_routes
from core.settings import PROJECT_ROOT
from core.state import catalog, labels, runs, selections
from core.state.colourings import colour
from core.state.heat_maps import heat_map_path
from core.state.workspace import (
    Workspace,
    create_workspace,
    delete_workspace,
    rename_workspace,
)
from tests import classifiers, samples

ROUTES = build_routes(lambda request: True)
FOREVER = "private, max-age=31536000, immutable"


@dataclass(frozen=True)
class Answer:
    """What a route answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def get(path: str, *, routes=ROUTES, headers: Mapping[str, str] | None = None) -> Answer:
    """Ask as a browser would."""
    plain, _, query = path.partition("?")
    scope = {
        "type": "http",
        "method": "GET",
        "path": unquote(plain),
        "raw_path": plain.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "scheme": "http",
        "server": ("127.0.0.1", 8501),
        "headers": [
            (name.lower().encode(), value.encode())
            for name, value in ({"host": "localhost:8501"} | dict(headers or {})).items()
        ],
    }
    sent: list[dict] = []
    asked = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict:
        return asked.pop() if asked else await asyncio.Future()  # the browser stays and waits

    async def send(message: dict) -> None:
        sent.append(message)

    asyncio.run(Starlette(routes=routes)(scope, receive, send))
    found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return Answer(sent[0]["status"], found, body)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return samples.build_template(tmp_path_factory.mktemp("template"))


@pytest.fixture
def small(template: Path, home: Path) -> Workspace:
    """24 images in three classes, a map of them and a clustering."""
    return samples.copy_template(template, home / "small")


@pytest.fixture
def address(small: Workspace) -> str:
    return f"{PREFIX}/{small.uid}"


def some_id(workspace: Workspace) -> int:
    return int(catalog.image_ids(workspace)[5])


def the_map(workspace: Workspace) -> runs.Run:
    return runs.list_runs(workspace, "projection")[0]


# Who may ask


def test_every_route_asks_before_it_answers(small: Workspace) -> None:
    refusing = build_routes(lambda request: False)
    placeholders = {
        "uid": small.uid,
        "image_id": str(some_id(small)),
        "projection": the_map(small).id,
        "digest": selections.save_selection(small, np.array([1])),
        "model": "resnet18-1",
        "file": "any.zip",
        "version": "1",
    }
    assert len(refusing) == 10
    for route in refusing:
        path = route.path.replace(":int", "").replace(":path", "").format(**placeholders)
        answer = get(path, routes=refusing)
        assert answer.status == 401, path
        assert answer.body == b"Log in first."
        assert answer.headers["cache-control"] == "no-store"


# Pictures


def test_a_thumbnail_is_a_small_jpeg_of_its_image(small: Workspace, address: str) -> None:
    image = catalog.get_image(small, some_id(small))
    answer = get(f"{address}/thumbnail/{image.id}")
    assert answer.status == 200
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["cache-control"] == FOREVER
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert_same_colour(answer.body, small, image)


def test_a_lost_thumbnail_is_made_again_and_kept(small: Workspace, address: str) -> None:
    image = catalog.get_image(small, some_id(small))
    for file in small.path.glob("thumbnails.db*"):
        file.unlink()
    assert_same_colour(get(f"{address}/thumbnail/{image.id}").body, small, image)
    catalog.image_path(small, image).unlink()
    assert get(f"{address}/thumbnail/{image.id}").status == 200


def test_an_image_comes_as_its_own_file(small: Workspace, address: str) -> None:
    image = catalog.get_image(small, some_id(small))
    answer = get(f"{address}/image/{image.id}")
    assert answer.headers["content-type"] == "image/png"
    assert answer.body == catalog.image_path(small, image).read_bytes()


def test_a_format_that_browsers_do_not_show_comes_as_jpeg(
    small: Workspace, address: str, tmp_path: Path
) -> None:
    samples.save_image(tmp_path / "more" / "dirt" / "a.tif", (10, 200, 30), size=(900, 700))
    samples.import_folder(small, tmp_path / "more")
    image = catalog.list_images(small)[0]
    whole, preview = get(f"{address}/image/{image.id}"), get(f"{address}/preview/{image.id}")
    assert whole.headers["content-type"] == preview.headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(whole.body)).size == (900, 700)
    assert Image.open(io.BytesIO(preview.body)).size == (640, 498)


@pytest.mark.parametrize("fate", ["gone", "changed"])
def test_of_a_referenced_file_that_is_no_longer_the_same_the_thumbnail_alone_is_left(
    fate: str, small: Workspace, address: str, tmp_path: Path
) -> None:
    file = samples.save_image(tmp_path / "line" / "dirt" / "a.png", (1, 2, 3))
    job = samples.do(small, ImportImages(source=str(tmp_path / "line"), reference=True))
    assert job.result["n_imported"] == 1
    image = catalog.list_images(small)[0]
    assert get(f"{address}/preview/{image.id}").status == 200
    if fate == "gone":
        file.unlink()
    else:
        samples.save_image(file, (200, 2, 3), size=(64, 64))
    assert get(f"{address}/preview/{image.id}").status == 404
    assert get(f"{address}/image/{image.id}").status == 404
    assert get(f"{address}/thumbnail/{image.id}").status == 200


# Facts and points


def test_a_card_says_what_is_known_now(small: Workspace, address: str) -> None:
    image_id = some_id(small)
    clustering = runs.list_runs(small, "clustering")[0]
    labels.relabel(small, [image_id], "<b>drop", actor="Ada")
    answer = get(f"{address}/card/{image_id}?map={the_map(small).id}&by=brightness")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    rows = dict(json.loads(answer.body)["rows"])
    assert rows["Label"] == "<b>drop (by a person)"
    assert rows["Size"] == "32 x 24"
    assert {"Cluster", "Distance to centre", "Brightness"} <= set(rows)
    place = runs.load_array(small, clustering, "image_ids").tolist().index(image_id)
    assert rows["Cluster"] == str(runs.load_array(small, clustering, "labels")[place])


def test_points_are_x_then_y_then_ids(small: Workspace, address: str) -> None:
    projection = the_map(small)
    answer = get(f"{address}/points/{projection.id}")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["cache-control"] == FOREVER
    n = projection.n_images
    assert len(answer.body) == 12 * n
    places = runs.load_array(small, projection, "coordinates")
    np.testing.assert_array_equal(np.frombuffer(answer.body, "<f4", n), places[:, 0])
    np.testing.assert_array_equal(np.frombuffer(answer.body, "<f4", n, 4 * n), places[:, 1])
    ids = np.frombuffer(answer.body, "<i4", n, 8 * n)
    np.testing.assert_array_equal(ids, runs.load_array(small, projection, "image_ids"))


def test_colours_are_a_byte_a_point_for_categories_and_a_float_for_scores(
    small: Workspace, address: str
) -> None:
    projection = the_map(small)
    ids = runs.load_array(small, projection, "image_ids")
    by_label = get(f"{address}/colours/{projection.id}?by=label&v=0-24")
    assert by_label.headers["cache-control"] == FOREVER
    expected = colour(small, ids, "label")
    np.testing.assert_array_equal(np.frombuffer(by_label.body, "u1"), expected.values)
    names = [expected.categories[place].name for place in expected.values]
    assert names == catalog.column(small, ids, "label")
    by_score = get(f"{address}/colours/{projection.id}?by=brightness&v=0-24")
    np.testing.assert_allclose(
        np.frombuffer(by_score.body, "<f4"), catalog.column(small, ids, "brightness"), rtol=1e-6
    )


def test_a_selection_is_its_ids_ascending(small: Workspace, address: str) -> None:
    digest = selections.save_selection(small, np.array([9, 3, 3, 7]))
    answer = get(f"{address}/selection/{digest}")
    assert answer.headers["cache-control"] == FOREVER
    assert np.frombuffer(answer.body, "<i4").tolist() == [3, 7, 9]


def test_an_export_is_a_download(small: Workspace, address: str) -> None:
    name = samples.do(small, ExportImages(format="csv")).result["archive"]
    answer = get(f"{address}/export/{name}")
    assert answer.status == 200
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.body == (small.path / "exports" / name).read_bytes()


# What is not there


@pytest.mark.parametrize(
    "path",
    [
        "thumbnail/999999",
        "preview/999999",
        "image/999999",
        "card/999999",
        "card/3000000000",
        "thumbnail/99999999999999999999999",
        "points/projection-0000000000000000",
        "colours/projection-0000000000000000?by=label",
        "selection/00000000000000000000000000000000",
        f"selection/{'a' * 300}",
        "selection/..",
        "export/nothing.zip",
        "export/.hidden",
        "export/..%2flacquer.db",
        "export/..%5clacquer.db",
        "export/%2e%2e",
        "export/a%00b",
    ],
)
def test_what_is_not_there_is_not_found(path: str, address: str) -> None:
    assert get(f"{address}/{path}").status == 404


def test_an_image_number_beyond_any_is_not_found_on_any_database(workspace: Workspace) -> None:
    for image_id in (2**31, 2**63, 10**30):
        assert get(f"{PREFIX}/{workspace.uid}/card/{image_id}").status == 404


def test_an_unknown_colouring_is_not_found(small: Workspace, address: str) -> None:
    for by in ("nonsense", "attribute:nonsense", "cluster:nonsense", ""):
        status = get(f"{address}/colours/{the_map(small).id}?by={by}").status
        assert status == (200 if by == "attribute:nonsense" else 404), by


def test_a_map_is_known_by_its_whole_id_alone(small: Workspace, address: str) -> None:
    projection = the_map(small)
    assert get(f"{address}/points/{projection.id[:-1]}").status == 404
    assert get(f"{address}/colours/{projection.id[:-1]}?by=label").status == 404
    assert get(f"{address}/points/{projection.parent_id}").status == 404


def test_an_unknown_workspace_is_not_found_and_one_made_later_is() -> None:
    assert get(f"{PREFIX}/{'0' * 16}/card/1").status == 404
    assert get(f"{PREFIX}/../{'0' * 16}/card/1").status == 404


def test_a_deleted_workspace_is_gone_at_once(small: Workspace, address: str) -> None:
    image_id = some_id(small)
    digest = selections.save_selection(small, np.array([1]))
    paths = [
        f"thumbnail/{image_id}",
        f"preview/{image_id}",
        f"image/{image_id}",
        f"card/{image_id}",
        f"points/{the_map(small).id}",
        f"selection/{digest}",
    ]
    assert [get(f"{address}/{path}").status for path in paths] == [200] * 6
    delete_workspace(small)
    assert [get(f"{address}/{path}").status for path in paths] == [404] * 6
    assert not small.path.exists()


def test_a_workspace_made_where_another_was_does_not_answer_for_it(
    small: Workspace, address: str, tmp_path: Path
) -> None:
    image_id = some_id(small)
    assert get(f"{address}/thumbnail/{image_id}").status == 200
    delete_workspace(small)
    successor = create_workspace(small.path)
    samples.import_folder(successor, samples.write_images(tmp_path / "again"))
    assert get(f"{address}/thumbnail/{image_id}").status == 404
    answer = get(f"{PREFIX}/{successor.uid}/thumbnail/{image_id}")
    assert_same_colour(answer.body, successor, catalog.get_image(successor, image_id))


def test_a_renamed_workspace_and_a_moved_one_keep_their_address(
    small: Workspace, address: str
) -> None:
    assert get(f"{address}/card/{some_id(small)}").status == 200
    rename_workspace(small, "Another name")
    assert get(f"{address}/card/{some_id(small)}").status == 200
    small.path.rename(small.path.with_name("elsewhere"))
    assert get(f"{address}/card/1").status == 200


# Assets


def test_assets_are_served_for_good() -> None:
    answer = get("/assets/1/gallery/gallery.js")
    assert answer.status == 200
    assert answer.body == (PROJECT_ROOT / "assets" / "gallery" / "gallery.js").read_bytes()
    assert answer.headers["cache-control"] == FOREVER
    assert "javascript" in answer.headers["content-type"]


@pytest.mark.parametrize(
    "path",
    ["../app.py", "%2e%2e/app.py", "gallery/../../app.py", "/etc/passwd", "gallery", "", "a%00b"],
)
def test_nothing_outside_the_assets_is_served(path: str) -> None:
    assert get(f"/assets/1/{path}").status == 404


def assert_same_colour(jpeg: bytes, workspace: Workspace, image: catalog.Image) -> None:
    with Image.open(catalog.image_path(workspace, image)) as original:
        expected = np.asarray(original.convert("RGB"))[0, 0].astype(int)
    shown = np.asarray(Image.open(io.BytesIO(jpeg)))[0, 0].astype(int)
    assert abs(shown - expected).max() <= 3


# What a model says of an image


def test_a_heat_map_is_empty_until_it_is_there_and_belongs_to_one_model(
    small: Workspace, address: str
) -> None:
    model = classifiers.add_model(small)
    image = catalog.get_image(small, some_id(small))
    path = f"{address}/heat/{model.id}/{image.id}"
    waiting = get(path)
    assert (waiting.status, waiting.body) == (204, b"")
    assert waiting.headers["cache-control"] == "no-store"
    file = heat_map_path(small, model, image)
    file.parent.mkdir()
    Image.new("RGBA", (2, 2)).save(file)
    found = get(path)
    assert (found.status, found.headers["content-type"]) == (200, "image/png")
    assert found.headers["cache-control"] == FOREVER
    assert found.body == file.read_bytes()
    assert get(f"{path}?label=dirt").status == 204  # of another class
    for unknown in ("newest", "1", "resnet18-9", "..%2F.."):
        assert get(f"{address}/heat/{unknown}/{image.id}").status == 404


def test_a_card_tells_the_probabilities_of_the_evaluation_it_is_asked_for(
    small: Workspace, address: str
) -> None:
    ids = catalog.image_ids(small).tolist()
    model = classifiers.add_model(small, train=ids[::2], validation=ids[1::2])
    embedding = runs.list_runs(small, "embedding")[0]
    run = classifiers.evaluate(small, model, embedding)
    image_id = next(i for i in ids if catalog.get_image(small, i).label == "drop")
    rows = json.loads(get(f"{address}/card/{image_id}?evaluation={run.id}").body)["rows"]
    predicted = dict(rows)["Predicted"]
    assert predicted.startswith("drop, ")
    assert [name for share, name in rows if share.endswith("%")] == ["dirt"]
    for other in (the_map(small).id, "evaluation-0"):
        assert "Predicted" not in get(f"{address}/card/{image_id}?evaluation={other}").body.decode()
