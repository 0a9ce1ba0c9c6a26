"""An emulated GoPro Cloud: its API and its CDN over real HTTP on loopback, with every quirk that clients have met."""

from tests.gopro_cloud.library import expected_originals, from_folder, many_small, sample_library
from tests.gopro_cloud.media import CloudFile, CloudMedium
from tests.gopro_cloud.quirks import Quirks
from tests.gopro_cloud.server import GoProCloud

__all__ = [
    "CloudFile",
    "CloudMedium",
    "GoProCloud",
    "Quirks",
    "expected_originals",
    "from_folder",
    "many_small",
    "sample_library",
]
