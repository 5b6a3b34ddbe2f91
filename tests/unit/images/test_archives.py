"""Archives: a hostile zip writes nothing outside, and its good files are unpacked all the same."""

import io
import os
import stat
import struct
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import OperatorError
from core.images.archives import content_root, extract_zip

MB = 1_000_000


def packed(*entries: tuple[str | zipfile.ZipInfo, bytes]) -> io.BytesIO:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    buffer.seek(0)
    return buffer


def unpacked(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def with_mode(name: str, mode: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.create_system = 3
    entry.external_attr = mode << 16
    return entry


def patched(archive: io.BytesIO, old: bytes, new: bytes) -> io.BytesIO:
    assert len(old) == len(new)
    assert old in archive.getvalue()
    return io.BytesIO(archive.getvalue().replace(old, new))


def test_good_files_are_unpacked_where_they_belong(tmp_path: Path) -> None:
    archive = packed(("set/", b""), ("set/dirt/1.jpg", b"one"), ("set/drop/2.jpg", b"two"))
    assert extract_zip(archive, tmp_path / "into", max_bytes=MB) == ()
    assert unpacked(tmp_path / "into") == {"set/dirt/1.jpg": b"one", "set/drop/2.jpg": b"two"}


def test_progress_is_told_before_each_entry_by_its_bytes(tmp_path: Path) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as made:
        for name, n_bytes in (("1.jpg", 10), ("2.jpg", 30), ("3.jpg", 60)):
            made.writestr(name, b"x" * n_bytes)
    told: list[float] = []
    extract_zip(archive, tmp_path / "into", max_bytes=MB, on_progress=told.append)
    assert told == [0.0, 0.1, 0.4]


def test_unpacking_ends_where_the_listener_says_so(tmp_path: Path) -> None:
    class Enough(Exception):
        pass

    def stop(share: float) -> None:
        if share > 0:
            raise Enough

    archive = packed(("1.jpg", b"one"), ("2.jpg", b"two"))
    with pytest.raises(Enough):
        extract_zip(archive, tmp_path / "into", max_bytes=MB, on_progress=stop)
    assert unpacked(tmp_path / "into") == {"1.jpg": b"one"}


def test_a_file_on_disk_is_unpacked_like_a_stream(tmp_path: Path) -> None:
    path = tmp_path / "set.zip"
    path.write_bytes(packed(("1.jpg", b"one")).getvalue())
    assert extract_zip(path, tmp_path / "into", max_bytes=MB) == ()
    assert unpacked(tmp_path / "into") == {"1.jpg": b"one"}


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("../evil.jpg", "out of the archive"),
        ("a/../../evil.jpg", "out of the archive"),
        ("..\\evil.jpg", "out of the archive"),
        ("a\\..\\..\\evil.jpg", "out of the archive"),
        ("/evil.jpg", "absolute"),
        ("\\evil.jpg", "absolute"),
        ("//server/evil.jpg", "absolute"),
        ("C:\\evil.jpg", "absolute"),
        ("c:evil.jpg", "absolute"),
        ("a/\x07evil.jpg", "control characters"),
        ("x" * 300 + ".jpg", "too long"),
        ("/".join(["folder"] * 300) + "/1.jpg", "too long"),
        ("./.", "no name"),
        ("inner.zip", "archive inside"),
        ("inner.tar.gz", "archive inside"),
    ],
)
def test_a_bad_name_is_refused_and_the_rest_is_unpacked(
    name: str, found: str, tmp_path: Path
) -> None:
    into = tmp_path / "deep" / "into"
    (rejection,) = extract_zip(packed((name, b"evil"), ("ok.jpg", b"ok")), into, max_bytes=MB)
    assert found in rejection.reason
    assert rejection.path.isprintable()
    assert unpacked(tmp_path) == {"deep/into/ok.jpg": b"ok"}


def test_a_name_with_a_zero_byte_is_refused(tmp_path: Path) -> None:
    archive = patched(
        packed(("evil_.jpg", b"evil"), ("ok.jpg", b"ok")), b"evil_.jpg", b"evil\0.jpg"
    )
    (rejection,) = extract_zip(archive, tmp_path, max_bytes=MB)
    assert "control characters" in rejection.reason
    assert unpacked(tmp_path) == {"ok.jpg": b"ok"}


@pytest.mark.parametrize(
    ("mode", "found"),
    [(stat.S_IFLNK | 0o777, "symbolic link"), (stat.S_IFIFO | 0o644, "plain file")],
)
def test_links_and_special_files_are_refused(mode: int, found: str, tmp_path: Path) -> None:
    archive = packed((with_mode("link.jpg", mode), b"/etc/passwd"), ("link.jpg/1.jpg", b"ok"))
    (rejection,) = extract_zip(archive, tmp_path, max_bytes=MB)
    assert found in rejection.reason
    assert unpacked(tmp_path) == {"link.jpg/1.jpg": b"ok"}


def test_files_are_not_executable_whatever_the_archive_says(tmp_path: Path) -> None:
    extract_zip(packed((with_mode("1.jpg", stat.S_IFREG | 0o4777), b"")), tmp_path, max_bytes=MB)
    assert not (tmp_path / "1.jpg").stat().st_mode & 0o7111


