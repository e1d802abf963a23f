"""``pose3d weights`` and the options that name weights, as they are typed."""

import json
import logging
import os
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result
from https_server import CONTENT, SHA256, Served, Server
from weight_files import arrays_of, lifter_state, save

from pose3d.cli import main
from pose3d.weights import available_weights, cache_folder

pytest_plugins = ("https_server",)


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSE3D_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("POSE3D_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.delenv("POSE3D_REGISTRY", raising=False)
    monkeypatch.delenv("POSE3D_OFFLINE", raising=False)


def pose3d(*arguments: str | Path, code: int = 0) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == code, (result.output, result.exception)
    return result


def registry(path: Path, server: Server, **fields: object) -> Path:
    lines = [
        "[mine]",
        'kind = "detector"',
        f'urls = ["{server.url("/mine.pkl")}"]',
        *(f"{key} = {json.dumps(value)}" for key, value in fields.items()),
    ]
    path.write_text("\n".join(lines))
    return path


def test_list(tmp_path: Path) -> None:
    cache_folder().mkdir()
    (cache_folder() / "cpn-pt-243.bin").write_bytes(b"by hand")
    lines = pose3d("weights", "list").output.splitlines()
    rows = {line.removeprefix("*").split()[0]: line for line in lines[1:]}
    assert list(rows) == [entry.name for entry in available_weights()]
    assert "bundled" in rows["compact"] or "missing" in rows["compact"]
    assert rows["compact"].startswith("*")
    assert "cached" in rows["videopose3d-cpn-pt"]
    assert "not commercial" in rows["videopose3d"]
    assert "cached" not in rows["detectron-r101"]
    assert {"55.3", "65.8", "313"} <= set(rows["detectron-r101"].split())

    facts = {
        entry["name"]: entry for entry in json.loads(pose3d("weights", "list", "--json").output)
    }
    assert facts["videopose3d-cpn-pt"]["where"] == "cached"
    assert facts["videopose3d-cpn-pt"]["path"] == str(cache_folder() / "cpn-pt-243.bin")
    assert facts["videopose3d"]["commercial"] is False
    assert facts["detectron2-r50"]["where"] == ""
    assert facts["compact"]["default"] and not facts["detectron2-r50"]["default"]


def test_download_path_verify_and_a_registry_of_ones_own(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = save(tmp_path / "source.pkl", "detectron2", arrays_of("detectron2")).read_bytes()
    server.files["/mine.pkl"] = Served(content)
    mine = registry(tmp_path / "mine.toml", server, licence="my own", commercial=False)
    listed = pose3d("weights", "list", "--registry", mine).output
    assert "my own (not commercial)" in listed
    assert "POSE3D_REGISTRY" not in os.environ

    missing = pose3d("weights", "verify", "mine", "--registry", mine, code=1)
    assert "run `pose3d weights download mine`" in missing.output
    fetched = pose3d("weights", "download", "mine", "--registry", mine)
    assert "licence my own, NOT for commercial use" in caplog.text
    path = cache_folder() / "mine.pkl"
    assert fetched.output.strip().splitlines()[-1] == str(path)
    caplog.clear()
    assert pose3d("weights", "path", "mine", "--registry", mine).output.strip() == str(path)
    assert "licence" not in caplog.text
    assert len(server.fetched("/mine.pkl")) == 1
    verified = pose3d("weights", "verify", "mine", "--registry", mine).output
    assert "whole, keypoint_rcnn (detectron2)" in verified
    assert "remembered" in verified
    again = pose3d("weights", "verify", path, "--dialect", "detectron2-d1").output
    assert "(detectron2-d1)" in again

    path.write_bytes(content[:-7])
    assert "set aside" in pose3d("weights", "verify", "mine", "--registry", mine, code=1).output


def test_a_bar_where_somebody_sees_it(
    server: Server, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    from pose3d.weights import find

    server.files["/model.pkl"] = Served()
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    find(server.url("/model.pkl"))
    shown = capfd.readouterr().err
    assert "10.2M/10.2M" in shown
    (cache_folder() / find(server.url("/model.pkl")).name).unlink()
    logging.getLogger("pose3d").setLevel(logging.ERROR)
    try:
        find(server.url("/model.pkl"))
    finally:
        logging.getLogger("pose3d").setLevel(logging.NOTSET)
    assert "10.2M" not in capfd.readouterr().err


def test_a_wrong_file_is_refused(server: Server, tmp_path: Path) -> None:
    server.files["/mine.pkl"] = Served(CONTENT)
    mine = registry(tmp_path / "mine.toml", server, sha256=SHA256[:8])
    assert pose3d("weights", "path", "mine", "--registry", mine).output
    (cache_folder() / "mine.pkl").unlink()
    (cache_folder() / "mine.pkl.sha256").unlink()
    server.files["/mine.pkl"] = Served(CONTENT[:-1])
    refused = pose3d("weights", "path", "mine", "--registry", mine, code=1).output
    assert "damaged or another file" in refused


def test_convert(tmp_path: Path) -> None:
    source = save(tmp_path / "model_final.pkl", "caffe2", arrays_of("caffe2"))
    out = tmp_path / "model_final.safetensors"
    assert str(out) in pose3d("weights", "convert", source, tmp_path).output
    assert "(caffe2)" in pose3d("weights", "verify", out).output
    refused = pose3d("weights", "convert", source, out, code=1).output
    assert "exists: give another name, or --overwrite" in refused
    pose3d("weights", "convert", source, out, "--overwrite")
    lifter = tmp_path / "lifter.bin"
    torch.save({"no": "lifter"}, lifter)
    assert "'no', which is no array" in pose3d("weights", "convert", lifter, out, code=1).output


def test_default() -> None:
    before = pose3d("weights", "default").output
    assert "detector compact" in before
    assert "default detector from now on" in pose3d("weights", "default", "torchvision-r50").output
    assert "lifter" in pose3d("weights", "default", "videopose3d").output
    assert pose3d("weights", "default").output == "detector torchvision-r50\nlifter videopose3d\n"
    listed = pose3d("weights", "list").output.splitlines()
    assert {line.split()[1] for line in listed if line.startswith("*")} == {
        "torchvision-r50",
        "videopose3d",
    }
    assert (
        "no weights is called 'nonsense'" in pose3d("weights", "default", "nonsense", code=2).output
    )


def test_export(tmp_path: Path) -> None:
    """What is written is tested in test_export_onnx.py."""
    source = save(tmp_path / "model_final.pkl", "caffe2", arrays_of("caffe2"))
    (tmp_path / "out-boxes.onnx").touch()
    sized = ("--size", "96", "64")
    refused = pose3d("weights", "export", source, tmp_path / "out.onnx", *sized, code=1)
    assert "out-boxes.onnx exists" in refused.output
    assert not (tmp_path / "out.onnx").exists()
    assert "no multiple of 32" in pose3d(
        "weights", "export", source, tmp_path / "out.onnx", "--size", "90", "64", code=2
    ).output  # fmt: skip


@pytest.mark.parametrize(
    ("dialect", "detector", "lifter"),
    [
        (None, None, None),
        ("detectron2-d1", "detectron2-d1", None),
        ("videopose3d-causal", None, "videopose3d-causal"),
    ],
)
def test_a_dialect_goes_to_whom_it_is_of(
    dialect: str | None, detector: str | None, lifter: str | None
) -> None:
    from pose3d import Options

    options = Options(dialect=dialect)
    assert (options.dialect_of("detector"), options.dialect_of("lifter")) == (detector, lifter)


def test_infer_with_a_file_and_a_dialect(clip: Path, tmp_path: Path) -> None:
    """From a public file to a recording with nothing but its path."""
    from pose3d import load

    lifter = tmp_path / "lifter.bin"
    torch.save({"model_pos": lifter_state((3, 3), 17, 2, 17)}, lifter)
    weights = save(tmp_path / "model_final.pkl", "detectron2", arrays_of("detectron2"))
    typed = ("infer", clip, "-o", tmp_path / "out", "--save", "npz", "--end", "0.1")
    models = ("--detector", weights, "--lifter", lifter)
    pose3d(*typed, *models)
    facts = load(tmp_path / "out" / "walk.pose3d.npz").meta
    assert facts["weights"]["detector"]["name"] == str(weights)
    assert facts["options"]["dialect"] is None
    wrong = pose3d(*typed, *models, "--dialect", "caffe2", "--overwrite", code=2)
    assert "detectron2 weights have no dialect 'caffe2'" in wrong.output
    other = pose3d(*typed, *models, "--dialect", "detectron2-d1", code=1)
    assert "dialect none, now detectron2-d1" in other.output
