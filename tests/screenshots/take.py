"""Pictures of every page and view, light and dark: `make screenshots`.

All of them go to `screenshots/<width>/<theme>/`, which git ignores. The few that the README shows
go to `docs/pictures/` as well, at 1280 px and from the demo alone. Those are WebP: a screenshot is
half text and half photographs, a palette of 256 colours draws bands into the photographs, and as
PNG without one ten of them take five times the bytes.

What there is to picture is read off the app itself: the pages from its navigation, the views from
the control at the head of each page. A new view needs nothing here.
"""

import argparse
import io
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from PIL import Image

from core.settings import PROJECT_ROOT
from pages._access import name_cookie
from tests.browser.conftest import running_app, running_browser
from tests.browser.steps import bring_map_into_view, hover_over_a_point, wait_until_drawn
from tests.conftest import end_workers
from tests.screenshots import shop

OUTPUT = PROJECT_ROOT / "screenshots"
FOR_DOCS = PROJECT_ROOT / "docs" / "pictures"
DOCS_WIDTH_PX = 1280
HEIGHTS_PX = {820: 1180, 1280: 800, 3840: 2160}  # a tablet, a laptop, a 4K screen
TALLEST_PX = 8000  # beyond it Chromium's pictures come out torn
THEMES = ("light", "dark")
PATIENCE_S = 60
WEBP_QUALITY = 90  # small text without halos; less shows them, more only costs bytes


@dataclass(frozen=True)
class View:
    """A page, or one of its views.

    Attributes:
        path: of the page in the address; empty for the first.
        title: of the view; empty where the page has only one.
    """

    path: str
    title: str = ""

    @property
    def name(self) -> str:
        """What its picture is called: `evaluation-before-and-after`."""
        words = f"{self.path or 'overview'} {self.title}".lower()
        return re.sub(r"[\W_]+", "-", words).strip("-")

    @property
    def query(self) -> str:
        """What its address has after the path."""
        return urlencode({f"{self.path}.view": self.title}) if self.title else ""


@dataclass(frozen=True)
class Chosen:
    """A picture for the documents.

    Attributes:
        view: the name of what it shows.
        pose: what is done on the page first.
    """

    view: str
    pose: Callable[..., None] = lambda page: None


def _point_at_the_map(page) -> None:
    bring_map_into_view(page)
    hover_over_a_point(page)


