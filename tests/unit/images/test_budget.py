"""Budget: threads never hold more than there is, and none of them waits for ever."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from core.images.budget import Budget

TIMEOUT_S = 30


def test_threads_together_never_hold_more_than_the_budget() -> None:
    budget = Budget(10)
    lock = threading.Lock()
    held = most = 0

    def work(amount: int) -> None:
        nonlocal held, most
        with budget.take(amount):
            with lock:
                held += amount
                most = max(most, held)
            threading.Event().wait(0.001)
            with lock:
                held -= amount

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, [1, 4, 7, 10] * 20))
    assert 0 < most <= 10


def test_what_is_larger_than_the_budget_is_served_alone() -> None:
    budget = Budget(10)
    with ThreadPoolExecutor(1) as pool:
        with budget.take(1000):
            second = pool.submit(_take, budget, 1)
            with pytest.raises(TimeoutError):
                second.result(0.05)
        assert second.result(TIMEOUT_S)


def test_a_large_piece_is_not_overtaken_by_small_ones() -> None:
    budget = Budget(10)
    order: list[str] = []
    with ThreadPoolExecutor(2) as pool:
        with budget.take(5):
            large = pool.submit(_take, budget, 8, lambda: order.append("large"))
            with pytest.raises(TimeoutError):
                large.result(0.05)
            small = pool.submit(_take, budget, 1, lambda: order.append("small"))
            with pytest.raises(TimeoutError):
                small.result(0.05)  # 4 are left, but the large piece came first
        assert large.result(TIMEOUT_S)
        assert small.result(TIMEOUT_S)
    assert order == ["large", "small"]


def test_what_was_held_is_given_back_after_an_error() -> None:
    budget = Budget(1)
    for _ in range(3):
        with suppress(RuntimeError), budget.take(1):
            raise RuntimeError
    with budget.take(1):
        pass


def _take(budget: Budget, amount: int, then: Callable[[], None] = lambda: None) -> bool:
    with budget.take(amount):
        then()
    return True
