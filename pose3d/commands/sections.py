"""Help of commands with many options: what belongs together stands together."""

from collections import defaultdict

import click

FILES = "Options"
_SECTIONS = {
    "Who, and which part": ("people", "person", "min_track", "start", "end"),
    "Finding people": (
        "detector", "min_score", "max_people", "short_side", "batch_size", "precision", "engine",
        "decoder",
    ),
    "From keypoints to space": (
        "lifter", "height", "fov", "focal_length", "camera", "camera_up", "skip",
    ),
    "Weights": ("dialect", "registry"),
    "Many files": ("pattern", "retry_failed", "dry_run", "workers", "shard", "report", "ray"),
    "In general": ("config", "quiet", "verbose", "log_file", "--help"),
}  # fmt: skip
_HEADING = {name: heading for heading, names in _SECTIONS.items() for name in names}


class Sectioned(click.Command):
    """A command whose help puts its options under headings."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, those without a heading first."""
        found: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and isinstance(param, click.Option):
                name = "--help" if "--help" in param.opts else str(param.name)  # click's own name
                found[_HEADING.get(name, FILES)].append(record)
        for heading in (FILES, *_SECTIONS):
            if found[heading]:
                with formatter.section(heading):
                    formatter.write_dl(found[heading])
