"""ONNX graphs as traces: an exported model, node by node, at the costs of `workloads.ops`."""

from workloads.onnx_graph.walk import import_onnx

__all__ = ["import_onnx"]
