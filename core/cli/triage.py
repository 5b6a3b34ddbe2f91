"""Who labels what: `triage plan`, `apply` and `revert`, and the loop of the people's queue."""

from __future__ import annotations

import uuid
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.cli.choosing import add_device, add_model, chosen_run
from core.cli.parser import Commands, add_command, share, whole_number
from core.cli.session import Answer, Session
from core.errors import OperatorError
from core.jobs.configs import TRIAGE_IMAGES, TRIAGE_RULES, ApplyTriage, PlanTriage
from core.vocabulary import ORDERS

if TYPE_CHECKING:
    from core.analysis.audits import AuditReading


def add_commands(commands: Commands) -> None:
    """Add these commands."""
    group = add_command(
        commands, "triage", None, summary="decide which images the model labels, and which people"
    )
    verbs = group.add_subparsers(metavar="VERB", required=True)
    plan = add_command(verbs, "plan", plan_triage, summary="say who would label what, at what risk")
    add_model(plan, default="promoted")
    plan.add_argument(
        "--rule",
        choices=TRIAGE_RULES,
        default="risk",
        help="risk: thresholds that keep a promise; cluster: the paper's mixed cluster "
        "(default: risk)",
    )
    plan.add_argument(
        "--max-error",
        type=share(with_ends=False),
        default=0.05,
        metavar="X",
        help="tolerated share of wrong automatic labels, in (0, 1) (default: 0.05)",
    )
    plan.add_argument(
        "--delta",
        type=share(with_ends=False),
        default=0.05,
        metavar="X",
        help="chance that the promise fails, in (0, 1) (default: 0.05)",
    )
    plan.add_argument(
        "--of",
        choices=TRIAGE_IMAGES,
        default="unlabelled",
        help="the images without a label, or those of the split test as if they had none "
        "(default: unlabelled)",
    )
    add_device(plan)
    plan.add_argument("--seed", type=whole_number(0), default=0, help="default: 0")
    _add_applying(verbs)
    _add_queue(verbs)


def _add_applying(verbs: Commands) -> None:
    apply = add_command(
        verbs, "apply", apply_plan, summary="label by a plan, and queue the rest for people"
    )
    apply.add_argument("plan", nargs="?", metavar="PLAN", help="its run (default: the newest)")
    shares = (
        ("--audit-share", 0.02, "of the automatic labels, that people check"),
        ("--gold-share", 0.02, "of known images to mix in, of those left to people"),
        ("--second-share", 0.05, "of those left to people, that two of them judge"),
    )
    for name, default, what in shares:
        apply.add_argument(
            name,
            type=share(with_ends=True),
            default=default,
            metavar="X",
            help=f"{what} (default: {default})",
        )
    apply.add_argument("--seed", type=whole_number(0), default=0, help="of the draws (default: 0)")
    revert = add_command(
        verbs, "revert", revert_batch, summary="take automatic labels back, all but people's own"
    )
    revert.add_argument(
        "batch", nargs="?", type=whole_number(1), metavar="BATCH", help="default: the newest"
    )
    add_command(verbs, "audit", show_audit, summary="the measured error of the automatic labels")
    pause = add_command(verbs, "pause", pause_labelling, summary="let automatic labelling rest")
    pause.add_argument("reason", metavar="WHY")
    resume = add_command(verbs, "resume", resume_labelling, summary="let it go on")
    resume.add_argument("reason", metavar="WHY")


def _add_queue(verbs: Commands) -> None:
    upcoming = add_command(verbs, "next", show_next, summary="the images that a person is to judge")
    upcoming.add_argument(
        "-n", type=whole_number(1), default=1, metavar="N", help="how many (default: 1)"
    )
    upcoming.add_argument(
        "--order", choices=ORDERS, default="uncertainty", help="default: uncertainty"
    )
    decide = add_command(verbs, "decide", decide_image, summary="judge an image of the queue")
    decide.add_argument("image", type=whole_number(1), metavar="IMAGE", help="its id")
    what = decide.add_mutually_exclusive_group(required=True)
    what.add_argument("label", nargs="?", metavar="LABEL")
    what.add_argument("--skip", action="store_true", help="leave it to others")
    what.add_argument("--flag", metavar="COMMENT", help="let somebody settle it")
    settle = add_command(verbs, "settle", settle_image, summary="end a conflict or a flag")
    settle.add_argument("image", type=whole_number(1), metavar="IMAGE", help="its id")
    settle.add_argument("label", metavar="LABEL")
    add_command(verbs, "undo", undo_decision, summary="take your last decision back")
    log = add_command(verbs, "decisions", write_decisions, summary="write all decisions to a CSV")
    log.add_argument("path", type=Path, metavar="FILE")


