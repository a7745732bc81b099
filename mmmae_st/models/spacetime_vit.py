"""Plain vision transformer over spacetime patches.

Dimensions: B clips, C channels, T H W frames and pixels, t h w the token grid, L = t*h*w tokens,
K kept tokens, M mask tokens, D width.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmmae_st.models.archs import resolve_arch
from mmmae_st.models.layers import Block, PatchEmbed, init_transformer, require_positive, run_blocks
from mmmae_st.models.position_embedding import POS_EMBEDS, PositionEmbedding
from mmmae_st.models.rotary import RotaryEmbedding, Rotation
from mmmae_st.models.weights import init_pretrained
from mmmae_st.patching import token_grid
from mmmae_st.registry import MODELS

OUT_TYPES = ('tokens', 'pooled', 'first', 'featmap', 'raw')


@MODELS.register_module()
class SpacetimeViT(BaseModule):
    """Vision transformer for video (arXiv 2205.09113, section 3).

    The same class encodes the visible patches in pretraining (``ids_keep``) and whole clips
    afterwards. Clips may be longer, larger or not square: position embeddings are resampled,
    rotary ones go on.

    Args:
        arch: A name in ``ARCHS``, or a dict with ``embed_dims``, ``depth`` and ``num_heads``.
        img_size: Height and width the position embeddings are made for; one number if equal.
        num_frames: Frames the position embeddings are made for.
        patch_size: Height and width of a patch in pixels.
        tubelet_size: Frames of a patch.
        in_channels: Channels of the clip.
        pos_embed: ``'separable'`` (default), ``'joint'`` or ``'sincos'``; ``'rope'`` turns queries
            and keys as in V-JEPA 2, without a class token.
        with_cls_token: Prepend a class token.
        with_mask_token: Hold a mask token, for encoders that also process removed patches
            (the dense encoder of Table 1).
        mlp_ratio: Width of the hidden layers over D.
        drop_path_rate: Stochastic depth of the last block; it grows linearly from 0 in the first.
        norm_eps: Epsilon of the layer norms.
        with_cp: Recompute activations in the backward pass to save memory.
        out_type: What ``forward`` returns, see there.
        init_cfg: mmengine initialisation config, for instance ``dict(type='Pretrained', ...)``.

    Raises:
        ValueError: For an unknown or impossible argument, naming it.
    """

    def __init__(
        self,
        arch: str | dict = 'large',
        img_size: int | tuple[int, int] = 224,
        num_frames: int = 16,
        patch_size: int = 16,
        tubelet_size: int = 2,
        in_channels: int = 3,
        pos_embed: str = 'separable',
        with_cls_token: bool = True,
        with_mask_token: bool = False,
        mlp_ratio: float = 4.0,
        drop_path_rate: float = 0.0,
        norm_eps: float = 1e-6,
        with_cp: bool = False,
        out_type: str = 'tokens',
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        width, depth, num_heads = resolve_arch(arch)
        if out_type not in OUT_TYPES:
            raise ValueError(f'out_type must be one of {OUT_TYPES}, got {out_type!r}')
        if not 0 <= drop_path_rate < 1:
            raise ValueError(f'drop_path_rate must be in [0, 1), got {drop_path_rate}')
        if pos_embed not in (*POS_EMBEDS, 'rope'):
            raise ValueError(f'pos_embed must be one of {(*POS_EMBEDS, "rope")}, got {pos_embed!r}')
        if pos_embed == 'rope' and with_cls_token:
            raise ValueError("pos_embed='rope' needs with_cls_token=False: it has no class token")
        require_positive(
            patch_size=patch_size,
            tubelet_size=tubelet_size,
            in_channels=in_channels,
            mlp_ratio=mlp_ratio,
            norm_eps=norm_eps,
        )
        height, img_width = (img_size, img_size) if isinstance(img_size, int) else img_size
        self.embed_dims = width
        self.num_heads = num_heads
        self.norm_eps = norm_eps
        self.with_cls_token = with_cls_token
        self.patch_size = patch_size
        self.tubelet_size = tubelet_size
        self.grid = token_grid((num_frames, height, img_width), tubelet_size, patch_size)
        self.out_type = out_type
        self.with_cp = with_cp

        self.patch_embed = PatchEmbed(
            in_channels, width, tubelet_size=tubelet_size, patch_size=patch_size
        )
        self.pos_embed = (
            RotaryEmbedding(width // num_heads, self.grid)
            if pos_embed == 'rope'
            else PositionEmbedding(width, self.grid, kind=pos_embed, with_cls_token=with_cls_token)
        )
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width)) if with_cls_token else None
        self.mask_token = nn.Parameter(torch.zeros(1, 1, width)) if with_mask_token else None
        rates = torch.linspace(0, drop_path_rate, depth, device='cpu').tolist()
        self.blocks = nn.ModuleList(
            Block(width, num_heads, mlp_ratio=mlp_ratio, drop_path=rate, norm_eps=norm_eps)
            for rate in rates
        )
        self.norm = nn.Identity() if out_type == 'raw' else nn.LayerNorm(width, eps=norm_eps)

        init_transformer(self)
        for token in (self.cls_token, self.mask_token):
            if token is not None:
                nn.init.trunc_normal_(token, std=0.02)

    def init_weights(self) -> None:
        """Load ``init_cfg=dict(type='Pretrained', checkpoint=...)`` if there is one.

        Files of this project, mae_st, PySlowFast, VideoMAE, V-JEPA 2 and image MAE are recognised,
        and refused unless they fill the encoder; see ``weights.load_pretrained``.
        """
        if not init_pretrained(self):
            super().init_weights()

    def token_grid(self, video: Tensor) -> tuple[int, int, int]:
        """Token grid (t, h, w) of clips (B, C, T, H, W).

        Raises:
            ValueError: If they do not divide into patches.
        """
        return token_grid(video.shape[2:], self.tubelet_size, self.patch_size)

    def get_layer_depth(self, param_name: str, prefix: str = '') -> tuple[int, int]:
        """Layer of a parameter and the number of layers, for layer-wise learning rates.

        Layer 0 is the patch embedding, the tokens and every position embedding, block n is layer
        n + 1, and the last layer is the final norm and whatever follows the encoder.

        Args:
            param_name: Name of a parameter of the model that holds the encoder.
            prefix: Beginning of the names of the encoder's own parameters.
        """
        num_layers = len(self.blocks) + 2
        part, _, rest = param_name.removeprefix(prefix).partition('.')
        if param_name.startswith(prefix):
            if part in ('patch_embed', 'pos_embed', 'cls_token', 'mask_token'):
                return 0, num_layers
            if part == 'blocks':
                return int(rest.split('.')[0]) + 1, num_layers
        return num_layers - 1, num_layers

    def forward(
        self, x: Tensor, ids_keep: Tensor | None = None, ids_predict: Tensor | None = None
    ) -> Tensor:
        """Encode clips.

        Args:
            x: Normalised clips (B, C, T, H, W), float.
            ids_keep: Ids (B, K) int64 of the patches to encode; all of them for None.
            ids_predict: Ids (B, M) int64 of the patches that mask tokens stand for (needs
                ``with_mask_token``). They come after the kept ones.

        Returns:
            By ``out_type``: ``'tokens'`` (B, [1 +] K + M, D) after the final norm, class token
            first if there is one; ``'raw'`` the same without the norm; ``'pooled'`` (B, D), the
            norm of the mean of the patch tokens; ``'first'`` (B, D), the norm of the class token,
            or of the first patch if there is none; ``'featmap'`` (B, D, t, h, w), normed.

        Raises:
            ValueError: If the clip does not divide into patches, or a feature map is asked of a
                part of the patches.
        """
        grid = self.token_grid(x)
        if self.out_type == 'featmap' and ids_keep is not None:
            raise ValueError("out_type='featmap' needs all patches: ids_keep must be None")
        rotation = self._rotation(x, ids_keep, ids_predict)
        tokens = self._embed(x, ids_keep, ids_predict)
        tokens = run_blocks(self.blocks, tokens, self.with_cp, rotation=rotation)

        if self.out_type in ('tokens', 'raw'):
            return self.norm(tokens)
        if self.out_type == 'first':
            return self.norm(tokens[:, 0])
        patches = tokens if self.cls_token is None else tokens[:, 1:]
        if self.out_type == 'pooled':
            return self.norm(patches.mean(dim=1))
        return self.norm(patches).transpose(1, 2).unflatten(2, grid)

    def forward_intermediates(
        self,
        x: Tensor,
        indices: int | Sequence[int] | None = None,
        norm: bool = False,
        output_fmt: str = 'NLC',
        return_prefix_tokens: bool = False,
        intermediates_only: bool = False,
        ids_keep: Tensor | None = None,
    ) -> Any:
        """What chosen blocks give, in the manner of timm.

        Args:
            x: Normalised clips (B, C, T, H, W), float.
            indices: Numbers of blocks, negative ones count from the last; a number n for the last
                n blocks; None for all.
            norm: Apply the final norm to what the blocks give.
            output_fmt: ``'NLC'``: tokens (B, L, D); ``'NCTHW'``: maps (B, D, t, h, w).
            return_prefix_tokens: Give pairs of the patches and the class token (B, 1 or 0, D).
            intermediates_only: Leave out the final tokens, and the blocks after the last chosen.
            ids_keep: As for ``forward``; tokens only.

        Returns:
            The patches of each chosen block, in the order of the blocks; before this list, unless
            ``intermediates_only``, all tokens (B, [1 +] L, D) after the final norm.

        Raises:
            ValueError: If there is no such block or format, or maps are asked of a part of the
                patches.
        """
        if output_fmt not in ('NLC', 'NCTHW'):
            raise ValueError(f"output_fmt must be 'NLC' or 'NCTHW', got {output_fmt!r}")
        if output_fmt == 'NCTHW' and ids_keep is not None:
            raise ValueError("output_fmt='NCTHW' needs all patches: ids_keep must be None")
        found: list[Any] = []
        rotation = self._rotation(x, ids_keep)
        tokens, start, prefix = self._embed(x, ids_keep), 0, int(self.with_cls_token)
        for index in self._block_numbers(indices):
            tokens = run_blocks(
                self.blocks[start : index + 1], tokens, self.with_cp, rotation=rotation
            )
            start = index + 1
            given = self.norm(tokens) if norm else tokens
            patches = given[:, prefix:]
            if output_fmt == 'NCTHW':
                patches = patches.transpose(1, 2).unflatten(2, self.token_grid(x))
            found.append((patches, given[:, :prefix]) if return_prefix_tokens else patches)
        if intermediates_only:
            return found
        tokens = run_blocks(self.blocks[start:], tokens, self.with_cp, rotation=rotation)
        return self.norm(tokens), found

    def _embed(
        self, x: Tensor, ids_keep: Tensor | None, ids_predict: Tensor | None = None
    ) -> Tensor:
        """What the first block gets, see ``forward``."""
        tokens, grid = self.patch_embed(x, ids_keep), self.token_grid(x)
        added = self.pos_embed if isinstance(self.pos_embed, PositionEmbedding) else None
        if added is not None:
            tokens = tokens + added(grid, ids_keep)
        if ids_predict is not None:
            if self.mask_token is None:
                raise ValueError('ids_predict was given: build the encoder with_mask_token=True')
            masks = self.mask_token.expand(*ids_predict.shape, -1)
            if added is not None:
                masks = masks + added(grid, ids_predict)
            tokens = torch.cat([tokens, masks.to(tokens.dtype)], dim=1)
        if self.cls_token is not None and added is not None:
            cls = (self.cls_token + added.cls).to(tokens.dtype)
            tokens = torch.cat([cls.expand(x.shape[0], -1, -1), tokens], dim=1)
        return tokens

    def _block_numbers(self, indices: int | Sequence[int] | None) -> list[int]:
        """Sorted numbers of the blocks that ``forward_intermediates`` is asked for."""
        depth = len(self.blocks)
        if indices is None:
            return list(range(depth))
        if isinstance(indices, int):
            if not 1 <= indices <= depth:
                raise ValueError(
                    f'the number of last blocks must be in [1, {depth}], got {indices}'
                )
            return list(range(depth - indices, depth))
        wrong = [index for index in indices if not -depth <= index < depth]
        if wrong or not indices:
            raise ValueError(f'indices must be in [{-depth}, {depth - 1}], got {list(indices)}')
        return sorted({index % depth for index in indices})

    def _rotation(
        self, x: Tensor, ids_keep: Tensor | None, ids_predict: Tensor | None = None
    ) -> Rotation | None:
        """By what the blocks turn the tokens of ``_embed``; None without rotary positions."""
        if not isinstance(self.pos_embed, RotaryEmbedding):
            return None
        grid = self.token_grid(x)
        ids = torch.arange(math.prod(grid), device=x.device)[None] if ids_keep is None else ids_keep
        if ids_predict is not None:
            ids = torch.cat([ids.expand(len(ids_predict), -1), ids_predict], dim=1)
        return self.pos_embed(grid, ids)
