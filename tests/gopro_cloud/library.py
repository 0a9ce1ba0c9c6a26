"""Libraries for tests and the demo, and what a backup of each must hold: known from how they are built."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from tests.gopro_cloud.media import CloudFile, CloudMedium, Generated, OnDisk, Strip, digest

KIB = 1024


@dataclass(frozen=True)
class Expected:
    """An original that must be archived."""

    item_number: int
    length: int
    sha256: str


def expected_originals(library: Iterable[CloudMedium]) -> dict[str, list[Expected]]:
    """What must be archived, by media id; media that are not ready have nothing."""
    return {
        medium.media_id: [Expected(file.number, file.body.length, digest(file.body)) for file in medium.originals]
        for medium in library
        if medium.originals
    }


def source(media_id: str, length: int, number: int = 1, extension: str = "mp4", *, tells: bool = True) -> CloudFile:
    """A chapter, or the only one, as the variation labelled source."""
    body = Generated(f"{media_id}/source/{number}", length, extension)
    path = f"source/default/{number}.{extension}"
    return CloudFile("variations", body, path, "source", extension, number, tells, original=True)


def derived(media_id: str, label: str, length: int = 9 * KIB, shelf: str = "variations") -> CloudFile:
    """What GoPro made of a medium: never to be archived."""
    body = Generated(f"{media_id}/{label}", length)
    return CloudFile(shelf, body, f"{label}/1.mp4", label, tells_number=False, width=1920, height=1080)


def proxy(media_id: str) -> CloudFile:
    """The 1080p copy that stands first in `files` of a 4K video."""
    body = Generated(f"{media_id}/proxy", 7 * KIB)
    return CloudFile("files", body, "proxy/1.mp4", "", "mp4", 1, True, width=1920, height=1080)


def frame(media_id: str, number: int, length: int) -> CloudFile:
    """A photo of a set."""
    body = Generated(f"{media_id}/frame/{number}", length, "jpg")
    return CloudFile("files", body, f"files/{number}.jpg", "", "jpg", number, original=True)


def raw(media_id: str, number: int, length: int) -> CloudFile:
    """The RAW beside a photo."""
    body = Generated(f"{media_id}/raw/{number}", length, "gpr")
    return CloudFile("sidecar_files", body, f"raw/{number}.gpr", "raw_photo", "gpr", number, original=True)


def sidecar(media_id: str) -> CloudFile:
    """Telemetry: worth something, but no original."""
    return CloudFile("sidecar_files", Generated(f"{media_id}/gpmf", 3 * KIB), "gpmf/1.mp4", "gpmf", "1.mp4")


def with_strip(medium: CloudMedium) -> CloudMedium:
    """The medium with small pictures of it."""
    strip = CloudFile("sprites", Strip(medium.media_id), "sprites/1.jpg", extension="jpg")
    return replace(medium, files=(*medium.files, strip))


def cover(media_id: str) -> CloudFile:
    """The lone source of a set of photos."""
    body = Generated(f"{media_id}/cover", 4 * KIB, "jpg")
    return CloudFile("variations", body, "source/default/cover.jpg", "source", "jpg", tells_number=False)


def video(media_id: str, filename: str | None, captured_at: str, length: int, **more: object) -> CloudMedium:
    """A 4K video with everything that other clients take for it."""
    files = (
        proxy(media_id),
        derived(media_id, "edit_proxy"),
        source(media_id, length, tells=False),
        derived(media_id, "high_res_proxy_mp4"),
        derived(media_id, "mp4_low"),
        sidecar(media_id),
    )
    told: dict[str, object] = {"told_length": length, "files": files, **more}
    return CloudMedium(media_id, "Video", filename, captured_at, **told)  # type: ignore[arg-type]


def chaptered(media_id: str, filename: str, captured_at: str, lengths: list[int], *, tells: bool) -> CloudMedium:
    """A long video in chapters, told out of order, with the server's own join of them."""
    chapters = [source(media_id, length, number, tells=tells) for number, length in enumerate(lengths, 1)]
    files = (proxy(media_id), derived(media_id, "concat", sum(lengths)), *reversed(chapters), sidecar(media_id))
    return CloudMedium(
        media_id, "Chaptered", filename, captured_at, files, told_length=sum(lengths), item_count=len(lengths)
    )


def frames(
    media_id: str, kind: str, filename: str, captured_at: str, lengths: list[int], *, raws: bool = False
) -> CloudMedium:
    """A set of photos with a cover that is none of them."""
    shots = [frame(media_id, number, length) for number, length in enumerate(lengths, 1)]
    negatives = [raw(media_id, number, length * 2) for number, length in enumerate(lengths, 1)] if raws else []
    files = (cover(media_id), derived(media_id, "timelapse_video"), *reversed(shots), *negatives)
    return CloudMedium(media_id, kind, filename, captured_at, files, item_count=len(lengths), file_extension="JPG")


