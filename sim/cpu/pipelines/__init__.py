"""Teaching pipelines that execute RISC-V for real, as data."""

from sim.cpu.pipelines.engine import Pipeline, run_pipeline
from sim.cpu.pipelines.result import Flight, PipelineRun
from sim.cpu.pipelines.spec import PipelineSpec, PredictorSpec, load_pipeline, pipeline_names

__all__ = [
    "Flight",
    "Pipeline",
    "PipelineRun",
    "PipelineSpec",
    "PredictorSpec",
    "load_pipeline",
    "pipeline_names",
    "run_pipeline",
]
