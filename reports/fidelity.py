"""The fidelity table: what every component models, what it ignores, and by which source.

It is built from the components' own docstrings, so it cannot say anything else than the code does.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import sim

KEYS = ("Models", "Ignores", "Source")


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One row of the table."""

    name: str
    path: str
    """From the repository's root."""
    models: str
    ignores: str
    source: str


def components(package: Path | None = None) -> list[Component]:
    """Return every class or function under `package` (`sim`) whose docstring has all three lines.

    In order of path and line. Modules are read, not imported.
    """
    root = package or Path(sim.__file__).parent
    return [
        component
        for path in sorted(root.rglob("*.py"))
        for component in _components_in(path, path.relative_to(root.parent).as_posix())
    ]


def fidelity_tables() -> str:
    """Return a table in Markdown for each area of the simulator, folded away under its name."""
    areas: dict[str, list[Component]] = {}
    for component in components():
        area = "/".join(component.path.split("/")[:-1][:2])
        areas.setdefault(area, []).append(component)
    return "\n".join(_area_table(area, found) for area, found in areas.items())


def _area_table(area: str, found: list[Component]) -> str:
    rows = [
        f"<details><summary><code>{area}/</code>: {', '.join(c.name for c in found)}</summary>",
        "",
        "| Component | Models | Ignores | Source |",
        "| --- | --- | --- | --- |",
        *(
            f"| [`{c.name}`]({c.path}) | {_cell(c.models)} | {_cell(c.ignores)} "
            f"| {_cell(c.source)} |"
            for c in found
        ),
        "",
        "</details>",
        "",
    ]
    return "\n".join(rows)


def fidelity_lines(docstring: str) -> dict[str, str]:
    """Return the text after each of `KEYS`; a line goes on until the next key or an empty line."""
    found: dict[str, str] = {}
    current = ""
    for line in docstring.splitlines():
        key, colon, rest = line.strip().partition(":")
        if colon and key in KEYS:
            current = key
            found[key] = rest.strip()
        elif not line.strip():
            current = ""
        elif current:
            found[current] = f"{found[current]} {line.strip()}"
    return found


def _components_in(path: Path, shown: str) -> Iterator[Component]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = [n for n in ast.walk(tree) if isinstance(n, (ast.ClassDef, ast.FunctionDef))]
    for node in sorted(nodes, key=lambda node: node.lineno):
        lines = fidelity_lines(ast.get_docstring(node) or "")
        if all(key in lines for key in KEYS):
            yield Component(
                name=node.name,
                path=shown,
                models=lines["Models"],
                ignores=lines["Ignores"],
                source=lines["Source"],
            )


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
