"""RNN, LSTM and GRU: numbers against torch.nn's, counts against closed forms."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workloads import (
    Family,
    Model,
    ModelConfig,
    ModelError,
    Phase,
    Role,
    Trace,
    generate,
    load_model,
    read_config,
    recur,
)
from workloads.array import Values
from workloads.trace import PlacedOp

FIXTURES = Path(__file__).parents[2] / "fixtures" / "recurrent"
CELLS = {"rnn": (1, 1), "lstm": (4, 2), "gru": (3, 1)}  # gates, operations of a step's cell
NUMBERS = {  # flops and transcendentals of a cell, an element of its state
    "rnn": (1, 1),  # a sum; tanh
    "lstm": (14, 5),  # 4 sums, 3 sigmoids of 2, 3 products, 1 sum; 3 exp and 2 tanh
    "gru": (12, 3),  # 2 sums, 2 sigmoids of 2, r * b, + a, 1 - z, 2 products, a sum; 2 exp, tanh
}
PARAMETERS = {  # counted by torch.nn, and of g2p-en in its file
    "lstm-ptb-small": 4_653_200,
    "lstm-ptb-medium": 19_780_400,
    "lstm-ptb-large": 66_034_000,
    "rnn-tanh-wlm": 4_170_800,
    "g2p-en": 834_890,
}


def described(cell: str, **changes: Any) -> ModelConfig:
    keys = {
        "source": "made up",
        "model_type": f"{cell}_lm",
        "hidden_size": 6,
        "num_hidden_layers": 2,
        "vocab_size": 6,
        "num_steps": 5,
    }
    return read_config(keys | changes)


def tiny(cell: str, **changes: Any) -> Model:
    return Model(name="tiny", config=described(cell, **changes), tokenizer=None, seed=1)


def seq2seq() -> Model:
    return tiny(
        "gru",
        model_type="gru_seq2seq",
        vocab_size=9,
        source_vocab_size=7,
        source_end_token=2,
        start_token=1,
        end_token=3,
    )


MODELS: dict[str, Callable[[], Model]] = {
    "rnn": lambda: tiny("rnn"),
    "lstm": lambda: tiny("lstm"),
    "gru": lambda: tiny("gru", num_hidden_layers=3),
    "one layer": lambda: tiny("lstm", num_hidden_layers=1),
    "seq2seq": seq2seq,
}


@dataclass(frozen=True, kw_only=True)
class TorchModel(Model):
    """A model with the weights of a fixture."""

    stored: dict[str, Values]

    def weights(self, config: ModelConfig, dtype: str) -> Callable[[str, int | None], Values]:
        def weight(name: str, layer: int | None) -> Values:
            product, _, kind = name.rpartition(".")
            if "cell" not in product:
                found = self.stored[
                    {"embedding.token": "embedding", "head": "head"}[product] + "." + kind
                ]
                found = found.T if name == "head.weight" else found
            else:
                which = {"cell.input": "ih", "cell.hidden": "hh"}[product]
                found = self.stored[f"network.{kind}_{which}_l{layer}"].T
            return found.astype(dtype)

        return weight


def torch_case(cell: str) -> tuple[TorchModel, dict[str, Values]]:
    with np.load(FIXTURES / f"{cell}.npz", allow_pickle=False) as file:
        stored = {name: file[name] for name in file.files}
    model = TorchModel(name=cell, config=described(cell), tokenizer=None, seed=0, stored=stored)
    return model, stored


@pytest.mark.parametrize("cell", CELLS)
def test_every_step_agrees_with_torch(cell: str) -> None:
    model, stored = torch_case(cell)
    for tokens in range(1, 6):  # each prefix: the prefill gives the logits of its last step
        prompt = stored["ids"][:tokens].T  # [B, T]
        logits = recur(model, prompt, new_tokens=1, batch=3).logits[:, 0]
        theirs = stored["logits"][tokens - 1]
        assert np.abs(logits - theirs).max() < 1e-5 * np.abs(theirs).max()


@pytest.mark.parametrize("name", MODELS)
def test_a_state_carried_from_pass_to_pass_equals_reading_all_again(name: str) -> None:
    model = MODELS[name]()
    prompts = [[3, 1, 4], [1, 5, 2]]
    run = recur(model, prompts, new_tokens=6, batch=2, dtype="float64")
    if name == "seq2seq":  # its decoder's tokens are no prompt: only a shorter run can be repeated
        again = recur(model, prompts, new_tokens=2, batch=2, dtype="float64")
        assert np.abs(again.logits - run.logits[:, :2]).max() < 1e-12
        return
    for count in range(6):
        whole = np.concatenate([prompts, run.token_ids[:, :count]], axis=1)
        again = recur(model, whole, new_tokens=1, batch=2, dtype="float64")
        assert np.abs(again.logits[:, 0] - run.logits[:, count]).max() < 1e-12


@pytest.mark.parametrize("name", MODELS)
def test_each_row_of_a_batch_is_what_it_is_alone(name: str) -> None:
    prompts = [[3, 1, 4], [1, 5, 2]]
    run = recur(MODELS[name](), prompts, new_tokens=4, batch=2, dtype="float64")
    for row, prompt in enumerate(prompts):
        alone = recur(MODELS[name](), prompt, new_tokens=4, dtype="float64")
        assert np.abs(alone.logits[0] - run.logits[row]).max() < 1e-12


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(("tokens", "batch"), [(1, 1), (5, 1), (4, 3)])
def test_shape_only_gives_the_digest_of_the_executed_recurrence(
    name: str, tokens: int, batch: int
) -> None:
    asked = {"prompt_tokens": tokens, "new_tokens": 4, "batch": batch}
    executed = recur(MODELS[name](), **asked)
    shaped = recur(MODELS[name](), **asked, execute=False)
    assert shaped.trace == executed.trace
    assert shaped.trace.digest() == executed.trace.digest()
    assert shaped.token_ids is shaped.logits is shaped.prompt_ids is None


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_published_network_has_its_published_parameters(name: str) -> None:
    model = load_model(name)
    trace = recur(model, prompt_tokens=2, new_tokens=1, execute=False).trace
    assert model.parameter_count == PARAMETERS[name]
    assert trace.weight_bytes == 4 * PARAMETERS[name]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("tokens", "new", "batch"), [(7, 4, 1), (3, 2, 5), (1, 1, 2)])
def test_flops_and_bytes_are_those_of_the_closed_forms(
    cell: str, tokens: int, new: int, batch: int
) -> None:
    width, layers, vocabulary, (gates, _) = 6, 2, 6, CELLS[cell]
    trace = recur(
        tiny(cell), prompt_tokens=tokens, new_tokens=new, batch=batch, execute=False
    ).trace
    steps = batch * (tokens + new - 1)  # of every sequence together
    flops, transcendentals = NUMBERS[cell]
    products = 2 * gates * width * (2 * width + 1)  # two products with 2 flops each, two biases
    head = batch * new * (2 * width * vocabulary + vocabulary + vocabulary)  # product, bias, argmax
    assert trace.flops == layers * steps * (products + flops * width) + head
    counted = sum(p.op.transcendentals for p in trace.placed_ops())
    assert counted == layers * steps * transcendentals * width
    assert trace.bytes_of(Role.STATE) == layers * batch * width * 4 * (2 if cell == "lstm" else 1)
    assert trace.bytes_of(Role.KV_CACHE) == 0
    rows = tokens * batch
    activations = rows * width + (rows + layers * batch) * gates * width + batch * vocabulary
    assert trace.bytes_of(Role.ACTIVATION) == 4 * activations + 8 * batch  # the tokens
    assert trace.weight_bytes == 4 * (
        vocabulary * width  # embedding
        + layers * (2 * gates * width * width + 2 * gates * width)
        + vocabulary * width + vocabulary
    )  # fmt: skip


def chain(trace: Trace) -> int:
    """Longest chain of operations of the prefill's layers that wait for each other."""
    depth: dict[int, int] = {}
    for placed in trace.placed_ops():
        if placed.op.step == 0 and placed.layer is not None:
            depth[placed.index] = 1 + max((depth.get(d, 0) for d in placed.dependencies), default=0)
    return max(depth.values())


