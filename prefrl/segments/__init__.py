"""What is compared: segments of experience, the queries made of them, and the recorder that cuts them."""

from prefrl.segments.answers import (
    Answer,
    FeedbackKind,
    Judgement,
    Ranking,
    Rating,
    Remark,
    Strength,
    feedback_kind,
    pairs_of,
)
from prefrl.segments.recorder import SegmentRecorder
from prefrl.segments.segment import Comparison, Query, Segment
from prefrl.segments.spaces import as_array, encode, n_features, space_from_json, space_to_json

__all__ = [
    "Answer",
    "Comparison",
    "FeedbackKind",
    "Judgement",
    "Query",
    "Ranking",
    "Rating",
    "Remark",
    "Segment",
    "SegmentRecorder",
    "Strength",
    "as_array",
    "encode",
    "feedback_kind",
    "n_features",
    "pairs_of",
    "space_from_json",
    "space_to_json",
]
