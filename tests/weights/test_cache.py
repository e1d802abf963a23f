"""Fetching from a local HTTPS server that misbehaves."""

import hashlib
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from https_server import CONTENT, SHA256, Handler, Served, Server

from pose3d import limits
from pose3d.errors import PoseError, UsageError
from pose3d.weights import cache_folder, find, resolve
from pose3d.weights.cache import fetch
from pose3d.weights.registry import Weights

pytest_plugins = ("https_server",)


def entry(server: Server, *paths: str, **options) -> Weights:
    urls = tuple(server.url(path) for path in paths)
    return Weights(name="public", kind="detector", file="model.pkl", urls=urls, **options)


def leftovers() -> set[str]:
    return {path.name for path in cache_folder().iterdir() if path.suffix != ".lock"}


def test_a_file_is_fetched_once_and_remembered(server: Server, caplog) -> None:
    server.files["/a"] = Served()
    seen: list[tuple[int, int | None]] = []
    path = fetch(entry(server, "/a"), lambda *numbers: seen.append(numbers))
    assert path == cache_folder() / "model.pkl"
    assert path.read_bytes() == CONTENT
    assert seen[0] == (0, len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert leftovers() == {"model.pkl", "model.pkl.sha256"}
    assert path.with_name("model.pkl.sha256").read_text() == f"{SHA256}  model.pkl\n"
    assert SHA256 in caplog.text
    assert "licence" in caplog.text
    server.shutdown()
    assert fetch(entry(server, "/a")) == path
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "validator", [{}, {"etag": "", "modified": "Mon, 01 Jan 2018 00:00:00 GMT"}]
)
def test_breaks_are_resumed(server: Server, validator: dict) -> None:
    server.files["/a"] = Served(breaks=[3_000_000, 2_000_000], **validator)
    assert fetch(entry(server, "/a", sha256=SHA256)).read_bytes() == CONTENT
    first, second, third = server.fetched("/a")
    assert "Range" not in first
    starts = [int(h["Range"].removeprefix("bytes=").removesuffix("-")) for h in (second, third)]
    assert 0 < starts[0] <= 3_000_000
    assert starts[0] < starts[1] <= starts[0] + 2_000_000
    assert second["If-Range"] == (validator.get("modified") or '"one"')


def test_a_later_process_goes_on(server: Server, monkeypatch) -> None:
    server.files["/a"] = Served(breaks=[4_000_000])
    monkeypatch.setattr("pose3d.weights.download.ATTEMPTS", 1)
    with pytest.raises(PoseError, match="connection broke"):
        fetch(entry(server, "/a"))
    assert "model.pkl.part" in leftovers()
    assert "model.pkl" not in leftovers()
    assert fetch(entry(server, "/a")).read_bytes() == CONTENT
    assert int(server.fetched("/a")[1]["Range"][6:-1]) > 0
    assert leftovers() == {"model.pkl", "model.pkl.sha256"}


@pytest.mark.parametrize(
    "served",
    [
        Served(ranges=False, breaks=[3_000_000]),
        Served(etag="", breaks=[3_000_000]),  # nothing says that the file is the same
        Served(etag='W/"weak"', breaks=[3_000_000]),
    ],
)
def test_servers_that_cannot_resume(server: Server, served: Served) -> None:
    server.files["/a"] = served
    assert fetch(entry(server, "/a", sha256=SHA256)).read_bytes() == CONTENT
    assert len(server.requests) == 2


def test_a_file_that_changes_between_is_fetched_whole(server: Server, monkeypatch) -> None:
    monkeypatch.setattr("pose3d.weights.download.ATTEMPTS", 1)
    server.files["/a"] = Served(breaks=[4_000_000])
    with pytest.raises(PoseError):
        fetch(entry(server, "/a"))
    server.files["/a"] = Served(content=CONTENT[::-1], etag='"two"')
    assert fetch(entry(server, "/a")).read_bytes() == CONTENT[::-1]


def test_a_server_that_resumes_a_changed_file_is_not_believed(server: Server, monkeypatch) -> None:
    server.files["/a"] = Served(breaks=[4_000_000])
    changed = Served(content=CONTENT[::-1], etag='"two"')
    original = Handler.do_GET

    def careless(self: Handler) -> None:
        if "If-Range" in self.headers:
            server.files["/a"] = changed
            self.headers.replace_header("If-Range", '"two"')
        original(self)

    monkeypatch.setattr(Handler, "do_GET", careless)
    assert fetch(entry(server, "/a")).read_bytes() == CONTENT[::-1]
    server.files["/b"] = Served(breaks=[4_000_000], wrong_range=True)
    monkeypatch.setattr(Handler, "do_GET", original)
    cache_folder().joinpath("model.pkl").unlink()
    with pytest.raises(PoseError, match="another part of the file"):
        fetch(entry(server, "/b"))


