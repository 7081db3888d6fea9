"""The keys of a description: each is taken once, and what nobody took is an error."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from workloads.config import ModelError, nearest

HARMLESS = frozenset(
    {
        "_attn_implementation",
        "_name_or_path",
        "activation_dropout",
        "architectures",
        "attention_dropout",
        "attention_probs_dropout_prob",
        "attn_pdrop",
        "auto_map",
        "bos_token_id",
        "cache_implementation",
        "chunk_size_feed_forward",
        "classifier_dropout",
        "dropout",
        "embd_pdrop",
        "embed_dropout",
        "eos_token_id",
        "gradient_checkpointing",
        "hidden_dropout",
        "hidden_dropout_prob",
        "id2label",
        "init_std",
        "initializer_range",
        "is_encoder_decoder",
        "label2id",
        "layerdrop",
        "name_or_path",
        "output_attentions",
        "output_hidden_states",
        "pad_token_id",
        "prefix",
        "pretraining_tp",
        "problem_type",
        "resid_dropout",
        "resid_pdrop",
        "return_dict",
        "sep_token_id",
        "summary_activation",
        "summary_first_dropout",
        "summary_proj_to_labels",
        "summary_type",
        "summary_use_proj",
        "task_specific_params",
        "tokenizer_class",
        "torchscript",
        "transformers_version",
        "unk_token_id",
        "use_cache",
    }
)
"""Keys of config.json that change neither the shape nor the numbers of inference."""


class Keys:
    """What a file says, key by key; ModelError names the file, the key and the remedy."""

    def __init__(self, where: str, data: Mapping[str, Any]) -> None:
        self.where = where
        self._data = data
        self._known: set[str] = set(HARMLESS)

    def get(self, *names: str, default: Any = None) -> Any:
        """Return the value of a key, which may have several names; the default where it is none."""
        self._known |= set(names)
        given = [name for name in names if self._data.get(name) is not None]
        for other in given[1:]:
            if self._data[other] != self._data[given[0]]:
                raise self.error(f"keys '{given[0]}' and '{other}' mean the same; keep one")
        return self._data[given[0]] if given else default

    def need(self, *names: str) -> Any:
        """Return the value of a key that must be there."""
        value = self.get(*names)
        if value is None:
            for misspelt in get_close_matches(names[0], set(self._data) - self._known, n=1):
                raise self.error(f"unknown key '{misspelt}'; did you mean '{names[0]}'?")
            raise self.error(f"key '{names[0]}' is missing; add it")
        return value

    def stated(self, name: str) -> Any:
        """Return the value of a key that must be there, if only to say null."""
        if name not in self._data:
            raise self.error(f"key '{name}' is missing; add it, null where there is none")
        return self.get(name)

    def whole(self, *names: str) -> int:
        """Return the value of a key that must be there, a whole number above 0."""
        value = self.need(*names)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise self.error(f"key '{names[0]}': must be a whole number above 0, got {value!r}")
        return value

    def listed(self, name: str) -> list[Any] | None:
        """Return the value of a key that holds a list; None where it is not there."""
        value = self.get(name)
        if value is not None and not isinstance(value, list):
            raise self.error(f"key '{name}': must be a list, got {value!r}")
        return value

    def inside(self, name: str) -> Keys:
        """Return the keys of a key that holds keys of its own; none where it is not there."""
        value = self.get(name, default={})
        if not isinstance(value, Mapping):
            raise self.error(f"key '{name}': must hold keys of its own, got {value!r}")
        return Keys(f"{self.where}: key '{name}'", value)

    def only(self, name: str, *allowed: Any, aliases: tuple[str, ...] = ()) -> None:
        """Refuse a key whose value would change what is computed in a way not known here.

        The first of `allowed` is what a file means that does not say.
        """
        value = self.get(name, *aliases, default=allowed[0])
        if value not in allowed:
            words = " or ".join(map(repr, allowed))
            raise self.error(f"key '{name}': only {words} is known here, got {value!r}")

    def close(self) -> None:
        """Refuse what nobody took."""
        for name in self._data:
            if name not in self._known:
                known = self._known - HARMLESS
                raise self.error(f"unknown key '{name}'{nearest(str(name), known)}")

    def error(self, fault: str) -> ModelError:
        """Return an error that names the file."""
        return ModelError(f"{self.where}: {fault}")
