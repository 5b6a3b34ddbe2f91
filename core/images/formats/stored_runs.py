"""Stored runs: how do embeddings, maps and clusters travel beside the images they are of?

    embeddings/<run>.parquet            path, sha256, embedding (a list of float32, all as long)
    projections/<run>.parquet           path, sha256, x, y
    clusterings/<run>.parquet           path, sha256, cluster (-1: noise), distance (none of noise)
    clusterings/<run>.centers.parquet   center, a row for each cluster

Any tool that reads Parquet reads them; `pandas.read_parquet(file)` is enough. What was asked and
what came out stand in the schema's metadata under `lacquer`, as JSON.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.images.formats.scanning import Rejection, StoredRun
from core.vocabulary import printable

if TYPE_CHECKING:
    import pyarrow as pa

FOLDERS = {"embedding": "embeddings", "projection": "projections", "clustering": "clusterings"}
_CENTERS = ".centers.parquet"
_METADATA = b"lacquer"
_MAX_METADATA_BYTES = 50_000_000
_MAX_FEATURES = 1 << 20
_BATCH = 4096  # rows; of ResNet-50's features 34 MB

_WITH_GAPS = ("distance",)  # NaN in the run's array, null in the file

# Array name in the run, then its columns: one that holds a list, or one for each component.
_COLUMNS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "embedding": {"vectors": ("embedding",)},
    "projection": {"coordinates": ("x", "y")},
    "clustering": {"labels": ("cluster",), "distances": ("distance",)},
}


def run_file(root: Path, *, kind: str, id: str) -> Path:
    """Where a run of this kind and id is stored below an export's root."""
    return root / FOLDERS[kind] / f"{id}.parquet"


def write_run(
    run: StoredRun,
    *,
    paths: Sequence[str],
    sha256s: Sequence[str],
    rows: np.ndarray,
    arrays: Mapping[str, np.ndarray],
) -> None:
    """Write one run to `run.file`.

    Args:
        paths: of the images in the export, one for each of `rows`.
        sha256s: of these images.
        rows: int array, the rows of `arrays` that belong to them.
        arrays: the run's arrays by name, (n_images, ...); of a clustering `centers` as well.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    said = {
        "id": run.id,
        "kind": run.kind,
        "parent_id": run.parent_id,
        "config": run.config,
        "result": run.result,
        "actor": run.actor,
        "version": run.version,
        "cluster_names": {str(cluster): name for cluster, name in run.cluster_names.items()},
    }
    run.file.parent.mkdir(exist_ok=True)
    schema = _batch_of(run.kind, arrays, rows[:0], [], []).schema
    schema = schema.with_metadata({_METADATA: json.dumps(said, ensure_ascii=False).encode()})
    with pq.ParquetWriter(run.file, schema) as writer:
        for start in range(0, len(rows), _BATCH):
            here = slice(start, start + _BATCH)
            batch = _batch_of(run.kind, arrays, rows[here], paths[here], sha256s[here])
            writer.write_batch(batch.replace_schema_metadata(schema.metadata))
    if "centers" in arrays:
        centers = _column(arrays["centers"])
        table = pa.table({"center": centers})
        pq.write_table(table, run.file.with_name(f"{run.file.stem}{_CENTERS}"))


def list_stored_runs(root: Path) -> tuple[tuple[StoredRun, ...], tuple[Rejection, ...]]:
    """The runs stored below an export's root, and why files that look like runs are not."""
    runs: list[StoredRun] = []
    refused: list[Rejection] = []
    for kind, folder in FOLDERS.items():
        files = [] if (root / folder).is_symlink() else sorted((root / folder).glob("*.parquet"))
        for file in files:
            if file.name.endswith(_CENTERS) or file.is_symlink() or not file.is_file():
                continue
            try:
                runs.append(_read_facts(file, kind))
            except ValueError as error:
                refused.append(Rejection(f"{folder}/{printable(file.name)}", str(error)))
    return tuple(runs), tuple(refused)


def read_images_of(run: StoredRun) -> list[str]:
    """The sha256 of every image of a run, in its rows' order, each once.

    Raises:
        ValueError: the file is damaged or was changed; says why in words for a person.
    """
    batches = _batches(run, ["sha256"])
    sha256s = [sha256 for batch in batches for sha256 in batch["sha256"].to_pylist()]
    if not all(isinstance(sha256, str) for sha256 in sha256s):
        raise ValueError("its column sha256 does not hold texts alone")
    if len(set(sha256s)) != len(sha256s):
        raise ValueError("it holds an image twice")
    return sha256s


def read_arrays_of(run: StoredRun) -> Iterator[Mapping[str, np.ndarray]]:
    """The arrays of a run by name, some thousand rows at a time, in its rows' order.

    Raises:
        ValueError: the file is damaged or was changed; says why in words for a person.
    """
    columns = _COLUMNS[run.kind]
    for batch in _batches(run, [name for names in columns.values() for name in names]):
        yield {
            array: _array_of([batch[name] for name in names], names)
            for array, names in columns.items()
        }


