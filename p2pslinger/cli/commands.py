"""What all commands share: they are loaded late, end with an example, know --debug.

The table below is all that `slinger --help` needs; a test compares it with the commands
themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

import click

#: Every command, in the order of a first day with slinger: the file in this folder that
#: has it, and its first line of help.
COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("init", "Make a grid, or join one, on this machine."),
    "up": ("up", "Start this machine's peer."),
    "down": ("down", "Stop this machine's peer."),
    "status": ("status", "Show what this machine's peer is doing, and why not more."),
    "why": ("why", "Say why this peer does not compute, or a job or a task waits."),
    "peers": ("peers", "Show who is in the grid."),
    "prefs": ("prefs", "Show or set what others may have of this machine."),
    "people": ("people", "Show what you have said of other peers."),
    "name": ("people", "Give a peer a name of your own."),
    "allow": ("people", "Treat a peer as your own."),
    "deny": ("people", "Compute nothing for a peer's jobs."),
    "ban": ("people", "Have nothing to do with a peer."),
    "rekey": ("rekey", "Give the grid another authkey."),
    "submit": ("submit", "Start a job that goes on by itself."),
    "jobs": ("jobs", "List the jobs of this machine's peer, newest first."),
    "job": ("jobs", "Show one job: how far it is, why it waits, who computed it."),
    "results": ("results", "Print a job's results, one JSON value a line."),
    "replay": ("replay", "Compute one task of a job once more, on this machine."),
    "cancel": ("jobs", "Cancel a job."),
    "pause": ("change", "Have nobody begin tasks of a job."),
    "resume": ("change", "Let a paused job go on."),
    "priority": ("change", "Put a job before or behind others of this machine."),
    "extend": ("change", "Keep a job, results included, for so long from now."),
    "forget": ("change", "Drop a job everywhere, results included."),
    "ticket": ("ticket", "Make a ticket for a job, or use one."),
    "tally": ("tally", "Show who contributed how much."),
    "run": ("run", "Run a Python file that uses p2pslinger.connect()."),
    "demo": ("demo", "Render a fractal on several local peers."),
    "doctor": ("doctor", "Examine what can be wrong, one line each."),
}


@dataclass(slots=True)
class Switches:
    """What holds for the whole command line.

    Attributes:
        debug: Show tracebacks.
    """

    debug: bool = False


def _switch_debug(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        context.ensure_object(Switches).debug = True


DEBUG = click.Option(
    ["--debug"],
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_switch_debug,
    help="Show a traceback with an error.",
)

#: The same after the command's name, where people add it.
_DEBUG_LATER = click.Option(
    ["--debug"],
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_switch_debug,
    hidden=True,
)


class Command(click.Command):
    """A command whose epilog is its example: lines to type, shown as they are."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the command's parameters, and --debug if it has none of its own."""
        own = super().get_params(ctx)
        has = any("--debug" in one.opts for one in own)
        return own if has else [*own, _DEBUG_LATER]

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the example."""
        write_example(self.epilog, formatter)


class Group(click.Group):
    """The commands of `COMMANDS`, each imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; return None if there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"p2pslinger.cli.{COMMANDS[cmd_name][0]}")
        command = getattr(module, cmd_name)
        assert isinstance(command, Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; suggest the nearest if there is none of that name."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            ctx.fail(f"there is no command {args[0]!r}{_nearest(args[0])}")
        return super().resolve_command(ctx, args)

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """Write the table of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the example."""
        write_example(self.epilog, formatter)


def write_example(lines: str | None, formatter: click.HelpFormatter) -> None:
    """End a help text with lines to type."""
    if lines:
        formatter.write_paragraph()
        formatter.write("Example:\n")
        formatter.write("".join(f"  {line}\n" for line in lines.splitlines()))


def _nearest(word: str) -> str:
    import difflib

    near = difflib.get_close_matches(word, COMMANDS, n=1)
    return f": did you mean {near[0]}?" if near else ""
