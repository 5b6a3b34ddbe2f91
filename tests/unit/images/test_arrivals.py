"""A file of a camera's folder is tried when it has come to rest, and refused when it stays bad."""

from pathlib import Path

import pytest

from core.images.arrivals import Arrival, WatchedFolder, is_unfinished


@pytest.fixture
def camera(tmp_path: Path) -> Path:
    """An empty folder."""
    return tmp_path


def watch(camera: Path, *settled: tuple[str, str]) -> WatchedFolder:
    return WatchedFolder(camera, settled=settled, grace_s=5.0)


def names(found: list[Arrival]) -> list[str]:
    return [each.relative for each in found]


def test_a_file_is_tried_at_the_second_look_that_finds_it_unchanged(camera: Path) -> None:
    folder = watch(camera)
    (camera / "a.png").write_bytes(b"1")
    assert folder.look(10.0) == []
    assert names(folder.look(10.25)) == ["a.png"]


def test_a_file_that_still_grows_waits(camera: Path) -> None:
    folder = watch(camera)
    (camera / "a.png").write_bytes(b"1")
    folder.look(10.0)
    (camera / "a.png").write_bytes(b"12")
    assert folder.look(10.25) == []
    assert names(folder.look(10.5)) == ["a.png"]


def test_temporary_and_hidden_names_wait_for_their_rename(camera: Path) -> None:
    folder = watch(camera)
    for name in (".a.png", "a.png.part", "a.png.tmp", "a.png~"):
        (camera / name).write_bytes(b"1")
        assert is_unfinished(name)
    folder.look(10.0)
    assert folder.look(10.25) == []
    (camera / "a.png.part").rename(camera / "a.png")
    folder.look(10.5)
    assert names(folder.look(10.75)) == ["a.png"]


def test_what_cannot_be_read_is_tried_again_after_its_grace_and_refused_then(camera: Path) -> None:
    folder = watch(camera)
    (camera / "a.png").write_bytes(b"half")
    folder.look(10.0)
    (first,) = folder.look(10.25)
    assert not folder.is_hopeless(first, 10.3)
    assert folder.look(14.0) == []
    (again,) = folder.look(15.0)
    assert folder.is_hopeless(again, 15.1)


def test_what_goes_on_growing_after_a_try_has_its_grace_anew(camera: Path) -> None:
    folder = watch(camera)
    (camera / "a.png").write_bytes(b"half")
    folder.look(10.0)
    (first,) = folder.look(10.25)
    folder.is_hopeless(first, 10.3)
    (camera / "a.png").write_bytes(b"half and more")
    folder.look(14.9)
    (second,) = folder.look(15.2)
    assert not folder.is_hopeless(second, 15.3)


def test_what_is_settled_is_named_again_only_when_it_has_changed(camera: Path) -> None:
    (camera / "a.png").write_bytes(b"1")
    folder = watch(camera)
    folder.look(10.0)
    (found,) = folder.look(10.25)
    folder.settle(found.relative, found.fingerprint)
    assert folder.look(10.5) == []
    assert folder.n_waiting == 0
    after_a_restart = watch(camera, (found.relative, found.fingerprint))
    after_a_restart.look(20.0)
    assert after_a_restart.look(20.25) == []
    (camera / "a.png").write_bytes(b"another")
    after_a_restart.look(20.5)
    assert names(after_a_restart.look(20.75)) == ["a.png"]


def test_subfolders_count_and_links_do_not(camera: Path, tmp_path_factory) -> None:  # type: ignore[no-untyped-def]
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "secret.png"
    elsewhere.write_bytes(b"1")
    (camera / "shift-1").mkdir()
    (camera / "shift-1" / "a.png").write_bytes(b"1")
    (camera / "link.png").symlink_to(elsewhere)
    folder = watch(camera)
    folder.look(10.0)
    assert names(folder.look(10.25)) == ["shift-1/a.png"]


def test_the_time_of_the_last_change_lies_between_two_looks(camera: Path) -> None:
    folder = watch(camera)
    folder.look(10.0)
    (camera / "a.png").write_bytes(b"1")  # its own time is of another century
    folder.look(11.0)
    (found,) = folder.look(12.0)
    assert 10.0 <= found.changed_at <= 11.0


def test_a_folder_that_is_gone_says_so(camera: Path) -> None:
    folder = watch(camera / "gone")
    with pytest.raises(OSError, match="gone"):
        folder.look(10.0)
