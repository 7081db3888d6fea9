"""A conversation as the text that chat models were trained on.

Source: the chat template in SmolLM2's metadata.
"""

from __future__ import annotations

from collections.abc import Iterable

SMOLLM2_SYSTEM = (
    "You are a helpful AI assistant named SmolLM, trained by Hugging Face"  # the template's own
)


def chat_text(turns: Iterable[tuple[str, str]], *, system: str | None = SMOLLM2_SYSTEM) -> str:
    """Write (role, content) turns, and what makes the model answer next.

    `system` leads where no turn of that role does; None leaves it out.
    """
    turns = list(turns)
    if system is not None and not (turns and turns[0][0] == "system"):
        turns.insert(0, ("system", system))
    said = "".join(f"<|im_start|>{role}\n{content}<|im_end|>\n" for role, content in turns)
    return said + "<|im_start|>assistant\n"
