"""Checks what action detection needs and registers mmaction2's detection parts with mmdet.

Configs of detection name it::

    custom_imports = dict(imports=['mmmae_st.compat.mmdet'], allow_failed_imports=False)

mmaction2 leaves its RoI heads out without a word when mmdet or the compiled operations of mmcv
are missing, and a config then fails on an unknown name. Here the cause is said, with the command.

Its ``AVADataset`` counts seconds from 900 and takes an outermost frame for those that are not
there: they are refused here. Own videos have ``BoxVideoDataset`` (datasets/box_videos.py).
"""

import functools
import importlib
import importlib.util
from typing import Any

from mmmae_st.compat.versions import version_of

MISSING_MMACTION = 'detection needs mmaction2, which is not installed: pip install mmaction2==1.2.0'
MISSING_MMDET = 'detection needs mmdet, which is not installed: pip install mmdet==3.3.0'
TWO_MMDETS = (
    'mmdet and onedl-mmdetection are installed together and overwrite each other: '
    'pip uninstall -y mmdet onedl-mmdetection && pip install mmdet==3.3.0'
)
MISSING_OPS = (
    'detection needs mmcv with compiled operations, and this one has none ({cause}): '
    'pip uninstall -y mmcv mmcv-lite; pip install "setuptools<81" ninja && '
    'MMCV_WITH_OPS=1 pip install --no-build-isolation --no-binary mmcv mmcv==2.1.0'
)


def require_detection() -> None:
    """Import what detection needs; afterwards mmdet's registry knows ``AVARoIHead`` and the rest.

    Raises:
        RuntimeError: If mmaction2, mmdet or mmcv's operations are missing, or mmdet is there twice;
            the message holds the command that mends it. (Not an ImportError, which mmengine would
            bury under its advice about ``PYTHONPATH`` when it meets one in ``custom_imports``.)
    """
    for package, message in (('mmaction', MISSING_MMACTION), ('mmdet', MISSING_MMDET)):
        if importlib.util.find_spec(package) is None:
            raise RuntimeError(message)
    if version_of('mmdet') and version_of('onedl-mmdetection'):
        raise RuntimeError(TWO_MMDETS)
    try:
        importlib.import_module('mmcv.ops')
    except ImportError as error:
        raise RuntimeError(MISSING_OPS.format(cause=error)) from error
    importlib.import_module('mmmae_st.compat.mmaction')
    importlib.import_module('mmaction.models')
    importlib.import_module('mmmae_st.models.data_preprocessor')
    importlib.import_module('mmmae_st.datasets.box_videos')


def refuse_other_seconds() -> None:
    """Let ``AVADataset`` raise for a second before ``timestamp_start`` or after ``timestamp_end``.

    The list of frames is limited to these; where videos are read there is no end.
    """
    dataset = importlib.import_module('mmaction.datasets').AVADataset
    load_data_list = dataset.load_data_list
    if hasattr(load_data_list, '__wrapped__'):
        return

    @functools.wraps(load_data_list)
    def load_and_check(self: Any) -> list[dict]:
        records = load_data_list(self)
        first, last = self.timestamp_start, self.timestamp_end
        for record in records:
            second = record['timestamp']
            if second < first or (self.use_frames and second > last):
                raise ValueError(
                    f'ann_file {self.ann_file}: second {second} of {record["video_id"]} is not '
                    f'within timestamp_start={first} and timestamp_end={last}, which every video '
                    'is taken to cover; for your own videos use BoxVideoDataset (docs/own_boxes.md)'
                )
        return records

    dataset.load_data_list = load_and_check


require_detection()
refuse_other_seconds()
