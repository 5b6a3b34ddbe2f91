"""Lacquer's entry: `streamlit run app.py`, or any ASGI server with `app:app`.

The script that Streamlit runs is `pages/_main.py`, not this file: were the folder `pages` beside
the script, a fresh server would open a deep link without the main script's log-in and set-up.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import streamlit as st

from core.routes import build_routes
from core.settings import PROJECT_ROOT
from pages._access import authorised


@asynccontextmanager
async def lifespan(_: Any) -> AsyncIterator[dict[str, Any]]:
    """Take jobs up again that a restart of the machine left behind."""
    import threading

    from core.jobs.recovery import recover_jobs

    threading.Thread(target=recover_jobs, name="recover-jobs", daemon=True).start()
    yield {}


app = st.App(
    PROJECT_ROOT / "pages" / "_main.py", routes=build_routes(authorised), lifespan=lifespan
)
