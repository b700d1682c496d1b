"""The simulated ECR as a store: what may be pushed, which tag points where, what can be pulled."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from fnmatch import fnmatchcase

from .calls import SimulatedError
from .core import Core
from .images import INDEX_TYPES, Manifest, digest_of
from .state import Repository, State


class Registry:
    """All writes to ECR, whoever makes them."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def create(self, name: str, *, mutability: str, exclusions: list[str]) -> Repository:
        repository = Repository(
            name=name,
            mutability=mutability,
            exclusions=exclusions,
            created_at=self._core.clock.now(),
        )
        self._core.state.repositories[name] = repository
        self._core.changed("repository-created", name, mutability=mutability)
        return repository

    def push(
        self, repository: Repository, config: bytes, manifest: Manifest, tag: str | None
    ) -> str:
        """Push as a registry client does: blobs first, then the manifest under the tag."""
        digest = manifest.digest
        if tag is not None and repository.tags.get(tag, digest) != digest:
            self.check_tag(repository, tag)
        repository.blobs[digest_of(config)] = config
        self.store(repository, manifest)
        if tag is not None:
            self.point(repository, tag, digest)
        return digest

    def copy(self, source: Repository, digest: str, target: Repository, tag: str) -> None:
        """Everything below the digest first, then the tag: as a registry client copies."""
        manifest = source.manifests[digest]
        if target.tags.get(tag, digest) != digest:
            self.check_tag(target, tag)
        document = json.loads(manifest.text)
        for child in document.get("manifests", []):
            self._copy_one(source, child["digest"], target)
        self._copy_one(source, digest, target)
        self.point(target, tag, digest)

    def _copy_one(self, source: Repository, digest: str, target: Repository) -> None:
        manifest = source.manifests[digest]
        config = json.loads(manifest.text).get("config")
        if config:
            target.blobs[config["digest"]] = source.blobs[config["digest"]]
        self.store(target, manifest)

    def store(self, repository: Repository, manifest: Manifest) -> None:
        if manifest.digest not in repository.manifests:
            repository.manifests[manifest.digest] = manifest
            repository.pushed_at[manifest.digest] = self._core.clock.now()
            if repository.scan_on_push and manifest.media_type not in INDEX_TYPES:
                repository.scans[manifest.digest] = self._core.clock.now()
            self._core.changed("image-pushed", repository.name, digest=manifest.digest)

    def point(self, repository: Repository, tag: str, digest: str) -> None:
        """Move the tag; the caller has checked that it may."""
        before = repository.tags.get(tag)
        if before != digest:
            repository.tags[tag] = digest
            self._core.changed("tag-moved", repository.name, tag=tag, digest=digest, before=before)

    def check_tag(self, repository: Repository, tag: str) -> None:
        """Refuse to move an existing tag where the repository forbids it."""
        if is_immutable(repository, tag):
            raise SimulatedError(
                "ImageTagAlreadyExistsException",
                f"The image tag '{tag}' already exists in the '{repository.name}' repository and "
                "cannot be overwritten because the tag is immutable.",
            )

    def put(self, repository: Repository, manifest: Manifest, tag: str | None) -> None:
        """PutImage: everything the manifest names must be there already."""
        digest = manifest.digest
        self._check_parts(repository, manifest)
        if digest in repository.manifests and (tag is None or repository.tags.get(tag) == digest):
            named = f"with tag '{tag}' " if tag else ""
            raise SimulatedError(
                "ImageAlreadyExistsException",
                f"Image with digest '{digest}' {named}already exists in the "
                f"'{repository.name}' repository.",
            )
        if tag is not None and tag in repository.tags:
            self.check_tag(repository, tag)
        self.store(repository, manifest)
        if tag is not None:
            self.point(repository, tag, digest)

    def _check_parts(self, repository: Repository, manifest: Manifest) -> None:
        document = json.loads(manifest.text)
        if manifest.media_type in INDEX_TYPES:
            if any(e["digest"] not in repository.manifests for e in document["manifests"]):
                raise SimulatedError(
                    "ReferencedImagesNotFoundException", "A referenced image was not found."
                )
        elif document["config"]["digest"] not in repository.blobs:
            raise SimulatedError("LayersNotFoundException", "The config layer was not found.")

    def delete(self, repository: Repository, digest: str) -> None:
        """Remove an image and its tags, as a lifecycle policy does."""
        repository.manifests.pop(digest)
        repository.tags = {t: d for t, d in repository.tags.items() if d != digest}
        self._core.changed("image-deleted", repository.name, digest=digest)

    def issue_password(self) -> str:
        password = self._core.names.hexadecimal()
        expiry = self._core.clock.now() + timedelta(hours=12)
        self._core.state.registry_passwords[password] = expiry
        return password


