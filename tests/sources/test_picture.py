# SPDX-License-Identifier: Apache-2.0
"""Pictures: the resizer against float64 and OpenCV, the gates against numpy, wrong input."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgestream._native import PictureResizer, TileGate, TokenGate

BOUND = 1e-5
sides = st.integers(1, 70)
seeds = st.integers(0, 2**32 - 1)


def noise(width: int, height: int, seed: int):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def axis_weights(n_in: int, n_out: int):
    """[n_out, n_in]: the mean over areas where the axis shrinks, else bilinear."""
    step = n_in / n_out
    if n_in >= n_out:
        edges = np.arange(n_out + 1) * step
        high = np.minimum(edges[1:, None], np.arange(1, n_in + 1))
        low = np.maximum(edges[:-1, None], np.arange(n_in))
        return np.maximum(0, high - low) / step
    at = np.clip((np.arange(n_out) + 0.5) * step - 0.5, 0, n_in - 1)
    return np.maximum(0, 1 - np.abs(at[:, None] - np.arange(n_in)))


def resized(rgb, width: int, height: int):
    rows, columns = axis_weights(rgb.shape[0], height), axis_weights(rgb.shape[1], width)
    return np.einsum("yh,xw,hwc->yxc", rows, columns, rgb / 255.0, optimize=True)


@given(sides, sides, sides, sides, seeds)
def test_resizer_agrees_with_float64(width, height, out_width, out_height, seed) -> None:
    rgb = noise(width, height, seed)
    got = PictureResizer(out_width, out_height).push(rgb)
    assert got.shape == (out_height, out_width, 3)
    assert np.abs(got - resized(rgb, out_width, out_height)).max() <= BOUND


@pytest.mark.parametrize(
    ("size", "flag"), [((640, 480), cv2.INTER_AREA), ((1921, 1083), cv2.INTER_AREA),
                       ((96, 72), cv2.INTER_AREA), ((40, 30), cv2.INTER_LINEAR)]
)  # fmt: skip
def test_resizer_agrees_with_opencv(size: tuple[int, int], flag: int) -> None:
    rgb = noise(*size, seed=1)
    expected = cv2.resize(rgb.astype(np.float32) / 255, (96, 72), interpolation=flag)
    assert np.abs(PictureResizer(96, 72).push(rgb) - expected).max() <= BOUND


def test_one_pixel_and_the_largest_picture_are_resized() -> None:
    resizer = PictureResizer(96, 72)
    assert np.unique(resizer.push(np.full((1, 1, 3), 51, np.uint8))) == pytest.approx([0.2])
    large = np.zeros((6000, 8000, 3), np.uint8)
    large[:, 4000:] = 255
    small = resizer.push(large)
    assert (small[:, :48] == 0).all()
    assert np.abs(small[:, 48:] - 1).max() <= BOUND


def reference_gate(pictures, tile_px: int, min_difference: float):
    """Tiles kept of each picture, by the definition."""
    kept, maps = pictures[0].copy(), []
    for turn, rgb in enumerate(pictures):
        rows = []
        for y in range(0, rgb.shape[0], tile_px):
            for x in range(0, rgb.shape[1], tile_px):
                here = np.s_[y : y + tile_px, x : x + tile_px]
                difference = np.abs(rgb[here] - kept[here]).mean(dtype=np.float64)
                rows.append(turn == 0 or bool(difference >= min_difference))
                if rows[-1]:
                    kept[here] = rgb[here]
        maps.append(np.reshape(rows, (-(-rgb.shape[0] // tile_px), -1)))
    return maps


@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 12), st.integers(1, 8), seeds)
@settings(max_examples=60)
def test_tile_gate_agrees_with_numpy(width, height, tile_px, n, seed) -> None:
    random = np.random.default_rng(seed)
    drift = random.normal(0, 0.05, (n, height, width, 3)).cumsum(axis=0)
    pictures = np.clip(0.5 + drift, 0, 1).astype(np.float32)
    # No sum may lie at the threshold itself, where the order of additions decides.
    limit = np.float32(0.0312345)
    gate = TileGate(width=width, height=height, tile_px=tile_px, min_difference=limit)
    expected = reference_gate(pictures, tile_px, float(limit))
    for rgb, kept in zip(pictures, expected, strict=True):
        assert np.array_equal(gate.push(rgb)[0], kept)
    assert gate.drop_ratio == pytest.approx(1 - np.mean(expected))
    assert gate.pictures == n


@given(st.integers(1, 6), st.integers(1, 8), st.integers(1, 8), st.floats(-1, 1), seeds)
@settings(max_examples=60)
def test_token_gate_agrees_with_numpy(n_cells, n_embd, n, max_cosine, seed) -> None:
    random = np.random.default_rng(seed)
    grids = random.normal(size=(n, n_cells, n_embd)).astype(np.float32)
    limit = float(np.float32(max_cosine))
    gate, last, dropped = TokenGate(n_cells, n_embd, limit), grids[0].copy(), 0
    for turn, grid in enumerate(grids):
        a, b = grid.astype(np.float64), last.astype(np.float64)
        cosine = (a * b).sum(1) / np.sqrt((a * a).sum(1) * (b * b).sum(1))
        near = np.abs(cosine - limit) < 1e-9  # here rounding decides
        kept = gate.push(grid)
        expected = (cosine <= limit) | (turn == 0)
        assert np.array_equal(kept[~near], expected[~near])
        last[kept] = grid[kept]
        dropped += int((~kept).sum())
    assert gate.drop_ratio == pytest.approx(dropped / (n * n_cells))


@given(st.integers(1, 9), seeds)
@settings(max_examples=30)
def test_a_gate_after_reset_is_as_new(n, seed) -> None:
    pictures = np.random.default_rng(seed).random((n, 72, 96, 3), np.float32)
    gate = TileGate()
    first = [gate.push(rgb) for rgb in pictures]
    gate.reset()
    for (kept, shot), rgb in zip(first, pictures, strict=True):
        again, shot_again = gate.push(rgb)
        assert np.array_equal(kept, again)
        assert shot == shot_again


def test_a_still_camera_drops_nearly_all_and_a_cut_is_a_change_of_shot() -> None:
    random = np.random.default_rng(2)
    scenes = [cv2.resize(noise(8, 6, seed), (640, 480)) for seed in (3, 4)]
    resizer, gate, shots = PictureResizer(96, 72), TileGate(), []
    for turn in range(60):
        grain = random.normal(0, 12, (480, 640, 3))
        rgb = np.clip(scenes[turn // 30] + grain, 0, 255).astype(np.uint8)
        if gate.push(resizer.push(rgb))[1]:
            shots.append(turn)
    assert shots == [30]
    assert gate.drop_ratio > 0.95


@pytest.mark.parametrize(
    "rgb",
    [np.zeros((4, 4, 3)), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4), np.uint8),
     np.zeros((4, 4, 6), np.uint8)[..., ::2], [[[0, 0, 0]]], None],
)  # fmt: skip
def test_only_rgb_bytes_are_taken(rgb: object) -> None:
    with pytest.raises(TypeError):
        PictureResizer(2, 2).push(rgb)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PictureResizer(0, 2), "width is 0 pixels; it must be 1 to 4096"),
        (lambda: PictureResizer(2, 2).push(np.zeros((0, 3, 3), np.uint8)), "input height is 0"),
        (lambda: TileGate(tile_px=0), "tile_px is 0 pixels"),
        (lambda: TileGate(min_difference=float("nan")), "min_difference is nan"),
        (lambda: TileGate().push(np.zeros((1, 1, 3), np.float32)), "picture has 3 values"),
        (lambda: TokenGate(1, 1, 1.5), "max_cosine is 1.5"),
        (lambda: TokenGate(2, 1, 0.5).push(np.zeros((1, 1), np.float32)), "has 1 values, need 2"),
    ],
)
def test_wrong_numbers_are_named(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
