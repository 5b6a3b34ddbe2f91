"""A small app with the same routes as the real one, serving generated data."""

from pathlib import Path

import harness_data as data
import streamlit as st
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

HERE = Path(__file__).resolve().parent
ASSETS = HERE.parents[2] / "assets"
FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}

failures_left = {"points": 0}


def binary(content: bytes) -> Response:
    return Response(content, media_type="application/octet-stream", headers=FOREVER)


async def asset(request: Request) -> Response:
    return FileResponse(ASSETS / request.path_params["path"], headers=FOREVER)


async def points(request: Request) -> Response:
    if failures_left["points"] > 0:
        failures_left["points"] -= 1
        return Response(status_code=500)
    drawn = data.points(request.path_params["view"], request.path_params["n"])
    return binary(drawn.x.tobytes() + drawn.y.tobytes() + drawn.ids.tobytes())


async def fail_once(request: Request) -> Response:
    failures_left["points"] = 1
    return Response(status_code=204)


async def colours(request: Request) -> Response:
    n = request.path_params["n"]
    values = data.scores(n) if request.path_params["kind"] == "score" else data.categories(n)
    return binary(values.tobytes())


async def selection(request: Request) -> Response:
    return binary(data.kept_selections[request.path_params["version"]].tobytes())


async def image(request: Request) -> Response:
    side = {"thumbnail": 96, "preview": 400, "full": 1200}[request.path_params["size"]]
    content = data.jpeg(request.path_params["id"], side)
    return Response(content, media_type="image/jpeg", headers=FOREVER)


async def card(request: Request) -> Response:
    return JSONResponse(data.card(request.path_params["id"]))


app = st.App(
    str(HERE / "script.py"),
    routes=[
        Route("/assets/{version}/{path:path}", asset),
        Route("/points/{view}/{n:int}", points),
        Route("/fail_once", fail_once),
        Route("/colours/{kind}/{n:int}", colours),
        Route("/selection/{version}", selection),
        Route("/images/{size}/{id:int}", image),
        Route("/cards/{id:int}", card),
    ],
)
