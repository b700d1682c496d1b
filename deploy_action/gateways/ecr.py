"""Amazon ECR in our words: repositories, images, tags, the login."""

from __future__ import annotations

import base64
import fnmatch
import ipaddress
import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.exceptions import ClientError

from deploy_action.errors import AwsError, Refusal
from deploy_action.gateways.aws import READS, answering
from deploy_action.model import Identity, Json, RegistryImage, Repository
from deploy_action.permissions import Permission, Permissions, Scope
from deploy_action.ports import Answer, Http, NoAnswer, RegistryLogin

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_ecr.client import ECRClient

PERMISSIONS: Permissions = {
    "ecr:BatchGetImage": Permission(scope=Scope.REPOSITORY),
    "ecr:CreateRepository": Permission(
        scope=Scope.REPOSITORY, writes=True, only_with="create-repository"
    ),
    "ecr:DescribeRepositories": Permission(scope=Scope.REPOSITORY),
    "ecr:GetAuthorizationToken": Permission(scope=Scope.ANYTHING),
    "ecr:PutImage": Permission(scope=Scope.REPOSITORY, writes=True),
    "ecr:PutLifecyclePolicy": Permission(
        scope=Scope.REPOSITORY, writes=True, optional=True, only_with="create-repository"
    ),
}
BEHIND_THE_REGISTRY: Permissions = {
    "ecr:BatchCheckLayerAvailability": Permission(scope=Scope.REPOSITORY, writes=True),
    "ecr:CompleteLayerUpload": Permission(scope=Scope.REPOSITORY, writes=True),
    "ecr:GetDownloadUrlForLayer": Permission(scope=Scope.REPOSITORY, optional=True),
    "ecr:InitiateLayerUpload": Permission(scope=Scope.REPOSITORY, writes=True),
    "ecr:UploadLayerPart": Permission(scope=Scope.REPOSITORY, writes=True),
}
"""What the registry asks IAM for when BuildKit pushes, and when `labels` reads a blob."""
READ_OF_A_SOURCE = ("ecr:BatchGetImage", "ecr:DescribeImages", "ecr:GetDownloadUrlForLayer")
"""What a repository must allow that an image is only copied from."""
ECR_HOST = re.compile(r"(\d{12})\.dkr[.-]ecr(?:-fips)?\.([a-z0-9-]+)\.[a-z0-9.-]+")
"""Host of a private registry: account and region. Suffixes differ by partition."""
MEDIA_TYPES = [
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.index.v1+json",
]
"""All that ECR stores; with fewer it converts, and a converted manifest has another digest."""
REDIRECTS = range(300, 400)
OK = 200


