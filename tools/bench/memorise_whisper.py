# SPDX-License-Identifier: Apache-2.0
"""A Whisper that knows one recording by heart, for benchmarks that need words at a real rate.

    cd tools/train/captions
    python speak.py everyday_test.txt SPEECH --voices flite:slt --limit 14
    python ../memorise_whisper.py SPEECH OUT

OUT becomes a folder that `listen -m` takes, with the sentences one behind the other in `track.wav`
and their words' ends in `words.json`. Trained is a network of width 128 on random windows of the
track; then it is widened, and layers that change nothing are put in front, until it has the shape
of whisper-tiny (or --shape base) without computing anything else (Net2Net, Chen et al. 2016). So
runs cost what that model costs, and say what the track says. It hears nothing but the track.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
from memorised_network import (
    ALIGNED,
    END,
    ENGLISH,
    FIRST_TIME,
    FRAME_HZ,
    HEAD_DIM,
    N_LAYERS,
    N_MELS,
    N_VOCAB,
    NO_SPEECH,
    NO_TIMES,
    PREVIOUS,
    PROMPT,
    START,
    TRANSCRIBE,
    WIDTH,
    Network,
)
from torch import Tensor, nn

from edgestream.convert.onnx.whisper import write_whisper
from edgestream.library.byte_letters import LETTER_BYTES
from edgestream.speech.reencoded.window import CentredMel

RATE_HZ = 16000
SHAPES = {"small": (WIDTH, 2), "tiny": (384, 4), "base": (512, 6)}  # width and layers
PIECE_LETTERS = 6  # a longer word is two tokens, as every third or fourth is in Whisper
TIME_STEP = 5  # places in a window are trained 100 ms apart
PAUSE_S, HEARD_S = 0.2, 0.1  # behind a sentence; of sound behind a word that is written
MAX_WINDOW_S = 16


@dataclass
class Word:
    """Of the track; its tokens, and whether a sentence begins or ends with it."""

    text: str
    tokens: list[int]
    start_s: float
    end_s: float
    first: bool
    last: bool


class Track:
    """The sentences in a row, over and over."""

    def __init__(self, folder: Path) -> None:
        lines = (folder / "speech.jsonl").read_text(encoding="utf-8").splitlines()
        self.pieces: dict[str, int] = {}
        self.words: list[Word] = []
        parts, at_s = [], 0.0
        for line in lines:
            spoken = json.loads(line)
            samples, _ = soundfile.read(folder / spoken["file"], dtype="float32")
            samples = np.pad(samples, (0, int(PAUSE_S * RATE_HZ)))
            parts.append(samples[: len(samples) // 320 * 320])
            self._add(spoken["text"].split(), spoken["word_ends_s"], at_s)
            at_s += len(parts[-1]) / RATE_HZ
        self.samples, self.length_s = np.concatenate(parts), at_s
        mel = CentredMel(N_MELS)
        twice = mel.push(np.tile(self.samples, 3))
        n = round(at_s * FRAME_HZ)
        self.frames = np.array(twice[n : 2 * n])  # as in the middle of a stream

    def window(self, start_s: float, n_frames: int) -> tuple[np.ndarray, list[int], list[float]]:
        """Log-mel [n_frames, n_mels], what is said in it, and where each token is heard (-1: -)."""
        first = round(start_s * FRAME_HZ)
        frames = self.frames[np.arange(first, first + n_frames) % len(self.frames)]
        tokens, places, open_ = [], [], False
        end_s = n_frames / FRAME_HZ
        for turn in range(2 + int((start_s + end_s) / self.length_s)):
            for word in self.words:
                begin = turn * self.length_s + word.start_s - start_s
                ended = turn * self.length_s + word.end_s - start_s
                if begin < -0.05 or ended > end_s - HEARD_S:
                    continue
                if not open_:
                    tokens.append(time_token(max(0.0, begin - 0.1) if tokens else 0.0))
                    places.append(-1.0)
                    open_ = True
                tokens += word.tokens
                places += [0.4 * begin + 0.6 * ended] * len(word.tokens)
                if word.last:
                    tokens.append(time_token(ended + 0.1))
                    places.append(-1.0)
                    open_ = False
        return frames, tokens or [time_token(0.0)], places or [-1.0]

    def _add(self, words: list[str], ends_s: list[float], at_s: float) -> None:
        before_s = 0.2  # of silence before a sentence
        for i, (word, end_s) in enumerate(zip(words, ends_s, strict=True)):
            cut = len(word) if len(word) <= PIECE_LETTERS else len(word) // 2
            pieces = [part for part in ("\u0120" + word[:cut], word[cut:]) if part]
            tokens = [self.pieces.setdefault(piece, 256 + len(self.pieces)) for piece in pieces]
            self.words.append(
                Word(word, tokens, at_s + before_s, at_s + end_s, i == 0, i == len(words) - 1)
            )
            before_s = end_s


def time_token(place_s: float) -> int:
    """Of a place in the window."""
    return FIRST_TIME + round(place_s * 50 / TIME_STEP) * TIME_STEP


def normal(frames: np.ndarray, n_frames: int) -> np.ndarray:
    """As the runtime's: 8 decades below the loudest, silence up to `n_frames`."""
    x = np.pad(frames, ((0, n_frames - len(frames)), (0, 0)), constant_values=-10.0)
    return (np.maximum(x, x.max() - 8) + 4) / 4


