"""Write tests/fixtures/speech.wav anew: needs the speech synthesiser flite (apt install flite)."""

import subprocess
import tempfile
import wave
from pathlib import Path

import numpy as np

SENTENCE = "The machine reads every word once and then writes the answer."
FIXTURE = Path(__file__).parents[1] / "fixtures" / "speech.wav"


def main() -> None:
    """Synthesise the sentence with voice rms, 16 kHz, and keep 8 bits of each sample."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        subprocess.run(
            ["flite", "-voice", "rms", "-t", SENTENCE, "-o", str(path)],  # noqa: S607
            check=True,
        )
        with wave.open(str(path), "rb") as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
            rate = file.getframerate()
    loudest = np.abs(samples.astype(np.int64)).max()
    rounded = np.round(samples / loudest * 120) + 128  # unsigned, silence at 128
    with wave.open(str(FIXTURE), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(rate)
        file.writeframes(rounded.astype(np.uint8).tobytes())


if __name__ == "__main__":
    main()
