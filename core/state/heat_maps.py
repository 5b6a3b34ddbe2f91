"""Heat maps: where does the picture lie that shows where a model looked in an image?

Each is a PNG in the model's own folder, under a name made of all that shapes it: a page asks for
the file before it asks for the work.
"""

import hashlib
import json
from pathlib import Path

from core.state import models
from core.state.catalog import Image
from core.state.models import Model
from core.state.workspace import Workspace

VERSION = 1  # part of every file's name: raise it when the same image gives another picture


def heat_map_path(workspace: Workspace, model: Model, image: Image, label: str = "") -> Path:
    """The file of an image's heat map, whether it is there yet or not.

    Args:
        label: the class that is explained; the predicted one where empty.
    """
    inputs = [VERSION, model.weights_sha256, image.sha256, label]
    name = hashlib.sha256(json.dumps(inputs).encode()).hexdigest()[:32]
    return models.folder(workspace, model.id) / "heat_maps" / f"{name}.png"