def is_immutable(repository: Repository, tag: str) -> bool:
    is_excluded = any(fnmatchcase(tag, pattern) for pattern in repository.exclusions)
    match repository.mutability:
        case "IMMUTABLE":
            return True
        case "IMMUTABLE_WITH_EXCLUSION":
            return not is_excluded
        case "MUTABLE_WITH_EXCLUSION":
            return is_excluded
        case _:
            return False


class PullError(Exception):
    """Why an image cannot be pulled, in the words of the container runtime."""


def resolve(state: State, reference: str, known: str | None = None) -> str:
    """The digest to pull: the `known` one, or what the reference means now."""
    host, _, rest = reference.partition("/")
    path, _, pinned = rest.partition("@")
    pinned = known or pinned
    repositories = state.repositories_at(host)
    if repositories is None:
        return pinned or digest_of(reference.encode())
    name, _, tag = path.partition(":")
    repository = repositories.get(name)
    if repository is None:
        raise PullError(f"{_RETRIED} {reference}: {reference}: not found")
    digest = pinned or repository.tags.get(tag or "latest")
    if digest is None or digest not in repository.manifests:
        raise PullError(f"{_RETRIED} {reference}: {reference}: not found")
    if digest in repository.archived:
        raise PullError(f"{_RETRIED} {reference}: image is archived")
    return digest


def choose_platform(state: State, reference: str, digest: str, platform: str) -> None:
    """Refuse an image without a variant for the platform."""
    repository = _repository_of(state, reference)
    if repository is None:
        return
    if platform not in platforms(repository, digest):
        raise PullError(
            "pull image manifest has been retried 7 time(s): image Manifest does not contain "
            f"descriptor matching platform '{platform}'"
        )


def platforms(repository: Repository, digest: str) -> list[str]:
    """The platforms an image runs on, read from its index or its config."""
    manifest = repository.manifests[digest]
    document = json.loads(manifest.text)
    if manifest.media_type in INDEX_TYPES:
        return [_platform(entry["platform"]) for entry in document["manifests"]]
    return [_platform(config_of(repository, digest))]


def config_of(repository: Repository, digest: str) -> Mapping[str, object]:
    """The config document of an image; of an index, that of its first child."""
    manifest = repository.manifests[digest]
    document = json.loads(manifest.text)
    if manifest.media_type in INDEX_TYPES:
        return config_of(repository, document["manifests"][0]["digest"])
    config: Mapping[str, object] = json.loads(repository.blobs[document["config"]["digest"]])
    return config


def labels_of(state: State, reference: str, digest: str | None) -> Mapping[str, str]:
    """The labels of a pulled image; none for images outside the simulated ECR."""
    repository = _repository_of(state, reference)
    if repository is None or digest not in repository.manifests:
        return {}
    settings = config_of(repository, digest)["config"]
    return settings["Labels"] if isinstance(settings, dict) else {}


def _repository_of(state: State, reference: str) -> Repository | None:
    host, _, rest = reference.partition("/")
    name = rest.partition("@")[0].partition(":")[0]
    return (state.repositories_at(host) or {}).get(name)


def _platform(entry: Mapping[str, object]) -> str:
    return f"{entry['os']}/{entry['architecture']}"


_RETRIED = "pull image manifest has been retried 7 time(s): failed to resolve ref"
