"""The folder in which the lines of the documentation are typed: the demo, a kitchen of one's own,
both with objects of the demo's detector, and a few videos where publishers' data sets would be."""

import json
import shutil
from contextlib import chdir
from pathlib import Path

from orn.demo.world import write_world
from tests.data_manifests import test_epic, test_vlog
from tests.running import LAPTOP, run_orn
from tests.worlds.demo import SMALL_DEMO
from tests.worlds.videos import write_folder, write_gray

_VIDEOS = {f"{number:04}": "open" if number % 2 else "close" for number in range(1, 13)}
_DEMO = [word for setting in SMALL_DEMO for word in ("--set", setting)]
_SMALL = (
    *("--recipe", "small", "--set", "phases.epochs=1"),
    *("--set", "model.relation_width=16"),
)


def write_documents(folder: Path) -> None:
    """Makes everything that the pages of the documentation name."""
    with chdir(folder):
        films = {"train": 12, "validation": 4, "test": 2}
        write_world(Path("data"), films=films, seed=0, workers=1)
        _write_kitchen()
        _write_cages()
        _write_demo()  # the data set whose detection was completed last
        _write_published()
        film = min(Path("data/demo/videos").iterdir())
        for name in ("film.mp4", "new.mp4", "films/one.mp4", "more/two.mp4"):
            Path(name).parent.mkdir(exist_ok=True)
            shutil.copy(film, name)
        write_folder(Path("frames"), [(f"{number:04}.jpg", number) for number in range(1, 13)])
        for name in ("one", "other"):
            shutil.copytree("runs/demo", f"runs/{name}")


def _write_cages() -> None:
    """Films with intervals, their manifest, and corrections of one of them."""
    rows = ["video,start,stop,label"]
    Path("cages/videos").mkdir(parents=True)
    for number in range(1, 7):
        name = f"videos/cage-{number:02}.mp4"
        shutil.copy(f"data/demo/videos/train-{number:06}.mp4", f"cages/{name}")
        rows += [f"{name},0,0.3,rear", f"{name},0.5,0.8,groom"]
    Path("cages/labels.csv").write_text("\n".join(rows) + "\n")
    corrected = "video,start,stop,label\nvideos/cage-01.mp4,0.1,0.3,rear\n"
    Path("cage-01.corrections.csv").write_text(corrected)
    run_orn("manifest", "new", "cages/labels.csv", "--intervals", "--folds", "3")


def _write_demo() -> None:
    run_orn("detect", "demo", "--workers", "1", "--device", "cpu", alone=True)
    run_orn("clips", "demo")
    run_orn("train", "demo", *_DEMO, "--run", "runs/demo", *LAPTOP)
    for split in ("validation", "test"):
        run_orn("eval", "runs/demo", "--split", split, *LAPTOP)


def _write_kitchen() -> None:
    """Videos, a table with a split and a person, and the objects of each frame in four formats."""
    rows = ["video,label,person"]
    boxes = ["video,frame,x1,y1,x2,y2,class,score"]
    for place, (name, label) in enumerate(_VIDEOS.items()):
        Path("kitchen").mkdir(exist_ok=True)
        shutil.copy(f"data/demo/videos/train-{place:06}.mp4", f"kitchen/{name}.mp4")
        rows.append(f"{name},{label},p{place // 2}")
        boxes += [f"{name},{frame},4,4,{20 + frame},30,cup,0.9" for frame in range(8)]
    Path("kitchen/labels.csv").write_text("\n".join(rows) + "\n")
    Path("corrections.csv").write_text("id,verdict,label\n0001,right,\n0002,leave out,\n")
    Path("boxes.csv").write_text("\n".join(boxes) + "\n")
    images = [
        {"id": number, "file_name": f"images/key-{name}_{1 + number % 8}.jpg"}
        | {"height": 48, "width": 64, "video": name, "frame": number % 8}
        for number, name in enumerate(name for name in _VIDEOS for _ in range(8))
    ]
    box = {"bbox": [4, 4, 20, 30], "category_id": 1, "iscrowd": 0}
    annotations = [box | {"id": image["id"], "image_id": image["id"]} for image in images]
    coco = {"annotations": annotations, "categories": [{"id": 1, "name": "cup"}]}
    named = [
        {key: image[key] for key in image if key not in ("video", "frame")} for image in images
    ]
    Path("result.json").write_text(json.dumps({**coco, "images": named}))
    Path("runs/segment/track/labels").mkdir(parents=True)
    Path("names.txt").write_text("cup\n")
    for name in _VIDEOS:
        Path(f"runs/segment/track/labels/{name}_1.txt").write_text("0 0.5 0.5 0.5 0.5 0.9 1\n")
    Path("boxes").mkdir()
    Path("boxes/all.json").write_text(json.dumps({**coco, "images": images}))
    run_orn("manifest", "new", "kitchen/labels.csv", "--split", "60/20/20")
    detector = ("--config", "mask_rcnn_demo", "--workers", "1", "--device", "cpu")
    run_orn("detect", "kitchen.toml", *detector, alone=True)
    run_orn("clips", "kitchen.toml", "--backbone", "timm/tf_efficientnet_lite0", "--motion")
    run = "runs/kitchen-small-seed0"
    run_orn("train", "kitchen.toml", *_SMALL, "--run", run, *LAPTOP)
    run_orn("eval", run, *LAPTOP)


def _write_published() -> None:
    """Two videos each, with tables as the publishers of VLOG and EPIC Kitchens lay them out."""
    test_vlog.write(Path("data/vlog"), [[1, -1, 1], [-1, 0, 1]], splits="1\n3\n")
    for name in ("a/1", "b/2"):
        write_gray(Path("data/vlog/videos/O", name, "clip.mp4"), 8)
    annotations = Path("data/epic/annotations")
    annotations.mkdir(parents=True)
    people = ("P01", "P26")
    rows = "".join(
        test_epic.row(uid=str(place), person=person, video_id=f"{person}_01", stop="00:00:00.60")
        for place, person in enumerate(people)
    )
    test_epic.write(annotations, rows)
    named = {"t": "train_action_labels", "v": "verb_classes", "n": "noun_classes"}
    for short, name in named.items():
        (annotations / f"{short}.csv").rename(annotations / f"EPIC_{name}.csv")
    for person in people:
        write_gray(Path("data/epic/videos", person, f"{person}_01.MP4"), 8)
