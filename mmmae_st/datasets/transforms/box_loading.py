"""Read the clip around an annotated second of a video file, for detection on own videos."""

import numpy as np
from mmcv.transforms import BaseTransform

from mmmae_st.datasets.readers import open_video, read_errors
from mmmae_st.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadBoxClip(BaseTransform):
    """Read the T frames around a second, and bring its boxes to pixels.

    Takes the place of mmaction2's ``SampleAVAFrames`` and ``RawFrameDecode``, which count in frames
    of 30 per second and from second 900; here seconds count from the beginning of a video of any
    frame rate. Frame T // 2 is the first one of that second; at both ends of the video the
    outermost frame is repeated.

    Reads ``filename``, ``timestamp`` (s), ``gt_bboxes`` and ``proposals`` ((N, 4), x1 y1 x2 y2 from
    0 to 1). Adds ``imgs`` (T frames (H, W, 3) uint8 RGB), ``frame_inds`` (T,), ``img_shape``,
    ``original_shape``, ``clip_len``, ``num_clips`` and boxes in pixels.

    Args:
        clip_len: T. Defaults to 16.
        frame_interval: Frames from one to the next, at ``target_fps``. Defaults to 4.
        target_fps: Frame rate that ``frame_interval`` refers to; a video of another rate
            is sampled so that a clip lasts equally long. Defaults to 30.

    Raises:
        ValueError: A bad argument.
        VideoReadError: The video cannot be read.
    """

    def __init__(self, clip_len: int = 16, frame_interval: int = 4, target_fps: float = 30) -> None:
        for name, value in dict(clip_len=clip_len, frame_interval=frame_interval).items():
            if not isinstance(value, int) or value < 1:
                raise ValueError(f'{name} must be an integer >= 1, got {value!r}')
        if not target_fps > 0:
            raise ValueError(f'target_fps must be > 0, got {target_fps!r}')
        self.clip_len = clip_len
        self.frame_interval = frame_interval
        self.target_fps = target_fps

    def transform(self, results: dict) -> dict:
        """Add the frames and bring the boxes to pixels."""
        with read_errors(), open_video(results['filename']) as reader:
            steps = np.arange(self.clip_len) - self.clip_len // 2
            seconds = results['timestamp'] + steps * self.frame_interval / self.target_fps
            frame_inds = np.floor(seconds * reader.fps + 1e-6).astype(np.int64)
            frame_inds = frame_inds.clip(0, reader.num_frames - 1)
            frames = reader.read(frame_inds.tolist())
        # Transforms of mmaction2 change images in place, and frames of a reader are shared.
        results['imgs'] = [frames[index].copy() for index in frame_inds.tolist()]
        results['frame_inds'] = frame_inds
        results['clip_len'], results['num_clips'] = self.clip_len, 1
        height, width = results['imgs'][0].shape[:2]
        results['img_shape'] = results['original_shape'] = (height, width)
        for key in ('gt_bboxes', 'proposals'):
            relative = np.asarray(results[key])
            results[key] = (relative * [width, height, width, height]).astype(np.float32)
        return results
