"""A batch on a Ray cluster of two nodes, of which one dies."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_batch_workers import Ear, jobs_of

from pose3d import batch
from pose3d.batch.on_ray import on_ray
from pose3d.errors import PoseError, UsageError
from pose3d.options import Options

ray = pytest.importorskip("ray", reason="pip install 'pose3d[ray]'")
import copying_stage  # noqa: E402


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A cluster with one node."""
    from ray.cluster_utils import Cluster

    ray.cloudpickle.register_pickle_by_value(copying_stage)  # nodes have pose3d, not its tests
    made = Cluster()
    try:
        add_node(made, include_dashboard=False)
        yield made
    finally:
        made.shutdown()
        ray.cloudpickle.unregister_pickle_by_value(copying_stage)


def add_node(cluster: Any, **options: Any) -> Any:
    """A node with one place."""
    try:
        return cluster.add_node(num_cpus=1, **options)
    except Exception as error:
        if "timed out" not in str(error):
            raise
        pytest.skip(f"this machine is too busy to start Ray: {error}")


def test_a_node_dies_and_every_video_is_done(tmp_path: Path, cluster: Any) -> None:
    node = add_node(cluster)
    jobs = jobs_of(tmp_path, "long_1", "long_2", "while_3", "while_4", "while_5", "broken")
    ear, results = Ear(), list[tuple[batch.Job, batch.Outcome]]()

    def kill() -> None:
        until = time.monotonic() + 120
        while len(ear.starts) - len(results) < 2 and time.monotonic() < until:
            time.sleep(0.05)  # until both nodes are at work
        cluster.remove_node(node, allow_graceful=False)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        work = batch.Work(copying_stage.copy, Options(device="cpu"))
        for pair in on_ray(jobs, work, ear, cluster.address, None):
            results.append(pair)  # one by one: the killer counts them
    finally:
        killer.join()
    status = {job.source.stem: outcome.status for job, outcome in results}
    assert status.pop("broken") == "failed"
    assert len(status) == 5
    assert set(status.values()) == {"done"}
    assert len(ear.starts) > len(jobs), "what the lost node did was begun again"
    assert len(list(tmp_path.glob("*_?.copy"))) == 5


def test_a_cluster_that_is_not_there(tmp_path: Path) -> None:
    work = batch.Work(copying_stage.copy, Options())
    assert list(on_ray([], work, Ear(), "auto", None)) == []
    with pytest.raises(PoseError, match="no Ray cluster"):
        list(on_ray(jobs_of(tmp_path, "a"), work, Ear(), "auto", None))
    loaded = batch.Work(copying_stage.copy, Options(), models={"detector": len})
    with pytest.raises(UsageError, match="stay in one process"):
        list(on_ray(jobs_of(tmp_path, "a"), loaded, Ear(), "auto", None))
