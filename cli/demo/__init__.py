"""`remediator demo`: see it work on two throwaway clusters."""

from cli.demo.command import demo_command

__all__ = ["demo_command"]
