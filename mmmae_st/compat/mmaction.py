"""Makes ``import mmaction.models`` work with mmaction2 1.2.0 as the package index ships it.

Importing this module applies the mends; configs that use mmaction2 name it::

    custom_imports = dict(imports=['mmmae_st.compat.mmaction'], allow_failed_imports=False)

Nothing else of mmmae_st imports mmaction2. What is mended, where it has to be:

- the wheel lacks ``mmaction.models.localizers.drn`` (open-mmlab/mmaction2 issue 2714): an empty
  ``DRN`` stands in, which fails when it is built;
- ``importlib_metadata`` is imported but not declared: the standard library's module serves;
- ``transformers`` >= 4.56 has lost names that mmaction2's VindLU models import, and with them
  ``mmaction.models`` cannot be imported at all: VindLU is switched off, with a warning;
- ``onedl-mmcv``, the maintained fork of mmcv, is 2.3, and mmaction2 asserts mmcv < 2.2: while it is
  imported, the fork says 2.1.0 (what its check needs; no other part of mmaction2 asks);
- the heads turn scores into numpy arrays to log the accuracy of batches that are not mixed, and
  numpy has no bfloat16: they get float32.
"""

import functools
import importlib
import importlib.metadata
import importlib.util
import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

from mmmae_st.compat.versions import version_of

# Names that mmaction/models/multimodal/vindlu imports and that newer versions have dropped.
VINDLU_NAMES = {
    'transformers.modeling_utils': (
        'apply_chunking_to_forward',
        'find_pruneable_heads_and_indices',
        'prune_linear_layer',
    ),
    'transformers.models.beit.modeling_beit': (
        'BeitAttention',
        'BeitDropPath',
        'BeitEmbeddings',
        'BeitLayer',
        'BeitRelativePositionBias',
    ),
}
LAST_ACCEPTED_MMCV = '2.1.0'
MISSING = (
    'recognition and detection need mmaction2, which is not installed: '
    'pip install "mmcv-lite==2.1.0" "mmaction2==1.2.0" for recognition; detection needs mmcv '
    'with compiled ops and mmdet 3.3.0 besides (see Installation in README.md)'
)


def mend_mmaction() -> None:
    """Apply the mends of this module; safe to call twice.

    Raises:
        RuntimeError: If mmaction2 is not installed; the message holds the command. (Not an
            ImportError, which mmengine buries under advice about PYTHONPATH when it comes from
            ``custom_imports``.)
    """
    spec = importlib.util.find_spec('mmaction')
    if spec is None or spec.origin is None:
        raise RuntimeError(MISSING)
    if version_of('onedl-mmcv') is not None and 'mmaction' not in sys.modules:
        _import_with_fork()
    if importlib.util.find_spec('importlib_metadata') is None:
        sys.modules['importlib_metadata'] = importlib.metadata
    if not (Path(spec.origin).parent / 'models' / 'localizers' / 'drn' / 'drn.py').exists():
        _stand_in_for_drn()
    if importlib.util.find_spec('transformers') is not None:
        _check_transformers()


def score_in_float32() -> None:
    """Let the loss and the accuracy of mmaction2's heads be computed from float32 scores."""
    head = importlib.import_module('mmaction.models.heads.base').BaseHead
    loss_by_feat = head.loss_by_feat
    if hasattr(loss_by_feat, '__wrapped__'):
        return

    @functools.wraps(loss_by_feat)
    def in_float32(self: Any, cls_scores: Any, data_samples: Any) -> dict:
        return loss_by_feat(self, cls_scores.float(), data_samples)

    head.loss_by_feat = in_float32


def _import_with_fork() -> None:
    mmcv: Any = importlib.import_module('mmcv')
    number = mmcv.__version__
    mmcv.__version__ = LAST_ACCEPTED_MMCV
    try:
        importlib.import_module('mmaction')
    finally:
        mmcv.__version__ = number


def _stand_in_for_drn() -> None:
    package = 'mmaction.models.localizers.drn'
    if package in sys.modules:
        return

    def refuse(self: object) -> None:
        raise ImportError(
            'DRN is missing from the mmaction2 wheel (mmaction2 issue 2714): install mmaction2 '
            'from its repository to use it'
        )

    parent, module = ModuleType(package), ModuleType(f'{package}.drn')
    parent.__path__ = []  # makes it a package
    module.DRN = type('DRN', (), {'__init__': refuse})  # type: ignore[attr-defined]
    sys.modules[parent.__name__] = parent
    sys.modules[module.__name__] = module


def _check_transformers() -> None:
    missing = missing_names(VINDLU_NAMES)
    if not missing:
        return
    # The package imports torch, mmcv and so on: only where there is something to switch off.
    dependency: Any = importlib.import_module('mmaction.utils.dependency')
    dependency.WITH_MULTIMODAL = False
    warnings.warn(
        f'transformers {version_of("transformers")} is too new for mmaction2 '
        f'{version_of("mmaction2")} ({", ".join(missing)} gone): its VindLU models are switched '
        'off, all others work. To use them: pip install "transformers>=4.28,<4.56"',
        stacklevel=3,
    )


def missing_names(wanted: dict[str, tuple[str, ...]]) -> list[str]:
    """Which of the wanted names (by module) cannot be imported, as ``module.name``."""
    missing = []
    for module_name, names in wanted.items():
        try:
            module: object = importlib.import_module(module_name)
        except ImportError:
            module = None
        missing += [f'{module_name}.{name}' for name in names if not hasattr(module, name)]
    return missing


mend_mmaction()
score_in_float32()
