# SPDX-License-Identifier: Apache-2.0
"""Scenes as video files: python make_videos.py OUT_DIR N [--size 640x480] [--fps 25] [--codec mp4v]

The same scripts drawn at a camera's size and rate, with its noise in every pixel, through a real
codec. OUT_DIR gets NNN.mp4 (MJPG: NNN.avi) and NNN.json with the events.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
from camera import Camera
from draw import Frame, Stage, picture
from make_scenes import truth_of
from script import PICTURE_HZ, PICTURE_MS, Script

PIXEL_NOISE = 3  # times that of the small pictures, over which a camera's noise is averaged


def write_video(
    path: Path,
    script: Script,
    which: str,
    frame: Frame,
    *,
    fps: float,
    codec: str,
    photographs: bool = True,
) -> None:
    """Draws the script at every picture of the video, between its turns too."""
    stage = Stage(script, which, photographs, frame)
    camera = Camera(script.random, (frame.width, frame.height), frame.size)
    camera.noise *= PIXEL_NOISE
    size = frame.width, frame.height
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), fps, size)
    if not video.isOpened():
        raise RuntimeError(f"{path}: OpenCV cannot write {codec} here")
    for turn in np.arange(0, script.n, PICTURE_HZ / fps):
        video.write(np.ascontiguousarray(picture(script, stage, camera, turn)[..., ::-1]))
    video.release()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("out", type=Path)
    options.add_argument("n", type=int)
    options.add_argument("--which", choices=("train", "held-out"), default="held-out")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--pictures", type=int, default=100)
    options.add_argument("--size", default="640x480")
    options.add_argument("--fps", type=float, default=25)
    options.add_argument("--codec", choices=("mp4v", "MJPG"), default="mp4v")
    args = options.parse_args()
    frame = Frame(*map(int, args.size.split("x")))
    args.out.mkdir(parents=True, exist_ok=True)
    for i in range(args.n):
        script = Script(args.pictures, np.random.default_rng(args.seed + i)).write()
        path = args.out / f"{i:03}.{'avi' if args.codec == 'MJPG' else 'mp4'}"
        write_video(path, script, args.which, frame, fps=args.fps, codec=args.codec)
        truth = {"picture_ms": PICTURE_MS, "n": script.n, "events": truth_of(script)["events"]}
        path.with_suffix(".json").write_text(json.dumps(truth))


if __name__ == "__main__":
    main()
