"""Checks what action detection needs and registers mmaction2's detection parts with mmdet.

Configs of detection name it::

    custom_imports = dict(imports=['mmmae_st.compat.mmdet'], allow_failed_imports=False)

mmaction2 unpickles the file of person boxes, and so would run what a file from elsewhere asks for:
from here on ``mmengine.fileio.load`` reads plain data and arrays only. It also leaves its RoI heads
out without a word when mmdet or the compiled operations of mmcv are missing, and a config then
fails on an unknown name. Here the cause is said, with the command.
"""

import importlib
import importlib.util

from mmmae_st.fileio.array_pickle import use_array_pickles

MISSING_MMACTION = 'detection needs mmaction2, which is not installed: pip install mmaction2==1.2.0'
MISSING_MMDET = 'detection needs mmdet, which is not installed: pip install mmdet==3.3.0'
MISSING_OPS = (
    'detection needs mmcv with compiled operations, and this one has none ({cause}): '
    'pip uninstall -y mmcv mmcv-lite; pip install "setuptools<81" ninja && '
    'MMCV_WITH_OPS=1 pip install --no-build-isolation --no-binary mmcv mmcv==2.1.0'
)


def require_detection() -> None:
    """Import what detection needs; afterwards mmdet's registry knows ``AVARoIHead`` and the rest.

    Raises:
        RuntimeError: If mmaction2, mmdet or mmcv's operations are missing; the message holds the
            command that installs them. (Not an ImportError, which mmengine would bury under its
            advice about ``PYTHONPATH`` when it meets one in ``custom_imports``.)
    """
    for package, message in (('mmaction', MISSING_MMACTION), ('mmdet', MISSING_MMDET)):
        if importlib.util.find_spec(package) is None:
            raise RuntimeError(message)
    try:
        importlib.import_module('mmcv.ops')
    except ImportError as error:
        raise RuntimeError(MISSING_OPS.format(cause=error)) from error
    importlib.import_module('mmmae_st.compat.mmaction')
    importlib.import_module('mmaction.models')
    importlib.import_module('mmmae_st.models.data_preprocessor')


require_detection()
use_array_pickles()
