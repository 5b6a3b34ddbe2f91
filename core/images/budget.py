"""Budget: how much may be in memory at once, whatever the number of threads?"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition, Lock


class Budget:
    """An amount of something that threads share; who finds too little left waits.

    They are served in the order in which they came, so that a large piece is not overtaken by
    small ones for ever. A piece larger than the whole budget is served alone.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._taken = 0
        self._changed = Condition()
        self._turn = Lock()

    @contextmanager
    def take(self, amount: int) -> Iterator[None]:
        """Hold an amount while the block runs; the block must not take more of the same budget."""
        amount = min(amount, self._total)
        with self._turn, self._changed:
            self._changed.wait_for(lambda: self._taken + amount <= self._total)
            self._taken += amount
        try:
            yield
        finally:
            with self._changed:
                self._taken -= amount
                self._changed.notify_all()
