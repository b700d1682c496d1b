"""Images as a registry holds them: real manifests over real config blobs, with true digests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
INDEX_TYPES = (DOCKER_LIST, OCI_INDEX)

_OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
_OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_LAYER_BYTES = 31_000_000


@dataclass(frozen=True, slots=True)
class Manifest:
    """One manifest or index, byte for byte."""

    text: str
    media_type: str

    @property
    def digest(self) -> str:
        return digest_of(self.text.encode())


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def make_config(*, content: str, created: str, labels: Mapping[str, str], platform: str) -> bytes:
    """An image config; a different content, time, label or platform gives another digest."""
    system, architecture = platform.split("/")
    document = {
        "architecture": architecture,
        "os": system,
        "created": created,
        "config": {"Labels": dict(labels), "Cmd": ["serve"]},
        "rootfs": {"type": "layers", "diff_ids": [digest_of(content.encode())]},
    }
    return json.dumps(document).encode()


def make_manifest(config: bytes) -> Manifest:
    """The manifest of a one-layer image with this config."""
    layer = digest_of(b"layer" + config)
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": _OCI_CONFIG, "size": len(config), "digest": digest_of(config)},
        "layers": [{"mediaType": _OCI_LAYER, "size": _LAYER_BYTES, "digest": layer}],
    }
    return Manifest(json.dumps(document, indent=2), OCI_MANIFEST)


def make_index(children: Mapping[str, Manifest]) -> Manifest:
    """A multi-platform index over manifests by platform."""
    entries = [
        {
            "mediaType": child.media_type,
            "size": len(child.text),
            "digest": child.digest,
            "platform": dict(zip(("os", "architecture"), platform.split("/"), strict=True)),
        }
        for platform, child in children.items()
    ]
    document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
    return Manifest(json.dumps(document, indent=2), OCI_INDEX)