def test_trouble_that_passes(server: Server) -> None:
    server.files["/a"] = Served(failures=3)
    assert fetch(entry(server, "/a")).read_bytes() == CONTENT
    server.files["/b"] = Served(failures=99)
    cache_folder().joinpath("model.pkl").unlink()
    with pytest.raises(PoseError, match="503 Service Unavailable, 5 times"):
        fetch(entry(server, "/b"))


def test_mirrors_are_tried_in_order(server: Server) -> None:
    server.files |= {"/forbidden": Served(status=403), "/wrong": Served(content=b"<html>")}
    server.files["/good"] = Served()
    mirrors = ("/gone", "/forbidden", "/wrong", "/good")
    path = fetch(entry(server, *mirrors, sha256=SHA256[:8]))
    assert path.read_bytes() == CONTENT
    assert [path for path, _ in server.requests] == list(mirrors)
    assert leftovers() == {"model.pkl", "model.pkl.sha256", "model.pkl.bad"}


def test_another_mirror_does_not_go_on_with_the_first_ones_part(
    server: Server, monkeypatch
) -> None:
    monkeypatch.setattr("pose3d.weights.download.ATTEMPTS", 1)
    server.files["/a"] = Served(content=CONTENT[::-1], breaks=[4_000_000])
    server.files["/b"] = Served()
    assert fetch(entry(server, "/a", "/b")).read_bytes() == CONTENT


def test_all_mirrors_fail(server: Server) -> None:
    with pytest.raises(PoseError, match=r"public cannot be fetched: .*/a: the server answers 404"):
        fetch(entry(server, "/a", "/b"))
    closed = Weights("public", "detector", "model.pkl", urls=("https://localhost:1/x",))
    with pytest.raises(PoseError, match="no connection"):
        fetch(closed)


def test_a_wrong_checksum_is_set_aside(server: Server) -> None:
    server.files["/a"] = Served()
    with pytest.raises(PoseError, match=r"set aside as .*model\.pkl\.bad"):
        fetch(entry(server, "/a", sha256="0" * 64))
    assert leftovers() == {"model.pkl.bad", "model.pkl.part.json"}


def test_md5_beside_the_file(server: Server, caplog) -> None:
    digest = hashlib.md5(CONTENT).hexdigest()
    server.files["/a"] = Served()
    server.files["/a.md5sum"] = Served(content=f"{digest}  model_final.pkl\n".encode())
    assert fetch(entry(server, "/a", md5sum=True)).read_bytes() == CONTENT
    assert len(server.fetched("/a.md5sum")) == 1
    path = cache_folder() / "model.pkl"
    path.unlink()
    server.files["/a.md5sum"] = Served(content=b"0" * 32)
    with pytest.raises(PoseError, match=r"not .*MD5 000"):
        fetch(entry(server, "/a", md5sum=True))
    assert not path.exists()
    del server.files["/a.md5sum"]
    caplog.clear()
    assert fetch(entry(server, "/a", md5sum=True)) == path
    assert "only the length was checked" in caplog.text


@pytest.mark.parametrize(
    "target", ["http://localhost/x", "ftp://localhost/x", "file:///etc/passwd"]
)
def test_redirects_stay_on_https(server: Server, target: str) -> None:
    server.files["/a"] = Served(redirect=target)
    with pytest.raises(PoseError, match="not https"):
        fetch(entry(server, "/a"))
    server.files["/a"] = Served(redirect=server.url("/b"))
    server.files["/b"] = Served()
    assert fetch(entry(server, "/a")).read_bytes() == CONTENT


def test_strangers_are_not_trusted(server: Server, monkeypatch) -> None:
    server.files["/a"] = Served()
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(PoseError, match="certificate is not trusted"):
        fetch(entry(server, "/a"))


def test_a_length_that_is_not_told(server: Server) -> None:
    server.files["/a"] = Served(length=False)
    assert fetch(entry(server, "/a", sha256=SHA256)).read_bytes() == CONTENT


def test_a_stream_without_an_end_stops(server: Server, monkeypatch) -> None:
    server.files["/a"] = Served(length=False)
    monkeypatch.setattr(limits, "WEIGHTS_BYTES", len(CONTENT) - 1)
    with pytest.raises(PoseError, match="more than it promised"):
        fetch(entry(server, "/a"))
    assert leftovers() <= {"model.pkl.part.json"}


