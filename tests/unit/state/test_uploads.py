"""Uploads stay until they are imported or discarded, or until nobody has used them for a day."""

import os
import time
from io import BytesIO
from pathlib import Path

import pytest

from core.jobs import queue
from core.jobs.configs import ImportImages
from core.state import job_rows, uploads
from core.state.workspace import Workspace, create_workspace


@pytest.fixture
def workspace(home: Path) -> Workspace:
    return create_workspace(home / "line", name="Line")


def stored(workspace: Workspace, content: bytes = b"PK") -> Path:
    return uploads.store_upload(workspace, BytesIO(content))


def unpacked(workspace: Workspace, archive: Path) -> Path:
    """What is left of an archive that was unpacked, as far as places go."""
    folder = uploads.unpacked_folder(workspace, archive)
    (folder / "files").mkdir(parents=True)
    (folder / "files" / "1.jpg").write_bytes(b"x")
    return folder


def make_old(folder: Path, seconds: float) -> None:
    then = time.time() - seconds
    for path in folder.iterdir():
        os.utime(path, (then, then))


def left(workspace: Workspace) -> list[str]:
    return sorted(path.name for path in (workspace.path / "uploads").iterdir())


def test_what_is_stored_is_what_was_sent(workspace: Workspace) -> None:
    one, other = stored(workspace, b"one"), stored(workspace, b"other")
    assert (one.read_bytes(), other.read_bytes()) == (b"one", b"other")
    assert uploads.is_upload(workspace, one)
    assert left(workspace) == sorted([one.name, other.name])


def test_an_upload_that_breaks_off_leaves_nothing(workspace: Workspace) -> None:
    class BrokenOff(BytesIO):
        def read(self, *_: object) -> bytes:
            raise ConnectionError("gone")

    with pytest.raises(uploads.OperatorError, match="could not be kept"):
        uploads.store_upload(workspace, BrokenOff())
    assert left(workspace) == []


def test_discarding_removes_the_archive_and_all_that_was_unpacked(workspace: Workspace) -> None:
    archive, other = stored(workspace), stored(workspace)
    unpacked(workspace, archive)
    uploads.unpacking_folder(workspace, archive, 7).mkdir()
    uploads.discard(workspace, archive)
    assert left(workspace) == [other.name]
    uploads.discard(workspace, archive)  # a second time changes nothing


def test_a_file_from_elsewhere_is_never_discarded(workspace: Workspace, tmp_path: Path) -> None:
    archive = tmp_path / "mine.zip"
    archive.write_bytes(b"PK")
    with pytest.raises(ValueError, match="no upload"):
        uploads.discard(workspace, archive)
    assert archive.exists()


def test_a_link_among_what_was_unpacked_is_not_followed(
    workspace: Workspace, tmp_path: Path
) -> None:
    archive = stored(workspace)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "kept.txt").write_text("x")
    uploads.unpacked_folder(workspace, archive).symlink_to(tmp_path / "elsewhere")
    uploads.discard(workspace, archive)
    assert left(workspace) == []
    assert (tmp_path / "elsewhere" / "kept.txt").exists()


def test_an_upload_that_nobody_used_for_a_day_is_removed(workspace: Workspace) -> None:
    old = stored(workspace)
    unpacked(workspace, old)
    make_old(workspace.path / "uploads", uploads.ABANDONED_AFTER_S + 60)
    new = stored(workspace)
    uploads.discard_abandoned(workspace)
    assert left(workspace) == [new.name]


def test_unpacking_an_old_upload_again_counts_as_use(workspace: Workspace) -> None:
    archive = stored(workspace)
    make_old(workspace.path / "uploads", uploads.ABANDONED_AFTER_S + 60)
    folder = unpacked(workspace, archive)
    uploads.discard_abandoned(workspace)
    assert left(workspace) == sorted([archive.name, folder.name])


def test_an_old_upload_that_waits_for_its_import_stays(workspace: Workspace) -> None:
    archive = stored(workspace)
    make_old(workspace.path / "uploads", uploads.ABANDONED_AFTER_S + 60)
    config = ImportImages(source=str(archive))
    job = queue.submit(workspace, config, actor="Ada", start=False)
    assert [each.id for each in uploads.jobs_using(workspace, archive)] == [job.id]
    uploads.discard_abandoned(workspace)
    assert left(workspace) == [archive.name]
    job_rows.request_cancel(workspace, job.id)
    uploads.discard_abandoned(workspace)
    assert left(workspace) == []


def test_a_workspace_without_uploads_has_nothing_to_discard(workspace: Workspace) -> None:
    uploads.discard_abandoned(workspace)
    assert not (workspace.path / "uploads").exists()
