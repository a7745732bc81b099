"""Whether the model computes on the device what it computes on the CPU."""

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from step_benchmark.steps import Settings, make_batch
from torch import Tensor, nn

from mmmae_st.datasets.transforms.masking import BaseMasking
from mmmae_st.models.mae_head import FRAME_RULES, TARGETS
from mmmae_st.registry import MODELS, TRANSFORMS

from .notes import Notes
from .plan import Place

EXACT, COMPILED, BFLOAT16 = 1e-4, 1e-3, 5e-2  # relative differences that are fine
MASKS = ('RandomMasking', 'TubeMasking', 'FrameMasking', 'BlockMasking')
CLIPS = 2
Result = tuple[float, Tensor]


def build(cfg: Config, device: str, seed: int = 0) -> nn.Module:
    """The model of a config, the same weights on every device."""
    torch.manual_seed(seed)
    return MODELS.build(cfg.model).to(device)


def draw_batch(model: nn.Module, cfg: Config) -> dict[str, Tensor]:
    """Random clips and masks on the model's device."""
    return make_batch(model, cfg, Settings(batch=CLIPS))


def loss_and_gradient(
    model: nn.Module, batch: dict[str, Tensor], bfloat16: bool = False, function: Any = None
) -> Result:
    """Loss, and all gradients as one float64 vector on the CPU."""
    device = batch['inputs'].device.type
    model.zero_grad()
    with torch.autocast(device, dtype=torch.bfloat16, enabled=bfloat16):
        loss = (model if function is None else function)(**batch, mode='loss')['loss']
    loss.backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    return float(loss.detach()), torch.cat([g.flatten().double().cpu() for g in gradients])


def compare(notes: Notes, name: str, ours: Result, theirs: Result, limit: float) -> None:
    """Note the relative differences of two losses and of their gradients."""
    notes.check(f'{name}: loss', abs(ours[0] - theirs[0]) / abs(theirs[0]), limit)
    difference = (ours[1] - theirs[1]).norm() / theirs[1].norm()
    notes.check(f'{name}: gradients', difference.item(), limit)


def on_both(notes: Notes, name: str, place: Place, cfg: Config) -> None:
    """Compare the device with the CPU in float32."""
    results = []
    for device in (place.device, 'cpu'):
        model = build(cfg, device)
        results.append(loss_and_gradient(model, draw_batch(model, cfg)))
    compare(notes, f'{name}, {place.device} against cpu', results[0], results[1], EXACT)


def shallow(place: Place) -> Config:
    """ViT-B with few blocks, where the depth does not matter."""
    cfg = place.config('b')
    if not place.is_tiny:
        cfg.model.backbone.arch = dict(embed_dims=768, depth=2, num_heads=12)
    return cfg


def variants(cfg: Config) -> Iterator[tuple[str, Config]]:
    """Dense encoder, targets, mask kinds: whatever a config can change in the loss."""
    dense = copy.deepcopy(cfg)
    dense.model.backbone.with_mask_token = True
    dense.model.decoder.with_mask_token = False
    yield 'dense encoder', dense
    for target, frames in [
        *((t, 'linspace') for t in TARGETS[1:]),
        *((TARGETS[0], f) for f in FRAME_RULES[1:]),
    ]:
        other = copy.deepcopy(cfg)
        other.model.head.update(target=target, frames=frames)
        yield f'target {target}, {frames}', other
    for kind in MASKS[1:]:
        other = copy.deepcopy(cfg)
        pipeline = other.train_dataloader.dataset.pipeline
        index = next(i for i, t in enumerate(pipeline) if _masks(t))
        pipeline[index].update(type=kind, ratio=0.75)
        yield kind, other
    half = copy.deepcopy(cfg)
    pipeline = half.train_dataloader.dataset.pipeline
    pipeline.insert(len(pipeline) - 1, dict(type='DecoderMasking', ratio=0.5))
    yield 'DecoderMasking', half


def check_numerics(place: Place, notes: Notes) -> None:
    """float32 against the CPU, bfloat16 and checkpointing against float32; memory."""
    cfg = place.config('b')
    on_both(notes, 'ViT-B', place, cfg)
    model = build(cfg, place.device)
    batch = draw_batch(model, cfg)
    plain = loss_and_gradient(model, batch)
    compare(
        notes, 'bfloat16 against float32', loss_and_gradient(model, batch, True), plain, BFLOAT16
    )
    saving = copy.deepcopy(cfg)
    saving.model.backbone.with_cp = saving.model.decoder.with_cp = True
    recomputed = build(saving, place.device)
    compare(notes, 'activation checkpointing', loss_and_gradient(recomputed, batch), plain, EXACT)
    if place.device == 'cuda':
        for name, step in (('ViT-B', model), ('ViT-B, checkpointing', recomputed)):
            torch.cuda.reset_peak_memory_stats()
            loss_and_gradient(step, batch)
            peak = torch.cuda.max_memory_allocated() / 2**30
            notes.add('peak memory, float32', model=name, clips=CLIPS, gib=peak)


def check_variants(place: Place, notes: Notes) -> None:
    """Every variant against the CPU."""
    for name, cfg in variants(shallow(place)):
        on_both(notes, name, place, cfg)


def check_encoder(place: Place, notes: Notes) -> None:
    """The forward pass that recognition and detection are built on."""
    for kind in ('pooled', 'featmap'):
        outputs = []
        for device in (place.device, 'cpu'):
            cfg = place.config('b')
            cfg.model.backbone.out_type = kind
            torch.manual_seed(0)
            backbone = MODELS.build(cfg.model.backbone).to(device).eval()
            t, h, w = backbone.grid
            size = t * backbone.tubelet_size, h * backbone.patch_size, w * backbone.patch_size
            clips = torch.from_numpy(np.random.default_rng(0).normal(size=(CLIPS, 3, *size)))
            with torch.no_grad():
                outputs.append(backbone(clips.float().to(device)).cpu())
        difference = (outputs[0] - outputs[1]).norm() / outputs[1].norm()
        notes.check(f'encoder, {kind}', difference.item(), EXACT)


def check_compiled(place: Place, notes: Notes) -> None:
    """torch.compile without graph breaks against eager."""
    cfg = shallow(place)
    model = build(cfg, place.device)
    batch = draw_batch(model, cfg)
    backend = 'aot_eager' if place.is_tiny else 'inductor'
    compiled = torch.compile(model, fullgraph=True, backend=backend)
    result = loss_and_gradient(model, batch, function=compiled)
    compare(notes, 'compiled against eager', result, loss_and_gradient(model, batch), COMPILED)


def _masks(transform: dict) -> bool:
    kind = TRANSFORMS.get(transform['type'])
    return isinstance(kind, type) and issubclass(kind, BaseMasking)
