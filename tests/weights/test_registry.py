"""Names, files and the user's own settings."""

import hashlib
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from pose3d.errors import PoseError, UsageError
from pose3d.weights import (
    available_weights,
    default,
    find,
    load,
    load_safetensors,
    place,
    resolve,
    set_default,
    sha256,
    verify,
)
from pose3d.weights.registry import file_of

SPECIFICATION = Path(__file__).parents[2] / ".." / "shared" / "spec" / "detectron_weights.md"


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSE3D_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("POSE3D_CONFIG", str(tmp_path / "config" / "config.toml"))
    monkeypatch.setenv("POSE3D_OFFLINE", "1")
    monkeypatch.delenv("POSE3D_REGISTRY", raising=False)


def test_every_entry_is_complete() -> None:
    entries = available_weights()
    assert len({entry.name for entry in entries}) == len(entries) == 22
    assert len({place(entry) for entry in entries}) == len(entries)
    for entry in entries:
        assert entry.licence != "unknown"
        assert entry.description
        assert entry.family
        assert entry.bundled == (not entry.urls) == (entry.family == "pose3d")
        assert all(url.startswith("https://") for url in entry.urls)
        assert entry.commercial == (entry.family != "videopose3d")
        if entry.family in ("caffe2", "torchvision") or entry.keypoint_ap:
            assert 60 < entry.keypoint_ap < 70
            assert 50 < entry.box_ap < 60
    assert {entry.name for entry in available_weights("lifter")} > {"temporal", "videopose3d"}


@pytest.mark.skipif(not SPECIFICATION.is_file(), reason="../shared is not there")
def test_the_registry_holds_what_the_specification_lists() -> None:
    text = SPECIFICATION.read_text()
    rows = re.findall(
        r"\| `([\w-]+)`.*?\| `?([^|`]+)`? \|(?: `([^`|]+)` \|)? ([\d.]+) / ([\d.]+)", text
    )
    assert len(rows) == 11
    for name, middle, stamp, box, keypoints in rows:
        entry = resolve(name)
        assert middle in entry.urls[0]
        assert stamp in entry.urls[0]
        assert (entry.box_ap, entry.keypoint_ap) == (float(box), float(keypoints))
    files = re.findall(r"`([\w.-]+\.(?:bin|pth))`", text)
    assert len(files) == 8
    assert {file.rpartition("/")[2] for file in files} <= {
        entry.file for entry in available_weights()
    }
    assert resolve("torchvision-r50").sha256 == "fc266e95"


