"""``pose3d view``: look at a recording in the browser."""

from pathlib import Path

import click

from pose3d.commands.console import Console
from pose3d.commands.options import COMMON, options
from pose3d.commands.recordings import check_recording


@click.command()
@click.argument("recording", type=click.Path(path_type=Path), metavar="RECORDING")
@options("video")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, metavar="N", help="A free one by default."
)
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@options(*COMMON)
@click.pass_obj
def view(
    console: Console, recording: Path, video: Path | None, port: int, no_browser: bool
) -> None:
    """Show a recording in the browser, beside its video.

    The page is served to this computer alone, until Ctrl-C. To pass a viewer on as a file, use
    `pose3d render RECORDING --save html`.
    """
    import webbrowser

    with console.loading():
        from pose3d.batch import no_video, video_of
        from pose3d.sequence import Recording
        from pose3d.viewer.serve import Server

    check_recording(recording)
    loaded = Recording.load(recording)
    film = video_of(recording, loaded, video)
    if film is None:
        console.warn(f"{recording} is shown alone, as {no_video(recording, loaded, video)}")
    with Server(loaded, film, port) as server:
        click.echo(server.address)
        console.say("Ctrl-C ends it.")
        if not no_browser:
            webbrowser.open(server.address)
        try:
            server.serve_forever(poll_interval=0.1)
        except KeyboardInterrupt:
            console.say("")
