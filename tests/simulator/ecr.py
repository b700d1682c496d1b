"""The ECR operations."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from .ask import Ask, Tree, page, present
from .calls import SimulatedError
from .images import DOCKER_MANIFEST, INDEX_TYPES, Manifest
from .registry import Registry
from .state import Repository, State, Vulnerability


class Ecr:
    """One method per operation, named like the boto3 method."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def describe_repositories(self, ask: Ask) -> Tree:
        names = ask.params.get("repositoryNames") or list(ask.state.repositories)
        found = [_repository(ask.state, name) for name in names]
        return page(ask, "repositories", [_show(ask.state, each) for each in found])

    def create_repository(self, ask: Ask) -> Tree:
        name = ask.params["repositoryName"]
        if name in ask.state.repositories:
            raise SimulatedError(
                "RepositoryAlreadyExistsException",
                f"The repository with name '{name}' already exists in the registry.",
            )
        filters = ask.params.get("imageTagMutabilityExclusionFilters", [])
        repository = self._registry.create(
            name,
            mutability=ask.params.get("imageTagMutability", "MUTABLE"),
            exclusions=[each["filter"] for each in filters],
        )
        scanning = ask.params.get("imageScanningConfiguration", {})
        repository.scan_on_push = scanning.get("scanOnPush", False)
        return {"repository": _show(ask.state, repository)}

    def put_lifecycle_policy(self, ask: Ask) -> Tree:
        repository = _asked(ask)
        repository.lifecycle_policy = ask.params["lifecyclePolicyText"]
        return {
            "registryId": ask.state.account,
            "repositoryName": repository.name,
            "lifecyclePolicyText": repository.lifecycle_policy,
        }

    def get_authorization_token(self, ask: Ask) -> Tree:
        token = base64.b64encode(f"AWS:{self._registry.issue_password()}".encode()).decode()
        data = {
            "authorizationToken": token,
            "expiresAt": ask.now + timedelta(hours=12),
            "proxyEndpoint": f"https://{ask.state.registry}",
        }
        return {"authorizationData": [data]}

    def describe_images(self, ask: Ask) -> Tree:
        repository = _asked(ask)
        wanted = ask.params.get("imageIds")
        digests = list(repository.manifests) if wanted is None else []
        for image_id in wanted or ():
            digest = _find(repository, image_id)
            if digest is None:
                raise SimulatedError(
                    "ImageNotFoundException",
                    f"The image with imageId {image_id} does not exist within the repository "
                    f"with name '{repository.name}' in the registry with id "
                    f"'{ask.state.account}'",
                )
            digests.append(digest)
        status = ask.params.get("filter", {}).get("tagStatus", "ANY")
        shown = [
            digest
            for digest in digests
            if status == "ANY" or (status == "TAGGED") == bool(_tags(repository, digest))
        ]
        wanted_status = ask.params.get("filter", {}).get("imageStatus", "ACTIVE")
        if wanted_status != "ANY":
            shown = [d for d in shown if (d in repository.archived) == (wanted_status != "ACTIVE")]
        details = [_detail(ask.state, repository, digest) for digest in shown]
        return page(ask, "imageDetails", details)

    def describe_pull_through_cache_rules(self, ask: Ask) -> Tree:
        rules = [
            {"ecrRepositoryPrefix": prefix, "upstreamRegistryUrl": "public.ecr.aws"}
            for prefix in ask.state.pull_through_prefixes
        ]
        return page(ask, "pullThroughCacheRules", rules)

    def batch_get_image(self, ask: Ask) -> Tree:
        repository = _asked(ask)
        images: list[Tree] = []
        failures: list[Tree] = []
        for image_id in ask.params["imageIds"]:
            digest = _find(repository, image_id)
            if digest is None:
                reason = {
                    "failureCode": "ImageNotFound",
                    "failureReason": "Requested image not found",
                }
                failures.append({"imageId": image_id, **reason})
            else:
                images.append(_image(ask.state, repository, digest, image_id.get("imageTag")))
        return {"images": images, "failures": failures}

    def put_image(self, ask: Ask) -> Tree:
        repository = _asked(ask)
        text = ask.params["imageManifest"]
        stated = json.loads(text).get("mediaType")
        media_type = ask.params.get("imageManifestMediaType") or stated or DOCKER_MANIFEST
        manifest = Manifest(text, media_type)
        if stated not in (None, media_type):
            raise SimulatedError("InvalidParameterException", "Manifest media type mismatch.")
        if ask.params.get("imageDigest", manifest.digest) != manifest.digest:
            raise SimulatedError("ImageDigestDoesNotMatchException", "The digest does not match.")
        tag = ask.params.get("imageTag")
        self._registry.put(repository, manifest, tag)
        return {"image": _image(ask.state, repository, manifest.digest, tag)}

    def batch_delete_image(self, ask: Ask) -> Tree:
        repository = _asked(ask)
        deleted = []
        for image_id in ask.params["imageIds"]:
            digest = _find(repository, image_id)
            if digest is not None:
                self._registry.delete(repository, digest)
                deleted.append({"imageDigest": digest})
        return {"imageIds": deleted, "failures": []}

    def get_download_url_for_layer(self, ask: Ask) -> Tree:
        repository = _asked(ask)
        digest = ask.params["layerDigest"]
        if digest not in repository.blobs:
            raise SimulatedError("LayersNotFoundException", f"Layer {digest} was not found.")
        url = (
            f"https://{layer_host(ask.state)}/{repository.name}/{digest}?X-Amz-Signature=simulated"
        )
        return {"downloadUrl": url, "layerDigest": digest}

    def describe_image_scan_findings(self, ask: Ask) -> Tree:
        repository = _asked(ask)
        digest = _find(repository, ask.params["imageId"])
        if digest is None:
            raise SimulatedError("ImageNotFoundException", "The image does not exist.")
        began = repository.scans.get(digest)
        if began is None:
            raise SimulatedError("ScanNotFoundException", "Image scan does not exist.")
        said: Tree = {
            "registryId": ask.state.account,
            "repositoryName": repository.name,
            "imageId": {"imageDigest": digest},
            "imageScanStatus": {"status": _status(repository, ask.now - began)},
        }
        if said["imageScanStatus"]["status"] not in {"COMPLETE", "ACTIVE"}:
            return said
        found = page(ask, "found", repository.findings.get(digest, ()))
        return {
            **said,
            "imageScanFindings": _findings(repository, found.pop("found"), digest, began),
            **found,
        }

    def start_image_scan(self, ask: Ask) -> Tree:
        repository = _asked(ask)
        digest = _find(repository, ask.params["imageId"])
        if digest is None:
            raise SimulatedError("ImageNotFoundException", "The image does not exist.")
        if repository.scanner == "enhanced":
            raise SimulatedError(
                "ValidationException", "This feature is disabled: enhanced scanning is on"
            )
        if repository.manifests[digest].media_type in INDEX_TYPES:
            raise SimulatedError("UnsupportedImageTypeException", "It cannot be scanned")
        began = repository.scans.get(digest)
        if began is not None and ask.now - began < timedelta(hours=24):
            raise SimulatedError(
                "LimitExceededException", "The scan quota per image has been exceeded. Wait and try"
            )
        repository.scans[digest] = ask.now
        return {"imageScanStatus": {"status": "IN_PROGRESS"}}


