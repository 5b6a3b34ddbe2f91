"""Processes by pid and start time: pids are used again, and a zombie still answers signals."""

import os
import socket

import psutil

from core.state.job_rows import Owner

HOST = socket.gethostname()


def this_process() -> Owner:
    """This very process."""
    return Owner(HOST, os.getpid(), psutil.Process().create_time())


def is_gone(owner: Owner) -> bool | None:
    """Whether the process has ended; None for a process of another machine."""
    if owner.host != HOST:
        return None
    try:
        process = psutil.Process(owner.pid)
        same = abs(process.create_time() - owner.started) < 1.0
        return not same or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
