from typing import Any

import pytest

from workloads import Model, ModelError, load_model

TEXTS = [
    "",
    " ",
    "\n",
    "Alice was beginning to",
    "  two leading, two trailing  ",
    "line one\nline two\n\n  indented",
    "“Curiouser and curiouser!” cried Alice — she\N{RIGHT SINGLE QUOTATION MARK}d forgotten",
    "cafe\u0301 and caf\u00e9",
    "numbers 1234567890, symbols #$%^~ and \u4f60\u597d \U0001f600",
    "tab\tand\r\nreturn",
    "aaaaaaaaaaaaaaaaaaaaaaaa",
    "\u2581already marked\u2581",
    "THE QUEEN OF HEARTS",
]


@pytest.mark.parametrize("text", TEXTS)
def test_encoding_and_decoding_agree_with_glassllm(english: Model, oracle: Any, text: str) -> None:
    ids = english.encode(text)
    assert ids == oracle[1].encode(text)
    assert english.decode(ids) == oracle[1].decode(ids)


def test_every_token_decodes_as_in_glassllm(english: Model, oracle: Any) -> None:
    for number in range(1024):
        assert english.decode([number]) == oracle[1].decode([number])


def test_text_survives_encoding_and_decoding(english: Model) -> None:
    text = "“Well!” thought Alice to herself, “after such a fall as this,\nI shall think nothing”"
    assert english.decode(english.encode(text)) == text


def test_a_model_without_a_vocabulary_says_so() -> None:
    model = load_model("gpt2-small")
    for ask in (lambda: model.encode("text"), lambda: model.decode([1])):
        with pytest.raises(ModelError, match=r"'gpt2-small' has no vocabulary.*prompt length"):
            ask()