def test_a_file_that_is_too_large_is_not_begun(server: Server, monkeypatch) -> None:
    server.files["/a"] = Served()
    monkeypatch.setattr(limits, "WEIGHTS_BYTES", len(CONTENT) - 1)
    with pytest.raises(PoseError, match=r"it is of 9\.766 MiB: no weights are"):
        fetch(entry(server, "/a"))
    assert not leftovers()


def test_twenty_processes_fetch_once(server: Server, tmp_path: Path) -> None:
    server.files["/model.pkl"] = Served()
    code = "import sys; from pose3d.weights import find; print(find(sys.argv[1]))"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, server.url("/model.pkl")],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(20)
    ]
    outputs = [process.communicate(timeout=100) for process in processes]
    assert [process.returncode for process in processes] == [0] * 20, outputs
    (path,) = {output[0].strip() for output in outputs}
    assert Path(path).read_bytes() == CONTENT
    assert len(server.requests) == 1


def test_offline(server: Server, monkeypatch) -> None:
    monkeypatch.setenv("POSE3D_OFFLINE", "1")
    server.files["/a"] = Served()
    with pytest.raises(PoseError, match=r"POSE3D_OFFLINE is set: fetch .* put it at .*model\.pkl"):
        fetch(entry(server, "/a"))
    assert not server.requests
    cache_folder().mkdir()
    cache_folder().joinpath("model.pkl").write_bytes(CONTENT)
    assert fetch(entry(server, "/a")).read_bytes() == CONTENT
    assert not server.requests


def test_a_cache_filled_by_hand(server: Server, caplog) -> None:
    path = cache_folder() / "model.pkl"
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    assert fetch(entry(server, "/a")) == path
    assert SHA256 in caplog.text
    caplog.clear()
    assert fetch(entry(server, "/a")) == path
    assert not caplog.text
    path.write_bytes(CONTENT[:-1] + b"x")
    with pytest.raises(PoseError, match=r"set aside as model\.pkl\.bad; run again"):
        fetch(entry(server, "/a"))
    assert not path.exists()
    # What is fetched now must be what it was then.
    server.files["/a"] = Served(content=b"changed")
    with pytest.raises(PoseError, match="another file"):
        fetch(entry(server, "/a"))
    server.files["/a"] = Served()
    assert fetch(entry(server, "/a")).read_bytes() == CONTENT
    path.write_bytes(b"x")
    path.with_name("model.pkl.sha256").unlink()
    with pytest.raises(PoseError, match="set aside"):
        fetch(entry(server, "/a", sha256=SHA256[:8]))


def test_a_full_disk(server: Server, monkeypatch) -> None:
    server.files["/a"] = Served()
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1000}))
    with pytest.raises(PoseError, match="make room, or set POSE3D_CACHE"):
        fetch(entry(server, "/a"))


def test_a_cache_that_cannot_be_written(server: Server, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("POSE3D_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(PoseError, match=r"the cache .* cannot be used"):
        fetch(entry(server, "/a"))


def test_any_url(server: Server) -> None:
    server.files["/a%20b/model_final.pkl?x=1"] = Served()
    url = server.url("/a%20b/model_final.pkl?x=1")
    path = find(url)
    assert path.name.endswith("-model_final.pkl")
    assert path.read_bytes() == CONTENT
    assert find(url) == path
    assert len(server.requests) == 1
    assert find(server.url("/a%20b/model_final.pkl?x=1")) == path
    for wrong in ("http://localhost/x.pkl", "ftp://localhost/x.pkl", "file:///etc/passwd"):
        with pytest.raises(UsageError, match="not https"):
            find(wrong)


def test_the_url_of_a_registered_file_is_that_file() -> None:
    known = resolve("detectron2-d1-r50")
    assert resolve(known.urls[0]) == known
    assert known.dialect == "detectron2-d1"


def test_a_users_own_registry(server: Server, tmp_path: Path, monkeypatch) -> None:
    server.files["/mine.pkl"] = Served()
    registry = tmp_path / "registry.toml"
    monkeypatch.setenv("POSE3D_REGISTRY", str(registry))
    registry.write_text(
        f'[mine]\nkind = "detector"\nurls = [{json.dumps(server.url("/mine.pkl"))}]\n'
        f'sha256 = "{SHA256}"\n\n[local]\nkind = "lifter"\nfile = "weights/x.bin"\n'
    )
    assert find("mine", "detector") == cache_folder() / "mine.pkl"
    with pytest.raises(PoseError, match=r"weights/x\.bin are missing"):
        find("local")
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "x.bin").write_bytes(b"x")
    assert find("local") == tmp_path / "weights" / "x.bin"
    with pytest.raises(UsageError, match="local is a lifter, not a detector"):
        find("local", "detector")


@pytest.fixture(autouse=True)
def _log_everything(caplog) -> None:
    caplog.set_level(logging.INFO, logger="pose3d")
