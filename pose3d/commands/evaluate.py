"""``pose3d evaluate``: how good poses, detectors and lifters are."""

import click


@click.group()
def evaluate() -> None:
    """Measure against a truth."""
