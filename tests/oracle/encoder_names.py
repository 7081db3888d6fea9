"""Which of torch's names an encoder's weights have."""

from collections.abc import Mapping

from workloads.array import Values

LAYER = "encoder.layer.N."
NAMES = {
    "embedding.token": "embeddings.word_embeddings",
    "embedding.position": "embeddings.position_embeddings",
    "embedding.type": "embeddings.token_type_embeddings",
    "embedding.task": "embeddings.task_type_embeddings",
    "embedding.norm": "embeddings.LayerNorm",
    "attention.query": LAYER + "attention.self.query",
    "attention.key": LAYER + "attention.self.key",
    "attention.value": LAYER + "attention.self.value",
    "attention.output": LAYER + "attention.output.dense",
    "attention.norm": LAYER + "attention.output.LayerNorm",
    "mlp.up": LAYER + "intermediate.dense",
    "mlp.down": LAYER + "output.dense",
    "mlp.norm": LAYER + "output.LayerNorm",
    "pooler": "pooler.dense",
    "head": "cls.predictions",
    "head.transform": "cls.predictions.transform.dense",
    "head.norm": "cls.predictions.transform.LayerNorm",
}


def torch_state(
    weights: Mapping[tuple[str, int | None], Values], *, prefix: str = ""
) -> dict[str, Values]:
    """Give our weights torch's names and shapes; `prefix` is what a head's class calls the rest."""
    state = {}
    for (name, layer), values in weights.items():
        stem, _, last = name.rpartition(".")
        theirs = NAMES[stem] if stem.startswith("head") else prefix + NAMES[stem]
        product = values.ndim == 2 and not stem.startswith("embedding")
        state[f"{theirs}.{last}".replace(".N.", f".{layer}.")] = values.T if product else values
    return state
