"""The image could not be had: registry, name, platform, rights, network, space.

Texts: "CannotPullContainer task errors in Amazon ECS" and "Stopped tasks error messages"
of the ECS developer guide, the ECS agent (`agent/engine/errors.go`) and containerd.
"""

from __future__ import annotations

from deploy_action.diagnosis.rule import START, Rank, Rule, Says, Where

PULL = (
    r"(?:Cannot ?Pull\w*(?:Container|Image|ECR)\w*|pull image manifest|image pull|failed to pull"
    r"|ref pull|pull command|toomanyrequests).*?"
)

RULES: tuple[Rule, ...] = (
    Says(
        name="image-archived",
        row=28,
        where=START | Where.REFUSAL,
        pattern=r"(?:image|manifest).{0,200}\barchived?\b|ImageArchived\w*",
        cause="The image was archived in ECR, and archived images cannot be pulled.",
        fix="Restore the image in ECR (`aws ecr update-image-storage-class`), or build it again.",
    ),
    Says(
        name="image-key-unusable",
        row=28,
        where=START | Where.REFUSAL,
        pattern=PULL
        + r"(?:KmsException|KMS\w*(?:Exception|Error)|kms key|kms:Decrypt)|^ecr:.*KmsException",
        cause="The key that encrypts the ECR repository cannot be used.",
        fix="Enable the KMS key of the repository again, and let its key policy name ECR and the "
        "role that pulls.",
    ),
    Says(
        name="image-platform",
        row=20,
        where=START,
        pattern=r"does not contain descriptor matching platform '?(?P<platform>[\w/.-]+)?"
        r"|no matching manifest for (?P<other>[\w/.-]+)"
        r"|image operating system .* cannot be used|platform .{0,80}does not match"
        r"|no match for platform|cannot be pulled.{0,80}architecture",
        cause="The image was built for another processor or system than the task's; it asks for "
        "{platform}{other}.",
        otherwise=(("platform", ""), ("other", "")),
        fix="Set `platform` to what `runtimePlatform` of the task definition says (linux/amd64 or "
        "linux/arm64), or change `runtimePlatform` to what the image is built for.",
    ),
    Says(
        name="registry-limit",
        row=24,
        where=START,
        pattern=r"toomanyrequests|too many requests|\b429\b|pull rate limit"
        rf"|{PULL}rate exceeded",
        cause="The registry limits how often images are pulled, and the limit is reached.",
        fix="Mirror the image to ECR or pull it through an ECR pull-through cache; for Docker Hub "
        "`repositoryCredentials` raise the limit.",
    ),
    Says(
        name="image-no-space",
        row=25,
        where=START,
        pattern=r"no space left on device|(?:not enough|insufficient) (?:disk )?space",
        cause="The disk of the task or instance is too small for the image.",
        fix="Raise `ephemeralStorage` of the task definition (20 GiB is the default) or the disk "
        "of the instance, or make the image smaller.",
    ),
    Says(
        name="registry-unreachable",
        row=23,
        where=START,
        pattern=PULL + r"(?:i/o timeout|context deadline exceeded|request canceled|canceled while"
        r"|Client\.Timeout|connection timed out|no such host|network is unreachable|no route to"
        r" host|connection refused|connection reset|TLS handshake timeout|context canceled"
        r"|server misbehaving|dial tcp)",
        cause="The task cannot reach the registry over its network.",
        fix="In a private subnet: a NAT gateway, or VPC endpoints for ecr.api, ecr.dkr and S3. "
        "In a public one: `assignPublicIp: ENABLED`. The security group must let HTTPS out, and "
        "DNS must be on in the VPC.",
    ),
    Says(
        name="image-layers-forbidden",
        row=23,
        where=START,
        pattern=PULL + r"(?:httpRead\w*Seeker|failed to copy).{0,400}"
        r"(?:\b403\b|forbidden)",
        cause="The layers of the image may not be read from S3, where ECR keeps them.",
        fix="Let the policy of the S3 endpoint allow `s3:GetObject` on "
        "`prod-REGION-starport-layer-bucket/*`.",
    ),
    Says(
        name="image-credentials",
        row=27,
        where=START,
        pattern=r"CannotPullECRContainerError|CannotPullContainerAuth\w*"
        r"|repositoryCredentials|private registry auth\w*"
        rf"|{PULL}(?:no basic auth credentials|authentication required|unauthorized\b"
        r"|incorrect username or password|bad credentials|failed to authorize"
        r"|authorization token has expired)",
        unless=r"not authorized to perform|AccessDenied|may require 'docker login'"
        r"|insufficient_scope",
        cause="The registry does not accept the credentials that the task pulls with.",
        fix="For ECR: let {execution_role} pull (AmazonECSTaskExecutionRolePolicy) and the "
        "repository policy name its account. For another registry: set `repositoryCredentials` "
        "to a secret with a valid user and password.",
    ),
    Says(
        name="image-access-denied",
        row=22,
        where=START,
        pattern=rf"{PULL}(?:pull access denied|access ?denied|denied: |not authorized to perform"
        r"|insufficient_scope|\b403\b|forbidden|requested access to the resource is denied)"
        r"|pull access denied|not authorized to perform: ecr:(?:BatchGetImage|GetDownload\w+)",
        cause="The task may not pull the image, or there is no such image; registries answer "
        "the same to both.",
        fix="Let {execution_role} call ecr:BatchGetImage, ecr:GetDownloadUrlForLayer and "
        "ecr:GetAuthorizationToken (AmazonECSTaskExecutionRolePolicy). For a repository of "
        "another account its repository policy must allow it too. Check the name as well.",
    ),
    Says(
        name="image-name-invalid",
        row=19,
        where=START,
        pattern=r"invalid reference format|invalid (?:image )?reference|repository name must be",
        cause="The image reference is not valid.",
        fix="Correct `image` of the container: `host/name:tag` or `host/name@sha256:…`, in lower "
        "case and without spaces.",
    ),
    Says(
        name="image-not-found",
        row=19,
        where=START,
        pattern=PULL + r"(?:not found|manifest unknown|name unknown|does not exist|\b404\b)"
        r"|manifest unknown|manifest for \S+ not found",
        unless=r"log group|secret|network",
        cause="The image is not in its registry: its tag was never pushed, a lifecycle policy "
        "removed it, or the name is wrong.",
        fix="Check name and tag of the image, and that the registry's region and account are the "
        "right ones. Deploy by digest, and keep the lifecycle policy away from digests in use.",
    ),
    Says(
        name="image-manifest",
        row=26,
        where=START,
        pattern=r"CannotPullImageManifestError",
        cause="The digest of the image could not be read from its registry.",
        fix="Check that the image exists, that the instance role or {execution_role} may read it, "
        "and that the instance reaches the registry.",
    ),
    Says(
        name="image-pull",
        row=19,
        where=START,
        pattern=r"Cannot ?Pull\w*(?:Container|Image)\w*",
        cause="The image could not be pulled.",
        fix="Read the text after the last colon of the proof: it is the registry's own answer.",
        rank=Rank.NAMED,
    ),
    Says(
        name="repository-missing",
        row=15,
        where=Where.REFUSAL | Where.PROBLEM,
        pattern=r"RepositoryNotFound\w*(?:.*?repository with name '(?P<name>[^']+)')?"
        r"|name unknown",
        cause="There is no such ECR repository in this account and region{name}.",
        otherwise=(("name", ""),),
        fix="Correct `ecr-repository` or `aws-region`, or set `create-repository: true`.",
        rank=Rank.REFUSED,
    ),
    Says(
        name="tag-immutable",
        row=16,
        where=Where.REFUSAL | Where.PROBLEM,
        pattern=r"ImageTagAlreadyExists|tag is immutable|tag .{0,120}already exists",
        cause="The tag is already taken, and the repository does not let tags move.",
        fix="Leave `rebuild` off to use the image that is there, set another `image-tag`, or "
        "exclude `latest` from the immutability.",
        rank=Rank.REFUSED,
    ),
    Says(
        name="registry-login",
        row=17,
        where=Where.PROBLEM,
        pattern=r"no basic auth credentials|authorization token has expired|token has expired",
        cause="The login to the registry is missing or has run out.",
        fix="Run the job again; a login to ECR holds for 12 hours.",
        rank=Rank.REFUSED,
    ),
)
