"""What to change, for the failures of a build that are well known.

Pure: the text of the failure in, a sentence or nothing out.
"""

from __future__ import annotations

import re

_QUOTED_COMMAND = re.compile(
    r"(?<=executor failed running \[).*(?=\]: )|(?<=process \").*(?=\" did not complete)",
    re.DOTALL,
)
# The first that fits is told. The groups of a pattern fill its sentence.
_HINTS = (
    (
        r"docker daemon|error during connect|docker\.sock: connect",
        (
            "Use a runner with a Docker Engine (`ubuntu-latest`, not `ubuntu-slim`), or set `image`"
            " to deploy an image that exists."
        ),
    ),
    (
        r"target stage .* could not be found|failed to reach build target",
        "Set `target` to the name of a stage of the Dockerfile (`FROM … AS name`).",
    ),
    (
        r"no space left on device",
        "Free disk space on the runner before this step, or use a larger runner.",
    ),
    (
        # On the containerd store ECR's reason is lost and only the status is left.
        r"tag invalid|tag .* is immutable|failed commit on ref \"manifest-.* 400 Bad Request",
        (
            "The repository does not let a tag move: set `image-tag` to one that is not taken, or"
            " leave `rebuild` off to use the image that is there."
        ),
    ),
    (
        r"not authorized to perform: ([\w-]+:\w+)",
        "Allow `{0}` on the ECR repository for the role or user that the job runs as.",
    ),
    (
        # ECR asks for these rights at requests whose answer has no text.
        r"HEAD request to \S+\.ecr\.\S+/blobs/\S+ 403",
        (
            "Allow `ecr:BatchCheckLayerAvailability` on the ECR repository for the role or user"
            " that the job runs as."
        ),
    ),
    (
        r"HEAD request to \S+\.ecr\.\S+/manifests/\S+ 403",
        (
            "Allow `ecr:BatchGetImage` on the ECR repository for the role or user that the job"
            " runs as."
        ),
    ),
    (
        r"name unknown|repository with name .* does not exist",
        "Correct `ecr-repository`, or set `create-repository` to true.",
    ),
    (
        r"toomanyrequests|429 Too Many Requests",
        (
            "The registry of the base image limits anonymous pulls: take the base image from ECR,"
            " for example through a pull-through cache."
        ),
    ),
    (
        r"docker/dockerfile[:/@]",
        (
            "Remove the `# syntax=` line of the Dockerfile, or let the engine reach the registry it"
            " names."
        ),
    ),
    (
        r"token has expired",
        "The registry login ran out during the build: run the job again.",
    ),
    (
        (
            r"no basic auth credentials|authorization failed|unauthorized|\b40[13]\b|access denied"
            r"|denied: "
        ),
        (
            "Check that the role the action uses may pull the base image and push to the"
            " repository, and that `registry` and `ecr-repository` name the right account."
        ),
    ),
    (
        r"x509: ",
        "The engine does not trust the registry's certificate: install its CA on the runner.",
    ),
    (
        r"server gave HTTP response to HTTPS client",
        "The registry speaks plain HTTP: add it to `insecure-registries` of the engine.",
    ),
    (
        r"failed to resolve source metadata|/manifests/|no match for platform",
        (
            "Check the name and tag of the image in FROM, that it exists for the platform, and that"
            " the engine can reach its registry."
        ),
    ),
    (
        r"no such host|i/o timeout|connection refused|network is unreachable",
        "Check that the engine of the runner can reach the registry named in the message.",
    ),
    (
        r"dockerfile parse error",
        "Correct the Dockerfile at the line named in the message.",
    ),
    (
        r"failed to (?:compute|calculate) (?:cache key|checksum)",
        "Check that the path exists in `context` and is not listed in .dockerignore.",
    ),
    (
        r"secret .*not found",
        "Add the secret to `build-secrets`.",
    ),
    (
        r"exec format error",
        (
            "The image is for another processor than the runner's: set `platform`, or use a runner"
            " of that architecture."
        ),
    ),
    (
        r"exit code: 137|signal 9\b",
        "The build was killed, most often for want of memory: use a larger runner.",
    ),
    (
        r"said nothing for",
        "Look at the last step: it waits for something the build cannot reach.",
    ),
)


def hint(detail: str) -> str | None:
    """The sentence that tells a user what to change, for a failure that is well known."""
    # The command of a RUN says nothing about why it failed, whatever words stand in it.
    message = _QUOTED_COMMAND.sub("", detail)
    for pattern, fix in _HINTS:
        found = re.search(pattern, message, re.IGNORECASE)
        if found:
            return fix.format(*found.groups())
    return None