def _status(repository: Repository, elapsed: timedelta) -> str:
    is_basic = repository.scanner == "basic"
    if elapsed.total_seconds() < repository.scan_seconds:
        return "IN_PROGRESS" if is_basic else "PENDING"
    return repository.scan_end or ("COMPLETE" if is_basic else "ACTIVE")


def _findings(
    repository: Repository, shown: Sequence[Vulnerability], digest: str, began: datetime
) -> Tree:
    told = {"imageScanCompletedAt": began + timedelta(seconds=repository.scan_seconds)}
    if repository.scanner == "enhanced":
        return {**told, "enhancedFindings": [_enhanced(each) for each in shown]}
    counts = Counter(each.severity for each in repository.findings.get(digest, ()))
    return {
        **told,
        "findings": [_basic(each) for each in shown],
        "findingSeverityCounts": dict(counts),
    }


def _basic(found: Vulnerability) -> Tree:
    attributes = {"package_name": found.package, "package_version": found.installed}
    return {
        "name": found.name,
        "severity": found.severity,
        "attributes": [{"key": key, "value": value} for key, value in attributes.items()],
    }


def _enhanced(found: Vulnerability) -> Tree:
    package = {
        "name": found.package,
        "version": found.installed,
        "fixedInVersion": found.fixed or "NotAvailable",
    }
    return {
        "severity": found.severity,
        "status": found.status,
        "type": "PACKAGE_VULNERABILITY",
        "fixAvailable": "YES" if found.fixed else "NO",
        "packageVulnerabilityDetails": {
            "vulnerabilityId": found.name,
            "vulnerablePackages": [package],
        },
    }


