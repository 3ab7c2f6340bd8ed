# SPDX-License-Identifier: Apache-2.0
"""Captions of a voice channel that comes as Opus frames, one stream for each speaker.

    sudo apt-get install libopus0
    pip install opuslib
    python discord_captions.py talk.wav     # plays the part of the channel: 48 kHz stereo

Discord and most WebRTC servers send a frame of 20 ms (48 kHz, stereo, Opus) with a number that
counts them. It has 16 bits: 0 follows 65535. In a bot call `Channel.frame(speaker, number, data)`
for each that arrives, and `Channel.leave(speaker)` when somebody goes.
"""

import sys

import numpy as np
import opuslib
import soundfile

import edgestream as es

RATE_HZ, CHANNELS, FRAME_SAMPLES = 48000, 2, 960
NUMBERS = 1 << 16  # of frames, before they begin anew


class Speaker:
    """Frames of one person in, lines out."""

    def __init__(self, model, name, say):
        self.decoder = opuslib.Decoder(RATE_HZ, CHANNELS)
        self.next_number = None
        self.block = model.open_stream(
            rate_hz=RATE_HZ,
            keep_up=True,  # the sound is live
            on_final=lambda line: say(name, line.text),
            on_error=lambda error: say(name, f"[captions ended: {error}]"),
        )
        self.stream = self.block.__enter__()

    def frame(self, number, data):
        """Waits only if this machine is ten seconds behind."""
        if self.next_number is None:
            self.next_number = number
        lost = (number - self.next_number + NUMBERS // 2) % NUMBERS - NUMBERS // 2
        if lost < 0:
            return  # too late: it was counted as lost
        self.next_number = (number + 1) % NUMBERS
        pcm = np.frombuffer(self.decoder.decode(data, FRAME_SAMPLES), np.int16)
        mono = pcm.reshape(-1, CHANNELS).mean(axis=1, dtype=np.float32) / 32768
        self.stream.push(mono, lost_samples=lost * FRAME_SAMPLES, reason="network")

    def leave(self):
        """Says the last words. Waits for them: never call it in `say`."""
        self.block.__exit__(None, None, None)


class Channel:
    """All who speak; `say(name, text)` is called for each line, on the thread of its speaker."""

    def __init__(self, say, model=None):
        self.model, self.say, self.speakers = model or es.load(), say, {}

    def frame(self, name, number, data):
        if name not in self.speakers:
            self.speakers[name] = Speaker(self.model, name, self.say)
        self.speakers[name].frame(number, data)

    def leave(self, name):
        if speaker := self.speakers.pop(name, None):
            speaker.leave()


def frames(path):
    """A recording as Opus frames, each with its number."""
    pcm, rate_hz = soundfile.read(path, dtype="int16", always_2d=True)
    if (rate_hz, pcm.shape[1]) != (RATE_HZ, CHANNELS):
        sys.exit(f"{path}: give 48 kHz stereo: ffmpeg -i {path} -ar 48000 -ac 2 talk.wav")
    encoder = opuslib.Encoder(RATE_HZ, CHANNELS, opuslib.APPLICATION_VOIP)
    for number in range(len(pcm) // FRAME_SAMPLES):
        at = number * FRAME_SAMPLES
        yield (
            number % NUMBERS,
            encoder.encode(pcm[at : at + FRAME_SAMPLES].tobytes(), FRAME_SAMPLES),
        )


if __name__ == "__main__":
    if not sys.argv[1:]:
        sys.exit(__doc__)
    channel = Channel(say=lambda name, text: print(f"{name}: {text}", flush=True))
    for number, data in frames(sys.argv[1]):
        if number % 100 != 7:  # the network loses one in a hundred
            channel.frame("somebody", number, data)
    channel.leave("somebody")
