import wave
from pathlib import Path

import numpy as np
import pytest

from workloads import ModelError
from workloads.audio import hz_of, log_mel, mel_filters, mel_of, read_wav

SECOND = np.arange(16_000) / 16_000


def written(path: Path, data: bytes, *, channels: int = 1, width: int = 1, rate: int = 16_000):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(data)
    return path


def test_eight_and_sixteen_bits_give_samples_within_one(tmp_path: Path) -> None:
    eight = read_wav(written(tmp_path / "8.wav", bytes([0, 128, 255])))
    assert eight.tolist() == [-1.0, 0.0, 127 / 128]
    raw = np.array([-32768, 0, 16384], "<i2").tobytes()
    sixteen = read_wav(written(tmp_path / "16.wav", raw, width=2))
    assert sixteen.tolist() == [-1.0, 0.0, 0.5]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rate": 8000}, "1 channels of 8 bits at 8000 Hz; convert it to one channel"),
        ({"channels": 2}, "2 channels of 8 bits"),
        ({"width": 4}, "1 channels of 32 bits"),
    ],
)
def test_other_wav_files_are_refused_with_the_remedy(
    tmp_path: Path, options: dict[str, int], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        read_wav(written(tmp_path / "x.wav", bytes(16), **options))


def test_a_broken_or_missing_wav_file_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "x.wav", bytes(100))
    whole = path.read_bytes()
    for length in (0, 20, 60):
        path.write_bytes(whole[:length])
        with pytest.raises(ModelError, match=r"x.wav: (no readable WAV file|ends before)") as error:
            read_wav(path)
        assert "\n" not in str(error.value)
    with pytest.raises(ModelError, match=r"none.wav: no readable WAV file"):
        read_wav(tmp_path / "none.wav")


def test_the_mel_scale_is_linear_to_1000_hz_and_logarithmic_above() -> None:
    assert hz_of(np.array([0.0, 3.0, 15.0])).tolist() == pytest.approx([0.0, 200.0, 1000.0])
    assert hz_of(np.array([15.0 + 27])) == pytest.approx([6400.0])
    assert mel_of(6400.0) == pytest.approx(42.0)


def test_each_filter_is_a_triangle_of_area_one_and_neighbours_overlap() -> None:
    filters = mel_filters(80)
    assert filters.shape == (201, 80)
    peaks = filters.argmax(axis=0)
    assert (np.diff(peaks) >= 0).all()
    assert (filters > 0).any(axis=0).all()
    assert filters[:, 60:].sum(axis=0) * 40 == pytest.approx(1, rel=0.05)  # 40 Hz apart


@pytest.mark.parametrize("hz", [200.0, 1000.0, 4000.0])
def test_a_tone_is_loudest_in_the_band_that_holds_it(hz: float) -> None:
    mel = log_mel(np.sin(2 * np.pi * hz * SECOND), frames=200, mel_bins=80)
    edges = hz_of(np.linspace(0, mel_of(8000.0), 82))
    loudest = mel[50].argmax()
    assert edges[loudest] < hz < edges[loudest + 2]
    assert mel[:95].max() - mel[110:].max() == pytest.approx(2.0)  # silence: 8 decades, by 4


def test_a_spectrogram_is_padded_and_scaled() -> None:
    mel = log_mel(np.zeros(1), frames=30, mel_bins=8)
    assert (mel.shape, mel.dtype) == ((30, 8), np.float32)
    assert (mel == (-10 + 4) / 4).all()


@pytest.mark.parametrize("shape", [(0,), (2, 100), (4801,)])
def test_sound_that_does_not_fit_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match=r"give one row of 1 to 4800 samples \(0.3 s"):
        log_mel(np.zeros(shape), frames=30, mel_bins=8)
