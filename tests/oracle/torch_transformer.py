"""The Transformer of Vaswani et al. 2017, put together of torch's own layers."""

from math import cos, sin, sqrt
from types import SimpleNamespace

import torch
from torch import Tensor, nn

from workloads.architectures.encoder_decoder_config import EncoderDecoderConfig, Stack


class Transformer(nn.Module):
    """Post-norm, without norms after the stacks; answers like a transformers model."""

    def __init__(self, config: EncoderDecoderConfig) -> None:
        super().__init__()
        width = config.hidden_size

        def layer(kind: type[nn.Module], stack: Stack) -> nn.Module:
            return kind(
                width,
                stack.heads,
                stack.intermediate_size,
                dropout=0.0,
                activation=config.activation,
                layer_norm_eps=config.norm_eps,
                batch_first=True,
            )

        self.embedding = nn.Embedding(config.vocab_size, width)
        self.encoder = nn.TransformerEncoder(
            layer(nn.TransformerEncoderLayer, config.encoder),
            config.encoder.layers,
            enable_nested_tensor=False,
        )
        self.decoder = nn.TransformerDecoder(
            layer(nn.TransformerDecoderLayer, config.decoder), config.decoder.layers
        )

    def embed(self, ids: Tensor) -> Tensor:
        """Embed tokens [B, T], with their positions -> [B, T, C]."""
        width = self.embedding.embedding_dim
        rows = [
            [wave(position, i, width) for i in range(width)] for position in range(ids.shape[1])
        ]
        return self.embedding(ids) * sqrt(width) + torch.tensor(rows)

    def forward(
        self, input_ids: Tensor, decoder_input_ids: Tensor, *, use_cache: bool
    ) -> SimpleNamespace:
        """Logits [B, T, V] of a whole answer."""
        assert not use_cache
        encoded = self.encoder(self.embed(input_ids))
        mask = nn.Transformer.generate_square_subsequent_mask(decoder_input_ids.shape[1])
        x = self.decoder(self.embed(decoder_input_ids), encoded, tgt_mask=mask)
        logits = x @ self.embedding.weight.T
        return SimpleNamespace(encoder_last_hidden_state=encoded, logits=logits)


def wave(position: int, element: int, width: int) -> float:
    """Element of a position's row, as section 3.5 of the paper has it."""
    angle = position / 10_000 ** (element // 2 * 2 / width)
    return cos(angle) if element % 2 else sin(angle)
