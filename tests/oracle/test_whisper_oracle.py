import numpy as np
from compare import FIXTURES, stored
from drawn import relative_error
from make_whisper import FRAMES, POSITIONS, TOKENS, heard

from workloads import load_model
from workloads.audio import log_mel, read_wav
from workloads.transcribe import transcribe


def test_the_fixture_is_what_transformers_makes_of_the_speech() -> None:
    fixture, theirs = stored("whisper_speech"), heard()
    assert np.array_equal(fixture["ids"], theirs.ids)
    assert relative_error(fixture["mel"], theirs.mel[FRAMES]) < 1e-6
    assert relative_error(fixture["encoded"], theirs.encoded[POSITIONS]) < 1e-5
    assert relative_error(fixture["logits"], theirs.logits[:, TOKENS]) < 1e-5


def test_spectrogram_encoder_tokens_and_logits_agree_with_transformers() -> None:
    theirs, samples = heard(), read_wav(FIXTURES / "speech.wav")
    assert np.abs(log_mel(samples, frames=3000, mel_bins=80) - theirs.mel).max() < 1e-5
    run = transcribe(load_model("whisper-tiny.en"), samples).answer
    print("encoded", relative_error(run.encoded[0], theirs.encoded))
    print("logits", relative_error(run.logits[0], theirs.logits))
    assert np.array_equal(run.token_ids[0], theirs.ids)
    assert relative_error(run.encoded[0], theirs.encoded) < 1e-4
    assert relative_error(run.logits[0], theirs.logits) < 1e-4
