"""PySlowFast's masked autoencoder and plain ViT, from their description and their names."""

from typing import Any

import torch
from torch import Tensor, nn

from .layers import Attention, Block, PatchEmbed, masked_loss, put_back, separable_table, take


class PySlowFastEncoder(nn.Module):
    """Plain ViT with fused qkv and a class token."""

    def __init__(
        self,
        embed_dim: int = 1024,
        depth: int = 24,
        num_heads: int = 16,
        img_size: int = 224,
        num_frames: int = 16,
        patch_size: int = 16,
        tubelet_size: int = 2,
    ) -> None:
        super().__init__()
        self.patch_size, self.tubelet_size = patch_size, tubelet_size
        self.steps, self.area = num_frames // tubelet_size, (img_size // patch_size) ** 2
        self.patch_embed = PatchEmbed(embed_dim, tubelet_size, patch_size)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, embed_dim))
        self.pos_embed_spatial = nn.Parameter(torch.zeros(1, self.area, embed_dim))
        self.pos_embed_temporal = nn.Parameter(torch.zeros(1, self.steps, embed_dim))
        self.pos_embed_class = nn.Parameter(torch.zeros(1, 1, embed_dim))
        self.blocks = nn.ModuleList(
            Block(embed_dim, Attention(embed_dim, num_heads, fused=True)) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(embed_dim, eps=1e-6)

    def encode(self, clips: Tensor, ids_keep: Tensor | None = None) -> Tensor:
        """Tokens (B, 1 + K, D) before the final norm."""
        x = self.patch_embed(clips)
        positions = separable_table(self.pos_embed_spatial, self.pos_embed_temporal)
        if ids_keep is not None:
            x, positions = take(x, ids_keep), take(positions, ids_keep)
        cls = (self.cls_token + self.pos_embed_class).expand(len(x), -1, -1)
        x = torch.cat([cls, x + positions], dim=1)
        for block in self.blocks:
            x = block(x)
        return x


class PredictionHead(nn.Module):
    """Decoder blocks and their norm in one sequence, then a linear layer."""

    def __init__(self, dim: int, depth: int, values: int) -> None:
        super().__init__()
        blocks = [Block(dim, Attention(dim, dim // 64, fused=True)) for _ in range(depth)]
        norm = nn.LayerNorm(dim, eps=1e-6)
        self.transforms = nn.ModuleList([nn.Sequential(*blocks, norm)])
        self.projections = nn.ModuleList([nn.Linear(dim, values)])

    def forward(self, x: Tensor) -> Tensor:
        return self.projections[0](self.transforms[0](x)[:, 1:])


class PySlowFastPretrain(PySlowFastEncoder):
    """Masked autoencoder: heads of width 64, a joint table, the encoder's class token goes on.

    With ``separable_decoder`` the decoder's table is separable, as an option of theirs; ``values``
    are those of a predicted patch, pixels without it.
    """

    def __init__(
        self,
        decoder_embed_dim: int = 512,
        decoder_depth: int = 4,
        separable_decoder: bool = False,
        encoder: dict[str, Any] | None = None,
        values: int | None = None,
    ) -> None:
        super().__init__(**(encoder or {}))
        dim = decoder_embed_dim
        self.decoder_embed = nn.Linear(self.norm.normalized_shape[0], dim)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.separable_decoder = separable_decoder
        if separable_decoder:
            self.dec_pos_embed_spatial = nn.Parameter(torch.zeros(1, self.area, dim))
            self.dec_pos_embed_temporal = nn.Parameter(torch.zeros(1, self.steps, dim))
            self.dec_pos_embed_class = nn.Parameter(torch.zeros(1, 1, dim))
        else:
            self.decoder_pos_embed = nn.Parameter(torch.zeros(1, self.steps * self.area + 1, dim))
        self.pred_head = PredictionHead(dim, decoder_depth, values or 3 * self.patch_size**2)

    def predict(self, clips: Tensor, ids_keep: Tensor) -> tuple[Tensor, Tensor]:
        """Prediction of every patch (B, L, V) and latent (B, 1 + K, D)."""
        latent = self.norm(self.encode(clips, ids_keep))
        x = self.decoder_embed(latent)
        patches = put_back(x[:, 1:], ids_keep, self.mask_token, self.steps * self.area)
        x = torch.cat([x[:, :1], patches], dim=1)
        if self.separable_decoder:
            table = separable_table(self.dec_pos_embed_spatial, self.dec_pos_embed_temporal)
            x = x + torch.cat([self.dec_pos_embed_class, table], dim=1)
        else:
            x = x + self.decoder_pos_embed
        return self.pred_head(x), latent

    def forward(self, clips: Tensor, ids_keep: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Loss, prediction of every patch (B, L, V) and latent (B, 1 + K, D)."""
        pred, latent = self.predict(clips, ids_keep)
        target = clips[:, :, :: self.tubelet_size]
        return masked_loss(pred, target, ids_keep, self.patch_size), pred, latent


class ClassifierHead(nn.Module):
    def __init__(self, dim: int, num_classes: int) -> None:
        super().__init__()
        self.projection = nn.Linear(dim, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.projection(x)


class PySlowFastClassifier(PySlowFastEncoder):
    """Fine-tuned: mean of the patch tokens, THEN the norm; or the class token; a linear layer."""

    def __init__(
        self,
        num_classes: int = 400,
        encoder: dict[str, Any] | None = None,
        use_mean_pooling: bool = True,
    ) -> None:
        super().__init__(**(encoder or {}))
        self.use_mean_pooling = use_mean_pooling
        self.head = ClassifierHead(self.norm.normalized_shape[0], num_classes)

    def forward(self, clips: Tensor) -> Tensor:
        x = self.encode(clips)
        return self.head(self.norm(x[:, 1:].mean(dim=1) if self.use_mean_pooling else x[:, 0]))
