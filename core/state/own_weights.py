"""Which weights has a person put into this workspace? Files in its folder `weights`.

An uploaded file is written to disk and never opened as weights here: the job that embeds with it
checks it. It is called `<backbone>-<name>.pth` or `.safetensors`, by what it is and not by how it
was called.
"""

import os
import re
import secrets
import unicodedata
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from core.errors import OperatorError
from core.state import uploads
from core.state.workspace import Workspace

SUFFIXES = (".pth", ".pt", ".safetensors")
_BLOCK_BYTES = 1 << 20
_NAME_LIMIT = 60


def folder(workspace: Workspace) -> Path:
    """Where the files are."""
    return workspace.folder("weights")


def list_weights(workspace: Workspace, backbone: str) -> list[str]:
    """Names of the files for this backbone: those in whose name its own stands by itself."""
    return list_weights_in(folder(workspace), backbone)


def list_weights_in(place: Path, backbone: str) -> list[str]:
    """The same of another folder, which need not be there."""
    named = re.compile(rf"(?<![a-z0-9_]){re.escape(backbone)}(?![a-z0-9_])", re.IGNORECASE)
    return sorted(
        path.name
        for path in (place.iterdir() if place.is_dir() else ())
        if path.suffix.lower() in SUFFIXES and named.search(path.stem) and path.is_file()
    )


def add_weights(
    workspace: Workspace, backbone: str, name: str, content: BinaryIO, *, max_bytes: int
) -> str:
    """Keep an uploaded file for this backbone and return the name that it has now.

    Args:
        name: what the file was called where it comes from; only its plain letters are kept.
        content: the file, read from its beginning.
        max_bytes: larger files are refused.

    Raises:
        OperatorError: it is no weights file, is too large, or there is one of that name.
    """
    suffix = _suffix_of(content)
    target = folder(workspace) / f"{backbone}-{_clean_stem(name, backbone)}{suffix}"
    if target.exists():
        raise OperatorError(
            f"There are weights called {target.name} already.",
            next_step="Remove them first, or give the new ones another name.",
        )
    beside = target.with_name(f".{target.name}.{secrets.token_hex(8)}.part")
    n_bytes = 0
    try:
        with beside.open("wb") as file:
            content.seek(0)
            while block := content.read(_BLOCK_BYTES):
                n_bytes += len(block)
                if n_bytes > max_bytes:
                    raise OperatorError(
                        f"The file has more than {max_bytes / 1e6:,.0f} MB.",
                        next_step="Copy it into the workspace's folder weights.",
                    )
                file.write(block)
        beside.rename(target)
    finally:
        beside.unlink(missing_ok=True)
    return target.name


def keep_upload(workspace: Workspace, content: BinaryIO, *, max_bytes: int) -> Path:
    """Keep an uploaded classifier until it is imported: where no embedding takes it for weights.

    Raises:
        OperatorError: it is no weights file, or too large.
    """
    suffix = _suffix_of(content)
    if content.seek(0, os.SEEK_END) > max_bytes:
        raise OperatorError(
            f"The file has more than {max_bytes / 1e6:,.0f} MB.",
            next_step="Import it on the command line: `python -m core model import FILE`.",
        )
    content.seek(0)
    return uploads.store_upload(workspace, content, suffix=suffix)


def remove_weights(workspace: Workspace, backbone: str, name: str) -> None:
    """Delete one of the files that `list_weights` names; runs made with it stay.

    Raises:
        OperatorError: it is none of them.
    """
    if name not in list_weights(workspace, backbone):
        raise OperatorError("These weights are no longer there.", name)
    (folder(workspace) / name).unlink(missing_ok=True)


def _suffix_of(content: BinaryIO) -> str:
    """The suffix by what the file begins with: torch's archive, its older format, safetensors."""
    content.seek(0)
    begins = content.read(9)
    if begins.startswith((b"PK\x03\x04", b"\x80\x02")):
        return ".pth"
    if begins[8:] == b"{":  # after the length of its header
        return ".safetensors"
    raise OperatorError(
        "This is no weights file.",
        "It is neither what torch.save writes nor safetensors.",
        "Save the network's state dict with torch.save(model.state_dict(), path), or as "
        "safetensors.",
    )


def _clean_stem(name: str, backbone: str) -> str:
    """ASCII letters, digits, `-` and `_` of a file's name, without its folder and suffix."""
    stem = PurePosixPath(name.replace("\\", "/")).stem
    ascii_only = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    clean = re.sub(r"[^A-Za-z0-9_-]+", "-", ascii_only).removeprefix(backbone).strip("-_")
    return clean[:_NAME_LIMIT] or secrets.token_hex(3)
