"""Teaching pipelines that execute RISC-V for real, as data."""

from sim.cpu.pipelines.engine import Pipeline, run_pipeline
from sim.cpu.pipelines.observe import Observe, View
from sim.cpu.pipelines.result import Flight, PipelineRun
from sim.cpu.pipelines.spec import PipelineSpec, PredictorSpec, load_pipeline, pipeline_names

__all__ = [
    "Flight",
    "Observe",
    "Pipeline",
    "PipelineRun",
    "PipelineSpec",
    "PredictorSpec",
    "View",
    "load_pipeline",
    "pipeline_names",
    "run_pipeline",
]
