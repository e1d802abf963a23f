"""The command line: ``pose3d``."""

import logging
import os
from typing import Any

import click

from pose3d import __version__
from pose3d.commands.bench import bench
from pose3d.commands.console import Console
from pose3d.commands.evaluate import evaluate
from pose3d.commands.export import export
from pose3d.commands.motion import detect, infer, lift, render
from pose3d.commands.train import train
from pose3d.commands.view import view
from pose3d.commands.weights import weights
from pose3d.errors import PoseError, UsageError


class Program(click.Group):
    """A group that says what is wrong in one line: exit code 1, or 2 for wrong usage."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            ctx.obj.complain("Interrupted", where=False)
            ctx.exit(130)  # as shells have it: 128 + SIGINT
        except click.ClickException as error:
            if ctx.obj:  # else there is no such command, and nothing was asked of it
                ctx.obj.record(error.format_message())
            raise
        except PoseError as error:
            ctx.obj.complain(f"Error: {error}")
            ctx.exit(2 if isinstance(error, UsageError) else 1)
        except (click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:  # a fault of ours, most likely: a page of code helps nobody
            more = "" if ctx.obj.verbose else " (--verbose shows where)"
            ctx.obj.complain(f"Error: {type(error).__name__}: {error}{more}")
            ctx.exit(1)

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """In the order in which they are used."""
        return list(self.commands)


@click.group(
    cls=Program,
    commands=[infer, detect, lift, render, view, export, evaluate, bench, train, weights],
    context_settings={
        "auto_envvar_prefix": "POSE3D",
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
    },
)
@click.version_option(__version__, prog_name="pose3d")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Turn video of people into their motion in 3D.

    Begin with `pose3d infer walk.mp4`. Every option can also be set in a file (--config) and by
    environment variables (POSE3D_DEVICE=cpu, or POSE3D_INFER_DEVICE=cpu for one command).
    """
    # Threads that spin while they wait take the cores from whatever else runs: two runs at once
    # took twice as long as one after the other. Read when torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    ctx.obj = Console()
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    logging.getLogger("pose3d").setLevel(logging.NOTSET)  # what an earlier call here set is over
