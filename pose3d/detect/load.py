"""Detectors from any weights."""

from pose3d.detect import architectures
from pose3d.detect.base import PeopleFinder
from pose3d.errors import PoseError, UsageError


def load_detector(
    name: str = "compact",
    device: str = "auto",
    precision: str = "auto",
    min_score: float = 0.2,
    max_people: int = 20,
    *,
    dialect: str | None = None,
    short_side: int | None = None,
    engine: str = "auto",
) -> PeopleFinder:
    """Make a detector from weights by name, URL or path.

    Parameters
    ----------
    name
        A name of ``pose3d weights list``, an ``https`` URL, or a file: our own safetensors, or
        what detectron2, Caffe2 Detectron or torchvision saved of a Keypoint R-CNN.
    device
        ``auto``, ``cpu``, ``cuda``, ``cuda:1``.
    precision
        ``auto`` (our own weights: half on a GPU, single on a CPU; public ones: single), ``fp32``,
        ``fp16`` or ``bf16``; with the last two, public weights on a GPU run in whole batches.
    min_score
        People below it are left out, in [0, 1]: for our own weights box score times mean peak
        mass of the keypoints, for public ones the box score (and 0.05 at least, as in the original
        programs).
    max_people
        At most so many in one picture; of public weights 100.
    dialect
        What a file's content does not show: ``detectron2-d1`` for detectron2's
        Detectron1-Comparisons.
    short_side
        Of the network's input, pixels; by default 800 for public weights, and for our own a size
        that follows the people (:mod:`pose3d.detect.framing`).
    engine
        What runs the network: ``auto`` (our own weights: OpenVINO on a CPU where it is installed,
        in bfloat16 where the CPU has it and precision is ``auto``; Triton on a GPU, in half
        precision; else torch), ``torch``, ``openvino`` or ``triton``.

    Raises
    ------
    PoseError
        If the weights cannot be had, or are none of a detector.

    Examples
    --------
    >>> import pose3d, numpy as np
    >>> detector = pose3d.load_detector()                                   # doctest: +SKIP
    >>> [people] = detector([np.zeros((480, 640, 3), np.uint8)])            # doctest: +SKIP
    >>> people.keypoints.shape                                              # doctest: +SKIP
    (0, 17, 2)
    """
    from pose3d.weights import load

    checkpoint = load(name, kind="detector", dialect=dialect)
    try:
        return architectures.detector(
            checkpoint,
            short_side,
            device=device,
            precision=precision,
            min_score=min_score,
            max_people=max_people,
            engine=engine,
        )
    except UsageError:
        raise
    except PoseError as error:
        raise PoseError(f"{name}: {error}") from error
