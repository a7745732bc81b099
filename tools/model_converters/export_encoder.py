"""Export the encoder of a checkpoint by torch.export or to ONNX, and compare the outputs.

The program takes uint8 RGB clips (B, 3, T, H, W), normalises them and gives features: one vector
a clip, all tokens, or a feature map. The number of clips is free, their size is fixed. What the
written file gives is compared with what the model gives; the file is kept only if they agree.

examples:
  export_encoder.py work_dirs/mae_st_vitb_k400/epoch_200.pth encoder.onnx
  export_encoder.py CHECKPOINT encoder.pt2 --output featmap --shape 16 256 256
"""

import argparse

from mmmae_st.analysis.cost import clip_size
from mmmae_st.apis.export import OUTPUTS, ExportedEncoder, export_encoder
from mmmae_st.apis.load import load_encoder
from mmmae_st.command_line import load_config, short_errors, tool_parser
from mmmae_st.fileio.atomic_file import require_writable


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Command line; see ``--help``."""
    parser = tool_parser(__doc__)
    parser.add_argument('checkpoint', help='checkpoint with an encoder')
    parser.add_argument('out', metavar='OUT', help='file to write, .pt2 or .onnx')
    parser.add_argument(
        '--config', help='config of the checkpoint, where the checkpoint does not hold it'
    )
    parser.add_argument('--output', choices=OUTPUTS, default='pooled', help='what it gives')
    parser.add_argument(
        '--shape',
        nargs=3,
        type=int,
        metavar=('T', 'H', 'W'),
        help='frames, height and width of a clip; by default what the encoder is built for',
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Export and say how well the outputs agree."""
    args = parse_args(argv)
    with short_errors():
        require_writable(args.out)
        config = load_config(args.config) if args.config else None
        encoder, preprocessor = load_encoder(args.checkpoint, config)
        clip = tuple(args.shape) if args.shape else clip_size(encoder)
        model = ExportedEncoder(encoder, preprocessor, args.output).eval()
        difference = export_encoder(model, args.out, clip)
        print(f'{args.out}: outputs agree to {difference:.1e} of the largest')


if __name__ == '__main__':
    main()
