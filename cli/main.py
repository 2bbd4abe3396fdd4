"""The command `remediator`. A command's module is imported when it is used: starting must feel instant."""

import difflib
import importlib
import sys
from typing import Any, cast

import click

from cli.colour import wanted
from cli.endings import be_silent, endings
from cli.exit_codes import ExitCode

_COMMANDS = {
    "up": ("cli.up", "Start everything on this machine: Redis, worker and API."),
    "demo": ("cli.demo", "See it work on two throwaway clusters."),
    "run": ("cli.run", "Put the pull Secret in place and wait for the outcome."),
    "plan": ("cli.run", "Show what `run` would do; write nothing."),
    "status": ("cli.remediations", "Show one remediation."),
    "results": ("cli.remediations", "Show what came of each namespace."),
    "wait": ("cli.remediations", "Wait until a remediation ends."),
    "cancel": ("cli.remediations", "Stop a remediation; what was done stays."),
    "retry": ("cli.follow_up", "Do again what failed or was cancelled."),
    "undo": ("cli.follow_up", "Take back what a remediation wrote."),
    "approve": ("cli.guard_rails", "Let a remediation of protected clusters begin."),
    "reject": ("cli.guard_rails", "Refuse a remediation of protected clusters."),
    "list": ("cli.remediations", "List remediations, newest first."),
    "readiness": ("cli.readiness", "Judge which pods would break if a registry went private."),
    "gate": ("cli.readiness", "Ask whether a readiness check still holds."),
    "clusters": ("cli.inventory", "List the clusters that can be named."),
    "credentials": ("cli.inventory", "List the registry credentials that can be named."),
    "whoami": ("cli.inventory", "Show who the service takes you for."),
    "system": ("cli.inventory", "Show how the service is."),
    "pause": ("cli.guard_rails", "Have no run begin until `resume`."),
    "resume": ("cli.guard_rails", "End the pause."),
    "audit": ("cli.audit", "Show and verify the audit trail."),
    "kubeconfig": ("cli.kubeconfig", "Have a context trust its API server's certificate."),
    "token": ("cli.token", "Make API keys."),
    "keys": ("cli.keys", "Make the keys that seal logins."),
    "api": ("cli.processes", "Run the API process (configured by environment)."),
    "worker": ("cli.processes", "Run the worker process (configured by environment)."),
}


class LazyGroup(click.Group):
    """A group that knows its commands by name and help, and imports the one that is called.

    What holds for every command is here: how it ends, and whether it may use colours.
    """

    def main(self, *args: Any, **options: Any) -> Any:
        """Run, also where an error cannot be told any more: its reader has ended."""
        try:
            return super().main(*args, **options)
        except BrokenPipeError:
            be_silent()
            sys.exit(ExitCode.PIPE_CLOSED)

    def make_context(self, *args: Any, **options: Any) -> click.Context:
        """Read the arguments. `--help` and `--version` print here."""
        with endings():
            context = super().make_context(*args, **options)
        # None: click takes styles out where there is no terminal.
        context.color = None if wanted() else False
        return context

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with endings():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order one meets them."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command; the help of the group needs no import."""
        if cmd_name not in _COMMANDS:
            meant = difflib.get_close_matches(cmd_name, _COMMANDS, n=1)
            if meant and not ctx.resilient_parsing:
                ctx.fail(f"No such command '{cmd_name}'. Did you mean '{meant[0]}'?")
            return None
        module, _ = _COMMANDS[cmd_name]
        command = getattr(importlib.import_module(module), f"{cmd_name}_command")
        return cast(click.Command, command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pull-secret-remediator", prog_name="remediator")
def remediator() -> None:
    """Put image pull Secrets into every namespace and ServiceAccount of a fleet of clusters.

    Exit codes: 0 succeeded, 1 failed, 2 invalid, 3 partial, 4 denied, 5 timeout or unreachable, 6 unknown, 7 cancelled,
    8 refused in this state, 9 quota, 130 Ctrl-C, 141 closed pipe.
    """


def main() -> None:
    """Run the command line."""
    remediator(prog_name="remediator")
