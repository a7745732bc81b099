"""The small transformer that fills in what the encoder did not see.

Dimensions: B clips, K kept tokens, M mask tokens, E encoder width, D decoder width.
"""

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmmae_st.models.layers import Block, init_transformer, require_positive, run_blocks
from mmmae_st.models.position_embedding import PositionEmbedding
from mmmae_st.patching import token_grid
from mmmae_st.registry import MODELS

CLS_TOKENS = ('own', 'encoder', 'none')


@MODELS.register_module()
class MAEDecoder(BaseModule):
    """Decoder of the spatiotemporal MAE (arXiv 2205.09113, section 3).

    Attention does not care about the order of its tokens, so nothing is unshuffled: the sequence
    is [class token, kept tokens, mask tokens], each with the embedding of its position, and the
    predictions are its tail.

    Args:
        encoder_dims: Width E of the encoder's tokens.
        embed_dims: Width D.
        depth: Number of blocks.
        num_heads: Attention heads (16 in mae_st, 8 in PySlowFast).
        img_size: Height and width the position embeddings are made for; one number if equal.
        num_frames: Frames the position embeddings are made for.
        patch_size: Height and width of a patch in pixels.
        tubelet_size: Frames of a patch.
        pos_embed: ``'separable'`` (default), ``'joint'`` or ``'sincos'``.
        cls_token: ``'own'`` replaces the encoder's class token by one of the decoder's (mae_st),
            ``'encoder'`` passes the encoder's on (PySlowFast), ``'none'`` drops it.
        encoder_cls_token: Whether the encoder's tokens begin with a class token.
        with_mask_token: Hold a mask token; False when the encoder has processed every position.
        mlp_ratio: Width of the hidden layers over D.
        norm_eps: Epsilon of the layer norms.
        with_cp: Recompute activations in the backward pass to save memory.
        init_cfg: mmengine initialisation config.

    Raises:
        ValueError: For an unknown or impossible argument, naming it.
    """

    def __init__(
        self,
        encoder_dims: int = 1024,
        embed_dims: int = 512,
        depth: int = 4,
        num_heads: int = 16,
        img_size: int | tuple[int, int] = 224,
        num_frames: int = 16,
        patch_size: int = 16,
        tubelet_size: int = 2,
        pos_embed: str = 'separable',
        cls_token: str = 'own',
        encoder_cls_token: bool = True,
        with_mask_token: bool = True,
        mlp_ratio: float = 4.0,
        norm_eps: float = 1e-6,
        with_cp: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        if cls_token not in CLS_TOKENS:
            raise ValueError(f'cls_token must be one of {CLS_TOKENS}, got {cls_token!r}')
        if cls_token == 'encoder' and not encoder_cls_token:
            raise ValueError("cls_token='encoder' needs encoder_cls_token=True")
        require_positive(
            encoder_dims=encoder_dims,
            embed_dims=embed_dims,
            depth=depth,
            patch_size=patch_size,
            tubelet_size=tubelet_size,
            mlp_ratio=mlp_ratio,
            norm_eps=norm_eps,
        )
        height, img_width = (img_size, img_size) if isinstance(img_size, int) else img_size
        grid = token_grid((num_frames, height, img_width), tubelet_size, patch_size)
        self.embed_dims = embed_dims
        self.num_heads = num_heads
        self.norm_eps = norm_eps
        self.encoder_cls_token = encoder_cls_token
        self.cls_source = cls_token
        self.with_cp = with_cp

        self.embed = nn.Linear(encoder_dims, embed_dims)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, embed_dims)) if with_mask_token else None
        self.cls_token = nn.Parameter(torch.zeros(1, 1, embed_dims)) if cls_token == 'own' else None
        self.pos_embed = PositionEmbedding(
            embed_dims, grid, kind=pos_embed, with_cls_token=cls_token != 'none'
        )
        self.blocks = nn.ModuleList(
            Block(embed_dims, num_heads, mlp_ratio=mlp_ratio, norm_eps=norm_eps)
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(embed_dims, eps=norm_eps)

        init_transformer(self)
        for token in (self.cls_token, self.mask_token):
            if token is not None:
                nn.init.trunc_normal_(token, std=0.02)

    def forward(
        self,
        latent: Tensor,
        ids_latent: Tensor,
        ids_predict: Tensor | None,
        *,
        grid: tuple[int, int, int],
        num_outputs: int,
    ) -> Tensor:
        """Decode to the features that the head predicts from.

        Args:
            latent: The encoder's tokens (B, [1 +] K, E), class token first if there is one.
            ids_latent: Ids (B, K) int64 of those tokens, class token aside.
            ids_predict: Ids (B, M) int64 of the patches that mask tokens stand for, which come
                after the others; None where the encoder has put them.
            grid: Token grid (t, h, w) of the clip.
            num_outputs: How many of the last tokens to return; the last block and the head work
                for these only.

        Returns:
            Features (B, num_outputs, D) after the final norm.
        """
        if self.encoder_cls_token and self.cls_source != 'encoder':
            latent = latent[:, 1:]
        x = self.embed(latent)
        parts = [x[:, -ids_latent.shape[1] :] + self.pos_embed(grid, ids_latent)]
        if self.cls_source != 'none':
            cls = x[:, :1] if self.cls_token is None else self.cls_token.expand(x.shape[0], -1, -1)
            parts.insert(0, cls + self.pos_embed.cls)
        if ids_predict is not None:
            if self.mask_token is None:
                raise ValueError('ids_predict was given: build the decoder with_mask_token=True')
            parts.append(self.mask_token + self.pos_embed(grid, ids_predict))
        x = torch.cat([part.to(x.dtype) for part in parts], dim=1)
        return self.norm(run_blocks(self.blocks, x, self.with_cp, num_outputs))
