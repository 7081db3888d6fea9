import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors_cases import NAMES, header_of, write, write_tensors

from workloads import ModelError
from workloads.formats.safetensors import Safetensors


@pytest.mark.parametrize("dtype", NAMES)
def test_numbers_of_every_element_type_come_back(tmp_path: Path, dtype: str) -> None:
    values = np.arange(24).reshape(2, 3, 4).astype(dtype)
    path = tmp_path / "a.safetensors"
    write_tensors(path, {"odd": np.uint8([1]), "a": values, "scalar": values[1, 1, 1]})
    file = Safetensors.open(path)
    assert file.names == ("odd", "a", "scalar")
    assert (file.shape("a"), file.dtype("a"), file.shape("scalar")) == ((2, 3, 4), NAMES[dtype], ())
    assert file.values("a").dtype == dtype
    assert np.array_equal(file.values("a"), values)
    assert file.values("scalar") == values[1, 1, 1]


def test_bfloat16_is_widened_without_loss(tmp_path: Path) -> None:
    exact = np.array([1.0, -2.5, 3.0e38, 1e-40, np.inf, 0.15625], np.float32)
    upper = exact.view(np.uint32) >> 16
    kept = (upper << 16).astype(np.uint32).view(np.float32)
    entry = {"dtype": "BF16", "shape": [6], "data_offsets": [0, 12]}
    path = tmp_path / "a.safetensors"
    write(path, {"a": entry}, upper.astype("<u2").tobytes())
    values = Safetensors.open(path).values("a")
    assert values.dtype == np.float32
    assert np.array_equal(values, kept)
    assert kept[1] == -2.5


def test_a_tensor_is_a_view_of_the_file_that_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write_tensors(path, {"a": np.ones((3, 3), np.float32)})
    values = Safetensors.open(path).values("a")
    assert not values.flags.owndata
    assert not values.flags.writeable


HEADER, DATA = header_of({"a": np.ones(3, np.float32), "b": np.ones((2, 2), np.float32)})


def changed(name: str, **fields: Any) -> dict[str, Any]:
    return {**HEADER, name: {**HEADER[name], **fields}}


@pytest.mark.parametrize(
    ("header", "data", "message"),
    [
        (HEADER, DATA[:-1], "truncated: tensor b ends at byte 28 of 27"),
        (HEADER, DATA + b"x", "1 bytes behind its last tensor belong to none"),
        ("{ ", DATA, "its JSON cannot be read"),
        ("[]", DATA, "its JSON is no object"),
        ("[" * 100_000, DATA, "its JSON cannot be read"),
        ('{"a": 1, "a": 2}', DATA, "a name is given twice"),
        ({"a": 5}, DATA, "tensor a must have dtype, shape and data_offsets"),
        (changed("a", more=1), DATA, "tensor a must have dtype, shape and data_offsets"),
        (changed("a", dtype="F23"), DATA, "tensor a: unknown dtype 'F23'; did you mean"),
        (changed("a", dtype=["F32"]), DATA, "tensor a: unknown dtype"),
        (changed("a", shape=[-3]), DATA, "shape and offsets must be whole numbers from 0"),
        (changed("a", shape=[True]), DATA, "shape and offsets must be whole numbers from 0"),
        (changed("a", shape=[2**70]), DATA, "tensor a of 4722366482869645213696 bytes has"),
        (changed("a", data_offsets=[0]), DATA, "shape and offsets must be whole numbers from 0"),
        (changed("a", shape=[4]), DATA, "tensor a of 16 bytes has data_offsets 0 to 12"),
        (changed("b", data_offsets=[8, 24]), DATA, "tensor b overlaps the one before, at byte 8"),
        (changed("b", data_offsets=[16, 32]), DATA, "tensor b leaves a hole before it, at byte 16"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_a_damaged_file_is_named_with_its_fault(
    tmp_path: Path, header: object, data: bytes, message: str
) -> None:
    path = tmp_path / "bad.safetensors"
    write(path, header, data)
    with pytest.raises(ModelError) as error:
        Safetensors.open(path)
    assert message in str(error.value)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "its header cannot be 0 bytes long"),
        (b"\x05\0\0", "its header cannot be 5 bytes long"),
        (struct.pack("<Q", 2**63), "its header cannot be 9223372036854775808 bytes long"),
        (struct.pack("<Q", 100) + b"{}", "it ends within its header of 100 bytes"),
        (struct.pack("<Q", 2) + b"\xff\xfe", "its JSON cannot be read"),
    ],
)
def test_a_file_that_is_no_safetensors_is_refused(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=message) as error:
        Safetensors.open(path)
    assert "\n" not in str(error.value)


def test_every_truncation_of_a_file_is_noticed(tmp_path: Path) -> None:
    whole, path = tmp_path / "whole", tmp_path / "cut"
    write(whole, HEADER, DATA)
    content = whole.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(ModelError, match="cut: "):
            Safetensors.open(path)


def in_parts(folder: Path, weight_map: object) -> Path:
    write_tensors(folder / "one.safetensors", {"a": np.ones(2), "b": np.zeros(1)})
    write_tensors(folder / "two.safetensors", {"c": np.full(3, 7.0)})
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return index


def test_a_checkpoint_in_parts_is_one(tmp_path: Path) -> None:
    in_parts(tmp_path, {"c": "two.safetensors", "a": "one.safetensors", "b": "one.safetensors"})
    file = Safetensors.of_folder(tmp_path)
    assert sorted(file.names) == ["a", "b", "c"]
    assert file.values("c").tolist() == [7, 7, 7]


@pytest.mark.parametrize(
    ("weight_map", "message"),
    [
        ({}, "it has no weight_map"),
        ([1], "it has no weight_map"),
        ({"a": "two.safetensors"}, "tensor a is not in two.safetensors"),
        ({"a": "../one.safetensors"}, "tensor a must be in a file of the same folder"),
        ({"a": 1}, "tensor a must be in a file of the same folder"),
        ({"a": "three.safetensors"}, r"three.safetensors: cannot be read \(No such file"),
    ],
)
def test_a_wrong_index_is_refused(tmp_path: Path, weight_map: object, message: str) -> None:
    in_parts(tmp_path, weight_map)
    with pytest.raises(ModelError, match=message) as error:
        Safetensors.of_folder(tmp_path)
    assert "\n" not in str(error.value)


def test_a_folder_without_weights_names_the_file_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"model.safetensors: cannot be read \(No such file"):
        Safetensors.of_folder(tmp_path)
