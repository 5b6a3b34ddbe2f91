"""Small files are replaced whole."""

import threading
from pathlib import Path

from core.state.files import replace_file


def test_a_file_is_made_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "note"
    replace_file(path, b"one")
    replace_file(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [path]


def test_threads_that_replace_one_file_at_once_all_succeed(tmp_path: Path) -> None:
    path = tmp_path / "note"
    contents = [bytes([number]) * 1000 for number in range(8)]
    seen: set[bytes] = set()
    failed: list[Exception] = []

    def write(content: bytes) -> None:
        try:
            for _ in range(50):
                replace_file(path, content)
                seen.add(path.read_bytes())
        except OSError as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=[content]) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert seen <= set(contents)
    assert list(tmp_path.iterdir()) == [path]
