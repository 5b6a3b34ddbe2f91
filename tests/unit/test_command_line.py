"""The command line: its answers, its exit codes, and that nothing of it is undocumented."""

import argparse
import contextlib
import io
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.__main__ import build_parser, main
from core.cli import following
from core.errors import OperatorError
from core.jobs import queue, worker
from core.jobs.configs import CheckFiles, EmbedImages, ImportImages
from core.jobs.context import JobContext
from core.jobs.steps import generate_images
from core.latent.backbones import BUNDLED, get_backbone
from core.settings import PROJECT_ROOT
from core.state import catalog, job_rows, labels, runs
from core.state.catalog import ImageFilter
from core.state.workspace import create_workspace, open_workspace

Ask = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Ask:
    """Run a command with `--json`: its exit code and the one object on standard output."""

    def run(*arguments: object) -> tuple[int, dict[str, Any]]:
        capsys.readouterr()
        code = main([*map(str, arguments), "--json"])
        return code, json.loads(capsys.readouterr().out)

    return run


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight dark and eight bright images of 24 pixels in two class folders, and a text file."""
    folder = tmp_path_factory.mktemp("photos")
    draw = np.random.default_rng(0)
    for label, low in (("dirt", 0), ("scratch", 150)):
        (folder / label).mkdir()
        for number in range(8):
            pixels = draw.integers(low, low + 100, size=(24, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{number}.png")
    (folder / "dirt" / "broken.png").write_text("no image")
    return folder


@pytest.fixture(scope="module")
def answers(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, dict[str, Any]]:
    """One walk through the steps, with what each said; `workspace` says where."""
    where = tmp_path_factory.mktemp("walk")
    steps = {
        "import": ["import", str(photos)],
        "embed": ["embed"],
        "again": ["embed"],
        "project": ["project", "--method", "pca", "--metric", "cosine"],
        "cluster": ["cluster", "--k", "2"],
        "sweep": ["cluster", "--space", "projection", "--largest", "3"],
        "runs": ["runs"],
        "jobs": ["jobs"],
        "export": ["export", str(where / "out"), "--format", "csv"],
    }
    said: dict[str, dict[str, Any]] = {"workspace": {"path": str(where / "line-4")}}
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("LACQUER_OFFLINE", "1")
        patched.setenv("LACQUER_HOME", str(where))
        patched.setenv("TORCH_HOME", str(where / "torch"))
        for name, arguments in steps.items():
            given = [*arguments, "--workspace", str(where / "line-4"), "--as", "Ada", "--json"]
            with contextlib.redirect_stdout(io.StringIO()) as output:
                assert main(given) == 0
            said[name] = json.loads(output.getvalue())
    return said


@pytest.fixture
def quick_features(monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of a network: four numbers an image, and no weights anywhere."""

    def embed(context: JobContext, config: EmbedImages) -> Mapping[str, Any]:
        workspace = context.workspace
        ids = catalog.image_ids(workspace)
        weights = {"backbone": config.backbone, "source": "bundled", "sha256": ""}
        weights["notice"] = "The bundled one ran."
        run_id = runs.run_id("embedding", {"n": len(ids)})
        with runs.new_artefact(workspace, "embedding", run_id) as folder:
            np.save(folder / "vectors.npy", np.random.default_rng(0).normal(size=(len(ids), 4)))
            np.save(folder / "image_ids.npy", ids)
        made = runs.add_run(
            workspace,
            id=run_id,
            kind="embedding",
            parent_id=None,
            config={"backbone": config.backbone},
            result={"weights": weights},
            n_images=len(ids),
            actor=context.job.actor,
            job_id=context.job.id,
        )
        return {"run": made.id, "n_images": made.n_images, **made.result}

    monkeypatch.setattr("core.jobs.steps.embed_images.run", embed)
    monkeypatch.setattr("core.doctor.find_weights", lambda *_: "bundled")


def test_an_import_says_what_it_took_and_what_it_refused(answers: Mapping[str, Any]) -> None:
    said = answers["import"]
    assert (said["n_imported"], said["n_duplicates"]) == (16, 0)
    assert [file["path"] for file in said["rejected"]] == ["dirt/broken.png"]
    assert said["rejected"][0]["reason"]
    assert said["classes"] == {"dirt": 8, "scratch": 8}
    assert sum(said["splits"].values()) == 16


