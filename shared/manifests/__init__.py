"""What data sets are and how they are loaded."""

from shared.manifests.load import dataset_names, load_dataset, load_listing, load_manifest
from shared.manifests.records import Dataset, DetectorChoice, Listing, Segment, Video
from shared.manifests.schema import Manifest

__all__ = [
    "Dataset",
    "DetectorChoice",
    "Listing",
    "Manifest",
    "Segment",
    "Video",
    "dataset_names",
    "load_dataset",
    "load_listing",
    "load_manifest",
]
