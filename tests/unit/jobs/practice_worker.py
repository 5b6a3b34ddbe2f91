"""A real worker process that knows the practice jobs: stands in for `python -m core.jobs.worker`.

It beats faster and waits for deaf steps less long, so that tests need not.
"""

import sys

from core.jobs import steps, worker
from tests.unit.jobs import practice

steps.STEPS.update(practice.STEPS)
steps._BY_KIND.update({config_class.kind: config_class for config_class in practice.STEPS})
worker._HEARTBEAT_S = 0.1
worker._GRACE_S = 0.3
worker._POLL_S = 0.02
worker.main(sys.argv[sys.argv.index("core.jobs.worker") + 1 :])
