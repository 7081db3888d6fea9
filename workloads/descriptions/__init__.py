"""Model descriptions read from files: our YAML, and Hugging Face's config.json as it is."""

from workloads.descriptions.read import load_config, read_config

__all__ = ["load_config", "read_config"]
