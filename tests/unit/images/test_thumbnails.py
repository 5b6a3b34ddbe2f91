"""Thumbnails: small JPEGs, kept in one file that many may read."""

import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from core.images.thumbnails import ThumbnailStore, fit_within, make_preview, make_thumbnail


def sha(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def in_other_process(code: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((640, 640), (128, 128)),
        ((640, 480), (128, 96)),
        ((100, 50), (100, 50)),
        ((5000, 1), (128, 1)),
        ((1, 1), (1, 1)),
    ],
)
def test_the_longer_side_fits_and_nothing_is_enlarged(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    thumbnail = Image.open(BytesIO(make_thumbnail(Image.new("RGB", size))))
    assert (thumbnail.format, thumbnail.size) == ("JPEG", expected)


def test_a_thumbnail_has_the_colours_of_its_image() -> None:
    image = Image.new("RGB", (640, 640), (200, 40, 40))
    image.paste((40, 40, 200), (320, 0, 640, 640))
    small = Image.open(BytesIO(make_thumbnail(image)))
    left, right = small.getpixel((20, 64)), small.getpixel((108, 64))
    assert left[0] > 180 > 70 > left[2]
    assert right[2] > 180 > 70 > right[0]


def test_a_fine_line_stays_visible_when_shrunk() -> None:
    image = Image.new("L", (640, 640), 0)
    image.paste(255, (300, 0, 304, 640))
    assert max(fit_within(image, side=128).crop((0, 64, 128, 65)).tobytes()) > 100


def test_the_image_itself_is_left_as_it_was() -> None:
    image = Image.new("RGB", (640, 640))
    make_preview(image, side=320)
    assert image.size == (640, 640)


def test_a_side_below_one_pixel_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="got 0"):
        make_thumbnail(Image.new("RGB", (2, 2)), side=0)


def test_what_was_put_is_got_after_reopening(tmp_path: Path) -> None:
    store = ThumbnailStore(tmp_path / "thumbnails.db")
    store.put_many([(sha(1), b"one"), (sha(2), b"two")])
    store.put_many([(sha(2), b"two again")])
    again = ThumbnailStore(tmp_path / "thumbnails.db")
    assert (again.get(sha(1)), again.get(sha(2)), again.get(sha(3))) == (b"one", b"two again", None)
    assert len(again) == 2
    assert again.size_bytes > 0


def test_what_is_missing_is_named_in_order(tmp_path: Path) -> None:
    store = ThumbnailStore(tmp_path / "thumbnails.db")
    store.put_many((sha(i), b"x") for i in range(0, 3000, 2))
    wanted = [sha(i) for i in range(3000)]
    assert store.missing(wanted) == wanted[1::2]
    assert store.missing([]) == []


def test_a_failing_batch_stores_nothing(tmp_path: Path) -> None:
    store = ThumbnailStore(tmp_path / "thumbnails.db")
    with pytest.raises(ValueError, match="64 hexadecimal"):
        store.put_many([(sha(1), b"one"), ("ab", b"two")])
    assert len(store) == 0
    store.put_many([(sha(1), b"one")])
    assert len(store) == 1


def test_threads_read_while_one_writes(tmp_path: Path) -> None:
    store = ThumbnailStore(tmp_path / "thumbnails.db")
    store.put_many([(sha(0), b"0")])

    def read(_: int) -> bool:
        return all(store.get(sha(0)) == b"0" for _ in range(50))

    with ThreadPoolExecutor(8) as pool:
        reads = [pool.submit(read, i) for i in range(16)]
        for i in range(1, 30):
            store.put_many([(sha(i), b"x")])
        assert all(future.result() for future in reads)
    assert len(store) == 30


def test_processes_create_and_fill_one_store_together(tmp_path: Path) -> None:
    path = tmp_path / "thumbnails.db"
    code = """
import hashlib, pathlib, sys
from core.images.thumbnails import ThumbnailStore
store = ThumbnailStore(pathlib.Path(sys.argv[1]))
for i in range(20):
    key = hashlib.sha256(f"{sys.argv[2]} {i}".encode()).hexdigest()
    store.put_many([(key, b"x")])
"""
    processes = [in_other_process(code, path, number) for number in range(4)]
    assert [process.wait(60) for process in processes] == [0, 0, 0, 0]
    assert len(ThumbnailStore(path)) == 80


def test_what_was_put_survives_a_kill_in_the_middle_of_writing(tmp_path: Path) -> None:
    path = tmp_path / "thumbnails.db"
    code = """
import hashlib, itertools, pathlib, sys
from core.images.thumbnails import ThumbnailStore
store = ThumbnailStore(pathlib.Path(sys.argv[1]))
for i in itertools.count():
    store.put_many([(hashlib.sha256(str(i).encode()).hexdigest(), b"x" * 3000)])
    print(i, flush=True)
"""
    process = in_other_process(code, path)
    assert process.stdout is not None
    while int(process.stdout.readline()) < 50:
        pass
    process.send_signal(signal.SIGKILL)
    acknowledged = max([50, *(int(line) for line in process.stdout if line.endswith("\n"))])
    process.wait()
    process.stdout.close()
    store = ThumbnailStore(path)
    assert store.missing([sha(i) for i in range(acknowledged + 1)]) == []
    store.put_many([(sha(-1), b"still writable")])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only where processes fork")
def test_a_forked_child_opens_its_own_connection(tmp_path: Path) -> None:
    code = """
import os, pathlib, sys
from core.images.thumbnails import ThumbnailStore
store = ThumbnailStore(pathlib.Path(sys.argv[1]))
store.put_many([("ab" * 32, b"parent")])
child = os.fork()
if child == 0:
    store.put_many([("cd" * 32, b"child")])
    os._exit(0)
os.waitpid(child, 0)
print(len(store))
"""
    process = in_other_process(code, tmp_path / "thumbnails.db")
    assert process.communicate(timeout=120)[0].strip() == "2"


@pytest.mark.parametrize("damage", ["no database", "cut short", "another version"])
def test_a_damaged_store_is_made_anew(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "thumbnails.db"
    store = ThumbnailStore(path)
    store.put_many([(sha(i), b"x" * 3000) for i in range(50)])
    store.close()
    if damage == "no database":
        path.write_bytes(b"garbage" * 1000)
    elif damage == "cut short":
        os.truncate(path, 4096 + 100)
    else:
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA user_version = 99")
        connection.close()
    again = ThumbnailStore(path)
    assert len(again) == 0
    again.put_many([(sha(1), b"one")])
    assert again.get(sha(1)) == b"one"


def test_a_second_writer_waits_for_the_first(tmp_path: Path) -> None:
    path = tmp_path / "thumbnails.db"
    store = ThumbnailStore(path)
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(store.put_many, [(sha(1), b"one")])
        time.sleep(0.05)
        assert not waiting.done()
        other.execute("COMMIT")
        waiting.result(timeout=120)
    other.close()
    assert store.get(sha(1)) == b"one"


def test_a_folder_that_is_not_there_is_no_damaged_store(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError):
        ThumbnailStore(tmp_path / "gone" / "thumbnails.db")
