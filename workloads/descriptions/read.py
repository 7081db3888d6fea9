"""From a file to a configuration: YAML or JSON, read strictly, by the reader of its model_type."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from workloads.config import ModelConfig, ModelError, nearest
from workloads.descriptions.decoders import DECODERS
from workloads.descriptions.encoder_decoders import ENCODER_DECODERS
from workloads.descriptions.encoders import ENCODERS
from workloads.descriptions.experts import MIXTURES
from workloads.descriptions.gpts import GPTS
from workloads.descriptions.keys import Keys
from workloads.descriptions.recurrent import RECURRENTS

READERS: Mapping[str, Callable[[Keys], ModelConfig]] = {
    **DECODERS,
    **GPTS,
    **MIXTURES,
    **ENCODERS,
    **ENCODER_DECODERS,
    **RECURRENTS,
}
"""model_type -> what makes a configuration of the keys."""


def load_config(path: Path) -> ModelConfig:
    """Read a model's YAML file or config.json.

    ModelError names the file, the key and the nearest valid one.
    """
    try:
        text = path.read_text(encoding="utf-8")
        data = _parsed(text, is_json=path.suffix == ".json")
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except (yaml.YAMLError, json.JSONDecodeError, UnicodeDecodeError) as error:
        kind = "JSON" if path.suffix == ".json" else "YAML"
        raise ModelError(f"{path}: not valid {kind}: {_one_line(error)}") from error
    if not isinstance(data, dict):
        raise ModelError(f"{path}: must hold keys such as hidden_size; see workloads/models/")
    if path.suffix == ".json":
        data.setdefault("source", str(path))
    return read_config(data, str(path))


def read_config(data: Mapping[str, Any], where: str = "model") -> ModelConfig:
    """Make a configuration of a description's keys; `where` begins the message of a ModelError."""
    keys = Keys(where, data)
    model_type = str(keys.need("model_type"))
    if model_type not in READERS:
        raise keys.error(f"unknown model_type '{model_type}'{nearest(model_type, READERS)}")
    try:
        config = READERS[model_type](keys)
    except ValidationError as error:
        first = error.errors()[0]
        fault = first["msg"].removeprefix("Value error, ")
        if first["loc"]:
            fault = f"key '{first['loc'][0]}': {fault}, got {first['input']!r}"
        raise keys.error(fault) from error
    keys.close()
    return config


def _parsed(text: str, *, is_json: bool) -> Any:
    if is_json:  # numbers such as 1e-05 are text to YAML
        return json.loads(text, object_pairs_hook=_unique)
    return yaml.load(text, _UniqueKeys)  # noqa: S506 (a SafeLoader)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    for key in keys:
        if keys.count(key) > 1:
            raise yaml.YAMLError(f"key '{key}' is given twice; keep one")
    return dict(pairs)


class _UniqueKeys(yaml.SafeLoader):
    """YAML loader that refuses a key given twice, where YAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            key = str(self.construct_object(key_node))
            if key in seen:
                line = key_node.start_mark.line + 1
                raise yaml.YAMLError(f"key '{key}' is given twice, again in line {line}; keep one")
            seen.add(key)
        return super().construct_mapping(node, deep)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
