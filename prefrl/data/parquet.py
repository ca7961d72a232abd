"""Tables as Parquet files. The only place that knows pyarrow."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, TypeAlias

from prefrl.errors import MissingDependencyError, RunError

CellType: TypeAlias = Literal["text", "int", "float", "bool", "texts", "ints", "floats"]
"""Of the values in a column, each of which may be missing; the last three are lists."""


def check_parquet() -> None:
    """Refuse to begin without what reads and writes the files.

    Raises:
        MissingDependencyError: It names the command that installs it.
    """
    try:
        import_module("pyarrow.parquet")
    except ImportError as error:
        raise MissingDependencyError(
            "Parquet files need the package pyarrow; install it by `pip install 'prefrl[data]'`."
        ) from error


def write_table(path: Path, columns: Mapping[str, CellType], rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as a file with these columns; what a row lacks is missing in the file, too."""
    import pyarrow
    from pyarrow import parquet

    one = {"text": pyarrow.string(), "int": pyarrow.int64(), "float": pyarrow.float64(), "bool": pyarrow.bool_()}
    types = one | {f"{name}s": pyarrow.list_(kind) for name, kind in one.items()}
    schema = pyarrow.schema([(name, types[kind]) for name, kind in columns.items()])
    arrays = [pyarrow.array([row.get(name) for row in rows], types[kind]) for name, kind in columns.items()]
    parquet.write_table(pyarrow.Table.from_arrays(arrays, schema=schema), path)


def read_table(path: Path) -> list[dict[str, Any]]:
    """Read the rows of a file.

    Raises:
        RunError: It is missing, or is no Parquet file.
    """
    import pyarrow
    from pyarrow import parquet

    try:
        rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        raise RunError(f"{path} cannot be read: {' '.join(str(error).split()).rstrip('.')}.") from error
    return rows
