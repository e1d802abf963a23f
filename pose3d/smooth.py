"""Sequences that are as smooth as their accelerations allow.

What is sought minimises the squared distance from what was measured, by its precision, plus the
squared acceleration, by how much of it is likely: the posterior mean that a Kalman filter and
Rauch, Tung and Striebel's smoother find for a velocity driven by white noise, here as one banded
system (Whittaker, "On a new method of graduation", 1923). Rows without a measurement lie where
their neighbours lead.
"""

import numpy as np
from numpy.typing import NDArray

RATE = 30.0  # measurements and accelerations count as independent this often a second

Array = NDArray[np.float64]


def smooth(values: Array, precision: Array, times: Array, acceleration: float) -> Array:
    """The likeliest course of one or more quantities.

    Parameters
    ----------
    values
        (T, C) measured; anything finite where the precision is 0.
    precision
        (T,) for all or (T, C): 1 / variance of the measurement, 0 where there is none.
    times
        (T,) seconds, rising.
    acceleration
        Its standard deviation, in units of the values per second squared.
    """
    from scipy.linalg import solveh_banded

    if len(times) < 3:
        return values.copy()
    share = durations(times) * RATE
    band = acceleration_band(times) / acceleration**2
    weights = precision * (share if precision.ndim == 1 else share[:, None])
    if precision.ndim == 1:
        return solveh_banded(_with_diagonal(band, weights), weights[:, None] * values)
    columns = [
        solveh_banded(_with_diagonal(band, w), w * v) if w.any() else v
        for w, v in zip(weights.T, values.T, strict=True)
    ]
    return np.stack(columns, 1)


def smooth_vectors(information: Array, target: Array, times: Array, acceleration: Array) -> Array:
    """The likeliest path (T, D) of a vector whose components were measured together.

    Parameters
    ----------
    information
        (T, D, D), the inverse covariance of every measurement; 0 where there is none.
    target
        (T, D), information times what was measured.
    times
        (T,) seconds, rising.
    acceleration
        (D, D), the inverse covariance of the acceleration.
    """
    from scipy.linalg import solveh_banded

    count, size = target.shape
    share = durations(times) * RATE
    second = acceleration_band(times) if count > 2 else np.zeros((3, count))
    # Upper diagonals of a banded matrix, in scipy's layout: row `width - k` holds the k-th.
    width = 3 * size - 1
    band = np.zeros((width + 1, count * size), order="F")
    for row in range(size):
        for column in range(size):
            for step in range(3):  # blocks (t, t + step) of the acceleration's matrix
                offset = step * size + column - row
                if offset < 0:
                    continue
                value = second[2 - step, step:] * acceleration[row, column]
                if step == 0:
                    value = value + share * information[:, row, column]
                band[width - offset, step * size + column :: size] += value
    band[width] += 1e-9
    solved = solveh_banded(
        band, (share[:, None] * target).ravel(), overwrite_ab=True, overwrite_b=True
    )
    return solved.reshape(count, size)


def derivative(values: Array, times: Array) -> Array:
    """Change per second (T, ...) of values (T, ...) at every time."""
    if len(times) < 2:
        return np.zeros_like(values)
    return np.gradient(values, times, axis=0)


def durations(times: Array) -> Array:
    """Seconds (T,) that every row stands for."""
    if len(times) < 2:
        return np.full(len(times), 1 / RATE)
    edges = np.concatenate([times[:1], (times[1:] + times[:-1]) / 2, times[-1:]])
    return np.maximum(np.diff(edges), np.median(np.diff(times)) / 2)


def acceleration_band(times: Array) -> Array:
    """Upper band (3, T), in scipy's layout, of the matrix of the summed squared acceleration."""
    count = len(times)
    gaps = np.diff(times)
    before, after = gaps[:-1], gaps[1:]
    # Second divided differences on uneven times.
    left, right = 2 / (before * (before + after)), 2 / (after * (before + after))
    rows = left, -(left + right), right
    share = (before + after) / 2 * RATE
    band = np.zeros((3, count))
    for a in range(3):
        for b in range(a, 3):
            first = b
            band[2 - (b - a), first : first + count - 2] += share * rows[a] * rows[b]
    return band


def _with_diagonal(band: Array, diagonal: Array) -> Array:
    """A band with more on its diagonal; a trace keeps rows without any measurement solvable."""
    full = band.copy()
    full[2] += diagonal + 1e-12 * max(float(diagonal.max(initial=0)), 1e-12)
    return full
