"""After a restart: jobs that were at work or waiting go on, and uploads left behind are removed."""

import logging

from core.errors import OperatorError
from core.jobs.queue import look_after
from core.settings import load_settings
from core.state.uploads import discard_abandoned
from core.state.workspace import list_workspaces, open_workspace

log = logging.getLogger(__name__)


def recover_jobs() -> None:
    """Set right and wake the jobs of every workspace; one that cannot be opened is passed over."""
    settings = load_settings()
    for known in list_workspaces(settings):
        try:
            workspace = open_workspace(known.path, settings=settings)
            look_after(workspace)
            discard_abandoned(workspace)
        except OperatorError as error:
            log.warning("%s: %s", known.name, error)
