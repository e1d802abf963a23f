"""Where the time goes."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from conftest import ROOT
from weight_files import arrays_of, save

import pose3d
from pose3d.bench import Laps, Timing, bench, parts_of, timed
from pose3d.cli import main
from pose3d.errors import PoseError

WALK = ROOT / "data" / "rendered_walk.mp4"


def test_every_stage_and_part_is_measured() -> None:
    report = bench(WALK, end=0.1, device="cpu", engine="torch")
    assert report.video["frames"] == 3
    assert list(report.stages) == ["decode", "detect", "track", "lift", "save"]
    assert list(report.parts) == ["resize", "dense", "proposals", "boxes", "keypoints"]
    assert report.parts["dense"].calls >= 3
    inside = sum(part.a_frame for part in report.parts.values())
    assert 0 < inside < report.detection.a_frame
    assert report.decoding.calls == 3
    whole = sum(stage.a_frame for stage in report.stages.values())
    assert report.frame_rate == pytest.approx(1000 / whole)
    assert (report.run["engine"], report.run["precision"]) == ("torch", "fp32")


def test_the_command_prints_a_table_or_json() -> None:
    arguments = ["bench", str(WALK), "--end", "0.07", "--device", "cpu", "--engine", "torch"]
    table = CliRunner().invoke(main, arguments)
    assert table.exit_code == 0, table.output
    stages, inside = table.output.split("\nall ")
    shares = [int(share) for share in re.findall(r" ms +(\d+)%", stages)]
    assert sum(shares) == pytest.approx(100, abs=3)
    assert "dense" in inside
    assert "shares of the time may be over 100 % together" in inside.partition("dense")[0]
    assert "frames/s" in table.output
    found = json.loads(CliRunner().invoke(main, [*arguments, "--json", "-q"]).stdout)
    assert found["machine"]["cores"] >= 1
    assert found["frames_per_second"] > 0
    assert found["detection"]["a_frame"] > found["parts"]["dense"]["a_frame"] > 0


def test_every_detector_has_its_parts(tmp_path: Path) -> None:
    public = save(tmp_path / "model.pkl", "detectron2", arrays_of("detectron2"))
    for name in ("compact", str(public)):
        parts = parts_of(pose3d.load_detector(name, device="cpu"))
        names = [part for _, _, part in parts if part != "resize"]
        assert names == ["dense", "proposals", "boxes", "keypoints"]
        assert all(callable(getattr(owner, method)) for owner, method, _ in parts)


def test_what_is_no_video_is_said(tmp_path: Path) -> None:
    path = tmp_path / "text.mp4"
    path.write_text("no video")
    with pytest.raises(PoseError, match=r"text\.mp4"):
        bench(path)


def test_timing_shares_all_calls_among_the_frames() -> None:
    timing = Timing.of([0.010, 0.020, 0.090], frames=4)
    assert timing.calls == 3
    assert timing.median == pytest.approx(20)
    assert timing.a_frame == pytest.approx(30)


def test_a_method_is_as_before_after_it_was_timed() -> None:
    class Thing:
        def double(self, x: int) -> int:
            return 2 * x

    thing, laps, cpu = Thing(), Laps(), SimpleNamespace(type="cpu")
    with timed(thing, "double", "doubling", laps, cpu):
        assert thing.double(2) == 4
    assert thing.double(3) == 6
    assert len(laps.laps["doubling"]) == 1
    assert "double" not in vars(thing)
