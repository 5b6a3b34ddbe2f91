"""A process is known by host, pid and start time."""

import subprocess
from dataclasses import replace

import psutil

from core.jobs.processes import HOST, is_gone, this_process
from core.state.job_rows import Owner


def _ended(*, reaped: bool) -> Owner:
    process = subprocess.Popen(["sleep", "600"])
    owner = Owner(HOST, process.pid, psutil.Process(process.pid).create_time())
    assert is_gone(owner) is False
    process.kill()
    if reaped:
        process.wait()
    else:
        while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
            pass
    return owner


def test_this_process_is_not_gone() -> None:
    assert is_gone(this_process()) is False


def test_a_process_that_ended_is_gone_whether_or_not_its_parent_has_noticed() -> None:
    assert is_gone(_ended(reaped=True)) is True
    assert is_gone(_ended(reaped=False)) is True


def test_of_a_process_elsewhere_nothing_is_known() -> None:
    assert is_gone(replace(this_process(), host="another machine")) is None


def test_a_start_time_that_differs_leaves_it_open() -> None:
    us = this_process()
    assert is_gone(replace(us, started=us.started - 3600)) is None
