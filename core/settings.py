"""Settings: read from the environment once, kept apart from the values that code passes around.

Every variable is listed in the README's configuration table; a test follows the table.
"""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PROJECT_ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Settings:
    """One resolved set of settings.

    Attributes:
        home: folder that holds the workspaces, one folder each.
        workspace: the workspace that opens first; None opens the most recently used.
        database_url: PostgreSQL URL for the facts, or None for SQLite inside each workspace.
        weights_dir: extra folder searched first for pretrained weights.
        import_roots: folders on the server that may be imported from in the browser.
        max_image_pixels: images with more pixels are refused before they are decoded.
        max_upload_mb: largest archive accepted, unpacked, in MB (1e6 bytes).
        offline: never try to download weights.
        worker_idle_s: seconds without a job after which a warm worker leaves.
    """

    home: Path
    workspace: Path | None = None
    database_url: str | None = None
    weights_dir: Path | None = None
    import_roots: tuple[Path, ...] = ()
    max_image_pixels: int = 300_000_000
    max_upload_mb: int = 20_000
    offline: bool = False
    worker_idle_s: float = 600.0


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the `LACQUER_*` variables.

    Raises:
        ValueError: a number is not one, or not positive and finite; the variable is named.
    """
    env = os.environ if environ is None else environ

    def path(name: str) -> Path | None:
        value = env.get(name, "").strip()
        return Path(value).expanduser().resolve() if value else None

    def number(name: str, default: float) -> float:
        value = env.get(name, "").strip()
        if not value:
            return default
        try:
            parsed = float(value)
        except ValueError:
            raise ValueError(f"{name} must be a number, got {value!r}") from None
        if not 0 < parsed < math.inf:
            raise ValueError(f"{name} must be positive and finite, got {value!r}")
        return parsed

    roots = env.get("LACQUER_IMPORT_ROOTS", "")
    return Settings(
        home=path("LACQUER_HOME") or PROJECT_ROOT / "workspaces",
        workspace=path("LACQUER_WORKSPACE"),
        database_url=env.get("LACQUER_DATABASE_URL", "").strip() or None,
        weights_dir=path("LACQUER_WEIGHTS_DIR"),
        import_roots=tuple(
            Path(root).expanduser().resolve() for root in roots.split(os.pathsep) if root.strip()
        ),
        max_image_pixels=int(number("LACQUER_MAX_IMAGE_PIXELS", Settings.max_image_pixels)),
        max_upload_mb=int(number("LACQUER_MAX_UPLOAD_MB", Settings.max_upload_mb)),
        offline=env.get("LACQUER_OFFLINE", "").strip().lower() in {"1", "true", "yes"},
        worker_idle_s=number("LACQUER_WORKER_IDLE_S", Settings.worker_idle_s),
    )
