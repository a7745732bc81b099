"""The models of facebookresearch/mae_st, from their description in the paper and their names."""

from typing import Any

import torch
from torch import Tensor, nn

from .layers import Attention, Block, PatchEmbed, masked_loss, put_back, separable_table, take


class MaeStEncoder(nn.Module):
    """Plain ViT with separate q, k, v and a class token."""

    def __init__(
        self,
        embed_dim: int = 1024,
        depth: int = 24,
        num_heads: int = 16,
        img_size: int = 224,
        num_frames: int = 16,
        patch_size: int = 16,
        t_patch_size: int = 2,
        sep_pos_embed: bool = True,
    ) -> None:
        super().__init__()
        self.patch_size, self.sep_pos_embed = patch_size, sep_pos_embed
        self.steps, self.area = num_frames // t_patch_size, (img_size // patch_size) ** 2
        self.patch_embed = PatchEmbed(embed_dim, t_patch_size, patch_size)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, embed_dim))
        self.add_positions('pos_embed', embed_dim)
        self.blocks = nn.ModuleList(
            Block(embed_dim, Attention(embed_dim, num_heads, fused=False)) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(embed_dim, eps=1e-6)

    def add_positions(self, name: str, dim: int) -> None:
        if self.sep_pos_embed:
            sizes = {'_spatial': self.area, '_temporal': self.steps, '_class': 1}
        else:
            sizes = {'': self.steps * self.area + 1}
        for suffix, size in sizes.items():
            setattr(self, name + suffix, nn.Parameter(torch.zeros(1, size, dim)))

    def positions(self, name: str) -> tuple[Tensor, Tensor]:
        """Embeddings of the class token (1, 1, D) and of the patches (1, L, D)."""
        if not self.sep_pos_embed:
            table = getattr(self, name)
            return table[:, :1], table[:, 1:]
        spatial, temporal = getattr(self, f'{name}_spatial'), getattr(self, f'{name}_temporal')
        return getattr(self, f'{name}_class'), separable_table(spatial, temporal)

    def encode(self, clips: Tensor, ids_keep: Tensor | None = None) -> Tensor:
        """Tokens (B, 1 + K, D) before the final norm."""
        x = self.patch_embed(clips)
        cls_position, positions = self.positions('pos_embed')
        if ids_keep is not None:
            x, positions = take(x, ids_keep), take(positions, ids_keep)
        cls = (self.cls_token + cls_position).expand(len(x), -1, -1)
        x = torch.cat([cls, x + positions], dim=1)
        for block in self.blocks:
            x = block(x)
        return x


class MaeStPretrain(MaeStEncoder):
    """Masked autoencoder: the decoder has a class token of its own, 16 heads at width 512."""

    def __init__(
        self,
        decoder_embed_dim: int = 512,
        decoder_depth: int = 4,
        decoder_num_heads: int = 16,
        norm_pix_loss: bool = True,
        encoder: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(**(encoder or {}))
        dim = decoder_embed_dim
        self.norm_pix_loss = norm_pix_loss
        self.decoder_embed = nn.Linear(self.norm.normalized_shape[0], dim)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.decoder_cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.add_positions('decoder_pos_embed', dim)
        self.decoder_blocks = nn.ModuleList(
            Block(dim, Attention(dim, decoder_num_heads, fused=False)) for _ in range(decoder_depth)
        )
        self.decoder_norm = nn.LayerNorm(dim, eps=1e-6)
        self.decoder_pred = nn.Linear(dim, 3 * self.patch_size**2)

    def forward(self, clips: Tensor, ids_keep: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Loss, prediction of every patch (B, L, V) and latent (B, 1 + K, D)."""
        latent = self.norm(self.encode(clips, ids_keep))
        cls_position, positions = self.positions('decoder_pos_embed')
        kept = self.decoder_embed(latent[:, 1:])
        x = put_back(kept, ids_keep, self.mask_token, positions.shape[1])
        cls = (self.decoder_cls_token + cls_position).expand(len(x), -1, -1)
        x = torch.cat([cls, x + positions], dim=1)
        for block in self.decoder_blocks:
            x = block(x)
        pred = self.decoder_pred(self.decoder_norm(x))[:, 1:]
        frames = torch.linspace(0, clips.shape[2] - 1, self.steps).long().to(clips.device)
        target = clips.index_select(2, frames)
        loss = masked_loss(pred, target, ids_keep, self.patch_size, self.norm_pix_loss)
        return loss, pred, latent


class MaeStClassifier(MaeStEncoder):
    """Fine-tuned: mean of the patch tokens, THEN the norm, then a linear layer."""

    def __init__(self, num_classes: int = 400, encoder: dict[str, Any] | None = None) -> None:
        super().__init__(**(encoder or {}))
        self.head = nn.Linear(self.norm.normalized_shape[0], num_classes)

    def forward(self, clips: Tensor) -> Tensor:
        return self.head(self.norm(self.encode(clips)[:, 1:].mean(dim=1)))
