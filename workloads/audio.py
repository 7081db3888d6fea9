"""From sound to what a speech model reads: a WAV file's samples, and their log-mel spectrogram.

The numbers are Whisper's (Radford et al. 2022, arXiv:2212.04356, section 2.2): 16 kHz, windows of
25 ms every 10 ms, 30 s at a time.
"""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from workloads.array import Values
from workloads.config import ModelError

SAMPLE_RATE_HZ = 16_000
WINDOW_SAMPLES = 400  # 25 ms
HOP_SAMPLES = 160  # 10 ms
FLOOR_POWER = 1e-10
RANGE_DECADES = 8.0  # what lies further below the loudest is raised to it

LINEAR_HZ_PER_MEL = 200 / 3  # Slaney 1998, Auditory Toolbox: linear to 1 kHz, then logarithmic
BREAK_HZ = 1000.0
BREAK_MEL = BREAK_HZ / LINEAR_HZ_PER_MEL
LOG_STEP = np.log(6.4) / 27


def read_wav(path: Path) -> Values:
    """Read a mono WAV file of 16 kHz, 8 or 16 bits: samples as float32 in -1 to 1.

    ModelError names the file and what is not supported.
    """
    try:
        with wave.open(str(path), "rb") as file:
            channels, width, rate = (
                file.getnchannels(),
                file.getsampwidth(),
                file.getframerate(),
            )
            raw = file.readframes(file.getnframes())
            expected = file.getnframes() * channels * width
    except (OSError, EOFError, wave.Error) as error:
        raise ModelError(f"{path}: no readable WAV file ({error})") from error
    if (channels, rate) != (1, SAMPLE_RATE_HZ) or width not in {1, 2}:
        raise ModelError(
            f"{path}: {channels} channels of {8 * width} bits at {rate} Hz; "
            f"convert it to one channel of 8 or 16 bits at {SAMPLE_RATE_HZ} Hz"
        )
    if len(raw) != expected:
        raise ModelError(f"{path}: ends before its last sample; fetch it again")
    if width == 1:  # unsigned, silence at 128
        return (np.frombuffer(raw, np.uint8).astype(np.float32) - 128) / 128
    return np.frombuffer(raw, "<i2").astype(np.float32) / 32768


def log_mel(samples: Values, *, frames: int, mel_bins: int) -> Values:
    """Spectrogram [frames, mel bins] of sound at 16 kHz, padded with silence to all frames.

    Base-10 logarithms of the power in each mel band, cut 8 decades below the loudest, moved and
    scaled to about -1 to 1. ModelError where the sound is longer than the frames, or no sound.
    """
    room = frames * HOP_SAMPLES
    if samples.ndim != 1 or not 0 < samples.size <= room:
        raise ModelError(
            f"sound of shape {list(samples.shape)}: give one row of 1 to {room} samples "
            f"({room / SAMPLE_RATE_HZ:g} s at {SAMPLE_RATE_HZ} Hz)"
        )
    whole = np.pad(samples.astype(np.float64), (0, room - samples.size))  # [frames * hop]
    whole = np.pad(whole, WINDOW_SAMPLES // 2, mode="reflect")
    windows = sliding_window_view(whole, WINDOW_SAMPLES)[::HOP_SAMPLES][:frames]  # [frames, 400]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW_SAMPLES) / WINDOW_SAMPLES)
    power = np.abs(np.fft.rfft(windows * hann)) ** 2  # [frames, 201]
    mel = np.log10(np.maximum(power @ mel_filters(mel_bins), FLOOR_POWER))  # [frames, bins]
    mel = (np.maximum(mel, mel.max() - RANGE_DECADES) + 4) / 4
    result: Values = mel.astype(np.float32)
    return result


def mel_filters(mel_bins: int) -> Values:
    """Triangles over the frequencies of a window, [201, bins], each of area 1 in Hz.

    They are evenly spaced on Slaney's mel scale from 0 to half the sample rate.
    """
    top = SAMPLE_RATE_HZ / 2
    frequencies = np.linspace(0, top, WINDOW_SAMPLES // 2 + 1)[:, None]  # [201, 1]
    edges = hz_of(np.linspace(0, mel_of(top), mel_bins + 2))  # [bins + 2]
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]  # [bins] each
    rising = (frequencies - low) / (centre - low)  # [201, bins]
    falling = (high - frequencies) / (high - centre)
    result: Values = np.maximum(0, np.minimum(rising, falling)) * 2 / (high - low)
    return result


def mel_of(hz: float) -> float:
    """Place of a frequency of at least 1 kHz on Slaney's mel scale."""
    return float(BREAK_MEL + np.log(hz / BREAK_HZ) / LOG_STEP)


def hz_of(mel: Values) -> Values:
    """Frequencies of places on Slaney's mel scale."""
    above = BREAK_HZ * np.exp(LOG_STEP * (mel - BREAK_MEL))
    result: Values = np.where(mel < BREAK_MEL, LINEAR_HZ_PER_MEL * mel, above)
    return result