def test_names_paths_and_what_is_neither(tmp_path: Path, monkeypatch) -> None:
    file = tmp_path / "weights.safetensors"
    save_file({"a": torch.ones(3)}, file, {"architecture": "compact"})
    assert find(file) == file == find(str(file), "lifter")
    monkeypatch.chdir(tmp_path)
    assert find("weights.safetensors") == file
    (tmp_path / "compact").write_text("not this one")
    assert resolve("compact").bundled
    assert not resolve("./compact").bundled
    for wrong, message in [
        (
            "nonsense",
            "no detector is called 'nonsense', nor is it a file: try compact, detectron2-r50",
        ),
        ("nonsense.pkl", "there is no file nonsense.pkl"),
        ("folder/nonsense", "there is no file folder/nonsense"),
        (str(tmp_path), "is a folder"),
        ("videopose3d", "videopose3d is a lifter, not a detector"),
        ("http://example.org/x.pkl", "is not https"),
        ("detectron-r101", "POSE3D_OFFLINE is set"),
    ]:
        with pytest.raises(PoseError, match=message):
            find(wrong, "detector")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[a", "no TOML"),
        ("a = 1", r"\[a\] is no table"),
        ("[a]\nkind = 'camera'", "needs kind"),
        ("[a]\nkind = 'lifter'", "needs urls"),
        ("[a]\nkind = 'lifter'\nurls = ['http://x/y']", "not https"),
        ("[a]\nkind = 'lifter'\nurls = ['https://x/y']\nfile = '../y'", "without folders"),
        ("[a]\nkind = 'lifter'\nurls = ['https://x/y']\nfile = 'NUL.pkl'", "plain file name"),
        ("[a]\nkind = 'lifter'\nurls = ['https://x/y']\nfile = '.x'", "plain file name"),
        ('[a]\nkind = "lifter"\nurls = ["https://x/y"]\nfile = "a\\u0000b"', "plain file name"),
        ("a" + ".a" * 70_000 + " = 1", "larger than 128 KiB"),
        ("a = " + "[" * 5000, "deep"),
        ("[a]\nkind = 'lifter'\nurl = 'https://x/y'", "no field 'url'"),
        ("[a]\nkind = 'lifter'\nurls = 'https://x/y'", "wrong urls"),
        ("[a]\nkind = 'lifter'\nurls = ['https://x/y']\nsha256 = 'XYZ'", "hexadecimal"),
        ("[compact]\nkind = 'lifter'\nurls = ['https://x/y']", "name of public weights"),
    ],
)
def test_registries_with_mistakes(text: str, message: str, tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "registry.toml"
    path.write_text(text)
    monkeypatch.setenv("POSE3D_REGISTRY", str(path))
    with pytest.raises(UsageError, match=message):
        available_weights()
    monkeypatch.setenv("POSE3D_REGISTRY", str(tmp_path / "absent.toml"))
    with pytest.raises(UsageError, match="cannot be read"):
        available_weights()


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://x/a/model_final.pkl?x=/../y#z", "model_final.pkl"),
        ("https://x/..%2f..%2fetc%2fpasswd", "passwd"),
        ("https://x/a%5c..%5cb.pkl", "a_.._b.pkl"),
        ("https://x/a%00b%0a.pkl", "a_b_.pkl"),
        ("https://x/..", "weights"),
        ("https://[x", "weights"),
        ("https://x/.ssh", "ssh"),
        ("https://x/aux.bin", "_aux.bin"),
        ("https://x/" + "a" * 500 + ".pkl", "a" * 146 + ".pkl"),
    ],
)
def test_names_of_urls_are_names_of_files(url: str, name: str) -> None:
    assert file_of(url) == name


def test_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"a": torch.arange(6.0).reshape(2, 3)}, path, {"architecture": "compact"})
    tensors, metadata = load_safetensors(path)
    assert torch.equal(tensors["a"], torch.arange(6.0).reshape(2, 3))
    assert metadata == {"architecture": "compact"}
    assert sha256(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    checkpoint = load(path, "detector")
    assert (checkpoint.family, checkpoint.architecture) == ("pose3d", "compact")
    with pytest.raises(PoseError, match="no file"):
        load_safetensors(tmp_path / "b.safetensors")
    path.write_bytes(b"\xff" * 100)
    with pytest.raises(PoseError, match="no whole safetensors"):
        load_safetensors(path)


def test_defaults_keep_the_rest_of_the_configuration(tmp_path: Path) -> None:
    assert (default("detector"), default("lifter")) == ("compact", "temporal")
    kind, path = set_default("videopose3d")
    assert kind == "lifter"
    assert default("lifter") == "videopose3d"
    path.write_text("# mine\nquiet = true\n\n[infer]\nmin_score = 0.3 # low\n")
    set_default("detectron2-r50")
    assert default("detector") == "detectron2-r50"
    assert default("lifter") == "temporal"
    text = path.read_text()
    assert text.startswith("# mine\nquiet = true\n")
    assert "min_score = 0.3 # low" in text
    with pytest.raises(UsageError, match="no weights is called"):
        set_default("nonsense")
    path.write_text("[")
    for broken in (lambda: set_default("compact"), lambda: default("lifter")):
        with pytest.raises(UsageError, match="configuration"):
            broken()


def test_verify(tmp_path: Path) -> None:
    with pytest.raises(PoseError, match="pose3d weights download detectron-r50"):
        verify("detectron-r50")
    path = tmp_path / "cache" / "keypointrcnn_resnet50_fpn_coco-fc266e95.pth"
    path.parent.mkdir()
    path.write_bytes(b"<html>")
    with pytest.raises(PoseError, match="not fc266e95…: set aside"):
        verify("torchvision-r50")
    assert not path.exists()
    file = tmp_path / "a.safetensors"
    save_file({"a": torch.ones(2)}, file, {"architecture": "compact"})
    verified = verify(file)
    assert (verified.path, verified.sha256, verified.against) == (file, sha256(file), "nothing")
