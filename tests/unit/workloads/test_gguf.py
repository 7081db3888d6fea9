import struct
from pathlib import Path

import numpy as np
import pytest

from workloads import ModelError
from workloads.formats.gguf import GgufFile
from workloads.tokenizers.byte_level import ByteLevelTokenizer, byte_characters, pieces


def text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def gguf(
    tensors: list[tuple[str, list[int], int, bytes]], pairs: bytes = b"", count: int = 0
) -> bytes:
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), count) + pairs
    data = b""
    for name, extents, kind, raw in tensors:
        head += text(name) + struct.pack(
            f"<I{len(extents)}QIQ", len(extents), *extents, kind, len(data)
        )
        data += raw + bytes(-len(raw) % 32)
    return head + bytes(-len(head) % 32) + data


def opened(path: Path, content: bytes) -> GgufFile:
    path.write_bytes(content)
    return GgufFile(path)


HALF = struct.pack("<e", 0.5)
Q = bytes(range(16))  # low halves 0 to 15, high halves 0
CASES = {
    "F32": (0, np.arange(64, dtype="<f4").tobytes(), np.arange(64)),
    "F16": (1, np.arange(64, dtype="<f2").tobytes(), np.arange(64)),
    "Q4_0": (2, (HALF + Q) * 2, [*np.arange(16) * 0.5 - 4, *[-4.0] * 16] * 2),
    "Q4_1": (
        3,
        (HALF + struct.pack("<e", -3.0) + bytes([0xF1] * 16)) * 2,
        [*[0.5 - 3] * 16, *[15 * 0.5 - 3] * 16] * 2,
    ),
    "Q8_0": (
        8,
        (HALF + bytes([*range(16), *range(240, 256)])) * 2,
        [*np.arange(16) / 2, *np.arange(-16, 0) / 2] * 2,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_each_encoding_is_decoded_by_its_formula(tmp_path: Path, name: str) -> None:
    kind, raw, expected = CASES[name]
    file = opened(
        tmp_path / "a.gguf", gguf([("other", [32], 0, bytes(128)), ("w", [32, 2], kind, raw)])
    )
    values = file.values("w")
    assert (values.dtype, values.shape) == (
        np.float32,
        (2, 32),
    )  # the fastest extent is stored first
    assert np.array_equal(values.ravel(), expected)
    assert file.tensors["w"].encoding.name == name


def test_metadata_of_every_type_is_read(tmp_path: Path) -> None:
    values = {0: ("B", 7), 1: ("b", -7), 2: ("H", 7), 3: ("h", -7), 4: ("I", 7), 5: ("i", -7)}
    values |= {6: ("f", 0.5), 7: ("?", True), 10: ("Q", 7), 11: ("q", -7), 12: ("d", 0.5)}
    pairs = b"".join(
        text(f"k{kind}") + struct.pack("<I" + form, kind, value)
        for kind, (form, value) in values.items()
    )
    pairs += text("words") + struct.pack("<IIQ", 9, 8, 2) + text("a") + text("b\u00e9")
    pairs += text("numbers") + struct.pack("<IIQ3i", 9, 5, 3, 1, -2, 3)
    pairs += text("word") + struct.pack("<I", 8) + text("c")
    found = opened(tmp_path / "a.gguf", gguf([], pairs, 14)).metadata
    assert found == {f"k{kind}": value for kind, (_, value) in values.items()} | {
        "words": ["a", "b\u00e9"],
        "numbers": [1, -2, 3],
        "word": "c",
    }


WHOLE = gguf([("w", [32, 2], 0, bytes(256))], text("k") + struct.pack("<II", 4, 7), 1)


def test_a_file_cut_anywhere_is_one_line_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "cut.gguf"
    for size in range(len(WHOLE)):
        path.write_bytes(WHOLE[:size])
        with pytest.raises(ModelError, match=r"cut\.gguf: ") as error:
            GgufFile(path)
        assert "\n" not in str(error.value)


PAIR = text("k") + struct.pack("<II", 4, 7)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"GGML" + WHOLE[4:], "not a GGUF file"),
        (WHOLE[:4] + struct.pack("<I", 2) + WHOLE[8:], "GGUF version 2; only 3"),
        (gguf([], PAIR * 2, 2), "metadata 'k' is given twice"),
        (
            gguf([], text("k") + struct.pack("<I", 13), 1) + bytes(32),
            "metadata 'k' has the unknown type 13",
        ),
        (gguf([("w", [32], 0, bytes(128))] * 2), "tensor 'w' is listed twice"),
        (gguf([("w", [32], 30, bytes(128))]), "tensor 'w' has encoding 30; known: F32"),
        (gguf([("w", [33], 3, bytes(128))]), "tensor 'w' has rows of 33; Q4_1 needs"),
        (gguf([("w", [1] * 5, 0, bytes(128))]), "tensor 'w' has 5 extents"),
        (gguf([("w", [64], 0, bytes(128))]), "truncated: tensor 'w' ends at byte"),
        (
            WHOLE[:24] + struct.pack("<Q", 2**60) + WHOLE[32:],
            "truncated: the key of metadata pair 0",
        ),
        (
            gguf([], text("\x00\x01").replace(b"\x00\x01", b"\xff\xff") + bytes(12), 1),
            "is not UTF-8 text",
        ),
        (
            gguf([], text("general.alignment") + struct.pack("<II", 4, 12), 1),
            "is 12, no multiple of 8",
        ),
    ],
)
def test_a_damaged_file_is_one_line_that_says_what(
    tmp_path: Path, content: bytes, message: str
) -> None:
    with pytest.raises(ModelError, match=message) as error:
        opened(tmp_path / "bad.gguf", content)
    assert "bad.gguf" in str(error.value)