CHOSEN = {  # the name in docs/pictures, without its theme
    "map": Chosen("latent-space", _point_at_the_map),
    "before-and-after": Chosen("evaluation-before-and-after", bring_map_into_view),
    "triage": Chosen("triage-queue"),
    "defect-types": Chosen("defect-types-label-book"),
    "inbox": Chosen("inbox-arrivals"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Take the pictures that are asked for; 1 where something is missing to take them with."""
    asked = build_parser().parse_args(arguments)
    for_docs = asked.home is None and asked.width == DOCS_WIDTH_PX and not asked.whole
    try:
        with running_browser() as browser:
            home = asked.home or shop.make(OUTPUT / "home")
            with _app(home) as url:
                views: list[View] = []
                for theme in asked.themes:
                    with _page(browser, url, asked.width, theme) as page:
                        views = views or list(find_views(page, url))
                        _take_all(page, url, views, asked, theme, for_docs=for_docs)
    except LookupError as error:
        _say(f"No pictures: {error}. `make browser` installs one, or name one in LACQUER_CHROMIUM.")
        return 1
    except RuntimeError as error:
        _say(f"The pictures end here: {error}")
        return 1
    return 0


def _take_all(
    page,
    url: str,
    views: Sequence[View],
    asked: argparse.Namespace,
    theme: str,
    *,
    for_docs: bool,
) -> None:
    folder = asked.output / str(asked.width) / theme
    folder.mkdir(parents=True, exist_ok=True)
    for view in [view for view in views if re.search(asked.only, view.name)]:
        page.set_viewport_size({"width": asked.width, "height": _height(asked.width)})
        _open(page, f"{url}/{view.path}?{view.query}")
        if asked.whole:
            _stretch(page, asked.width)
        (folder / f"{view.name}.png").write_bytes(_picture(page))
        for name, chosen in CHOSEN.items():
            if for_docs and chosen.view == view.name:
                chosen.pose(page)
                _write_webp(_picture(page), FOR_DOCS / f"{name}-{theme}.webp")
        _say(f"{asked.width} px, {theme}: {view.name}")


def find_views(page, url: str) -> Iterator[View]:
    """Every page in the order of the navigation, and every view of it."""
    _open(page, url)
    links = page.locator("[data-testid=stSidebarNavLink]")
    paths = links.evaluate_all("links => links.map(link => new URL(link.href).pathname.slice(1))")
    for path in paths:
        _open(page, f"{url}/{path}")
        group = page.get_by_role("radiogroup", name="View", exact=True)
        titles = group.get_by_role("radio").all_inner_texts() if group.count() else [""]
        yield from [View(path, title.strip()) for title in titles]


def _open(page, address: str) -> None:
    """Open a page and wait until it is drawn; again where it was not, as on a server just started.

    Raises:
        RuntimeError: it is still not drawn.
    """
    from playwright import sync_api  # which a machine that takes no pictures need not have

    for _ in range(2):
        page.goto(address)
        with suppress(sync_api.TimeoutError):
            wait_until_drawn(page)
            return
    raise RuntimeError(f"{address} is not drawn after {2 * PATIENCE_S} s.")


def _height(width: int) -> int:
    """Of a window, in px: of a screen of that width, else of three quarters of it."""
    return HEIGHTS_PX.get(width, round(0.75 * width))


def _stretch(page, width: int) -> None:
    """Make the window as tall as the page; triage fills every window and is left as it is."""
    if page.locator(".lq-triage").count():
        return
    for _ in range(3):  # what is drawn only once it is seen makes the page taller
        tall = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
        page.set_viewport_size({"width": width, "height": min(tall, TALLEST_PX)})
        wait_until_drawn(page)


def _picture(page) -> bytes:
    """A picture of a page that has come to rest: two in a row are the same."""
    before, now = b"", page.screenshot(animations="disabled")
    for _ in range(8):
        if now == before:
            break
        page.wait_for_timeout(250)
        before, now = now, page.screenshot(animations="disabled")
    return now


def _write_webp(picture: bytes, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(io.BytesIO(picture)) as image:
        image.convert("RGB").save(path, "WEBP", quality=WEBP_QUALITY, method=6)


@contextmanager
def _app(home: Path) -> Iterator[str]:
    environment = {
        "LACQUER_HOME": str(home.resolve()),
        "LACQUER_WORKSPACE": "",
        "LACQUER_DATABASE_URL": "",
        "LACQUER_OFFLINE": "1",
    }
    with tempfile.TemporaryDirectory() as folder:
        with running_app(PROJECT_ROOT / "app.py", Path(folder) / "log.txt", environment) as url:
            yield url
        end_workers(home.resolve())


@contextmanager
def _page(browser, url: str, width: int, theme: str):
    """A page of somebody who has given a name, without which the queue opens on a question."""
    context = browser.new_context(
        viewport={"width": width, "height": _height(width)},
        color_scheme=theme,
        reduced_motion="reduce",
    )
    name, _, rest = name_cookie(shop.PERSON).partition("=")
    context.add_cookies([{"name": name, "value": rest.partition(";")[0], "url": url}])
    page = context.new_page()
    page.set_default_timeout(1000 * PATIENCE_S)
    yield page
    context.close()


def build_parser() -> argparse.ArgumentParser:
    """What can be asked for."""
    parser = argparse.ArgumentParser(description="Take pictures of every page and view.")
    parser.add_argument("--width", type=int, default=DOCS_WIDTH_PX, help="of the window, in px")
    parser.add_argument(
        "--home",
        type=Path,
        help="a folder of workspaces that is there already, whose first is shown as it is; the "
        "pictures of the documents stay as they are (default: the demo, made where it is missing)",
    )
    parser.add_argument("--output", type=Path, default=OUTPUT, help="default: screenshots/")
    parser.add_argument("--only", default="", metavar="REGEX", help="views whose names match")
    parser.add_argument("--whole", action="store_true", help="each page in its whole length")
    parser.add_argument("--themes", nargs="+", choices=THEMES, default=list(THEMES))
    return parser


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