def products(trace: Trace) -> list[PlacedOp]:
    return [
        p
        for p in trace.placed_ops()
        if p.op.family is Family.MATMUL and p.op.step == 0 and p.layer is not None
    ]


def test_a_longer_prompt_lengthens_the_chain_of_a_recurrence_but_not_of_a_transformer(
    tiny_gpt2: Model,
) -> None:
    recurrent, transformer = (
        {
            tokens: function(model, prompt_tokens=tokens, new_tokens=1, execute=False).trace
            for tokens in (2, 12)
        }
        for function, model in ((recur, tiny("lstm")), (generate, tiny_gpt2))
    )
    assert chain(transformer[2]) == chain(transformer[12])
    assert len(products(transformer[2])) == len(products(transformer[12]))
    # a layer's first step: the product with all inputs, its bias, cell, hidden state; and each
    # further step: the product with the state, its bias, cell, hidden state
    assert [chain(recurrent[tokens]) for tokens in (2, 12)] == [2 * 4 * t for t in (2, 12)]
    rows = sorted(p.op.dims["m"] for p in products(recurrent[12]))
    assert rows == [1] * 2 * 12 + [12] * 2  # only the products with the inputs run at once


def test_step_t_waits_for_the_state_that_step_t_minus_1_has_left() -> None:
    trace = recur(tiny("gru"), prompt_tokens=4, new_tokens=3, execute=False).trace
    for layer in (0, 1):
        ops = [p for p in trace.placed_ops() if p.layer == layer]
        cells = [p.index for p in ops if p.op.kind == "gru_cell"]
        hidden = [p.dependencies for p in ops if p.op.name == "cell.hidden"]
        assert len(cells) == len(hidden) == 4 + 2
        assert hidden[0] == ()  # the state before the first step is zero
        assert all(c in waits for c, waits in zip(cells[:-1], hidden[1:], strict=True))