def plan_triage(session: Session, asked: Namespace) -> Answer:
    """Plan a triage; nothing is changed."""
    from core.state import models

    workspace = session.open()
    model = models.get_model(workspace, asked.model)
    config = PlanTriage(
        model.id,
        rule=asked.rule,
        max_error=asked.max_error,
        delta=asked.delta,
        of=asked.of,
        device=asked.device,
        seed=asked.seed,
    )
    result = session.do(workspace, config)
    return Answer(result, "\n".join(_lines(result)))


def apply_plan(session: Session, asked: Namespace) -> Answer:
    """Let the model label what a plan leaves to it."""
    workspace = session.open()
    plan = chosen_run(workspace, "triage_plan", asked.plan)
    config = ApplyTriage(
        plan.id,
        audit_share=asked.audit_share,
        gold_share=asked.gold_share,
        second_share=asked.second_share,
        seed=asked.seed,
    )
    result = session.do(workspace, config)
    if not result["n_labelled"]:
        return Answer(
            result,
            f"No image is labelled by this plan: {result['n_queued']:,} were put into the queue.",
        )
    return Answer(
        result,
        f"Batch {result['batch']}: {result['n_labelled']:,} images labelled, "
        f"{result['n_queued']:,} put into the queue; people check {result['n_audited']:,} of the "
        "automatic labels.",
    )


def revert_batch(session: Session, asked: Namespace) -> Answer:
    """Take a batch of automatic labels back."""
    from core.state import applications

    workspace = session.open()
    batch = asked.batch
    if batch is None:
        standing = [a for a in applications.list_applications(workspace) if not a.reverted_at]
        if not standing:
            raise OperatorError("There are no automatic labels to take back.")
        batch = standing[0].batch_id
    done = applications.revert_batch(workspace, batch, actor=session.actor)
    return Answer(
        {"batch": batch, **asdict(done)},
        f"{done.n_restored:,} images are as before; {done.n_kept:,} that people decided since stay "
        f"as they are; {done.n_withdrawn:,} left the queue.",
    )


def show_audit(session: Session, asked: Namespace) -> Answer:
    """The measured error beside the promise; here too it lets automatic labelling rest."""
    from core.actions import watch_audit

    found = watch_audit(session.open())
    if found is None:
        raise OperatorError(
            "Nothing has been labelled automatically yet.",
            next_step="Run `python -m core triage plan`, then `triage apply`.",
        )
    measure = asdict(found.measure)
    del measure["over_time"]
    data = {
        "model": found.application.model,
        "n_waiting": found.n_waiting,
        "paused": found.is_paused,
        "reason": found.pause.reason if found.pause and found.is_paused else "",
        **measure,
    }
    return Answer(data, "\n".join(_audit_lines(found)), is_well=not found.is_paused)


def pause_labelling(session: Session, asked: Namespace) -> Answer:
    """Let automatic labelling rest until a person resumes it."""
    from core.state import applications

    applications.pause(session.open(), asked.reason, actor=session.actor)
    return Answer({"paused": True}, "Automatic labelling rests.")


def resume_labelling(session: Session, asked: Namespace) -> Answer:
    """Let automatic labelling go on."""
    from core.state import applications

    applications.resume(session.open(), asked.reason, actor=session.actor)
    return Answer({"paused": False}, "Automatic labelling may go on.")


def show_next(session: Session, asked: Namespace) -> Answer:
    """Lease the next images to a person; they stay that person's for two minutes."""
    from core.state import triage_queue
    from core.triage.wording import why_here

    workspace = session.open()
    items = triage_queue.lease(workspace, actor=session.actor, n=asked.n, order=asked.order)
    told = [
        {
            "image": item.image_id,
            "name": item.title,
            "suggested": item.suggested,
            "top": [] if item.is_blind else [list(pair) for pair in item.top],
            "why": why_here(item),
            "nearest": list(item.nearest),
            "opinion": item.opinion,
        }
        for item in items
    ]
    left = triage_queue.progress(workspace, actor=session.actor)
    lines = [
        f"{item['image']}  {item['name']}  {item['suggested'] or '?'}  {item['why']}"
        for item in told
    ]
    data = {"items": told, "n_pending": left.n_pending, "n_to_settle": left.n_to_settle}
    return Answer(data, "\n".join(lines) or "Nothing waits for you.")


