"""The app's own HTTP routes: pictures, points and files, beside what Streamlit serves.

    /assets/<version>/<file>                     what components load once
    /lacquer/<workspace>/thumbnail|preview|image/<id>
    /lacquer/<workspace>/card/<id>               what is known of one image, as JSON
    /lacquer/<workspace>/points/<projection>     float32 x, float32 y, int32 id, little-endian
    /lacquer/<workspace>/colours/<projection>?by=<colouring>&v=<version>
    /lacquer/<workspace>/selection/<hash>        int32 ids, little-endian
    /lacquer/<workspace>/heat/<model>/<id>?label=   a heat map; 204 until it has been computed
    /lacquer/<workspace>/export/<file>

Every one passes the same question, `authorised(request)`. Addresses that hold a workspace's uid and
a content's number or hash never change their meaning, so browsers keep what they have fetched.
"""

from __future__ import annotations

import functools
import json
import mimetypes
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from core.errors import OperatorError
from core.settings import PROJECT_ROOT, load_settings
from core.state.workspace import MARKER, Workspace

if TYPE_CHECKING:
    from core.state.catalog import Image
    from core.state.runs import Run

PREFIX = "/lacquer"
PREVIEW_SIDE_PX = 640
_LARGEST_ID = 2**31 - 1  # what the databases' integers hold
_ASSETS = PROJECT_ROOT / "assets"
_FOREVER = {"Cache-Control": "private, max-age=31536000, immutable"}
_FRESH = {"Cache-Control": "no-store"}
_SHOWN_BY_BROWSERS = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}

Handler = Callable[[Request], Response]


def build_routes(authorised: Callable[[Request], bool]) -> list[Route]:
    """All routes, each behind `authorised`."""
    handlers: dict[str, Handler] = {
        "{uid}/thumbnail/{image_id:int}": _thumbnail,
        "{uid}/preview/{image_id:int}": _preview,
        "{uid}/image/{image_id:int}": _image,
        "{uid}/card/{image_id:int}": _card,
        "{uid}/points/{projection}": _points,
        "{uid}/colours/{projection}": _colours,
        "{uid}/selection/{digest}": _selection,
        "{uid}/heat/{model}/{image_id:int}": _heat_map,
        "{uid}/export/{file}": _export,
    }
    routes = [
        Route(f"{PREFIX}/{path}", _guarded(handler, authorised), methods=["GET"])
        for path, handler in handlers.items()
    ]
    # Modules import one another by relative address, so the version stands before the path.
    assets = Route("/assets/{version}/{file:path}", _guarded(_asset, authorised), methods=["GET"])
    return [*routes, assets]


def _guarded(handler: Handler, authorised: Callable[[Request], bool]) -> Handler:
    @functools.wraps(handler)
    def answer(request: Request) -> Response:  # not async: Starlette runs it in a thread
        if not authorised(request):
            return Response("Log in first.", status_code=401, headers=_FRESH)
        try:
            response = handler(request)
        except (OperatorError, LookupError, ValueError) as error:
            return Response(str(error), status_code=404, headers=_FRESH)
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    return answer


def _asset(request: Request) -> Response:
    path = (_ASSETS / request.path_params["file"]).resolve()
    if not path.is_relative_to(_ASSETS) or not path.is_file():
        raise LookupError("no such file")
    return FileResponse(path, headers=_FOREVER)


def _thumbnail(request: Request) -> Response:
    workspace, image_id = _workspace(request), _image_id(request)
    jpeg = _thumbnails(workspace).get(_sha256(workspace, image_id))
    if jpeg is None:
        jpeg = _remake_thumbnail(workspace, image_id)
    return Response(jpeg, media_type="image/jpeg", headers=_FOREVER)


def _preview(request: Request) -> Response:
    from core.images.thumbnails import make_preview

    workspace, image_id = _workspace(request), _image_id(request)
    pixels = _decode(workspace, image_id, side=PREVIEW_SIDE_PX)
    jpeg = make_preview(pixels, side=PREVIEW_SIDE_PX)
    return Response(jpeg, media_type="image/jpeg", headers=_FOREVER)


def _image(request: Request) -> Response:
    """The file itself where browsers show its kind, else all its pixels as JPEG."""
    from core.images.thumbnails import make_preview
    from core.state import catalog

    workspace = _workspace(request)
    image = catalog.get_image(workspace, _image_id(request))
    if image.format in _SHOWN_BY_BROWSERS:
        path = _file_of(workspace, image)
        return FileResponse(path, media_type=_SHOWN_BY_BROWSERS[image.format], headers=_FOREVER)
    pixels = _decode(workspace, image.id)
    jpeg = make_preview(pixels, side=max(pixels.size))
    return Response(jpeg, media_type="image/jpeg", headers=_FOREVER)


def _card(request: Request) -> Response:
    from core.state.cards import describe_image

    card = describe_image(
        _workspace(request),
        _image_id(request),
        projection=request.query_params.get("map"),
        colouring=request.query_params.get("by"),
        evaluation=request.query_params.get("evaluation"),
    )
    return Response(json.dumps(card), media_type="application/json", headers=_FRESH)