def test_the_last_step_of_a_pass_alone_writes_the_state_beside_its_row() -> None:
    trace = recur(tiny("rnn"), prompt_tokens=3, new_tokens=2, batch=2, execute=False).trace
    cells = [p.op for p in trace.placed_ops() if p.op.kind == "rnn_cell" and p.layer == 1]
    roles = [[trace.tensors[a.tensor].role for a in op.writes] for op in cells]
    only, both = [Role.ACTIVATION], [Role.ACTIVATION, Role.STATE]
    assert roles == [only, only, both, both]
    assert [op.writes[0].offset_bytes for op in cells] == [0, 48, 96, 0]


def test_an_lstm_reads_its_output_gate_when_it_needs_it() -> None:
    trace = recur(tiny("lstm"), prompt_tokens=1, new_tokens=1, batch=2, execute=False).trace
    ops = {p.op.kind: p.op for p in trace.placed_ops() if p.layer == 0}
    state = 2 * 6 * 4
    assert [a.bytes for a in ops["lstm_cell"].reads] == [3 * state, 3 * state, state]
    assert [a.bytes for a in ops["lstm_hidden"].reads] == [state] * 3
    assert [a.offset_bytes for a in ops["lstm_hidden"].reads] == [3 * 6 * 4, 3 * 6 * 4, 0]


def test_a_decode_pass_costs_the_same_whatever_was_read_before() -> None:
    short, long = (
        recur(tiny("gru"), prompt_tokens=tokens, new_tokens=2, execute=False).trace
        for tokens in (2, 50)
    )

    def decode(trace: Trace) -> list[tuple[int, int, int]]:
        ops = [p.op for p in trace.placed_ops() if p.op.phase is Phase.DECODE]
        return [(op.flops, op.bytes_read, op.bytes_written) for op in ops]

    assert decode(short) == decode(long)


def test_an_encoder_hands_on_nothing_but_its_state() -> None:
    trace = recur(seq2seq(), prompt_tokens=4, new_tokens=3, execute=False).trace
    assert trace.prompt_tokens == 5  # the source and its end
    encoder = {p.index for p in trace.placed_ops() if p.op.name.startswith("encoder.")}
    shared = {
        trace.tensors[access.tensor].name
        for p in trace.placed_ops()
        if p.index not in encoder
        for access in p.op.reads
        for q in trace.placed_ops()
        if q.index in encoder and access.tensor in {w.tensor for w in q.op.writes}
    }
    assert shared == {"state.hidden"}
    assert {p.op.step for p in trace.placed_ops() if p.index in encoder} == {0}


@pytest.mark.parametrize("name", MODELS)
def test_no_row_or_state_is_overwritten_before_its_readers_are_done(name: str) -> None:
    trace = recur(MODELS[name](), prompt_tokens=4, new_tokens=3, batch=2, execute=False).trace
    before: list[int] = []  # bit set of all that an operation waits for, directly or not
    users: dict[tuple[int, int | None], int] = {}
    writer: dict[tuple[int, int | None], int] = {}
    for placed in trace.placed_ops():
        waits = 0
        for dependency in placed.dependencies:
            waits |= before[dependency] | 1 << dependency
        before.append(waits)

        def where(tensor: int, layer: int | None = placed.layer) -> tuple[int, int | None]:
            return tensor, layer if trace.tensors[tensor].layers > 1 else None

        for access in placed.op.reads:
            last = writer.get(where(access.tensor))
            assert last is None or last in placed.dependencies
        for access in placed.op.writes:
            place = where(access.tensor)
            assert users.get(place, 0) & ~waits == 0
            users[place], writer[place] = 1 << placed.index, placed.index
        for access in placed.op.reads:
            place = where(access.tensor)
            users[place] = users.get(place, 0) | 1 << placed.index