def decide_image(session: Session, asked: Namespace) -> Answer:
    """Judge an image, or pass it over."""
    from core.actions import watch_audit
    from core.state import catalog, decisions, triage_queue
    from core.state.decisions import Entry

    workspace = session.open()
    kind = "skip" if asked.skip else "flag" if asked.flag is not None else "label"
    entry = Entry(
        log=_new_log(),
        seq=1,
        item_id=triage_queue.item_of(workspace, asked.image),
        kind=kind,
        label=asked.label,
        seen=catalog.get_image(workspace, asked.image).label,
        comment=asked.flag or "",
    )
    done = decisions.decide(workspace, entry, actor=session.actor)
    if done.is_audit:
        watch_audit(workspace)
    data = {"image": asked.image, "label": asked.label, "standing": done.standing}
    text = done.told or {"skip": "Passed over.", "flag": "Flagged."}.get(kind, "Saved.")
    return Answer({**data, "told": done.told}, text, is_well=done.standing != "conflict")


def settle_image(session: Session, asked: Namespace) -> Answer:
    """Give the label that stands where people disagreed, or one flagged the image."""
    from core.actions import watch_audit
    from core.state import decisions, triage_queue

    workspace = session.open()
    item = triage_queue.item_of(workspace, asked.image)
    decisions.settle(workspace, item, asked.label, actor=session.actor, log=_new_log())
    watch_audit(workspace)
    return Answer({"image": asked.image, "label": asked.label}, "Settled.")


def undo_decision(session: Session, asked: Namespace) -> Answer:
    """Take the last decision of a person back."""
    from core.state import decisions

    workspace = session.open()
    item = decisions.undo(workspace, actor=session.actor, log=_new_log(), seq=1)
    if item is None:
        raise OperatorError(f"{session.actor} has decided nothing that could be taken back.")
    image = decisions.list_decisions(workspace, item_id=item, limit=1)[0].image_id
    return Answer({"image": image}, f"Image {image} waits again.")


def write_decisions(session: Session, asked: Namespace) -> Answer:
    """Write the log of decisions."""
    from core.analysis.people import decisions_as_csv

    text, n_decisions = decisions_as_csv(session.open())
    try:
        asked.path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OperatorError(
            f"{asked.path} cannot be written.",
            str(error.strerror or error),
            "Choose another place.",
        ) from error
    return Answer(
        {"path": str(asked.path), "n_decisions": n_decisions},
        f"{n_decisions:,} decisions are in {asked.path}.",
    )


def _new_log() -> str:
    return f"command {uuid.uuid4().hex}"


def _audit_lines(found: AuditReading) -> list[str]:
    measure = found.measure
    if measure.share is None:
        lines = [f"Nobody has checked an automatic label yet; {found.n_waiting:,} wait."]
    else:
        lines = [
            f"{measure.n_wrong:,} of {measure.n_checked:,} automatic labels that people checked "
            f"were wrong: {measure.share:.1%} ({measure.low:.1%} to {measure.high:.1%}); "
            f"{measure.promised:.1%} was promised. {found.n_waiting:,} more wait."
        ]
    if found.is_paused and found.pause:
        lines.append(f"Automatic labelling is paused: {found.pause.reason}")
    return lines


def _lines(plan: Mapping[str, Any]) -> list[str]:
    n = plan["n_auto"] + plan["n_queue"]
    lines = [
        f"{plan['run']}: no image waits; of what comes in {plan['model']} would label "
        f"{plan['auto_share']:.1%}, by the calibration images."
        if not n
        else f"{plan['run']}: of {n:,} images {plan['model']} would label {plan['n_auto']:,} "
        f"({plan['auto_share']:.1%}); {plan['n_queue']:,} go to people."
    ]
    promised = f"at most {plan['max_error']:.1%} wrong, but for a chance of {plan['delta']:.1%}"
    if plan["rule"] == "cluster":
        lines.append("The paper's rule promises no error.")
    elif plan["feasible"]:
        lines.append(
            f"Promised: {promised}, for images like the {plan['n_calibration']:,} calibration "
            f"images; of these it accepts {plan['n_accepted']:,}, {plan['n_wrong']:,} wrongly."
        )
    else:
        needed = plan["n_needed"]
        lines.append(
            f"Nothing can be promised ({promised}) from {plan['n_calibration']:,} calibration "
            + (f"images; about {needed:,} like these would do." if needed else "images.")
        )
    if (error := plan.get("auto_error")) and error["value"] is not None:
        lines.append(
            f"By the labels of the test images {error['value']:.1%} of the automatic ones are "
            f"wrong ({error['low']:.1%} to {error['high']:.1%}, n = {error['n']:,})."
        )
    return lines
