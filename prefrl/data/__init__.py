"""Labels in and out: folders of Parquet and safetensors, data sets for TRL, comparisons of Uni-RLHF."""

from prefrl.data.exported import ExportedLabels, export_labels
from prefrl.data.imported import ImportedLabels, import_labels
from prefrl.data.trl import ExportedPairs, export_pairs
from prefrl.data.uni_rlhf import import_uni_rlhf

__all__ = [
    "ExportedLabels",
    "ExportedPairs",
    "ImportedLabels",
    "export_labels",
    "export_pairs",
    "import_labels",
    "import_uni_rlhf",
]
