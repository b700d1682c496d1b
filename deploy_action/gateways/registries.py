"""Images in any ECR registry, looked at before a release and never changed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from deploy_action.errors import AwsError
from deploy_action.gateways.aws import Clients, answering
from deploy_action.gateways.ecr import ECR_HOST, MEDIA_TYPES
from deploy_action.permissions import Permission, Permissions, Scope
from deploy_action.ports import Http, NoAnswer

PERMISSIONS: Permissions = {
    "ecr:DescribeImages": Permission(scope=Scope.REPOSITORY, optional=True),
    "ecr:DescribePullThroughCacheRules": Permission(scope=Scope.ANYTHING, optional=True),
}

LAYER_SECONDS = 2.0
OK = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an image is kept, as its reference says."""

    reference: str
    repository: str
    identifier: str
    """Tag or digest."""
    account: str
    """Empty for the caller's own."""
    region: str
    """Empty for the caller's own."""

    @property
    def is_pinned(self) -> bool:
        return self.identifier.startswith("sha256:")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """An image that is there."""

    digest: str
    is_archived: bool


class Registries:
    """Every registry that the caller may read."""

    def __init__(self, clients: Clients, http: Http, registry: str | None) -> None:
        self._clients = clients
        self._http = http
        self._registry = registry

    def place(self, reference: str) -> Place | None:
        """Where in ECR the image is; None for another registry."""
        host, slash, rest = reference.partition("/")
        found = ECR_HOST.fullmatch(host)
        if not slash or not (found or host == self._registry):
            return None
        name, _, digest = rest.partition("@")
        name, _, tag = name.partition(":")
        return Place(
            reference=reference,
            repository=name,
            identifier=digest or tag or "latest",
            account=found[1] if found else "",
            region=found[2] if found else "",
        )

    def stored(self, place: Place) -> Stored:
        """What is there; AwsError with MISSING where the image or its repository is not."""
        with answering("ecr:DescribeImages"):
            answer = self._ecr(place).describe_images(
                **_repository(place),
                imageIds=[_id(place.identifier)],
                # Without it, archived images are as good as deleted.
                filter={"imageStatus": "ANY"},
            )
            detail = answer["imageDetails"][0]
        return Stored(
            digest=detail.get("imageDigest", ""),
            is_archived=detail.get("imageStatus", "ACTIVE") == "ARCHIVED",
        )

    def platforms(self, place: Place, digest: str) -> frozenset[str]:
        """`os/architecture` of all that the image has; empty where it does not say."""
        with answering("ecr:BatchGetImage"):
            answer = self._ecr(place).batch_get_image(
                **_repository(place), imageIds=[_id(digest)], acceptedMediaTypes=MEDIA_TYPES
            )
        if not answer.get("images"):
            return frozenset()
        manifest = json.loads(answer["images"][0]["imageManifest"])
        children = manifest.get("manifests")
        if children is not None:
            named = (_platform(child.get("platform") or {}) for child in children)
            return frozenset(platform for platform in named if platform)
        config = self._config(place, (manifest.get("config") or {}).get("digest"))
        platform = _platform(config)
        return frozenset({platform} if platform else ())

    def tags(self, repository: str, registry_id: str, names: Sequence[str]) -> frozenset[str]:
        """Those of the tags that exist."""
        with answering("ecr:BatchGetImage"):
            answer = self._clients.get("ecr", self._own_region).batch_get_image(
                repositoryName=repository,
                imageIds=[_id(name) for name in names],
                acceptedMediaTypes=MEDIA_TYPES,
                **({"registryId": registry_id} if registry_id else {}),
            )
        missing = {
            failure.get("imageId", {}).get("imageTag")
            for failure in answer.get("failures", [])
            if failure.get("failureCode") == "ImageNotFound"
        }
        return frozenset(names) - missing

    def pulls_through(self, place: Place) -> bool:
        """Whether ECR would fetch the image from elsewhere when it is first pulled."""
        with answering("ecr:DescribePullThroughCacheRules"):
            answer = self._ecr(place).describe_pull_through_cache_rules(
                **({"registryId": place.account} if place.account else {})
            )
        prefixes = [rule["ecrRepositoryPrefix"] for rule in answer["pullThroughCacheRules"]]
        return any(p == "ROOT" or place.repository.startswith(p + "/") for p in prefixes)

    @property
    def _own_region(self) -> str:
        found = ECR_HOST.fullmatch(self._registry or "")
        return found[2] if found else ""

    def _ecr(self, place: Place) -> Any:  # noqa: ANN401 - the client of boto3
        return self._clients.get("ecr", place.region)

    def _config(self, place: Place, digest: str | None) -> dict[str, Any]:
        """The config of an image of one platform; empty where it cannot be had."""
        if not digest:
            return {}
        try:
            with answering("ecr:GetDownloadUrlForLayer"):
                url = self._ecr(place).get_download_url_for_layer(
                    **_repository(place), layerDigest=digest
                )["downloadUrl"]
            answer = self._http.get(url, headers={}, timeout_seconds=LAYER_SECONDS)
            document = json.loads(answer.body) if answer.status == OK else {}
        except (AwsError, NoAnswer, ValueError):
            return {}
        return document if isinstance(document, dict) else {}


def _repository(place: Place) -> dict[str, str]:
    name = {"repositoryName": place.repository}
    return {**name, "registryId": place.account} if place.account else name


def _id(identifier: str) -> dict[str, str]:
    key = "imageDigest" if identifier.startswith("sha256:") else "imageTag"
    return {key: identifier}


def _platform(stated: dict[str, Any]) -> str:
    system, architecture = stated.get("os"), stated.get("architecture")
    if not system or not architecture or "unknown" in {system, architecture}:
        return ""
    return f"{system}/{architecture}"
