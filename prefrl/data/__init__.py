"""Labels in and out: folders of Parquet and safetensors, and preference data sets for TRL."""

from prefrl.data.exported import ExportedLabels, export_labels
from prefrl.data.imported import ImportedLabels, import_labels
from prefrl.data.trl import ExportedPairs, export_pairs

__all__ = [
    "ExportedLabels",
    "ExportedPairs",
    "ImportedLabels",
    "export_labels",
    "export_pairs",
    "import_labels",
]