def read_centers_of(run: StoredRun) -> np.ndarray:
    """The centres of a clustering, (n_clusters, n_features); (0, 0) where all images are noise.

    Raises:
        ValueError: their file is not there or damaged; says why in words for a person.
    """
    if run.result.get("n_clusters") == 0:
        return np.empty((0, 0), np.float32)
    beside = replace(run, file=run.file.with_name(f"{run.file.stem}{_CENTERS}"))
    batches = [_array_of([batch["center"]], ["center"]) for batch in _batches(beside, ["center"])]
    if not batches:
        raise ValueError("it has no centres")
    return np.concatenate(batches)


def _batch_of(
    kind: str,
    arrays: Mapping[str, np.ndarray],
    rows: np.ndarray,
    paths: Sequence[str],
    sha256s: Sequence[str],
) -> "pa.RecordBatch":
    import pyarrow as pa

    columns = {"path": pa.array(paths, pa.string()), "sha256": pa.array(sha256s, pa.string())}
    for array, names in _COLUMNS[kind].items():
        values = np.asarray(arrays[array][rows])
        parts = [values] if len(names) == 1 else list(values.T)
        columns |= {name: _column(part) for name, part in zip(names, parts, strict=True)}
    return pa.RecordBatch.from_pydict(columns)


def _column(values: np.ndarray) -> "pa.Array":
    import pyarrow as pa

    if values.ndim == 1:
        return pa.array(values, from_pandas=True)  # NaN is a gap
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])


def _read_facts(file: Path, kind: str) -> StoredRun:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_schema(file).metadata or {}
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"the file is damaged ({error})") from error
    said = _parse(metadata.get(_METADATA, b""))
    if said.get("kind") != kind:
        raise ValueError(f"it says that it is no {kind}")
    parent_id, version = said.get("parent_id"), said.get("version")
    texts = (said.get("id"), said.get("actor"), "" if parent_id is None else parent_id)
    if not all(isinstance(text, str) and len(text) <= 200 and "\0" not in text for text in texts):
        raise ValueError("its id, its parent's id or its actor is no short text")
    if not (isinstance(said.get("config"), dict) and isinstance(said.get("result"), dict)):
        raise ValueError("it does not say what was asked and what came out")
    return StoredRun(
        file=file,
        id=said["id"],
        kind=kind,
        parent_id=parent_id,
        config=said["config"],
        result=said["result"],
        actor=said["actor"],
        version=version if isinstance(version, int) and not isinstance(version, bool) else None,
        cluster_names=_read_names(said.get("cluster_names", {})),
    )


def _read_names(said: Any) -> Mapping[int, str]:
    """Names by cluster; exports of earlier versions have none."""
    try:
        names = {int(cluster): name for cluster, name in said.items()}
    except (AttributeError, ValueError):
        raise ValueError("its clusters' names are not given by number") from None
    if not all(isinstance(name, str) and "\0" not in name for name in names.values()):
        raise ValueError("a cluster's name is no text")
    return names


def _parse(text: bytes) -> Mapping[str, Any]:
    if not text:
        raise ValueError("it says nothing of what it is")
    if len(text) > _MAX_METADATA_BYTES:
        raise ValueError("what it says of itself is too long")
    try:
        said = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("what it says of itself is nested too deeply") from None
    if not isinstance(said, dict):
        raise ValueError("what it says of itself is no object")
    return said


def _refuse_constant(name: str) -> float:
    raise ValueError(f"it holds {name}, which is no finite number")


def _batches(run: StoredRun, columns: list[str]) -> Iterator["pa.RecordBatch"]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(run.file) as opened:
            missing = set(columns) - set(opened.schema_arrow.names)
            if missing:
                raise ValueError(f"it has no column {min(missing)}")
            yield from opened.iter_batches(_BATCH, columns=columns)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"the file is damaged ({error})") from error


def _array_of(columns: Sequence["pa.Array"], names: Sequence[str]) -> np.ndarray:
    """One array of a batch: (n,) or (n, n_features) of one column, (n, 2) of two."""
    parts = [_values_of(column, name) for column, name in zip(columns, names, strict=True)]
    return parts[0] if len(parts) == 1 else np.stack(parts, axis=1)


def _values_of(column: "pa.Array", name: str) -> np.ndarray:
    import pyarrow as pa

    kinds = pa.types
    is_list = kinds.is_fixed_size_list(column.type) or kinds.is_list(column.type)
    numbers = column.flatten() if is_list else column
    if not (kinds.is_floating(numbers.type) or kinds.is_integer(numbers.type)):
        raise ValueError(f"its column {name} does not hold numbers")
    if name not in _WITH_GAPS and (column.null_count or numbers.null_count):
        raise ValueError(f"its column {name} has gaps")
    values = numbers.to_numpy(zero_copy_only=False)
    is_there = numbers.is_valid().to_numpy(zero_copy_only=False)
    if not np.isfinite(values[is_there]).all():
        raise ValueError(f"its column {name} holds numbers that are not finite")
    if not is_list:
        return values
    n_features = len(values) // max(len(column), 1)
    lengths = np.diff(column.offsets.to_numpy()) if kinds.is_list(column.type) else n_features
    if not 0 < n_features <= _MAX_FEATURES or np.any(lengths != n_features):
        raise ValueError(f"the lists in its column {name} are not all as long")
    return values.reshape(len(column), n_features)
