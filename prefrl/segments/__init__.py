"""What is compared: segments of experience, the queries made of them, and the recorder that cuts them."""

from prefrl.segments.recorder import SegmentRecorder
from prefrl.segments.segment import Answer, Comparison, Query, Segment
from prefrl.segments.spaces import as_array, encode, n_features, space_from_json, space_to_json

__all__ = [
    "Answer",
    "Comparison",
    "Query",
    "Segment",
    "SegmentRecorder",
    "as_array",
    "encode",
    "n_features",
    "space_from_json",
    "space_to_json",
]
