import struct
from pathlib import Path

import numpy as np
import pytest

from workloads import ModelError
from workloads.formats.ctranslate2 import read_model


def text(word: str) -> bytes:
    return struct.pack("<H", len(word) + 1) + word.encode() + b"\0"


def tensor(name: str, values: np.ndarray, kind: int) -> bytes:
    shape = struct.pack(f"<B{values.ndim}I", values.ndim, *values.shape)
    return text(name) + shape + struct.pack("<BI", kind, values.nbytes) + values.tobytes()


WEIGHT = np.arange(6, dtype=np.float16).reshape(2, 3)
HEADS = np.array(6, dtype=np.int16)
HEAD = struct.pack("<I", 6) + text("WhisperSpec") + struct.pack("<II", 3, 2)
BODY = tensor("a/weight", WEIGHT, 4) + tensor("a/heads", HEADS, 2)
ALIASES = struct.pack("<I", 1) + text("b/weight") + text("a/weight")
WHOLE = HEAD + BODY + ALIASES


def written(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "model.bin"
    path.write_bytes(data)
    return path


def test_tensors_scalars_and_aliases_are_read_as_they_were_written(tmp_path: Path) -> None:
    stored = read_model(written(tmp_path, WHOLE), "WhisperSpec")
    assert stored.revision == 3
    assert set(stored.tensors) == {"a/weight", "a/heads", "b/weight"}
    assert np.array_equal(stored.tensors["b/weight"], WEIGHT)
    assert (stored.tensors["a/heads"].shape, int(stored.tensors["a/heads"])) == ((), 6)


def test_a_file_cut_anywhere_is_refused_in_one_line(tmp_path: Path) -> None:
    for length in range(len(WHOLE)):
        with pytest.raises(ModelError, match=r"cannot be read|ends within") as error:
            read_model(written(tmp_path, WHOLE[:length]), "WhisperSpec")
        assert "\n" not in str(error.value)
        assert str(error.value).startswith(str(tmp_path / "model.bin"))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (struct.pack("<I", 6), struct.pack("<I", 5), "binary version is 5, only 6 is known here"),
        (text("WhisperSpec"), text("MarianSpec!"), "holds a 'MarianSpec!', expected 'WhisperSpec'"),
        (b"WhisperSpec\0", b"WhisperSpecs", "no text that ends in a zero byte"),
        (b"a/heads\0", b"a/h\xffads\0", "the name of tensor 1 is no text"),
        (text("a/heads"), text("a/weight"), "tensor a/weight is there twice"),
        (struct.pack("<BI", 4, 12), struct.pack("<BI", 5, 12), "a/weight has element type 5"),
        (struct.pack("<BI", 4, 12), struct.pack("<BI", 4, 10), "has 10 bytes, its shape .* 12"),
        (text("a/weight") + b"\2", text("a/weight") + b"\3", "element type|bytes|ends within"),
        (ALIASES, ALIASES + b"\0", "1 bytes follow the last alias"),
        (ALIASES, ALIASES.replace(b"a/weight", b"a/height"), "no such tensor"),
        (ALIASES, ALIASES.replace(b"b/weight", b"a/weight"), "the name is taken"),
    ],
)
def test_a_file_that_is_not_what_it_says_is_refused(
    tmp_path: Path, old: bytes, new: bytes, message: str
) -> None:
    assert old in WHOLE
    with pytest.raises(ModelError, match=message) as error:
        read_model(written(tmp_path, WHOLE.replace(old, new, 1)), "WhisperSpec")
    assert "\n" not in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none.bin: cannot be read"):
        read_model(tmp_path / "none.bin", "WhisperSpec")
