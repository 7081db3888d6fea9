"""Jobs: what language models are used for, as named shapes of work with published lengths."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, ValidationError

from workloads.config import ModelError, nearest
from workloads.work import Work, work
from workloads.zoo import Model, load_model

JOBS_FILE = Path(__file__).with_name("jobs.yaml")

_Text = Field(min_length=1)


class Job(BaseModel):
    """A shape of work: how long the input, how long the output, how many at once, and whose."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str = _Text
    about: str = _Text
    """What is asked, in a sentence."""
    kind: Literal["decoder", "encoder", "encoder-decoder", "recurrent"]
    """What usually does it."""
    model: str = _Text
    """Name of the model that does it by default."""
    prompt_tokens: PositiveInt
    """Length of the input."""
    new_tokens: NonNegativeInt
    """Length of the output; 0 where the input is only read."""
    unit: Literal["tokens", "words", "items"]
    """What the source counts; here each counts as one token."""
    source: str = _Text
    """Data set that the lengths come from, and who published them."""
    batch: PositiveInt
    """Inputs at once."""
    batch_source: str = _Text


def job_names() -> tuple[str, ...]:
    """Names that `load_job` knows, sorted."""
    return tuple(sorted(load_jobs(JOBS_FILE)))


def load_job(name: str) -> Job:
    """Return a job by name; ModelError names the nearest where there is none."""
    jobs = load_jobs(JOBS_FILE)
    if name not in jobs:
        raise ModelError(f"no job '{name}'{nearest(name, jobs)}")
    return jobs[name]


def run_job(
    name: str, model: str | Model | None = None, *, execute: bool = False, **options: Any
) -> Work:
    """Run a job on its own model, or on another given by name or loaded; trace only by default.

    `options` are those of `work` and of the model's kind, and come before the job's own: `batch`,
    `prompt_tokens`, `new_tokens`, `dtype`, `seed`.
    """
    job = load_job(name)
    model = job.model if model is None else model
    asked = {
        "prompt_tokens": job.prompt_tokens,
        "new_tokens": job.new_tokens,
        "batch": job.batch,
        **options,
    }
    loaded = load_model(model) if isinstance(model, str) else model
    return work(loaded, execute=execute, **asked)


@cache
def load_jobs(path: Path) -> dict[str, Job]:
    """Read a table of jobs; ModelError names the file, the job, the key and the remedy."""
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, yaml.SafeLoader)
        data = yaml.safe_load(text)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(data, dict) or not all(isinstance(job, dict) for job in data.values()):
        raise ModelError(f"{path}: must hold jobs by name, each with its keys; see {JOBS_FILE}")
    _refuse_repeated_keys(path, root)
    return {str(name): _job(path, str(name), keys) for name, keys in data.items()}


def _job(path: Path, name: str, keys: dict[Any, Any]) -> Job:
    where = f"{path}: job '{name}'"
    known = set(Job.model_fields) - {"name"}
    for key in keys:
        if key not in known:
            raise ModelError(f"{where}: unknown key '{key}'{nearest(str(key), known)}")
    for key in Job.model_fields:
        if key in known - set(keys):
            raise ModelError(f"{where}: key '{key}' is missing; add it")
    try:
        return Job(name=name, **keys)
    except ValidationError as error:
        first = error.errors()[0]
        raise ModelError(
            f"{where}: key '{first['loc'][0]}': {first['msg']}, got {first['input']!r}"
        ) from error


def _refuse_repeated_keys(path: Path, node: yaml.Node | None) -> None:
    """Refuse a key given twice, where YAML would silently keep the last."""
    if not isinstance(node, yaml.MappingNode):
        return
    seen: set[str] = set()
    for key, value in node.value:
        if key.value in seen:
            line = key.start_mark.line + 1
            raise ModelError(
                f"{path}: key '{key.value}' is given twice, again in line {line}; keep one"
            )
        seen.add(key.value)
        _refuse_repeated_keys(path, value)