def sample_library(scale: float = 1.0) -> list[CloudMedium]:
    """One of everything, with every trap that is known; with small pictures of films. About 20 MB with scale 1."""

    def size(kib: int) -> int:
        return max(2 * KIB, int(kib * KIB * scale)) + 17

    edit = CloudFile(
        "variations",
        Generated("edit/baked", size(900)),
        "baked_source/1.mp4",
        "baked_source",
        tells_number=False,
        original=True,
    )
    photo = source("photo-with-raw", size(300), extension="jpg", tells=False)
    unnamed = source("62unnamedPhoto", size(260), extension="jpg", tells=False)
    library = [
        video("62NzWRrpPXm7o", "GX010327.MP4", "2026-03-01T09:15:00Z", size(2400)),
        video("second-camera1", "GX010327.MP4", "2026-03-14T18:40:00Z", size(1200)),
        chaptered(
            "chapters-told3", "GX010411.MP4", "2026-03-20T10:00:00Z", [size(1800), size(1800), size(700)], tells=True
        ),
        chaptered(
            "5f2b8c9d1e4a7b3c6d8e9f01",
            "GX010412.MP4",
            "2026-04-02T23:59:59Z",
            [size(900), size(901), size(60)],
            tells=False,
        ),
        CloudMedium(
            "photo-with-raw",
            "Photo",
            "GOPR0420.JPG",
            "2026-04-03T08:00:00Z",
            (photo, raw("photo-with-raw", 1, size(1500))),
            item_count=2,
            file_extension="JPG",
        ),
        CloudMedium("62unnamedPhoto", "Photo", None, "2026-04-03T08:01:00Z", (unnamed,), file_extension="JPG"),
        frames(
            "timelapse-set1", "TimeLapse", "G0000004.JPG", "2026-04-05T12:00:00Z", [size(120 + n) for n in range(6)]
        ),
        frames(
            "burst-with-raw",
            "Burst",
            "G0010021.JPG",
            "2026-04-06T12:00:00Z",
            [size(110), size(111), size(112)],
            raws=True,
        ),
        frames("continuous-set", "Continuous", "G0020007.JPG", "2026-04-07T12:00:00Z", [size(90), size(91)]),
        CloudMedium(
            "edit-of-clips1",
            "MultiClipEdit",
            None,
            "2026-04-08T12:00:00Z",
            (derived("edit", "edit_proxy"), edit),
            item_count=5,
            file_extension="json",
        ),
        _as_kind(video("timelapsevideo", "GX010500.MP4", "2026-04-09T12:00:00Z", size(800)), "TimeLapseVideo"),
        _as_kind(video("looped-video01", "GX010501.MP4", "2026-04-10T12:00:00Z", size(700)), "LoopedVideo"),
        _as_kind(video("external-video", "holiday ü/2026.mov", "2026-04-11T12:00:00Z", size(600)), "ExternalVideo"),
        video("reprocessed-01", "GX010502.MP4", "2026-04-12T12:00:00Z", size(500), told_length=size(500) + 3245),
        video("transcoding-ok", "GX010503.MP4", "2026-04-13T12:00:00Z", size(400), state="transcoding"),
        _as_kind(
            video("from-the-future", "GX010504.MP4", "2026-04-14T12:00:00Z", size(300), state="dreaming"), "Hologram"
        ),
        CloudMedium("still-uploading", "Video", "GX010505.MP4", "2026-04-15T12:00:00Z", state="uploading"),
        CloudMedium(
            "transcoding-not",
            "Video",
            "GX010506.MP4",
            "2026-04-16T12:00:00Z",
            (proxy("transcoding-not"),),
            state="transcoding",
        ),
    ]
    return [
        with_strip(medium) if any(file.extension == "mp4" for file in medium.originals) else medium
        for medium in library
    ]


def _as_kind(medium: CloudMedium, kind: str) -> CloudMedium:
    return replace(medium, kind=kind)


def many_small(count: int, length: int) -> list[CloudMedium]:
    """Many photos of `length` bytes."""
    return [
        CloudMedium(
            f"small{number:06}",
            "Photo",
            f"GOPR{number % 10000:04}.JPG",
            f"2026-05-{number % 28 + 1:02}T12:00:00Z",
            (source(f"small{number:06}", length, extension="jpg", tells=False),),
            told_length=length,
            file_extension="JPG",
        )
        for number in range(count)
    ]


def from_folder(folder: Path) -> list[CloudMedium]:
    """The MP4 and JPEG files of a folder, each a medium: real recordings, served as they are."""
    kinds = {".mp4": "Video", ".mov": "Video", ".jpg": "Photo", ".jpeg": "Photo"}
    media = []
    for path in sorted(path for path in folder.iterdir() if path.suffix.lower() in kinds):
        extension = path.suffix[1:].lower()
        file = CloudFile(
            "variations", OnDisk(path), f"source/default/1.{extension}", "source", extension, original=True
        )
        media.append(
            CloudMedium(
                f"real-{path.stem}"[:40],
                kinds[path.suffix.lower()],
                path.name,
                "2026-06-01T12:00:00Z",
                (file,),
                told_length=path.stat().st_size,
                file_extension=extension.upper(),
            )
        )
    return media
