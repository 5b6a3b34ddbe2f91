"""Types of defects: the label book, new ones, and what is like none of them."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

from core.cli.choosing import add_embedding, chosen_run
from core.cli.parser import Commands, add_command, whole_number
from core.cli.session import Answer, Session
from core.errors import OperatorError
from core.jobs.configs import FindCandidates, GroupStrange

if TYPE_CHECKING:
    from core.state.change_log import Batch


def add_commands(commands: Commands) -> None:
    """Add `types` and what it can be asked."""
    group = add_command(
        commands, "types", None, summary="what there is to tell apart: the label book, new types"
    )
    asked = group.add_subparsers(metavar="VERB", required=True)
    add_command(asked, "list", list_types, summary="every type with its definition and key")

    add = add_command(asked, "add", add_type, summary="a new type, shown by a few images")
    add.add_argument("name")
    add.add_argument("images", type=whole_number(1), nargs="+", metavar="IMAGE", help="its number")
    add.add_argument("--definition", default="", help="how it is told from the others")

    define = add_command(asked, "define", define_type, summary="say how a type is told")
    define.add_argument("name")
    define.add_argument("--definition", help="in words")
    define.add_argument("--key", help="that gives it in triage")

    rename = add_command(asked, "rename", rename_type, summary="call a type otherwise, everywhere")
    rename.add_argument("name")
    rename.add_argument("new_name")

    merge = add_command(asked, "merge", merge_types, summary="make a type a part of another")
    merge.add_argument("name")
    merge.add_argument("into")

    split = add_command(asked, "split", split_type, summary="give some images of a type another")
    split.add_argument("name")
    split.add_argument("new_name")
    split.add_argument("images", type=whole_number(1), nargs="+", metavar="IMAGE")

    for name, run, summary in (
        ("retire", retire_type, "no longer offer, train or give a type"),
        ("bring-back", bring_back_type, "offer a retired type again"),
        ("effects", tell_effects, "what hangs on a type, before it is changed"),
    ):
        add_command(asked, name, run, summary=summary).add_argument("name")

    undo = add_command(asked, "undo", undo_change, summary="take a change of types back")
    undo.add_argument("change", type=whole_number(1), help="its number")

    more = add_command(asked, "candidates", find_candidates, summary="images likely of a type")
    more.add_argument("name")
    add_embedding(more)
    more.add_argument("--most", type=whole_number(1), default=48, help="default: 48")

    strange = add_command(
        asked, "strange", group_strange, summary="groups of images like none of the types"
    )
    add_embedding(strange)


def list_types(session: Session, asked: Namespace) -> Answer:
    """The label book as it stands."""
    from core.state import label_book

    workspace = session.open()
    entries, keys = label_book.list_entries(workspace), label_book.keys_in_triage(workspace)
    rows = [
        {
            "name": each.name,
            "n_images": each.n_images,
            "key": keys.get(each.name, ""),
            "definition": each.definition,
            "is_retired": each.is_retired,
            "merged_into": each.merged_into,
            "images": {role: list(ids) for role, ids in each.images.items()},
        }
        for each in entries
    ]
    lines = [
        f"{row['name']}: {row['n_images']:,} images"
        + (" (retired)" if row["is_retired"] else "")
        + (f"; {row['definition']}" if row["definition"] else "")
        for row in rows
    ]
    return Answer({"types": rows}, "\n".join(lines) or "There is no type yet.")


def add_type(session: Session, asked: Namespace) -> Answer:
    """A new type."""
    from core.state import retyping

    return _changed(
        retyping.add(
            session.open(),
            asked.name,
            asked.images,
            actor=session.actor,
            definition=asked.definition,
        )
    )


def define_type(session: Session, asked: Namespace) -> Answer:
    """A new version of an entry; what is not named stays."""
    from core.state import label_book

    workspace = session.open()
    entry = label_book.find_entry(workspace, asked.name)
    label_book.define(
        workspace,
        entry.name,
        definition=entry.definition if asked.definition is None else asked.definition,
        shortcut=entry.shortcut if asked.key is None else asked.key,
        shown=entry.images,
        actor=session.actor,
    )
    return Answer({"name": entry.name}, f"The entry of {entry.name} is kept.")


def rename_type(session: Session, asked: Namespace) -> Answer:
    """Another name."""
    from core.state import retyping

    return _changed(
        retyping.rename(session.open(), asked.name, asked.new_name, actor=session.actor)
    )


def merge_types(session: Session, asked: Namespace) -> Answer:
    """One of two."""
    from core.state import retyping

    return _changed(retyping.merge(session.open(), asked.name, asked.into, actor=session.actor))


def split_type(session: Session, asked: Namespace) -> Answer:
    """Two of one."""
    from core.state import retyping

    parts = dict.fromkeys(asked.images, asked.new_name)
    return _changed(retyping.split(session.open(), asked.name, parts, actor=session.actor))


def retire_type(session: Session, asked: Namespace) -> Answer:
    """A type less."""
    from core.state import retyping

    return _changed(retyping.retire(session.open(), asked.name, actor=session.actor))


def bring_back_type(session: Session, asked: Namespace) -> Answer:
    """A retired type again."""
    from core.state import retyping

    return _changed(retyping.bring_back(session.open(), asked.name, actor=session.actor))


def tell_effects(session: Session, asked: Namespace) -> Answer:
    """What hangs on a type."""
    from core.analysis.type_effects import effects_of
    from core.state import label_book

    workspace = session.open()
    entry = label_book.find_entry(workspace, asked.name)
    found = effects_of(workspace, entry.name)
    said = {
        "name": entry.name,
        "n_images": found.n_images,
        "n_waiting": found.n_waiting,
        "models": list(found.models),
        "promoted": found.promoted,
    }
    return Answer(said, "\n".join(found.sentences("rename")))


def undo_change(session: Session, asked: Namespace) -> Answer:
    """Take a change of types back."""
    from core import actions
    from core.state import labels, retyping

    workspace = session.open()
    if labels.find_batch(workspace, asked.change).action != retyping.ACTION:
        raise OperatorError(f"Change {asked.change} is none of a type.")
    done = actions.undo(workspace, asked.change, actor=session.actor)
    said = {"change": done.batch_id, "n_restored": done.n_restored, "n_kept": done.n_kept}
    return Answer(said, f"{done.n_restored:,} images are as before.")


def find_candidates(session: Session, asked: Namespace) -> Answer:
    """The likeliest first."""
    workspace = session.open()
    embedding = chosen_run(workspace, "embedding", asked.embedding)
    config = FindCandidates(asked.name, embedding.id, n_most=asked.most)
    found = session.do(workspace, config)
    lines = [
        f"{each['image']}: {each['known_share']:.1%} of other types as much like it"
        for each in found["candidates"]
    ]
    return Answer(found, "\n".join(lines) or "No image waits for a label.")


def group_strange(session: Session, asked: Namespace) -> Answer:
    """The largest group first."""
    from core.state import runs

    workspace = session.open()
    embedding = chosen_run(workspace, "embedding", asked.embedding)
    told = session.do(workspace, GroupStrange(embedding.id))
    run = runs.get_run(workspace, told["run"])
    ids = runs.load_array(workspace, run, "image_ids")
    groups = runs.load_array(workspace, run, "groups")
    members = [ids[groups == number].tolist() for number in range(len(told["sizes"]))]
    lines = [f"{told['n_strange']:,} of {told['n_looked_at']:,} images are strange."]
    lines += [f"{len(some):,} alike: {', '.join(map(str, some[:10]))}" for some in members]
    return Answer({**told, "groups": members}, "\n".join(lines))


def _changed(batch: Batch) -> Answer:
    said = {"change": batch.id, "n_images": batch.n_changes, **batch.detail}
    what = str(batch.detail["what"]).replace("_", " ")
    text = f"{batch.detail['type']}: {what}, {batch.n_changes:,} images (change {batch.id})."
    return Answer(said, text)