def test_a_state_survives_saving_and_loading(tmp_path: Path) -> None:
    trace = recur(tiny("lstm"), prompt_tokens=3, new_tokens=2, execute=False).trace
    trace.save(tmp_path / "trace.gz")
    again = Trace.load(tmp_path / "trace.gz")
    assert again == trace
    assert [t.role for t in again.tensors if t.name.startswith("state.")] == [Role.STATE] * 2


def test_a_large_lstm_reads_2048_tokens_without_numbers_in_a_second() -> None:
    trace = recur(load_model("lstm-ptb-large"), prompt_tokens=2048, new_tokens=8, execute=False)
    assert trace.trace.op_count == 1 + 2 * (2 + 4 * 2048) + 3 + 7 * (1 + 2 * 6 + 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hiden_size": 6, "hidden_size": None}, "unknown key 'hiden_size'; did you mean 'hidden"),
        ({"num_steps": None}, "key 'num_steps' is missing; add it"),
        ({"dropout_rate": 0.5}, "unknown key 'dropout_rate'; valid: "),
        ({"embedding_size": 7}, "key 'embedding_size': only 6 is known here, got 7"),
        ({"bidirectional": True}, "key 'bidirectional': only False is known here"),
        ({"model_type": "lstm_ml"}, "unknown model_type 'lstm_ml'; did you mean 'lstm_lm'"),
        ({"start_token": 1}, "unknown key 'start_token'"),
        ({"model_type": "gru_seq2seq"}, "key 'source_vocab_size' is missing"),
        ({"vocab_size": 0}, "key 'vocab_size': .*greater than 0"),
    ],
)
def test_a_wrong_description_is_refused_with_its_key(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message) as error:
        tiny("lstm", **changes)
    assert "\n" not in str(error.value)


def test_a_token_outside_its_vocabulary_is_refused() -> None:
    encoder = {"source_vocab_size": 7, "source_end_token": 7, "start_token": 1, "end_token": 3}
    with pytest.raises(ModelError, match="token 7 is outside its vocabulary of 7"):
        tiny("gru", model_type="gru_seq2seq", **encoder)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"prompt_ids": []}, "the prompt is empty"),
        ({"prompt_tokens": 0}, "the prompt is empty"),
        ({}, "either as token numbers or as a length"),
        ({"prompt_ids": [6]}, "token number 6 is outside the vocabulary; use 0 to 5"),
        ({"prompt_ids": [0.5]}, "whole token numbers"),
        ({"prompt_ids": [[1, 2], [3]], "batch": 2}, "differ in length"),
        ({"prompt_ids": [[1], [2]]}, "2 prompts for a batch of 1"),
        ({"prompt_ids": [1], "new_tokens": 0}, "new_tokens is 0"),
        ({"prompt_ids": [1], "batch": 0}, "batch is 0"),
        ({"prompt_ids": [1], "seed": -1}, "seed is -1"),
        ({"prompt_ids": [1], "temperature": 0.0}, "temperature must be above 0"),
        ({"prompt_ids": [1], "dtype": "bfloat16"}, "numpy has no bfloat16"),
        ({"prompt_ids": [1], "dtype": "int8"}, "unknown dtype 'int8'"),
    ],
)
def test_a_recurrence_that_cannot_be_run_is_refused_with_its_remedy(
    asked: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message) as error:
        recur(tiny("rnn"), **({"new_tokens": 1} | asked))
    assert "\n" not in str(error.value)


def test_a_network_too_large_to_execute_is_refused_before_any_weight_is_drawn() -> None:
    model = tiny("lstm", hidden_size=9000)
    with pytest.raises(ModelError, match=r"tiny has 4.8 GiB.*execute=False"):
        recur(model, prompt_tokens=1, new_tokens=1)


def test_a_transformer_is_no_recurrence_and_a_recurrence_no_decoder(tiny_gpt2: Model) -> None:
    with pytest.raises(ModelError, match="tiny is no recurrent network but decoder"):
        recur(tiny_gpt2, prompt_tokens=1, new_tokens=1)
    with pytest.raises(ModelError, match="tiny is no decoder but recurrent"):
        generate(tiny("rnn"), prompt_tokens=1, new_tokens=1)


def test_drawn_tokens_repeat_with_their_seed() -> None:
    first, second, other = (
        recur(tiny("gru"), [1], new_tokens=20, temperature=1.0, seed=seed) for seed in (1, 1, 2)
    )
    assert (first.token_ids == second.token_ids).all()
    assert (first.token_ids != other.token_ids).any()