def test_overlapping_tensors_are_refused(tmp_path: Path) -> None:
    line = text("b") + struct.pack("<IQIQ", 1, 32, 0, 128)
    content = gguf([("a", [32], 0, bytes(128)), ("b", [32], 0, bytes(128))])
    bad = content.replace(line, line[:-8] + struct.pack("<Q", 64))
    with pytest.raises(ModelError, match="tensor 'b' begins at 64"):
        opened(tmp_path / "a.gguf", bad)


def test_what_is_asked_for_and_missing_is_named(tmp_path: Path) -> None:
    file = opened(tmp_path / "a.gguf", WHOLE)
    with pytest.raises(ModelError, match="no tensor 'v'; "):
        file.values("v")
    with pytest.raises(ModelError, match="metadata 'k' is of type int, not str"):
        file.need("k", str)
    with pytest.raises(ModelError, match=r"none\.gguf: cannot be read"):
        GgufFile(tmp_path / "none.gguf")


def test_the_pair_learned_first_is_joined_first() -> None:
    tokens = ["<end>", *byte_characters(), "bc", "ab", "abc"]
    tokenizer = ByteLevelTokenizer(tokens, ["b c", "a b", "ab c"], [0], where="here")
    names = [tokens[i] for i in tokenizer.encode("abcab<end>abc")]
    assert names == ["a", "bc", "ab", "<end>", "a", "bc"]
    assert tokenizer.decode(tokenizer.encode("abc<end> \u00e9")) == "abc \u00e9"


def test_vocabularies_that_do_not_match_their_merges_are_refused() -> None:
    with pytest.raises(ModelError, match="here: merge 'a c' makes no token"):
        ByteLevelTokenizer(["a", "b", "c", "ab"], ["a b", "a c"], [], where="here")
    with pytest.raises(ModelError, match="here: the vocabulary lists a token twice"):
        ByteLevelTokenizer(["a", "a"], [], [], where="here")


def test_digits_words_marks_and_spaces_are_pieces_of_their_own() -> None:
    found = list(pieces("I've 12  cats!!\n\n x"))
    assert found == ["I", "'ve", " ", "1", "2", " ", " cats", "!!", "\n\n", " x"]
