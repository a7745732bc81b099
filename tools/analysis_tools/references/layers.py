"""What the references share. B clips, L tokens, K kept ones, D width, V values of a patch."""

import torch
from torch import Tensor, nn


class Attention(nn.Module):
    """Multi-head attention by an explicit softmax; ``qkv`` fused or three projections."""

    def __init__(self, dim: int, num_heads: int, fused: bool) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.fused = fused
        if fused:
            self.qkv = nn.Linear(dim, 3 * dim)
        else:
            self.q, self.k, self.v = (nn.Linear(dim, dim) for _ in range(3))
        self.proj = nn.Linear(dim, dim)

    def project(self, x: Tensor) -> tuple[Tensor, ...]:
        return self.qkv(x).chunk(3, dim=-1) if self.fused else (self.q(x), self.k(x), self.v(x))

    def forward(self, x: Tensor) -> Tensor:
        batch, length, dim = x.shape
        shape = batch, length, self.num_heads, dim // self.num_heads
        q, k, v = (y.reshape(shape).transpose(1, 2) for y in self.project(x))
        weights = (q @ k.transpose(-2, -1) * shape[3] ** -0.5).softmax(dim=-1)
        return self.proj((weights @ v).transpose(1, 2).reshape(batch, length, dim))


class Mlp(nn.Module):
    def __init__(self, dim: int, ratio: float) -> None:
        super().__init__()
        hidden = int(dim * ratio)
        self.fc1, self.act, self.fc2 = nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.act(self.fc1(x)))


class Block(nn.Module):
    def __init__(self, dim: int, attention: nn.Module, mlp_ratio: float = 4.0) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = attention
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = Mlp(dim, mlp_ratio)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class PatchEmbed(nn.Module):
    """A strided convolution over the whole clip: (B, C, T, H, W) to (B, L, D)."""

    def __init__(self, dim: int, tubelet_size: int, patch_size: int, in_channels: int = 3) -> None:
        super().__init__()
        kernel = tubelet_size, patch_size, patch_size
        self.proj = nn.Conv3d(in_channels, dim, kernel, stride=kernel)

    def forward(self, clips: Tensor) -> Tensor:
        return self.proj(clips).flatten(2).transpose(1, 2)


def separable_table(spatial: Tensor, temporal: Tensor) -> Tensor:
    """(1, h*w, D) and (1, t, D) to (1, t*h*w, D), the frame slowest."""
    return spatial.repeat(1, temporal.shape[1], 1) + temporal.repeat_interleave(
        spatial.shape[1], dim=1
    )


def take(x: Tensor, ids: Tensor) -> Tensor:
    """Named tokens (B, K, D) of (B or 1, L, D)."""
    x = x.expand(len(ids), -1, -1)
    return x.gather(1, ids[..., None].expand(-1, -1, x.shape[2]))


def put_back(kept: Tensor, ids_keep: Tensor, mask_token: Tensor, length: int) -> Tensor:
    """Kept tokens at their places among mask tokens, (B, L, D)."""
    full = mask_token.expand(len(kept), length, -1).clone()
    return full.scatter(1, ids_keep[..., None].expand_as(kept), kept.to(full.dtype))


def masked_loss(
    pred: Tensor, frames: Tensor, ids_keep: Tensor, patch_size: int, normalise: bool = True
) -> Tensor:
    """Mean squared error over removed patches of (B, C, T', H, W), one frame per prediction."""
    batch, channels, steps, height, width = frames.shape
    rows, cols = height // patch_size, width // patch_size
    patches = frames.reshape(batch, channels, steps, rows, patch_size, cols, patch_size)
    target = patches.permute(0, 2, 3, 5, 4, 6, 1).reshape(batch, steps * rows * cols, -1)
    if normalise:
        mean, var = target.mean(-1, keepdim=True), target.var(-1, keepdim=True)
        target = (target - mean) / (var + 1e-6) ** 0.5
    removed = torch.ones(target.shape[:2], device=pred.device).scatter(1, ids_keep, 0.0)
    loss = ((pred - target) ** 2).mean(-1)
    return (loss * removed).sum() / removed.sum()


def randomise(model: nn.Module, seed: int = 0) -> nn.Module:
    """Draw every parameter, also biases, norms and tokens, so that none hides a mistake."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, param in model.named_parameters():
            noise = torch.randn(param.shape, generator=generator)
            if 'norm' in name and name.endswith('weight'):
                param.copy_(1 + 0.3 * noise)
            elif param.ndim > 1 and 'token' not in name and 'pos_embed' not in name:
                param.copy_(noise * param[0].numel() ** -0.5)
            else:
                param.copy_(0.3 * noise)
    return model