@pytest.mark.parametrize("is_zip", [False, True])
def test_a_dry_run_tells_what_a_source_holds_and_takes_nothing(
    is_zip: bool, photos: Path, home: Path, ask: Ask, tmp_path: Path
) -> None:
    source = photos
    if is_zip:
        source = Path(shutil.make_archive(str(tmp_path / "photos"), "zip", photos))
    code, said = ask("import", source, "--dry-run")
    assert code == 0
    assert (said["format"], said["formats"], said["n_images"]) == ("folder", ["folder"], 17)
    assert said["classes"] == {"dirt": 9, "scratch": 8}
    assert said["n_bytes"] == sum(file.stat().st_size for file in photos.rglob("*.png"))
    assert not home.exists()
    assert main(["import", str(source), "--dry-run"]) == 0


def test_an_embedding_says_what_ran_with_which_weights(answers: Mapping[str, Any]) -> None:
    said = answers["embed"]
    n_features = get_backbone(BUNDLED).n_features
    assert (said["n_images"], said["n_features"], said["n_reused"]) == (16, n_features, 0)
    used = said["weights"]
    assert (used["asked"], used["backbone"], used["source"]) == (BUNDLED, BUNDLED, "bundled")
    assert "generated" in used["notice"]
    assert len(said["weights"]["sha256"]) == 64
    assert said["images_per_second"] > 0


def test_images_that_were_embedded_are_not_embedded_again(answers: Mapping[str, Any]) -> None:
    assert answers["again"]["run"] == answers["embed"]["run"]
    assert answers["again"]["n_reused"] == 16


def test_a_projection_says_how_far_to_trust_it(answers: Mapping[str, Any]) -> None:
    assert 0 <= answers["project"]["trustworthiness"] <= 1
    assert answers["project"]["seconds"] >= 0


def test_a_clustering_is_measured_against_the_labels(answers: Mapping[str, Any]) -> None:
    said = answers["cluster"]
    assert (said["n_clusters"], said["n_noise"], sum(said["sizes"])) == (2, 0, 16)
    assert said["ari"] == 1.0  # dark and bright images
    assert said["silhouette"] > 0


def test_without_k_the_best_silhouette_chooses_it(answers: Mapping[str, Any]) -> None:
    assert [row["k"] for row in answers["sweep"]["sweep"]["rows"]] == [2, 3]
    assert answers["sweep"]["n_clusters"] in (2, 3)


def test_runs_are_listed_newest_first_with_their_parents(answers: Mapping[str, Any]) -> None:
    sweep, cluster, project, embed = answers["runs"]["runs"]
    assert embed["id"] == answers["embed"]["run"]
    assert (sweep["parent_id"], cluster["parent_id"]) == (project["id"], embed["id"])


def test_every_job_bears_the_name_of_who_asked_for_it(answers: Mapping[str, Any]) -> None:
    jobs = answers["jobs"]["jobs"]
    assert {job["actor"] for job in jobs} == {"Ada"}
    assert {job["status"] for job in jobs} == {"succeeded"}
    assert jobs[-1]["kind"] == "import"


def test_an_export_can_be_imported_again(answers: Mapping[str, Any], ask: Ask) -> None:
    assert answers["export"]["n_exported"] == 16
    code, said = ask("import", answers["export"]["folder"])
    assert (code, said["classes"]) == (0, {"dirt": 8, "scratch": 8})


def test_a_run_may_be_named_by_how_it_begins(answers: Mapping[str, Any], ask: Ask) -> None:
    begin = answers["embed"]["run"][:14]
    where = answers["workspace"]["path"]
    code, said = ask("cluster", "--k", 2, "--embedding", begin, "--workspace", where)
    assert (code, said["run"]) == (0, answers["cluster"]["run"])


def test_a_run_of_another_kind_is_refused(answers: Mapping[str, Any], ask: Ask) -> None:
    where = answers["workspace"]["path"]
    code, said = ask("project", "--embedding", answers["cluster"]["run"], "--workspace", where)
    assert code == 1
    assert "is no embedding" in said["error"]["title"]