def test_an_encrypted_entry_is_refused(tmp_path: Path) -> None:
    data = bytearray(packed(("1.jpg", b"secret")).getvalue())
    data[data.index(b"PK\x03\x04") + 6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    (rejection,) = extract_zip(io.BytesIO(bytes(data)), tmp_path, max_bytes=MB)
    assert "encrypted" in rejection.reason


def test_an_entry_that_would_pass_the_limit_is_refused_and_smaller_ones_still_fit(
    tmp_path: Path,
) -> None:
    archive = packed(("bomb.jpg", bytes(50 * MB)), ("ok.jpg", b"ok"))
    (rejection,) = extract_zip(archive, tmp_path, max_bytes=MB)
    assert "50.0 MB" in rejection.reason
    assert unpacked(tmp_path) == {"ok.jpg": b"ok"}


def test_the_limit_is_on_all_files_together(tmp_path: Path) -> None:
    archive = packed(*((f"{i}.jpg", bytes(400_000)) for i in range(4)))
    rejected = extract_zip(archive, tmp_path, max_bytes=MB)
    assert [rejection.path for rejection in rejected] == ["2.jpg", "3.jpg"]


def test_a_header_that_lies_about_the_size_does_not_help_a_bomb(tmp_path: Path) -> None:
    true_size, lie = struct.pack("<L", 50 * MB), struct.pack("<L", 100)
    archive = patched(packed(("bomb.jpg", bytes(50 * MB)), ("ok.jpg", b"ok")), true_size, lie)
    (rejection,) = extract_zip(archive, tmp_path, max_bytes=MB)
    assert rejection.path == "bomb.jpg"
    assert unpacked(tmp_path) == {"ok.jpg": b"ok"}


def test_what_refused_entries_wrote_counts_against_the_limit(tmp_path: Path) -> None:
    archive = packed(("bad.jpg", os.urandom(3 * MB)), ("ok.jpg", os.urandom(2 * MB)))
    data = bytearray(archive.getvalue())
    data[2_900_000] ^= 0xFF  # the checksum of bad.jpg no longer holds, which shows at its end
    rejected = extract_zip(io.BytesIO(bytes(data)), tmp_path, max_bytes=4 * MB)
    assert [rejection.path for rejection in rejected] == ["bad.jpg", "ok.jpg"]
    assert unpacked(tmp_path) == {}


def test_a_damaged_entry_is_refused_and_leaves_nothing_behind(tmp_path: Path) -> None:
    archive = packed(("bad.jpg", b"spoiled" * 1000), ("ok.jpg", b"ok"))
    data = bytearray(archive.getvalue())
    data[45] ^= 0xFF
    (rejection,) = extract_zip(io.BytesIO(bytes(data)), tmp_path, max_bytes=MB)
    assert "damaged" in rejection.reason
    assert unpacked(tmp_path) == {"ok.jpg": b"ok"}


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_comes_twice_keeps_the_first(tmp_path: Path) -> None:
    archive = packed(("1.jpg", b"first"), ("1.jpg", b"second"), ("1.jpg/2.jpg", b"below"))
    rejected = extract_zip(archive, tmp_path, max_bytes=MB)
    assert [rejection.path for rejection in rejected] == ["1.jpg", "1.jpg/2.jpg"]
    assert unpacked(tmp_path) == {"1.jpg": b"first"}


def test_utf_8_names_without_their_flag_are_mended(tmp_path: Path) -> None:
    archive = patched(packed(("Kratzer_aaaa.jpg", b"")), b"aaaa", "ää".encode())
    assert extract_zip(archive, tmp_path, max_bytes=MB) == ()
    assert list(unpacked(tmp_path)) == ["Kratzer_ää.jpg"]


def test_too_many_entries_refuse_the_archive(tmp_path: Path) -> None:
    archive = packed(*((f"{i}.jpg", b"") for i in range(11)))
    with pytest.raises(OperatorError, match="too many files"):
        extract_zip(archive, tmp_path / "into", max_bytes=MB, max_files=10)
    assert not (tmp_path / "into").exists()


@pytest.mark.parametrize(
    "data",
    [b"", b"PK\x03\x04", b"no zip at all", packed(("a", b"")).getvalue()[:-9]],
    ids=["empty", "a beginning", "something else", "cut off"],  # not its bytes, which hold the time
)
def test_what_is_no_whole_zip_is_told_so(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="cannot be opened"):
        extract_zip(io.BytesIO(data), tmp_path, max_bytes=MB)


@given(position=st.integers(0, 10_000), value=st.integers(0, 255))
def test_a_flipped_byte_is_survived_inside_the_folder(
    position: int, value: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("zip")
    data = bytearray(packed(("a/1.jpg", b"one" * 50), ("b/2.jpg", b"two" * 50)).getvalue())
    data[position % len(data)] = value
    with suppress(OperatorError):
        extract_zip(io.BytesIO(bytes(data)), root / "in" / "to", max_bytes=MB)
    assert all(name.startswith("in/to/") for name in unpacked(root))


# Where the content begins


def make(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


@pytest.mark.parametrize(
    ("names", "begins"),
    [
        (["a/1.jpg", "b/2.jpg"], "."),
        (["set/a/1.jpg", "set/b/2.jpg", "__MACOSX/set/x", ".DS_Store"], "set"),
        (["outer/set/a/1.jpg", "outer/set/b/2.jpg"], "outer/set"),
        (["set/labels.csv", "set/1.jpg"], "set"),
        (["scratch/1.jpg"], "."),
        (["train/a/1.jpg", "train/b/1.jpg"], "."),
        (["set/train/a/1.jpg"], "set"),
        (["set/a/1.jpg", "notes.txt"], "."),
    ],
)
def test_the_content_begins_below_single_wrapping_folders(
    names: list[str], begins: str, tmp_path: Path
) -> None:
    make(tmp_path, *names)
    assert content_root(tmp_path) == tmp_path / begins
