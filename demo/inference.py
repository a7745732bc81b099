"""Name the action in a video: the best classes with probabilities, as text and as a picture.

python demo/inference.py VIDEO configs/finetune/vitl_k400.py CHECKPOINT --labels labels.txt
"""

import argparse
import textwrap
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import load_checkpoint
from torch import Tensor

from mmmae_st.command_line import add_config_options, load_config, short_errors
from mmmae_st.datasets import VideoReadError
from mmmae_st.fileio.safe_loading import use_safe_loading
from mmmae_st.registry import TRANSFORMS


def parse_args() -> argparse.Namespace:
    """Command line; see ``--help``."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('video', help='video file')
    parser.add_argument('config', help='config of a recogniser')
    parser.add_argument('checkpoint', help='its checkpoint')
    parser.add_argument('--labels', metavar='FILE', help='class names, one a line, in order')
    parser.add_argument('--out', metavar='FILE.png', help='picture; VIDEO_actions.png by default')
    parser.add_argument('--top', type=int, default=5, help='classes to show (5)')
    parser.add_argument('--device', help='cuda if there is one, else cpu')
    add_config_options(parser)
    return parser.parse_args()


def predict(video: str, cfg: Config, checkpoint: str, device: str) -> tuple[Tensor, Tensor]:
    """Probabilities of a video by the test pipeline of a config.

    Returns:
        Probabilities (classes,), and the clip (C, T, H, W) uint8 of the middle view.

    Raises:
        VideoReadError: If the video cannot be read.
        ValueError: If the checkpoint does not fit the model.
    """
    DefaultScope.get_instance('demo', scope_name=cfg.default_scope)
    model = MODELS.build(cfg.model)
    use_safe_loading()
    try:
        load_checkpoint(model, checkpoint, map_location='cpu', strict=True)
    except RuntimeError as error:
        raise ValueError(
            f'{checkpoint} is no checkpoint of the recogniser of this config; a pretraining '
            f'checkpoint has to be fine-tuned first (tools/train.py). {error}'
        ) from error
    model.to(device).eval()
    steps = [
        TRANSFORMS.build(dict(step, _scope_='mmmae_st'))
        for step in cfg.test_dataloader.dataset.pipeline
    ]
    failures: list[tuple[str, str]] = []
    sample = Compose(steps)(dict(path=video, sample_key=(0, 0, 0), failures=failures))
    if failures:  # black frames stand in for it
        raise VideoReadError(f'cannot read {video}: {failures[0][1]}')
    with torch.inference_mode():
        result = model.test_step(pseudo_collate([sample]))[0]
    clips = sample['inputs']
    return result.pred_score.cpu(), clips[len(clips) // 2]


def best_classes(scores: Tensor, names: list[str] | None, top: int) -> list[tuple[str, float]]:
    """The ``top`` most probable classes with their probabilities, the best first.

    Raises:
        ValueError: If there are not as many names as classes.
    """
    if names is not None and len(names) != len(scores):
        raise ValueError(f'the labels file has {len(names)} names, the model {len(scores)} classes')
    values, classes = scores.topk(min(top, len(scores)))
    return [
        (names[c] if names else f'class {c}', p)
        for c, p in zip(classes.tolist(), values.tolist(), strict=True)
    ]


def action_figure(clip: Tensor, best: list[tuple[str, float]], path: str | Path) -> None:
    """Write a picture: frames of the clip (C, T, H, W) uint8, bars of the probabilities below."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    frames = clip.permute(1, 2, 3, 0).numpy()
    shown = frames[np.linspace(0, len(frames) - 1, min(len(frames), 8)).round().astype(int)]
    gap = max(shown.shape[2] // 40, 1)
    shown = np.pad(shown, ((0, 0), (0, 0), (0, gap), (0, 0)), constant_values=255)
    strip = np.concatenate(shown, axis=1)
    figure = Figure(figsize=(12, 1.6 + 0.34 * len(best)), layout='constrained')
    FigureCanvasAgg(figure)
    top, bottom = figure.subplots(2, height_ratios=[1.5, 0.3 * len(best)])
    top.imshow(strip)
    top.axis('off')
    names = [textwrap.shorten(name, 40, placeholder='...') for name, _ in best]
    bars = bottom.barh(range(len(best)), [p for _, p in best], color='tab:blue')
    bottom.bar_label(bars, [f'{p:.1%}' for _, p in best], padding=3)
    bottom.set_yticks(range(len(best)), names)
    bottom.invert_yaxis()
    bottom.set_xlim(0, 1.08)
    bottom.spines[['top', 'right']].set_visible(False)
    figure.savefig(path, dpi=100)


def main() -> None:
    """Predict, print and draw."""
    args = parse_args()
    with short_errors():
        cfg = load_config(args.config, args.cfg_options)
        device = args.device or ('cuda' if torch.cuda.is_available() else 'cpu')
        names = Path(args.labels).read_text().splitlines() if args.labels else None
        scores, clip = predict(args.video, cfg, args.checkpoint, device)
        best = best_classes(scores, names, args.top)
    for name, probability in best:
        print(f'{probability:>8.2%}  {name}')
    out = args.out or f'{Path(args.video).with_suffix("")}_actions.png'
    action_figure(clip, best, out)
    print(f'picture: {out}')


if __name__ == '__main__':
    main()
