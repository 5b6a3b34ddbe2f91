"""Train the bundled backbone and put it into `assets/backbone`, as one command.

    python -m core.learning.pretraining [--device cuda] [--pictures 24000] [--threads 2]

Pictures and checkpoints stay in `--work`: a command that was cut off goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from core.images.procedural import make_pool
from core.latent.backbones import BUNDLED, get_backbone
from core.latent.bundled import BUNDLED_FOLDER, LOG_FILE, write_bundled
from core.learning.pretraining.training import EPOCHS, Epoch, PretrainingConfig, train_backbone

log = logging.getLogger("core.learning.pretraining")

PICTURE_PX = 128


def main(arguments: Sequence[str]) -> int:
    """Run the command; its exit status."""
    asked = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(message)s")
    import torch

    torch.set_num_threads(asked.threads)
    config = PretrainingConfig(seed=asked.seed, epochs=asked.epochs)
    pool = make_pool(
        asked.work / f"pool-{asked.seed}-{asked.pictures}-{PICTURE_PX}",
        n_pictures=asked.pictures,
        seed=asked.seed,
        size=PICTURE_PX,
        n_processes=asked.threads,
        on_progress=_report_pictures,
    )
    backbone = get_backbone(BUNDLED)
    machine = (
        f"{asked.device}, {asked.threads} threads, {platform.machine()}, torch {torch.__version__}"
    )
    training_log = asked.work / LOG_FILE

    def on_epoch(epoch: Epoch) -> None:
        with training_log.open("a", encoding="utf-8") as file:
            file.write(json.dumps({**asdict(epoch), "machine": machine}) + "\n")

    checkpoint = asked.work / "checkpoint.pt"
    if not checkpoint.is_file():
        training_log.unlink(missing_ok=True)
    state = train_backbone(
        backbone, pool, config, checkpoint=checkpoint, device=asked.device, on_epoch=on_epoch
    )
    written = write_bundled(
        asked.output,
        state,
        backbone,
        seed=asked.seed,
        n_pictures=asked.pictures,
        epochs=config.epochs,
        training_log=training_log,
    )
    log.info("%s: %.1f MB", written, written.stat().st_size / 1e6)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m core.learning.pretraining",
        description="Draw pictures, train the bundled backbone on them, and write its weights.",
    )
    parser.add_argument("--seed", type=int, default=0, help="of pictures and training (default: 0)")
    parser.add_argument("--pictures", type=int, default=24_000, help="to draw (default: 24000)")
    parser.add_argument(
        "--epochs", type=int, default=EPOCHS, help=f"over them (default: {EPOCHS}); more go on"
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda or mps (default: cpu)")
    parser.add_argument(
        "--threads", type=int, default=os.cpu_count() or 1, help="default: one a core"
    )
    parser.add_argument(
        "--work",
        type=Path,
        default=Path("workspaces") / ".pretraining",
        help="folder of pictures and checkpoints: 1.2 GB (default: workspaces/.pretraining)",
    )
    parser.add_argument(
        "--output", type=Path, default=BUNDLED_FOLDER, help="default: assets/backbone"
    )
    return parser


def _report_pictures(done: int, n_pictures: int) -> None:
    if done % 1024 == 0:
        log.info("%d of %d pictures", done, n_pictures)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