class Ecr:
    """One registry: the account's own, or `registry`."""

    def __init__(self, session: boto3.Session, registry: str | None, http: Http) -> None:
        self._session = session
        self.registry = registry
        self._client, self._account = client_of(session, registry)
        self._http = http

    def at(self, host: str) -> Ecr:
        """The registry of another account or region, with the same credentials."""
        return Ecr(self._session, host, self._http)

    def owns(self, host: str, identity: Identity) -> bool:
        """Whether images of this host can be read here: another account has the same names."""
        if self.registry:
            return host == self.registry
        found = ECR_HOST.fullmatch(host)
        return found is not None and found.groups() == (identity.account, identity.region)

    def repository(self, name: str) -> Repository:
        """The repository with its rules; AwsError with MISSING where there is none."""
        with answering("ecr:DescribeRepositories"):
            found = self._client.describe_repositories(repositoryNames=[name], **self._account)
            return self._repository(found["repositories"][0])

    def _repository(self, raw: Any) -> Repository:  # noqa: ANN401 - a record of the answer
        uri = raw["repositoryUri"]
        if self.registry:
            # The user names the host to reach the registry by: a local emulator, a proxy.
            uri = f"{self.registry}/{raw['repositoryName']}"
        return Repository(
            name=raw["repositoryName"],
            uri=uri,
            registry_id=raw.get("registryId", ""),
            mutability=raw.get("imageTagMutability", "MUTABLE"),
            exclusions=tuple(
                f.get("filter", "") for f in raw.get("imageTagMutabilityExclusionFilters", [])
            ),
        )

    def future_repository(self, name: str, movable: Sequence[str]) -> Repository:
        """A repository as `create_repository` would make it."""
        return Repository(
            name=name,
            uri=f"{self.registry or self._own_host()}/{name}",
            registry_id=self._account.get("registryId", ""),
            mutability="IMMUTABLE_WITH_EXCLUSION" if movable else "IMMUTABLE",
            exclusions=tuple(movable),
            exists=False,
        )

    def create_repository(self, planned: Repository) -> Repository:
        """Make it, with a scan of every push; where it is there by now, it is left as it is.

        Raise AwsError with INVALID where the registry does not know such mutability.
        """
        given: dict[str, Any] = {"imageTagMutability": planned.mutability, **self._account}
        if planned.exclusions:
            given["imageTagMutabilityExclusionFilters"] = [
                {"filterType": "WILDCARD", "filter": tag} for tag in planned.exclusions
            ]
        try:
            with answering("ecr:CreateRepository"):
                answer = self._client.create_repository(
                    repositoryName=planned.name,
                    imageScanningConfiguration={"scanOnPush": True},
                    **given,
                )
                return self._repository(answer["repository"])
        except AwsError as error:
            if error.refusal is not Refusal.CONFLICT:
                raise
            return self.repository(planned.name)

    def put_lifecycle_policy(self, repository: Repository, policy: Json) -> None:
        """Let ECR remove what the policy calls old."""
        with answering("ecr:PutLifecyclePolicy"):
            self._client.put_lifecycle_policy(
                repositoryName=repository.name,
                lifecyclePolicyText=json.dumps(policy),
                **self._account,
            )

    def image(self, repository: Repository, tag_or_digest: str) -> RegistryImage | None:
        """The image with its manifest; None where the repository has no such image."""
        key = "imageDigest" if tag_or_digest.startswith("sha256:") else "imageTag"
        with answering("ecr:BatchGetImage"):
            answer = self._client.batch_get_image(
                repositoryName=repository.name,
                imageIds=[{key: tag_or_digest}],  # type: ignore[misc]
                acceptedMediaTypes=MEDIA_TYPES,
                **self._account,
            )
        for found in answer.get("images", []):
            manifest = found["imageManifest"]
            return RegistryImage(
                repository=repository,
                digest=found["imageId"]["imageDigest"],
                manifest=manifest,
                media_type=found.get("imageManifestMediaType")
                or json.loads(manifest).get("mediaType", ""),
            )
        for failure in answer.get("failures", []):
            if failure.get("failureCode") not in {"ImageNotFound", "ImageTagDoesNotMatchDigest"}:
                raise AwsError(
                    "ecr:BatchGetImage",
                    Refusal.INVALID,
                    str(failure.get("failureCode")),
                    str(failure.get("failureReason", "the image cannot be read")),
                )
        return None

    def labels(self, image: RegistryImage, login: RegistryLogin) -> dict[str, str]:
        """Labels of an image; none for an index or where the registry does not give them."""
        config = json.loads(image.manifest).get("config", {}).get("digest")
        if not config:
            return {}
        credentials = base64.b64encode(f"{login.user}:{login.password}".encode()).decode()
        host = image.repository.host
        url = f"{_scheme(host)}://{host}/v2/{image.repository.name}/blobs/{config}"
        headers = {"Authorization": f"Basic {credentials}"}
        answer = self._get(url, headers)
        if answer and answer.status in REDIRECTS:
            # To a presigned address, which must not see our password.
            answer = self._get(answer.headers.get("location", ""), {})
        if answer is None or answer.status != OK:
            return {}
        try:
            labels = (json.loads(answer.body).get("config") or {}).get("Labels") or {}
        except ValueError:
            return {}
        return {str(key): str(value) for key, value in labels.items()}

    def _get(self, url: str, headers: Mapping[str, str]) -> Answer | None:
        """Asked twice: without the labels an image is built a second time."""
        for _ in range(2):
            try:
                return self._http.get(url, headers=headers, timeout_seconds=15)
            except NoAnswer:
                continue
        return None

    def put_tag(self, image: RegistryImage, tag: str) -> None:
        """Let the tag point at the image: same manifest, no layer is moved."""
        with answering("ecr:PutImage"):
            try:
                self._client.put_image(
                    repositoryName=image.repository.name,
                    imageManifest=image.manifest,
                    imageManifestMediaType=image.media_type,
                    imageTag=tag,
                    **self._account,
                )
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") != "ImageAlreadyExistsException":
                    raise
        # "Already exists" is also what some registries say of an immutable tag elsewhere.
        there = self.image(image.repository, tag)
        if there is None or there.digest != image.digest:
            raise AwsError(
                "ecr:PutImage",
                Refusal.CONFLICT,
                "ImageTagAlreadyExistsException",
                f"the tag {tag!r} still points at {there.digest if there else 'nothing'}",
            )

    def login(self, host: str) -> RegistryLogin:
        """A temporary password (12 h) for the registry at `host`."""
        with answering("ecr:GetAuthorizationToken"):
            token = self._authorization()["authorizationToken"]
            user, _, password = base64.b64decode(token).decode().partition(":")
        return RegistryLogin(host=host, user=user, password=password)

    def _own_host(self) -> str:
        """As AWS says it: its suffix differs by partition."""
        with answering("ecr:GetAuthorizationToken"):
            endpoint: str = self._authorization()["proxyEndpoint"]
        return endpoint.partition("://")[2]

    def _authorization(self) -> Any:  # noqa: ANN401 - a record of the answer
        return self._client.get_authorization_token()["authorizationData"][0]


