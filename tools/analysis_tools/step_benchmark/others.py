"""Other implementations behind the interface of ``SpatiotemporalMAE``."""

import torch
from timm.layers import DropPath

from mmmae_st.models.weights import Weights, to_mae_st


def require_plain(ours: torch.nn.Module, option: str) -> None:
    """Raise a ValueError for what the other implementations do not have."""
    drops = any(isinstance(module, DropPath) for module in ours.backbone.modules())
    head = ours.head
    if head.target == 'hog' or head.frames != 'linspace' or ours.dense or drops:
        raise ValueError(
            f"{option} knows pixel targets, head.frames='linspace', the sparse encoder and "
            'drop_path_rate=0'
        )


class Reference(torch.nn.Module):
    """The plain reference behind the interface of ``SpatiotemporalMAE``."""

    def __init__(self, ours: torch.nn.Module) -> None:
        super().__init__()
        try:
            from references.mae_st import MaeStPretrain
        except ModuleNotFoundError as missing:
            raise SystemExit(
                f'--reference needs a checkout: the references are not in the package ({missing})'
            ) from missing
        require_plain(ours, '--reference')
        backbone, decoder, head = ours.backbone, ours.decoder, ours.head
        t, h, _ = backbone.grid
        self.plain = MaeStPretrain(
            decoder_embed_dim=decoder.embed_dims,
            decoder_depth=len(decoder.blocks),
            decoder_num_heads=decoder.num_heads,
            norm_pix_loss=head.target == 'normalized_pixels',
            encoder=dict(
                embed_dim=backbone.embed_dims,
                depth=len(backbone.blocks),
                num_heads=backbone.num_heads,
                img_size=h * backbone.patch_size,
                num_frames=t * backbone.tubelet_size,
                patch_size=backbone.patch_size,
                t_patch_size=backbone.tubelet_size,
            ),
        )
        state, left_out = to_mae_st(Weights(state=ours.state_dict(), source='mmmae_st'))
        assert not left_out, left_out
        self.plain.load_state_dict(state)

    def forward(
        self, inputs: torch.Tensor, ids_keep: torch.Tensor, mode: str
    ) -> dict[str, torch.Tensor]:
        """``dict(loss=...)``."""
        assert mode == 'loss'
        return dict(loss=self.plain(inputs, ids_keep)[0])


class HuggingFace(torch.nn.Module):
    """``VideoMAEForPreTraining`` of our sizes behind the interface of ``SpatiotemporalMAE``.

    It has no class token, predicts all frames of a patch and starts from its own weights, so its
    loss is another one.
    """

    def __init__(self, ours: torch.nn.Module) -> None:
        super().__init__()
        try:
            from transformers import VideoMAEConfig, VideoMAEForPreTraining
        except ImportError as error:
            raise SystemExit(
                '--huggingface needs transformers: pip install transformers'
            ) from error
        require_plain(ours, '--huggingface')
        backbone, decoder = ours.backbone, ours.decoder
        t, h, _ = backbone.grid
        config = VideoMAEConfig(
            image_size=h * backbone.patch_size,
            patch_size=backbone.patch_size,
            num_frames=t * backbone.tubelet_size,
            tubelet_size=backbone.tubelet_size,
            hidden_size=backbone.embed_dims,
            num_hidden_layers=len(backbone.blocks),
            num_attention_heads=backbone.num_heads,
            intermediate_size=4 * backbone.embed_dims,
            decoder_hidden_size=decoder.embed_dims,
            decoder_num_hidden_layers=len(decoder.blocks),
            decoder_num_attention_heads=decoder.num_heads,
            decoder_intermediate_size=4 * decoder.embed_dims,
            norm_pix_loss=ours.head.target == 'normalized_pixels',
        )
        self.videomae = VideoMAEForPreTraining(config)
        self.patches = t * h * h

    def forward(
        self, inputs: torch.Tensor, ids_keep: torch.Tensor, mode: str
    ) -> dict[str, torch.Tensor]:
        """``dict(loss=...)``."""
        assert mode == 'loss'
        removed = inputs.new_ones(len(inputs), self.patches, dtype=torch.bool)
        removed.scatter_(1, ids_keep, False)
        return dict(loss=self.videomae(inputs.transpose(1, 2), bool_masked_pos=removed).loss)