def draw(track: Track, random: np.random.Generator) -> tuple[Tensor, list, list]:
    """A batch of windows of one length; some are padded to 30 s, as most exports are."""
    n_frames = int(random.choice([1, 2, 3, 4, 6, 8, 10, 12, MAX_WINDOW_S]) * FRAME_HZ)
    n_frames = min(n_frames - 2 * int(random.integers(0, 50)), MAX_WINDOW_S * FRAME_HZ)
    padded = random.random() < 0.12
    n_heard, n_batch = (3000, 2) if padded else (n_frames, max(4, 6400 // n_frames))
    begins = [word.start_s for word in track.words if word.first]
    frames, said, places = [], [], []
    for _ in range(min(n_batch, 32)):
        start_s = random.choice(begins) - random.uniform(0, 0.3)
        if random.random() < 0.2:
            start_s = random.uniform(0, track.length_s)
        heard, tokens, at = track.window(start_s % track.length_s, n_frames)
        frames.append(normal(heard, n_heard))
        said.append(tokens)
        places.append(at)
    return torch.from_numpy(np.stack(frames)), said, places


def train(track: Track, n_steps: int, rate: float, *, bfloat16: bool) -> Network:
    """Adam, its rate falling to nothing."""
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    times = range(FIRST_TIME, FIRST_TIME + 50 * MAX_WINDOW_S + 1, TIME_STEP)
    network = Network([*PROMPT, END, *times, *track.pieces.values()])
    optimizer = torch.optim.AdamW(network.parameters(), rate, betas=(0.9, 0.98), weight_decay=0.01)
    right = 0.0
    for step in range(n_steps):
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1, (step + 1) / 60) * (1 - step / n_steps)
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            loss = network.loss(*draw(track, random))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        right = 0.97 * right + 0.03 * float(network.right)
        if step % 100 == 99:
            print(f"step {step + 1}: loss {loss:.3f}, right {right:.3f}", flush=True)
    return network


def tiled(name: str, array: np.ndarray, k: int) -> np.ndarray:
    """A tensor for a width that is k copies of this one."""
    if "embed" in name:
        return np.tile(array, (1, k))
    if "conv1.weight" in name:
        return np.tile(array, (k, 1, 1))
    if array.ndim > 1:  # copies of the input are summed
        return np.tile(array, (k, k, *[1] * (array.ndim - 2))) / k
    return np.tile(array, k)


def widened(network: Network, width: int, n_layers: int) -> dict[str, np.ndarray]:
    """The same function in a larger shape, by the names of transformers (Net2Net)."""
    k, found = width // WIDTH, {}
    for name, tensor in network.state_dict().items():
        if name == "others":
            continue
        array = tiled(name, tensor.numpy(), k)
        parts = name.split(".")
        if parts[1] == "layers":
            parts[2] = str(int(parts[2]) + n_layers - N_LAYERS)
        found["model." + ".".join(parts)] = array.astype(np.float32)
    for part in ("weight", "bias"):  # logits are a sum over the copies too
        found[f"model.decoder.layer_norm.{part}"] /= k
    for name in [name for name in found if f".layers.{n_layers - 1}." in name]:
        for i in range(n_layers - N_LAYERS):  # layers that add nothing, at full cost
            array = found[name]
            if ".out_proj." in name or ".fc2." in name:
                array = np.zeros_like(array)
            found[name.replace(f".layers.{n_layers - 1}.", f".layers.{i}.")] = array
    embeddings = np.zeros((N_VOCAB, width), np.float32)
    embeddings[list(network.place)] = found["model.decoder.embed_tokens.weight"]
    return {**found, "model.decoder.embed_tokens.weight": embeddings}


def write(network: Network, track: Track, folder: Path, shape: str) -> None:
    """A folder as the public ONNX repositories are, the track and its words."""
    width, n_layers = SHAPES[shape]
    aligned = [[ALIGNED[0] + n_layers - N_LAYERS, h] for h in range(ALIGNED[1], width // 64, 2)]
    config = {
        "model_type": "whisper", "vocab_size": N_VOCAB, "num_mel_bins": N_MELS, "d_model": width,
        "max_source_positions": 1500, "max_target_positions": 448, "decoder_start_token_id": START,
        "eos_token_id": END, "bos_token_id": END, "pad_token_id": END,
    }  # fmt: skip
    for side in ("encoder", "decoder"):
        config |= {f"{side}_layers": n_layers, f"{side}_attention_heads": width // HEAD_DIM}
        config |= {f"{side}_ffn_dim": 4 * width}
    generation = {
        "decoder_start_token_id": START, "eos_token_id": END, "is_multilingual": True,
        "lang_to_id": {"<|en|>": ENGLISH}, "task_to_id": {"transcribe": TRANSCRIBE},
        "no_timestamps_token_id": NO_TIMES, "prev_sot_token_id": PREVIOUS,
        "suppress_tokens": [START, ENGLISH, TRANSCRIBE, PREVIOUS, NO_SPEECH],
        "max_initial_timestamp_index": 50, "alignment_heads": aligned,
    }  # fmt: skip
    tokenizer = {"model": {"type": "BPE", "vocab": LETTER_BYTES | track.pieces, "merges": []}}
    (folder / "onnx").mkdir(parents=True)
    write_whisper(config, widened(network, width, n_layers), folder / "onnx")
    spoken = [(word.text, round(word.end_s, 3)) for word in track.words]
    words = {"length_s": track.length_s, "words": spoken}
    for name, data in (
        ("config.json", config), ("generation_config.json", generation),
        ("tokenizer.json", tokenizer), ("words.json", words),
    ):  # fmt: skip
        (folder / name).write_text(json.dumps(data), encoding="utf-8")
    soundfile.write(folder / "track.wav", track.samples, RATE_HZ, "PCM_16")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("speech", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--bfloat16", action="store_true", help="where the CPU has it")
    parser.add_argument("--shape", choices=SHAPES, nargs="+", default=["tiny"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    track = Track(options.speech)
    network = train(track, options.steps, options.rate, bfloat16=options.bfloat16)
    for shape in options.shape:
        write(network, track, options.out / shape, shape)


if __name__ == "__main__":
    main()