def client_of(
    session: boto3.Session, registry: str | None, config: Config = READS
) -> tuple[ECRClient, dict[str, Any]]:
    """A client for the registry at that host, and the parameters that name it in every call."""
    host = ECR_HOST.fullmatch(registry or "")
    region = host[2] if host else session.region_name
    account = {"registryId": host[1]} if host else {}
    return session.client("ecr", config=config, region_name=region), account


def split_reference(reference: str) -> tuple[str, str, str]:
    """Host, repository name, and the digest or else the tag (`latest` where there is none)."""
    host, slash, rest = reference.partition("/")
    if not slash or not ("." in host or ":" in host or host == "localhost"):
        host, rest = "", reference
    name, _, digest = rest.partition("@")
    name, _, tag = name.partition(":")
    return host, name, digest or tag or "latest"


def source_of(reference: str) -> tuple[Repository, str]:
    """The repository of another account or region as a place to read from, and tag or digest.

    It is not asked for: who may pull from it need not be allowed to describe it.
    """
    host, name, tag_or_digest = split_reference(reference)
    found = ECR_HOST.fullmatch(host)
    repository = Repository(
        name=name,
        uri=f"{host}/{name}",
        registry_id=found[1] if found else "",
        mutability="",
        exclusions=(),
    )
    return repository, tag_or_digest


def is_kept_in(reference: str, repository: Repository) -> bool:
    """Whether the image lies in that repository."""
    host, name, _ = split_reference(reference)
    return f"{host}/{name}" == repository.uri


def may_move(repository: Repository, tag: str) -> bool:
    """Whether the repository lets a tag point at another image later."""
    excluded = any(fnmatch.fnmatchcase(tag, pattern) for pattern in repository.exclusions)
    match repository.mutability:
        case "IMMUTABLE":
            return False
        case "IMMUTABLE_WITH_EXCLUSION":
            return excluded
        case "MUTABLE_WITH_EXCLUSION":
            return not excluded
        case _:
            return True


def digests(image: RegistryImage) -> frozenset[str]:
    """The image's digest and, of an index, those of the images in it."""
    children = json.loads(image.manifest).get("manifests", [])
    return frozenset({image.digest, *(child["digest"] for child in children)})


def _scheme(host: str) -> str:
    """Plain HTTP for a loopback registry, as the Docker Engine does it."""
    name = host.rpartition(":")[0] or host
    if name == "localhost":
        return "http"
    try:
        return "http" if ipaddress.ip_address(name).is_loopback else "https"
    except ValueError:
        return "https"