def _heat_map(request: Request) -> Response:
    """The picture that a job has computed; without it an empty answer, and the page asks again."""
    from core.state import catalog, models
    from core.state.heat_maps import heat_map_path

    workspace = _workspace(request)
    model = models.get_model(workspace, request.path_params["model"])
    if model.id != request.path_params["model"]:  # "newest" comes to mean another: no address
        raise LookupError("no such model")
    image = catalog.get_image(workspace, _image_id(request))
    path = heat_map_path(workspace, model, image, request.query_params.get("label", ""))
    if not path.is_file():
        return Response(status_code=204, headers=_FRESH)
    return FileResponse(path, media_type="image/png", headers=_FOREVER)


def _points(request: Request) -> Response:
    from core.state import runs

    workspace = _workspace(request)
    run = _projection(workspace, request)
    places = runs.load_array(workspace, run, "coordinates").astype("<f4")
    ids = runs.load_array(workspace, run, "image_ids").astype("<i4")
    body = places[:, 0].tobytes() + places[:, 1].tobytes() + ids.tobytes()
    return Response(body, media_type="application/octet-stream", headers=_FOREVER)


def _colours(request: Request) -> Response:
    from core.state import runs
    from core.state.colourings import colour

    workspace = _workspace(request)
    run = _projection(workspace, request)
    ids = runs.load_array(workspace, run, "image_ids")
    values = colour(workspace, ids, request.query_params.get("by", "label")).values
    body = values.astype(values.dtype.newbyteorder("<")).tobytes()
    return Response(body, media_type="application/octet-stream", headers=_FOREVER)


def _selection(request: Request) -> Response:
    from core.state.selections import load_selection

    ids = load_selection(_workspace(request), request.path_params["digest"])
    body = ids.astype("<i4").tobytes()
    return Response(body, media_type="application/octet-stream", headers=_FOREVER)


def _export(request: Request) -> Response:
    name = Path(request.path_params["file"]).name
    path = _workspace(request).path / "exports" / name
    if name.startswith(".") or not path.is_file():
        raise LookupError("no such export")
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return FileResponse(path, media_type=kind, filename=name, headers=_FRESH)


def _image_id(request: Request) -> int:
    image_id: int = request.path_params["image_id"]
    if image_id > _LARGEST_ID:
        raise LookupError("no such image")
    return image_id


def _projection(workspace: Workspace, request: Request) -> Run:
    from core.state import runs

    run = runs.find_run(workspace, request.path_params["projection"])
    if run is None:  # the beginning of an id may come to mean another map: it is no address
        raise LookupError("no such map")
    return run


def _workspace(request: Request) -> Workspace:
    uid = request.path_params["uid"]
    if not _is_there(_workspace_by_uid(uid)):  # deleted or moved since it was remembered
        _workspace_by_uid.cache_clear()
    return _workspace_by_uid(uid)


def _is_there(workspace: Workspace) -> bool:
    try:
        marker = json.loads((workspace.path / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return marker.get("uid") == workspace.uid


@functools.lru_cache(maxsize=64)
def _workspace_by_uid(uid: str) -> Workspace:
    from core.state.workspace import find_workspace

    workspace = find_workspace(uid)
    if workspace is None:
        raise LookupError("no such workspace")  # not cached: it may be made a moment later
    return workspace


@functools.lru_cache(maxsize=64)
def _thumbnails(workspace: Workspace):  # type: ignore[no-untyped-def]  # Pillow loads at first use
    from core.images.thumbnails import ThumbnailStore

    return ThumbnailStore(workspace.path / "thumbnails.db")


@functools.lru_cache(maxsize=200_000)
def _sha256(workspace: Workspace, image_id: int) -> str:
    from core.state import catalog

    return catalog.get_image(workspace, image_id).sha256


def _remake_thumbnail(workspace: Workspace, image_id: int) -> bytes:
    """As an import makes it, for the perceptual hash is of the thumbnail's very bytes."""
    from core.images.quality import WORKING_SIDE_PX
    from core.images.thumbnails import make_thumbnail

    jpeg = make_thumbnail(_decode(workspace, image_id, side=WORKING_SIDE_PX))
    _thumbnails(workspace).put_many([(_sha256(workspace, image_id), jpeg)])
    return jpeg


def _decode(workspace: Workspace, image_id: int, *, side: int | None = None):  # type: ignore[no-untyped-def]
    from core.images.reading import ImageRejected, load_for_import
    from core.state import catalog

    path = _file_of(workspace, catalog.get_image(workspace, image_id))
    try:
        return load_for_import(path, max_pixels=load_settings().max_image_pixels, side=side)[1]
    except ImageRejected as error:
        raise LookupError(error.reason) from error


def _file_of(workspace: Workspace, image: Image) -> Path:
    """Where the image's file is; a referenced file that was edited is another picture by now."""
    from core.state import catalog

    now = catalog.check_files(workspace, catalog.ImageFilter(ids=(image.id,)))
    condition = now.get(image.id, image.condition)
    if condition != "ok":
        raise LookupError(f"the image's file is {condition}")
    return catalog.image_path(workspace, image)
