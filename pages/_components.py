"""How do our own interface components get into a page?

Streamlit is given a few lines that import the component's module from the app's own address, so
that neither script nor style travels over the websocket, on a cold start or at a rerun. The
address carries a hash of everything under `assets/`: it is cached for good, and a new version of
the app has new addresses, for the modules that a module imports too.
"""

import hashlib
from functools import cache

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

from core.settings import PROJECT_ROOT

ASSETS = PROJECT_ROOT / "assets"
SCRIPTS = (".js", ".css")

LOADER = """
export default function (component) {
  const address = new URL(component.data.script_url, document.baseURI).href;
  return import(address).then((module) => module.mount(component));
}
"""


def register_component(name: str) -> ComponentRenderer:
    """The mounting command of a component whose module `data["script_url"]` names."""
    return st.components.v2.component(f"lacquer.{name}", js=LOADER, isolate_styles=False)


def asset_url(path: str) -> str:
    """Address of a file under `assets/`, relative to the app: `assets/<version>/<path>`."""
    return f"assets/{assets_version()}/{path}"


@cache
def assets_version() -> str:
    """A hash of all scripts and style sheets under `assets/`."""
    digest = hashlib.sha256()
    for file in sorted(ASSETS.rglob("*")):
        if file.suffix in SCRIPTS:
            digest.update(str(file.relative_to(ASSETS)).encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def ignore_change() -> None:
    """Streamlit keeps a component's value only where a callback is registered for it."""
