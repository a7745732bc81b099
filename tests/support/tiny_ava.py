"""Sets in the form of AVA and AVA-Kinetics, made in seconds: boxes are people, colours actions."""

import csv
import importlib
import sys
from pathlib import Path

import av
import numpy as np
from mmengine.config import Config
from mmengine.fileio import dump

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / 'tools' / 'dataset_converters'
CONFIGS = ROOT / 'configs' / 'detection'
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
TINY = dict(embed_dims=32, depth=2, num_heads=2)
START, SECONDS, FPS = 900, 4, 30  # the videos begin at second 900, as those of AVA do
STOP = START + SECONDS
WIDTH, HEIGHT = 86, 64  # 86 is no multiple of 16
# Action number to colour; the numbers are one of each group that AVA's metric averages over.
ACTIONS = {1: (220, 30, 30), 20: (30, 220, 30), 70: (30, 30, 220)}
BOXES = [(4, 12, 32, 60), (48, 4, 82, 56)]  # x1, y1, x2, y2 in pixels
# Per video the action of each person; AVA's names have 11 letters, those of Kinetics clips their
# times besides.
TRAIN = {
    'train-vid-0': [1, 20],
    'train-vid-1': [20, 70],
    'train-vid-2': [70, 1],
    'train-vid-3': [20, 1],
    'train-vid-4': [70, 20],
    'train-vid-5': [1, 70],
}
VAL = {'valid-vid-0': [20, 1], 'valid-vid-1': [70, 20], 'valid-vid-2': [1, 70]}
KINETICS = {'kinetics-v0_000010_000014': [70, 1]}
EXCLUDED = {'train': ('train-vid-0', START + 2), 'val': ('valid-vid-0', START + 2)}


def write_video(
    path: Path, actions: list[int], seed: int, fps: int = FPS, seconds: int = SECONDS
) -> None:
    """A grey gradient, and before it one coloured box for each action, slightly trembling."""
    rng = np.random.default_rng(seed)
    grey = np.linspace(90, 160, WIDTH).astype(np.uint8)
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('libx264', rate=fps)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, 'yuv420p'
        stream.options = {'preset': 'ultrafast', 'threads': '1'}
        for _ in range(seconds * fps):
            image = np.broadcast_to(grey[None, :, None], (HEIGHT, WIDTH, 3)).copy()
            for (x1, y1, x2, y2), action in zip(BOXES, actions, strict=True):
                dx, dy = rng.integers(0, 2, 2)
                image[y1 + dy : y2, x1 + dx : x2] = ACTIONS[action]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format='rgb24')))
        container.mux(stream.encode(None))


def annotate(video: str, actions: list[int], rng: np.random.Generator) -> tuple[list, dict]:
    """Rows of AVA's CSV and entries of its proposal file for all but the outer seconds."""
    rows, proposals = [], {}
    name, start = (video[:11], int(video[12:18])) if len(video) > 11 else (video, START)
    for second in range(start + 1, start + SECONDS - 1):
        persons = []
        for entity, (box, action) in enumerate(zip(BOXES, actions, strict=True)):
            relative = np.divide(box, (WIDTH, HEIGHT, WIDTH, HEIGHT))
            rows.append([video, second, *relative.round(4), action, entity])
            persons.append([*(relative + rng.uniform(-0.005, 0.005, 4)), rng.uniform(0.95, 1)])
        persons.append([0.4, 0.1, 0.5, 0.4, 0.3])  # below the score that is asked for
        proposals[f'{name},{second:04d}'] = np.array(persons)
    return rows, proposals


def write_annotations(folder: Path, train: dict, val: dict) -> None:
    """Everything that the configs expect below ``annotations``."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    with open(folder / 'ava_action_list_v2.2_for_activitynet_2019.pbtxt', 'w') as file:
        for number in ACTIONS:
            file.write(f'item {{\n  name: "colour {number}"\n  id: {number}\n}}\n')
    for subset, videos in (('train', train), ('val', val)):
        rows, proposals = [], {}
        for video, actions in videos.items():
            new_rows, new_proposals = annotate(video, actions, rng)
            rows += new_rows
            proposals |= new_proposals
        if subset == 'val':  # the metric would count what is annotated there as missed
            rows = [row for row in rows if tuple(row[:2]) != EXCLUDED['val']]
        with open(folder / f'ava_{subset}_v2.2.csv', 'w', newline='') as file:
            csv.writer(file).writerows(rows)
        video, second = EXCLUDED[subset]
        (folder / f'ava_{subset}_excluded_timestamps_v2.2.csv').write_text(f'{video},{second}\n')
        dump(proposals, folder / f'ava_dense_proposals_{subset}.FAIR.recall_93.9.pkl')


def make_tiny_ava(root: Path) -> Path:
    """Write ``ava`` and ``ava_kinetics`` below ``root``, as the configs expect them in ``data``."""
    sys.path.insert(0, str(TOOLS))
    try:
        tool = importlib.import_module('extract_frames')
    finally:
        sys.path.remove(str(TOOLS))
    frames = root / 'ava' / 'rawframes'
    frames.mkdir(parents=True)
    for seed, (video, actions) in enumerate((TRAIN | VAL | KINETICS).items()):
        path = root / f'{video}.mp4'
        write_video(path, actions, seed)
        job = tool.Job(str(path), str(frames / video), HEIGHT, FPS, 0.0, float(SECONDS), 95)
        assert tool.extract(job) == SECONDS * FPS
    write_annotations(root / 'ava' / 'annotations', TRAIN, VAL)
    write_annotations(root / 'ava_kinetics' / 'annotations', TRAIN | KINETICS, VAL)
    (root / 'ava_kinetics' / 'rawframes').symlink_to(frames)
    return root


def relocate(node, data):
    """Replace ``data`` at the beginning of every path of a config."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        if isinstance(value, str) and value.startswith('data/'):
            node[key] = str(data / value.removeprefix('data/'))
        elif isinstance(value, dict | list):
            relocate(value, data)


def read_config(name, data):
    """The config on the tiny set, loading in this process."""
    cfg = Config.fromfile(CONFIGS / name)
    relocate(cfg._cfg_dict, data)
    for loader in (cfg[key] for key in LOADERS):
        loader.update(num_workers=0, persistent_workers=False, pin_memory=False)
        loader.dataset.timestamp_end = STOP
    return cfg


def tiny_config(name, data, work_dir, size=64, epochs=1):
    """The config with a tiny model and small frames; data flow and optimiser are left alone."""
    cfg = read_config(name, data)
    cfg.model.backbone.update(arch=TINY, img_size=size, init_cfg=None)
    cfg.model.roi_head.bbox_head.in_channels = 32
    for loader in (cfg[key] for key in LOADERS):
        for step in loader.dataset.pipeline:
            step.update(
                dict(
                    RandomRescale=dict(scale_range=(size, size + 16)),
                    RandomCrop=dict(size=size),
                    Resize=dict(scale=(-1, size)),
                ).get(step.type, {})
            )
    cfg.train_dataloader.batch_size = 4
    cfg.train_cfg.update(max_epochs=epochs, val_interval=epochs)
    cfg.default_hooks.logger.interval = 1
    cfg.default_hooks.checkpoint.interval = epochs
    cfg.visualizer.vis_backends = [dict(type='LocalVisBackend')]
    cfg.work_dir = str(work_dir)
    return cfg
