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
    """Whether the process has ended; None where that cannot be known.

    That is so for a process of another machine, and where the pid's start time differs: another
    process may have the pid now, or the clock that start times are told by was set meanwhile.
    """
    if owner.host != HOST:
        return None
    try:
        process = psutil.Process(owner.pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return True
        return False if abs(process.create_time() - owner.started) < 1.0 else None
    except psutil.NoSuchProcess:
        return True
