"""The log of a run for TensorBoard."""

import io
from pathlib import Path
from typing import Any

from stable_baselines3.common.logger import TensorBoardOutputFormat

from prefrl.runs.refit_pictures import Clip


class TensorBoardLog(TensorBoardOutputFormat):
    """SB3's writer, which goes on with a log that is there, and shows clips.

    Args:
        folder: Of the event files; each process adds one.
        until: What is there of later steps belongs to what a crash undid, and is taken back.
    """

    def __init__(self, folder: Path, *, until: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        # SB3's own constructor takes no `purge_step`. Event files are only ever appended to, so that without it
        # TensorBoard would show twice what a resumed run does again.
        self.writer = SummaryWriter(log_dir=str(folder), purge_step=until + 1)
        self._is_closed = False

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        """Write one line; a clip is shown beside the images."""
        clips = {key: value for key, value in key_values.items() if isinstance(value, Clip)}
        for key, clip in clips.items():
            self._write_clip(key, clip, step)
        rest = {key: value for key, value in key_values.items() if key not in clips}
        super().write(rest, {key: key_excluded[key] for key in rest}, step)

    def _write_clip(self, key: str, clip: Clip, step: int) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        height, width = clip.frames.shape[1:3]
        image = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=gif(clip))
        assert self.writer.file_writer is not None
        self.writer.file_writer.add_summary(Summary(value=[Summary.Value(tag=key, image=image)]), step)


def gif(clip: Clip) -> bytes:
    """Return a clip as a GIF that plays again and again, the only kind of clip that TensorBoard shows."""
    from PIL import Image

    octree = Image.Quantize.FASTOCTREE  # a seventh of the time that Pillow's own choice takes
    first, *others = [Image.fromarray(frame).quantize(method=octree) for frame in clip.frames]
    buffer = io.BytesIO()
    first.save(buffer, format="GIF", save_all=True, append_images=others, duration=round(1000 / clip.fps), loop=0)
    return buffer.getvalue()
