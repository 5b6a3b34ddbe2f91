"""Workspaces as a whole: `workspace` lists, makes and deletes them, `doctor` mends one."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from core.cli.parser import Commands, a_path, add_command
from core.cli.session import Answer, Session, table

if TYPE_CHECKING:
    from core.state.workspace import Workspace


def add_commands(commands: Commands) -> None:
    """Add these commands."""
    group = add_command(commands, "workspace", None, summary="list, create or delete workspaces")
    verbs = group.add_subparsers(metavar="VERB", required=True)
    add_command(verbs, "list", list_workspaces, summary="list the workspaces of LACQUER_HOME")
    create = add_command(verbs, "create", create_workspace, summary="make an empty workspace")
    create.add_argument("path", metavar="DIR", type=a_path, help="empty, or not there yet")
    create.add_argument("--name", help="what people read (default: the folder's name)")
    delete = add_command(
        verbs, "delete", delete_workspace, summary="delete a workspace with all it holds"
    )
    delete.add_argument("path", metavar="DIR", type=a_path)

    doctor = add_command(
        commands, "doctor", examine, summary="say what ails a workspace, and mend what is safe"
    )
    doctor.add_argument(
        "--thorough", action="store_true", help="read every copied image and compare its hash"
    )


def list_workspaces(session: Session, asked: Namespace) -> Answer:
    """Those of the home folder, and the one that LACQUER_WORKSPACE names."""
    from core.state import workspace as workspaces

    found = workspaces.list_workspaces(session.settings)
    n_bytes = [sum(workspaces.disk_use(workspace).values()) for workspace in found]
    data = [{**_as_data(w), "bytes": n} for w, n in zip(found, n_bytes, strict=True)]
    rows = [(w.name, f"{n / 1e6:,.0f} MB", w.path) for w, n in zip(found, n_bytes, strict=True)]
    return Answer({"workspaces": data}, table(rows) or "No workspaces yet.")


def create_workspace(session: Session, asked: Namespace) -> Answer:
    """Make one; `import`, `generate` and `demo` do so by themselves."""
    from core.state import workspace as workspaces

    made = workspaces.create_workspace(asked.path, name=asked.name, settings=session.settings)
    return Answer(_as_data(made), f"{made.name} is in {made.path}.")


def delete_workspace(session: Session, asked: Namespace) -> Answer:
    """Delete one; files imported by reference stay where they are."""
    doomed = replace(session, folder=asked.path).open()
    delete(doomed)
    return Answer({"deleted": str(doomed.path)}, f"{doomed.path} is deleted.")


def delete(workspace: Workspace) -> None:
    """Delete a workspace; jobs of dead processes do not stand in the way.

    Raises:
        OperatorError: a job is at work in it.
    """
    from core.jobs.processes import is_gone
    from core.state import job_rows
    from core.state import workspace as workspaces

    job_rows.mark_interrupted(workspace, is_gone)
    workspaces.delete_workspace(workspace)


def examine(session: Session, asked: Namespace) -> Answer:
    """Run every check; whatever is left to mend makes the exit code 1."""
    from core.doctor import describe_environment, examine

    workspace = session.open()
    findings = examine(workspace, session.settings, thorough=asked.thorough)
    environment, lacking = describe_environment(workspace, session.settings)
    findings += lacking
    lines = [
        f"{'mended:' if found.mended else 'left:'} {found.problem} {found.next_step}".rstrip()
        for found in findings
    ]
    left = sum(not found.mended for found in findings)
    verdict = "All is well." if not left else f"{left} left to mend."
    data = {
        "workspace": str(workspace.path),
        "healthy": not left,
        "findings": [asdict(found) for found in findings],
        "environment": environment,
    }
    about = table([(name, value) for name, value in environment.items()])
    return Answer(data, "\n".join([about, *lines, verdict]), is_well=not left)


def _as_data(workspace: Workspace) -> dict[str, str]:
    return {"name": workspace.name, "path": str(workspace.path), "uid": workspace.uid}
