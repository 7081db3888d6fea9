"""Jobs: named shapes of work, each with where its lengths come from, run by any kind of model."""

from pathlib import Path
from typing import Any

import pytest

from workloads import (
    Model,
    ModelConfig,
    ModelError,
    Phase,
    generate,
    job_names,
    load_job,
    load_model,
    model_names,
    recur,
    run_job,
    work,
)
from workloads.architectures.registry import ARCHITECTURES, Architecture
from workloads.jobs import JOBS_FILE, load_jobs
from workloads.work import RUNNERS, Runner

NAMES = (
    "classification",
    "dialogue",
    "generation",
    "question-answering",
    "recommendation",
    "summarisation",
    "tagging",
    "translation",
)


def test_every_job_that_people_name_is_there_with_its_sources() -> None:
    assert job_names() == NAMES
    for job in map(load_job, NAMES):
        assert any(character.isdigit() for character in job.source)  # a year, a table
        assert job.batch_source
        assert job.about


def test_jobs_that_only_read_are_an_encoders() -> None:
    reading = {name for name in NAMES if load_job(name).new_tokens == 0}
    assert reading == {name for name in NAMES if load_job(name).kind == "encoder"}


@pytest.mark.parametrize("name", NAMES)
def test_every_job_runs_on_a_decoder_and_on_a_recurrent_network(name: str) -> None:
    job = load_job(name)
    for model in ("gpt2-small", "lstm-ptb-small"):
        trace = run_job(name, model).trace
        assert (trace.model, trace.batch) == (model, job.batch)
        assert (trace.prompt_tokens, trace.new_tokens) == (
            job.prompt_tokens,
            max(1, job.new_tokens),
        )


@pytest.mark.parametrize("name", NAMES)
def test_a_job_runs_on_its_own_model_where_its_kind_can_be_run(name: str) -> None:
    job = load_job(name)
    if job.model not in model_names():
        with pytest.raises(ModelError, match=f"no model '{job.model}'"):
            run_job(name)
    elif type(load_model(job.model).config) in RUNNERS:
        trace = run_job(name).trace
        assert (trace.model, trace.prompt_tokens) == (job.model, job.prompt_tokens)


def test_dialogue_is_traced_on_a_model_too_large_to_execute() -> None:
    trace = run_job("dialogue").trace
    assert trace.model == "llama2-7b"
    assert sum(p.op.name == "head" for p in trace.placed_ops()) == 338
    with pytest.raises(ModelError, match="execute=False"):
        run_job("dialogue", execute=True)


def test_what_is_asked_of_a_job_comes_before_its_own_shape() -> None:
    trace = run_job("dialogue", "glassllm-en", prompt_tokens=9, new_tokens=3, batch=2).trace
    assert (trace.batch, trace.prompt_tokens, trace.new_tokens) == (2, 9, 3)


def test_an_executed_job_does_the_work_of_the_traced_one(tiny_gpt2: Model) -> None:
    asked = {"prompt_tokens": 5, "new_tokens": 3}
    executed = run_job("generation", tiny_gpt2, execute=True, **asked)
    assert executed.token_ids.shape == (1, 3)
    assert executed.trace.digest() == run_job("generation", tiny_gpt2, **asked).trace.digest()


def test_work_is_the_run_of_the_models_kind(tiny_gpt2: Model) -> None:
    asked = {"prompt_tokens": 4, "new_tokens": 2, "execute": False}
    lstm = load_model("lstm-ptb-small")
    assert work(tiny_gpt2, **asked).trace == generate(tiny_gpt2, **asked).trace
    assert work(lstm, **asked).trace == recur(lstm, **asked).trace


def test_a_model_that_writes_answers_what_it_only_reads_by_one_token(tiny_gpt2: Model) -> None:
    trace = work(tiny_gpt2, prompt_tokens=4).trace
    assert {p.op.phase for p in trace.placed_ops()} == {Phase.PREFILL}
    assert trace.new_tokens == 1


class Unheard(ModelConfig):
    """A kind of model that is only described."""


@pytest.fixture(name="unheard")
def unheard_fixture(tiny_gpt2: Model, monkeypatch: pytest.MonkeyPatch) -> Model:
    monkeypatch.setitem(ARCHITECTURES, Unheard, Architecture("oracle", lambda _: {}))
    fields = {name: getattr(tiny_gpt2.config, name) for name in ModelConfig.model_fields}
    return Model(name="delphi", config=Unheard(**fields), tokenizer=None, seed=0)


def test_a_kind_that_is_not_in_the_table_is_named(unheard: Model) -> None:
    with pytest.raises(ModelError, match="delphi is of a kind that is not run here: oracle; run: "):
        work(unheard, prompt_tokens=1)


def test_a_model_that_only_reads_is_not_asked_to_write(
    unheard: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    def read(model: Model, **options: Any) -> Any:
        asked.append(options)

    monkeypatch.setitem(RUNNERS, Unheard, Runner(read, writes=False))
    work(unheard, prompt_tokens=3, batch=2)
    assert asked == [{"prompt_tokens": 3, "batch": 2, "execute": False}]
    with pytest.raises(ModelError, match="delphi is oracle and only reads: it cannot say 2 tokens"):
        work(unheard, prompt_tokens=3, new_tokens=2)


def test_less_than_no_token_cannot_be_asked_for(tiny_gpt2: Model) -> None:
    with pytest.raises(ModelError, match="new_tokens is -1; ask for 0 or more"):
        work(tiny_gpt2, prompt_tokens=3, new_tokens=-1)


def test_an_unknown_job_names_the_nearest() -> None:
    with pytest.raises(ModelError, match="no job 'dialog'; did you mean 'dialogue'"):
        load_job("dialog")
    with pytest.raises(ModelError, match=r"no job '\?'; valid: classification, dialogue"):
        run_job("?")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  batch: 256", "  bach: 256", "job 'recommendation': unknown key 'bach'; did you mean"),
        ("  batch: 256\n", "", "job 'recommendation': key 'batch' is missing; add it"),
        ("  batch: 256", "  batch: 0", "'batch': Input should be greater than 0, got 0"),
        ("  batch: 256", "  batch: many", "'batch': .*valid integer, got 'many'"),
        ("  batch: 256", "  batch: 256\n  batch: 8", "key 'batch' is given twice, again in line"),
        ("dialogue:", "tagging:", "key 'tagging' is given twice, again in line"),
        ("unit: items", "unit: films", "'unit': Input should be 'tokens', 'words' or 'items'"),
        ("dialogue:\n", "dialogue: [\n", "not valid YAML"),
    ],
)
def test_a_wrong_table_is_refused_with_file_job_and_key(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    text = JOBS_FILE.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path = tmp_path / "jobs.yaml"
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(ModelError, match=message) as error:
        load_jobs(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


def test_a_table_that_is_none_or_not_there_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "list.yaml"
    path.write_text("- 1\n", encoding="utf-8")
    with pytest.raises(ModelError, match=r"list.yaml: must hold jobs by name"):
        load_jobs(path)
    with pytest.raises(ModelError, match=r"none.yaml: cannot be read \(No such file"):
        load_jobs(tmp_path / "none.yaml")