def test_the_workspace_may_be_named_before_the_command(
    answers: Mapping[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--workspace", answers["workspace"]["path"], "runs", "--kind", "embedding"]) == 0
    assert answers["embed"]["run"] in capsys.readouterr().out


def test_without_json_a_person_reads_text(
    answers: Mapping[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    where = answers["workspace"]["path"]
    assert main(["cluster", "--k", "2", "--workspace", where]) == 0
    said = capsys.readouterr()
    assert "ARI against the labels 1.000" in said.out
    assert "Cluster: done" in said.err


@pytest.mark.parametrize("command", ["embed", "project", "cluster", "runs", "jobs", "doctor"])
def test_only_import_generate_and_demo_make_a_workspace(command: str, home: Path, ask: Ask) -> None:
    code, said = ask(command)
    assert code == 1
    assert "There is no workspace" in said["error"]["title"]
    assert "python -m core import" in said["error"]["next_step"]
    assert not home.exists()


def test_a_wrong_path_makes_no_workspace(home: Path, ask: Ask) -> None:
    code, said = ask("import", home / "typo")
    assert (code, home.exists()) == (1, False)
    assert "There is nothing" in said["error"]["title"]


def test_before_an_embedding_the_next_step_is_to_make_one(home: Path, ask: Ask) -> None:
    create_workspace(home / "default")
    code, said = ask("project")
    assert (code, said["error"]["next_step"]) == (1, "Run `python -m core embed` first.")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["bogus"],
        ["job"],
        ["embed", "--backbone", "alexnet"],
        ["embed", "--device", "toaster"],
        ["project", "--method", "astrology"],
        ["project", "--method", "pca", "--perplexity", "5"],
        ["project", "--n-neighbors", "1"],
        ["cluster", "--k", "0"],
        ["cluster", "--k", "5000"],
        ["cluster", "--space", "latent", "--projection", "projection-0"],
        ["cluster", "--k", "2", "--largest", "5"],
        ["import", ".", "--split", "half/half"],
        ["import", ".", "--format", "papyrus"],
        ["import", ".", "--seed", "-1"],
        ["runs", "--as", " "],
        ["runs", "--works", "elsewhere"],
    ],
)
def test_wrong_usage_is_told_from_errors(arguments: list[str], home: Path, ask: Ask) -> None:
    create_workspace(home / "default")
    code, said = ask(*arguments)
    assert code == 2
    assert said["error"]["detail"]


def test_a_setting_that_is_no_number_is_wrong_usage(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LACQUER_MAX_UPLOAD_MB", "much")
    code, said = ask("runs")
    assert code == 2
    assert "LACQUER_MAX_UPLOAD_MB" in said["error"]["detail"]


def test_a_job_that_fails_says_why_in_one_line_with_its_log(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    create_workspace(home / "default")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    assert main(["export", str(tmp_path / "out")]) == 1
    complaint = capsys.readouterr().err.splitlines()[-1]
    assert "is not empty" in complaint
    assert str(home / "default" / "jobs" / "1" / "log.txt") in complaint


def test_a_fault_in_the_software_shows_no_traceback_but_its_log(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Mapping[str, Any]:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(generate_images, "run", fail)
    assert main(["generate", "--n", "1"]) == 1
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    log = home / "default" / "jobs" / "1" / "log.txt"
    assert str(log) in said.err
    assert "ZeroDivisionError: a bug" in log.read_text()


def test_a_fault_outside_a_job_surfaces_and_still_answers_json(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a bug")

    create_workspace(home / "default")
    monkeypatch.setattr(job_rows, "list_jobs", fail)
    with pytest.raises(ZeroDivisionError):
        main(["jobs", "--json"])
    assert "ZeroDivisionError" in json.loads(capsys.readouterr().out)["error"]["detail"]


def test_what_libraries_print_does_not_reach_the_answer(
    home: Path, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def chatter(*_: object) -> Mapping[str, Any]:
        sys.stdout.write("Loading...\n")
        return {"n_exported": 0, "n_runs": 0, "missing": [], "folder": "out"}

    monkeypatch.setattr("core.jobs.steps.export_images.run", chatter)
    create_workspace(home / "default")
    assert ask("export", "out")[0] == 0


def test_a_job_that_a_worker_took_first_is_followed_to_its_end(
    photos: Path, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken(workspace: Any, job_id: int) -> None:
        worker.run_job(workspace, job_id)
        raise OperatorError(f"Job {job_id} is running.")

    monkeypatch.setattr(following, "run_job", taken)
    code, said = ask("import", photos)
    assert (code, said["n_imported"]) == (0, 16)


def test_a_job_that_waits_can_be_done_here(photos: Path, home: Path, ask: Ask) -> None:
    workspace = create_workspace(home / "default")
    config = ImportImages(source=str(photos))
    job = queue.submit(workspace, config, actor="Ada", start=False)
    assert ask("job", "show", job.id)[1]["status"] == "queued"
    code, said = ask("job", "run", job.id)
    assert (code, said["status"], said["result"]["n_imported"]) == (0, "succeeded", 16)
    assert "job 1 (import)" in ask("job", "log", job.id)[1]["log"]


def test_a_job_that_has_ended_is_not_done_again(home: Path, ask: Ask) -> None:
    workspace = create_workspace(home / "default")
    job = queue.submit(workspace, CheckFiles(), actor="Ada", start=False)
    assert ask("job", "cancel", job.id)[1]["status"] == "cancelled"
    code, said = ask("job", "run", job.id)
    assert code == 1
    assert f"job resume {job.id}" in said["error"]["next_step"]


def test_a_cancelled_job_resumes_in_the_background(home: Path, ask: Ask) -> None:
    workspace = create_workspace(home / "default")
    job = queue.submit(workspace, CheckFiles(), actor="Ada", start=False)
    queue.cancel(workspace, job.id)
    assert ask("job", "resume", job.id)[0] == 0
    give_up_at = time.monotonic() + 120
    while job_rows.get_job(workspace, job.id).is_active and time.monotonic() < give_up_at:
        time.sleep(0.1)
    assert ask("job", "show", job.id)[1]["status"] == "succeeded"


def test_workspaces_are_made_listed_and_deleted(home: Path, ask: Ask) -> None:
    assert ask("workspace", "create", home / "a", "--name", "Line A")[1]["name"] == "Line A"
    (listed,) = ask("workspace", "list")[1]["workspaces"]
    assert (listed["name"], listed["path"]) == ("Line A", str(home / "a"))
    assert listed["bytes"] > 0
    assert ask("workspace", "delete", home / "a")[0] == 0
    assert not (home / "a").exists()


def test_a_demo_is_made_once(home: Path, quick_features: None, ask: Ask) -> None:
    code, first = ask("demo", "--n", 8)
    assert (code, first["workspace"], first["n_images"]) == (0, str(home / "demo"), 8 + 7)
    assert first["backbone"] == BUNDLED  # no other weights are here
    assert [step["step"] for step in first["steps"]] == [
        *("generate", "generate"),  # the data set, and what the line brings
        *("embed", "project", "cluster"),
    ]
    assert not any(step["done_before"] for step in first["steps"])
    code, second = ask("demo", "--n", 8)
    assert all(step["done_before"] for step in second["steps"])
    assert second["clustering"] == first["clustering"]


def test_a_demo_says_which_network_ran(
    home: Path, quick_features: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--n", "8"]) == 0
    assert "The bundled one ran." in capsys.readouterr().out.splitlines()


def test_a_demo_of_too_few_images_to_train_on_still_leaves_a_queue(
    home: Path, quick_features: None, ask: Ask
) -> None:
    said = ask("demo", "--n", 8)[1]
    assert [said[name] for name in ("model", "plan", "application")] == [None] * 3
    assert (said["n_labelled"], said["n_queued"]) == (0, 3)
    workspace = open_workspace(home / "demo")
    queued = catalog.list_images(workspace, ImageFilter(queued=True))
    assert {image.name for image in queued} == {f"line_000{i}.jpg" for i in (1, 2, 3)}
    n_changes = len(labels.list_batches(workspace))
    assert ask("demo", "--n", 8)[1]["n_queued"] == 3
    assert len(labels.list_batches(workspace)) == n_changes


def test_a_line_and_training_images_are_not_asked_for_at_once() -> None:
    assert main(["generate", "--of-line", "--training-only"]) == 2


def test_a_demo_of_other_images_takes_a_reset(home: Path, quick_features: None, ask: Ask) -> None:
    ask("demo", "--n", 8)
    uid = open_workspace(home / "demo").uid
    code, other = ask("demo", "--n", 8, "--seed", 1)
    assert (code, "--reset" in other["error"]["next_step"]) == (1, True)
    assert open_workspace(home / "demo").uid == uid
    code, anew = ask("demo", "--n", 9, "--seed", 1, "--reset")
    assert (code, anew["n_images"]) == (0, 9 + 7)
    assert open_workspace(home / "demo").uid != uid


def test_a_demo_never_touches_real_images(home: Path, photos: Path, ask: Ask) -> None:
    ask("import", photos)
    code, said = ask("demo", "--reset", "--workspace", home / "default")
    assert (code, "real images" in said["error"]["title"]) == (1, True)
    assert catalog.count_images(open_workspace(home / "default")) == 16


def test_a_doctor_finds_a_sound_workspace_well(answers: Mapping[str, Any], ask: Ask) -> None:
    code, said = ask("doctor", "--thorough", "--workspace", answers["workspace"]["path"])
    assert (code, said["healthy"], said["findings"]) == (0, True, [])
    assert said["environment"]["torch"]
    assert said["environment"]["weights of vgg16"] in ("none", "cache")


def test_what_a_doctor_cannot_mend_makes_the_exit_code_one(
    home: Path, tmp_path: Path, ask: Ask
) -> None:
    (tmp_path / "dirt").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "dirt" / "1.png")
    ask("import", tmp_path / "dirt", "--reference")
    (tmp_path / "dirt" / "1.png").unlink()
    code, said = ask("doctor")
    assert (code, said["healthy"]) == (1, False)
    assert [finding["check"] for finding in said["findings"]] == ["images"]


def test_real_processes_keep_standard_output_pure(home: Path, photos: Path) -> None:
    done = _process("import", photos, "--json")
    assert (done.returncode, json.loads(done.stdout)["n_imported"]) == (0, 16)
    assert "Import images: done" in done.stderr
    failed = _process("project", "--json")
    assert (failed.returncode, list(json.loads(failed.stdout))) == (1, ["error"])
    assert len(failed.stderr.splitlines()) == 1
    wrong = _process("project", "--method", "astrology")
    assert (wrong.returncode, wrong.stdout) == (2, "")


def test_ctrl_c_cancels_the_job(home: Path) -> None:
    workspace = create_workspace(home / "default")
    process = subprocess.Popen(
        [sys.executable, "-m", "core", "generate", "--n", "3000", "--json"],
        cwd=PROJECT_ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell starts what it runs in the background deaf to Ctrl-C, and the deaf inherit it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    give_up_at = time.monotonic() + 120
    while time.monotonic() < give_up_at:
        if any(job.progress for job in job_rows.list_jobs(workspace, statuses=("running",))):
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    said, complaints = process.communicate(timeout=120)
    assert process.returncode == 130
    assert json.loads(said)["error"]["title"] == "Stopped."
    assert "Traceback" not in complaints
    assert job_rows.get_job(workspace, 1).status == "cancelled"


def test_help_loads_nothing_heavy() -> None:
    code = "import sys, core.__main__ as m; m.build_parser(); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True
    )
    heavy = {"torch", "torchvision", "pandas", "sqlalchemy", "sklearn", "scipy", "umap", "pacmap"}
    assert not heavy & set(done.stdout.split())


def test_every_command_and_option_is_documented() -> None:
    text = (PROJECT_ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    everywhere = sections.pop("Everywhere")
    by_command = {heading.strip("`").split()[0]: body for heading, body in sections.items()}
    assert set(by_command) == set(_subcommands(build_parser()))
    for option in _options(build_parser()):
        assert f"`{option}" in everywhere
    common = set(_options(build_parser()))
    for name, command in _subcommands(build_parser()).items():
        for option in set(_options(command)) - common:
            assert f"`{option}" in by_command[name], f"{name} {option}"
        for verb, parser in _subcommands(command).items():
            assert f"`{name} {verb}" in by_command[name]
            for option in set(_options(parser)) - common:
                assert f"`{option}" in by_command[name], f"{name} {verb} {option}"


def test_every_command_stands_in_the_readme() -> None:
    readme = PROJECT_ROOT / "README.md"
    if not readme.exists():
        pytest.skip("there is no README.md")
    text = readme.read_text(encoding="utf-8")
    assert [name for name in _subcommands(build_parser()) if f"`{name}" not in text] == []


def _process(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "core", *map(str, arguments)],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def _subcommands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def _options(parser: argparse.ArgumentParser) -> list[str]:
    return [option for action in parser._actions for option in action.option_strings]
