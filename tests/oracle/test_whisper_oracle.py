from importlib.util import find_spec

import numpy as np
import pytest
import torch
from compare import FIXTURES, stored
from drawn import relative_error
from make_whisper import FRAMES, POSITIONS, TOKENS, heard, oracle

from workloads import load_model
from workloads.answer import answer
from workloads.audio import log_mel, read_wav
from workloads.packages import WHISPER
from workloads.transcribe import transcribe

pytestmark = pytest.mark.skipif(
    find_spec(WHISPER.module) is None, reason=f"needs Whisper's weights: {WHISPER.remedy}"
)


def test_the_fixture_is_what_transformers_makes_of_the_speech() -> None:
    fixture, theirs = stored("whisper_speech"), heard()
    assert np.array_equal(fixture["ids"], theirs.ids)
    assert relative_error(fixture["mel"], theirs.mel[FRAMES]) < 1e-6
    assert relative_error(fixture["encoded"], theirs.encoded[POSITIONS]) < 1e-5
    assert relative_error(fixture["logits"], theirs.logits[:, TOKENS]) < 1e-5


def test_spectrogram_tokens_and_logits_agree_with_transformers() -> None:
    theirs, samples = heard(), read_wav(FIXTURES / "speech.wav")
    assert np.abs(log_mel(samples, frames=3000, mel_bins=80) - theirs.mel).max() < 1e-5
    run = transcribe(load_model("whisper-tiny.en"), samples).answer
    assert np.array_equal(run.token_ids[0], theirs.ids)
    assert relative_error(run.logits[0], theirs.logits) < 1e-5
    # a few large elements amplify float32's rounding in four layers: float64 below
    assert relative_error(run.encoded[0], theirs.encoded) < 1e-4


def test_in_float64_encoder_and_logits_agree_to_rounding() -> None:
    mel, begun = heard().mel, (50257, 50362)
    run = answer(load_model("whisper-tiny.en"), mel, new_tokens=1, start_ids=begun, dtype="float64")
    model = oracle().double()
    with torch.no_grad():
        encoded = model.model.encoder(torch.from_numpy(mel.T[None].astype(np.float64)))
        logits = model(
            encoder_outputs=encoded, decoder_input_ids=torch.tensor([begun]), use_cache=False
        ).logits
    model.float()
    assert relative_error(run.encoded, encoded.last_hidden_state.numpy()) < 1e-11
    assert relative_error(run.logits[:, 0], logits[:, -1].numpy()) < 1e-11
