"""Writes docs/api.md from the docstrings of all public names, or checks it (`--check`)."""

import ast
import difflib
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

PAGE = Path(__file__).parents[1] / "docs" / "api.md"
HEAD = """\
# API

The public names, from their docstrings; `make docs` writes this page. What a package hands out here is stable: a
change of it stands in the [changelog](../CHANGELOG.md). How to put them together is in
[your own script](own-script.md).

Shapes: `N` environments, `B` comparisons, `T` steps of a segment, `E` members of an ensemble, `K` segments of a
query.
"""
MODULES = ("agents", "feedback", "reward", "segments", "store", "settings", "config", "runs", "data")
CHOSEN = {
    "settings": ("FeedbackSettings", "RewardSettings", "AgentSettings"),
    "config": ("RunConfig", "load_preset"),
}
"""Names of modules that have no `__all__`."""
SECTIONS = ("Args", "Returns", "Yields", "Raises")
ENTRY = re.compile(r"^(\*{0,2}[\w.]+(?:, [\w.]+)*): (.*)$")


def api_page() -> str:
    """Return the page as the docstrings have it now."""
    parts = [HEAD]
    for name in MODULES:
        module = import_module(f"prefrl.{name}")
        names = CHOSEN.get(name) or module.__all__
        parts.append(f"## `prefrl.{name}`\n\n{_text(module.__doc__)}")
        parts += [_entry(public, getattr(module, public)) for public in sorted(names, key=str.lower)]
    return "\n".join(part.rstrip() + "\n" for part in parts)


def _entry(name: str, thing: Any) -> str:
    if inspect.isfunction(thing):
        return f"### `{name}{_signature(thing)}`\n\n{_text(thing.__doc__)}"
    if not inspect.isclass(thing):
        return f"### `{name}`\n\nOne of {', '.join(f'`{value!r}`' for value in thing.__args__)}."
    parts = [f"### `{name}{_constructor(thing)}`\n\n{_text(thing.__doc__)}", _fields(thing)]
    parts += [
        f"**`{method}{_signature(function)}`**{prefix}\n\n{_text(function.__doc__)}"
        for method, function, prefix in _methods(thing)
    ]
    return "\n".join(part for part in parts if part)


def _constructor(kind: type) -> str:
    """Return what a class is made of; nothing where its fields say it, or where nobody makes one."""
    own = next((vars(owner)["__init__"] for owner in _ours(kind) if "__init__" in vars(owner)), None)
    if own is None or is_dataclass(kind) or issubclass(kind, tuple) or _is_protocol(kind):
        return ""
    return _signature(own).partition(" ->")[0]


def _methods(kind: type) -> Iterator[tuple[str, Any, str]]:
    """Yield name, function and a remark for each public method that is defined here; the first definition wins."""
    seen = set()
    for owner in _ours(kind):
        for name, member in vars(owner).items():
            if name.startswith("_") or name in seen:
                continue
            function = getattr(member, "__func__", getattr(member, "fget", member))
            if inspect.isfunction(function) and function.__doc__:
                seen.add(name)
                yield name, function, " (a property)" if isinstance(member, property) else ""


def _ours(kind: type) -> list[type]:
    return [owner for owner in kind.__mro__ if owner.__module__.startswith("prefrl")]


def _is_protocol(kind: type) -> bool:
    return Protocol in kind.__bases__


def _signature(function: Any) -> str:
    """Return the arguments as the source has them."""
    node = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(node, ast.FunctionDef)
    if any(isinstance(one, ast.Name) and one.id == "property" for one in node.decorator_list):
        return f": {ast.unparse(node.returns)}" if node.returns else ""
    arguments = re.sub(r"^(self|cls)(, )?", "", ast.unparse(node.args))
    arguments = re.sub(r"^/(, )?", "", arguments)
    text = f"({arguments})" + (f" -> {ast.unparse(node.returns)}" if node.returns else "")
    return re.sub(r"(: |-> )'([^']+)'", r"\1\2", text)  # types written as text


def _fields(kind: type) -> str:
    """Return a list of the attributes that have a docstring, with their types and defaults."""
    lines = []
    for owner in reversed(_ours(kind)):
        node = ast.parse(textwrap.dedent(inspect.getsource(owner))).body[0]
        assert isinstance(node, ast.ClassDef)
        for field, text in zip(node.body, node.body[1:], strict=False):
            if not (isinstance(field, ast.AnnAssign | ast.Assign) and isinstance(text, ast.Expr)):
                continue
            target = field.target if isinstance(field, ast.AnnAssign) else field.targets[0]
            if not isinstance(target, ast.Name) or target.id.startswith("_"):
                continue
            if isinstance(text.value, ast.Constant):
                said = " ".join(inspect.cleandoc(str(text.value.value)).split())
                lines.append(f"- `{target.id}{_type(field)}`: {said}\n")
    return "".join(lines)


def _type(field: ast.AnnAssign | ast.Assign) -> str:
    kind = f": {_plain(field.annotation)}" if isinstance(field, ast.AnnAssign) else ""
    value = "" if field.value is None else ast.unparse(field.value)
    made = re.search(r"default_factory=([\w.]+)", value)
    return kind + (
        f" = {made[1]}()" if made else f" = {value}" if value and not value.startswith("field(") else ""
    )


def _plain(annotation: ast.expr) -> str:
    """Return an annotation without what only the command line needs of it."""
    if isinstance(annotation, ast.Subscript):
        outer = ast.unparse(annotation.value)
        if outer == "Annotated" and isinstance(annotation.slice, ast.Tuple):
            return _plain(annotation.slice.elts[0])
        if outer == "tyro.conf.Suppress":
            return _plain(annotation.slice)
    return ast.unparse(annotation)


def _text(docstring: str | None) -> str:
    """Return a docstring of Google's style as Markdown."""
    lines: list[str] = []
    section = code = False
    for line in inspect.cleandoc(docstring or "").splitlines():
        if code and not line.strip():
            lines.append("```")
            code = False
        if line.rstrip(":") in SECTIONS and line.endswith(":"):
            lines.append(f"*{line.rstrip(':')}*\n")
            section = True
        elif line.startswith(">>> ") and not code:
            lines += ["```pycon", line]
            code = True
        elif code or not section or not line.startswith("    "):
            lines.append(line)
        elif (entry := ENTRY.match(line[4:])) is not None:
            lines.append(f"- {', '.join(f'`{name}`' for name in entry[1].split(', '))}: {entry[2]}")
        else:
            lines.append(f"  {line.strip()}" if lines[-1].startswith(("- ", "  ")) else line.strip())
    return "\n".join([*lines, "```"] if code else lines) + "\n"


def main() -> int:
    """Write the page; with `--check` only compare, and return 1 if it is out of date."""
    wanted = api_page()
    found = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    if sys.argv[1:] != ["--check"]:
        PAGE.write_text(wanted, encoding="utf-8")
    elif found != wanted:
        print("\n".join(difflib.unified_diff(found.splitlines(), wanted.splitlines(), "docs/api.md", lineterm="")))
        print("docs/api.md is out of date; `make docs` writes it anew.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
