"""The masked autoencoder: wiring of encoder, decoder and head.

Dimensions: B clips (views merged), C channels, T H W frames and pixels, K kept tokens,
M removed tokens.
"""

import inspect
from typing import Any

import torch
from mmengine.model import BaseModel
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.structures import BaseDataElement
from torch import Tensor

from mmmae_st.models.pictures import clips_from_patches, in_token_order
from mmmae_st.models.spacetime_vit import SpacetimeViT
from mmmae_st.models.weights import init_pretrained
from mmmae_st.patching import removed_ids
from mmmae_st.registry import MODELS, component_class


@MODELS.register_module()
class SpatiotemporalMAE(BaseModel):
    """Masked Autoencoders As Spatiotemporal Learners (arXiv 2205.09113).

    One step: ``ids_keep`` comes with the clip; the encoder sees those patches; the decoder adds
    mask tokens for the others; the head predicts them and takes the loss there.

    Args:
        backbone: Config of the encoder. With ``with_mask_token=True`` mask tokens already go
            through the encoder (the dense variant of Table 1).
        decoder: Config of the decoder. Widths and sizes that follow from the encoder
            (``encoder_dims``, ``img_size``, ``num_frames``, ``patch_size``, ``tubelet_size``,
            ``encoder_cls_token``) are the encoder's unless they are given.
        head: Config of the head; ``embed_dims`` is the decoder's, the patch the encoder's likewise.
        data_preprocessor: Config of the preprocessor.
        init_cfg: mmengine initialisation config.

    Raises:
        ValueError: If encoder, decoder and head do not fit together.
    """

    def __init__(
        self,
        backbone: dict,
        decoder: dict,
        head: dict,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        if data_preprocessor is None:
            data_preprocessor = dict(type='ClipDataPreprocessor')
        super().__init__(MODELS.build(data_preprocessor), init_cfg=init_cfg)
        self.backbone = MODELS.build(backbone)
        self.decoder = MODELS.build(complete_decoder(decoder, self.backbone))
        self.head = MODELS.build(complete_head(head, self.backbone, self.decoder.embed_dims))
        self.dense = self.backbone.mask_token is not None
        self._check_parts()

    def init_weights(self) -> None:
        """Load the whole autoencoder from ``init_cfg`` of type Pretrained, if there is one."""
        if not init_pretrained(self):
            super().init_weights()

    def forward(
        self,
        inputs: Tensor,
        ids_keep: Tensor | None = None,
        ids_predict: Tensor | None = None,
        data_samples: list[BaseDataElement] | None = None,
        mode: str = 'tensor',
    ) -> Tensor | dict[str, Tensor] | list[BaseDataElement]:
        """Run a batch of normalised clips.

        Args:
            inputs: Clips (B, C, T, H, W), float.
            ids_keep: Ids (B, K) int64 of the visible patches, ascending. None in mode
                ``'tensor'`` encodes everything.
            ids_predict: Ids (B, M') of the removed patches to predict; all of them for None.
            data_samples: Meta information of the videos; ``grid`` is checked when present.
            mode: ``'loss'``, ``'predict'`` or ``'tensor'``.

        Returns:
            ``'loss'``: ``dict(loss=scalar)``. ``'tensor'``: what the backbone returns.
            ``'predict'``: for each clip an element with ``loss`` and ``mask`` (t, h, w), 1 =
            removed; for pixel targets also ``input``, ``masked``, ``prediction`` (visible patches
            pasted in) and ``decoded`` (every patch as decoded), each (C, T', H, W) float in [0, 1].
        """
        if mode == 'tensor':
            return self.backbone(inputs, ids_keep)
        if ids_keep is None:
            raise ValueError(
                f'mode={mode!r} needs ids_keep: add a masking transform, for instance '
                "dict(type='RandomMasking', ratio=0.9), to the pipeline"
            )
        if mode == 'loss':
            return self.loss(inputs, ids_keep, ids_predict, data_samples)
        if mode == 'predict':
            return self.predict(inputs, ids_keep, data_samples)
        raise ValueError(f"mode must be 'loss', 'predict' or 'tensor', got {mode!r}")

    def loss(
        self,
        inputs: Tensor,
        ids_keep: Tensor,
        ids_predict: Tensor | None = None,
        data_samples: list[BaseDataElement] | None = None,
    ) -> dict[str, Tensor]:
        """Loss over the removed patches, see ``forward``."""
        grid = self._grid(inputs, data_samples)
        if ids_predict is None:
            ids_predict = removed_ids(ids_keep, grid[0] * grid[1] * grid[2])
        features = self.encode_decode(
            inputs, ids_keep, ids_predict, grid=grid, num_outputs=ids_predict.shape[1]
        )
        return dict(loss=self.head.loss(self.head(features), inputs, ids_predict).mean())

    def predict(
        self,
        inputs: Tensor,
        ids_keep: Tensor,
        data_samples: list[BaseDataElement] | None = None,
    ) -> list[BaseDataElement]:
        """Loss and reconstruction of each clip, see ``forward``."""
        t, h, w = grid = self._grid(inputs, data_samples)
        ids_predict = removed_ids(ids_keep, t * h * w)
        ids_all = torch.cat([ids_keep, ids_predict], dim=1)
        features = self.encode_decode(
            inputs, ids_keep, ids_predict, grid=grid, num_outputs=t * h * w
        )
        pred = self.head(features)
        losses = self.head.loss(pred[:, ids_keep.shape[1] :], inputs, ids_predict)
        mask = torch.zeros(inputs.shape[0], t * h * w, dtype=torch.bool, device=inputs.device)
        mask.scatter_(1, ids_predict, True)
        # Never the loss alone: mmengine takes such an element for losses by name.
        results = [
            BaseDataElement(loss=loss, mask=clip_mask.view(grid))
            for loss, clip_mask in zip(losses, mask, strict=True)
        ]
        if not self.head.predicts_pixels:
            return results

        decoded = in_token_order(self.head.to_pixels(pred, inputs, ids_all), ids_all)
        pixels = self.head.pixel_patches(inputs, None)
        pictures = dict(
            input=pixels,
            masked=pixels.masked_fill(mask[..., None], 0.0),
            prediction=torch.where(mask[..., None], decoded, pixels),
            decoded=decoded,
        )
        for name, patches in pictures.items():
            clips = clips_from_patches(patches, grid, self.head, self.data_preprocessor)
            for result, clip in zip(results, clips, strict=True):
                result.set_data({name: clip})
        return results

    def encode_decode(
        self,
        inputs: Tensor,
        ids_keep: Tensor,
        ids_predict: Tensor,
        *,
        grid: tuple[int, int, int],
        num_outputs: int,
    ) -> Tensor:
        """Encode the visible patches, decode with mask tokens for the others.

        Args:
            inputs: Clips (B, C, T, H, W), float.
            ids_keep: Ids (B, K) int64 of the visible patches.
            ids_predict: Ids (B, M) int64 of the patches that mask tokens stand for.
            grid: Token grid (t, h, w) of the clips.
            num_outputs: How many of the last tokens of [class, kept, mask] are returned.

        Returns:
            Features (B, num_outputs, D) for the head.
        """
        if self.dense:
            latent = self.backbone(inputs, ids_keep, ids_predict)
            ids_all = torch.cat([ids_keep, ids_predict], dim=1)
            return self.decoder(latent, ids_all, None, grid=grid, num_outputs=num_outputs)
        latent = self.backbone(inputs, ids_keep)
        return self.decoder(latent, ids_keep, ids_predict, grid=grid, num_outputs=num_outputs)

    def _grid(
        self, inputs: Tensor, data_samples: list[BaseDataElement] | None
    ) -> tuple[int, int, int]:
        backbone = self.backbone
        grid = backbone.token_grid(inputs)
        drawn = data_samples[0].get('grid') if data_samples else None
        if drawn is not None and tuple(drawn) != grid:
            raise ValueError(
                f'the mask was drawn for a token grid {tuple(drawn)} but the model cuts the clip '
                f'into {grid}: give the masking transform patch_size={backbone.patch_size} and '
                f'tubelet_size={backbone.tubelet_size}'
            )
        return grid

    def _check_parts(self) -> None:
        backbone, decoder, head = self.backbone, self.decoder, self.head
        if decoder.embed.in_features != backbone.embed_dims:
            raise ValueError(
                f'decoder.encoder_dims={decoder.embed.in_features} must equal the width of the '
                f'backbone, {backbone.embed_dims}'
            )
        if head.pred.in_features != decoder.embed_dims:
            raise ValueError(
                f'head.embed_dims={head.pred.in_features} must equal decoder.embed_dims='
                f'{decoder.embed_dims}'
            )
        if decoder.encoder_cls_token != (backbone.cls_token is not None):
            raise ValueError(
                f'decoder.encoder_cls_token={decoder.encoder_cls_token} must equal '
                f'backbone.with_cls_token={backbone.cls_token is not None}'
            )
        if self.dense == (decoder.mask_token is not None):
            raise ValueError(
                'exactly one of backbone and decoder holds the mask token: got '
                f'with_mask_token={self.dense} for both'
            )
        if backbone.out_type != 'tokens':
            raise ValueError(
                f"pretraining needs backbone.out_type='tokens', got {backbone.out_type!r}"
            )
        for name in ('patch_size', 'tubelet_size'):
            if getattr(head, name) != getattr(backbone, name):
                raise ValueError(
                    f'head.{name}={getattr(head, name)} must equal '
                    f'backbone.{name}={getattr(backbone, name)}'
                )


def complete_decoder(decoder: dict, backbone: SpacetimeViT) -> dict:
    """The config of a decoder with what it leaves to the encoder."""
    t, h, w = backbone.grid
    return _filled(
        decoder,
        encoder_dims=backbone.embed_dims,
        img_size=(h * backbone.patch_size, w * backbone.patch_size),
        num_frames=t * backbone.tubelet_size,
        encoder_cls_token=backbone.cls_token is not None,
        patch_size=backbone.patch_size,
        tubelet_size=backbone.tubelet_size,
    )


def complete_head(head: dict, backbone: SpacetimeViT, decoder_dims: int) -> dict:
    """The config of a head with what it leaves to encoder and decoder."""
    return _filled(
        head,
        embed_dims=decoder_dims,
        patch_size=backbone.patch_size,
        tubelet_size=backbone.tubelet_size,
    )


def _filled(part: dict, **arguments: Any) -> dict:
    """The config of a part with the arguments that it takes and does not give."""
    component = component_class(MMENGINE_MODELS, part, 'mmmae_st')
    if component is None:
        return part  # the registry says what is wrong
    taken = inspect.signature(component).parameters
    return {key: value for key, value in arguments.items() if key in taken} | dict(part)
