"""``pose3d train``: what makes the bundled weights."""

import click


@click.group()
def train() -> None:
    """Train a detector or a lifter."""