def layer_host(state: State) -> str:
    """Where download URLs of layers point to; the simulated Http port answers it."""
    return f"prod-{state.region}-starport-layer-bucket.s3.{state.region}.amazonaws.com"


def _asked(ask: Ask) -> Repository:
    account = ask.params.get("registryId", ask.state.account)
    return _repository(ask.state, ask.params["repositoryName"], account)


def _repository(state: State, name: str, account: str | None = None) -> Repository:
    host = state.registry.replace(state.account, account or state.account)
    found = (state.elsewhere.get(host) or state.repositories_at(host) or {}).get(name)
    if found is None:
        raise SimulatedError(
            "RepositoryNotFoundException",
            f"The repository with name '{name}' does not exist in the registry with id "
            f"'{account or state.account}'",
        )
    return found


def _find(repository: Repository, image_id: dict[str, Any]) -> str | None:
    """The digest of an image identifier, None where there is no such image."""
    tag, digest = image_id.get("imageTag"), image_id.get("imageDigest")
    if tag is not None:
        found = repository.tags.get(tag)
        return found if digest in (None, found) else None
    return digest if digest in repository.manifests else None


def _tags(repository: Repository, digest: str) -> list[str]:
    return [tag for tag, pointed in repository.tags.items() if pointed == digest]


def _show(state: State, repository: Repository) -> Tree:
    filters = [{"filterType": "WILDCARD", "filter": each} for each in repository.exclusions]
    return present(
        repositoryArn=state.arn("ecr", f"repository/{repository.name}"),
        registryId=state.account,
        repositoryName=repository.name,
        repositoryUri=f"{state.registry}/{repository.name}",
        createdAt=repository.created_at,
        imageTagMutability=repository.mutability,
        imageTagMutabilityExclusionFilters=filters or None,
        imageScanningConfiguration={"scanOnPush": repository.scan_on_push},
        encryptionConfiguration={"encryptionType": "AES256"},
    )


def _detail(state: State, repository: Repository, digest: str) -> Tree:
    manifest = repository.manifests[digest]
    scanned: Tree | None = None
    if digest in repository.scans:
        counts = Counter(each.severity for each in repository.findings.get(digest, ()))
        scanned = {"findingSeverityCounts": dict(counts)}
    return present(
        registryId=state.account,
        repositoryName=repository.name,
        imageDigest=digest,
        imageTags=_tags(repository, digest) or None,
        imageSizeInBytes=31_000_000,
        imagePushedAt=repository.pushed_at[digest],
        imageManifestMediaType=manifest.media_type,
        imageScanStatus={"status": "COMPLETE"} if scanned else None,
        imageScanFindingsSummary=scanned,
        imageStatus="ARCHIVED" if digest in repository.archived else "ACTIVE",
    )


def _image(state: State, repository: Repository, digest: str, tag: str | None) -> Tree:
    manifest = repository.manifests[digest]
    return {
        "registryId": state.account,
        "repositoryName": repository.name,
        "imageId": present(imageDigest=digest, imageTag=tag),
        "imageManifest": manifest.text,
        "imageManifestMediaType": manifest.media_type,
    }
