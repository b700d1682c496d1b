"""The task could not start: secrets, logs, network, volumes, env files, the container runtime.

Texts: "Stopped tasks error messages" and "ResourceInitializationError" of the ECS developer
guide, the ECS agent (`agent/api/errors`, `agent/engine/errors.go`), runc and containerd.
"""

from __future__ import annotations

from deploy_action.diagnosis.rule import START, Rule, Says, Where

NO_ROUTE = (
    r"i/o timeout|context deadline exceeded|request canceled|canceled while waiting"
    r"|connection timed out|timed? ?out|no such host|network is unreachable|no route to host"
    r"|connection refused|connection reset|dial tcp|connection issue|exceeded maximum wait"
)
_ENDPOINTS = (
    "In a private subnet: a NAT gateway, or VPC endpoints for {0}. In a public one: "
    "`assignPublicIp: ENABLED`. The security group must let HTTPS out, the endpoint's must let "
    "it in, and DNS must be on in the VPC."
)
_SECRETS = (
    r"(?:unable to pull secrets|retriev\w+ secret|fetch secret|secrets? from (?:asm|ssm)"
    r"|secretsmanager|secrets manager|ssm parameter|registry auth|unable to retrieve secret).*?"
)

RULES: tuple[Rule, ...] = (
    Says(
        name="log-group-missing",
        row=49,
        where=START,
        pattern=r"(?:logger args|log driver|awslogs|cloudwatch|log stream).*?"
        r"(?:log group(?: \S+)? does not exist|ResourceNotFoundException)"
        r"|log group does not exist",
        cause="The log group of the container does not exist.",
        fix="Create the log group that `awslogs-group` names, in the region that `awslogs-region` "
        'names, or set `"awslogs-create-group": "true"` and allow {execution_role} '
        "logs:CreateLogGroup.",
    ),
    Says(
        name="log-access-denied",
        row=50,
        where=START,
        pattern=r"(?:logger args|log driver|awslogs|cloudwatch|log stream).*?AccessDenied"
        r"|not authorized to perform: logs:\w+",
        cause="The task may not write to CloudWatch Logs.",
        fix="Allow {execution_role} logs:CreateLogStream and logs:PutLogEvents on the log group "
        "(and logs:CreateLogGroup with `awslogs-create-group`).",
    ),
    Says(
        name="logs-unreachable",
        row=51,
        where=START,
        pattern=rf"(?:logger args|log driver|awslogs|cloudwatch logs?).*?(?:signal: killed"
        rf"|{NO_ROUTE})",
        cause="The task cannot reach CloudWatch Logs over its network.",
        fix=_ENDPOINTS.format("logs"),
    ),
    Says(
        name="log-driver",
        row=49,
        where=START,
        pattern=r"failed to (?:validate logger args|initialize logging driver)"
        r"|unknown log opt|log driver .{0,80}not (?:supported|available)|logging driver",
        cause="The log configuration of the container is not accepted.",
        fix="Correct `logConfiguration`: the driver, and options that this driver knows.",
    ),
    Says(
        name="secret-key-missing",
        row=47,
        where=START,
        pattern=r"did not contain json key ?(?P<key>\S+)?"
        r"|(?:invalid character .{0,80}|json.{0,40}|unmarshal.{0,80})(?:secret)",
        cause="The secret has no JSON key {key}.",
        otherwise=(("key", "of that name"),),
        fix="Add the key to the secret's JSON, or correct the key in `valueFrom`: "
        "`arn:…:secret:NAME-SUFFIX:KEY::`.",
    ),
    Says(
        name="secret-deleted",
        row=46,
        where=START,
        pattern=r"marked for deletion|scheduled for deletion|currently marked deleted",
        cause="A secret of the task definition is scheduled for deletion.",
        fix="Restore it (`aws secretsmanager restore-secret`), or refer to another one.",
    ),
    Says(
        name="secret-version-missing",
        row=45,
        where=START,
        pattern=r"can't find the specified secret (?:value )?(?:for|version)"
        r"|staging label:? ?(?P<label>\S+)?",
        cause="The secret has no value yet, or not the version that is asked for.",
        fix="Store a value in the secret, or correct version stage and id in `valueFrom`.",
    ),
    Says(
        name="secret-missing",
        row=45,
        where=START,
        pattern=r"can'?t find the specified secret"
        r"|invalid ssm parameters?:? ?(?P<name>[\w./,: -]+)?"
        rf"|ParameterNotFound|{_SECRETS}ResourceNotFound",
        cause="A secret or parameter of the task definition does not exist in this region and "
        "account.",
        fix="Create it, or correct `valueFrom` in `secrets`: ARN, region, account, spelling. A "
        "secret of another region needs its full ARN.",
    ),
    Says(
        name="secret-key-unusable",
        row=44,
        where=START,
        pattern=_SECRETS + r"(?:kms:Decrypt|KMS\w*Exception|access to KMS is not allowed"
        r"|KMS key|decrypt)|access to KMS is not allowed",
        cause="The task may not decrypt its secret with the secret's KMS key.",
        fix="Allow {execution_role} kms:Decrypt on that key, and let the key's own policy "
        "name the role.",
    ),
    Says(
        name="secret-access-denied",
        row=44,
        where=START,
        pattern=_SECRETS + r"(?:access ?denied|not authorized)"
        r"|not authorized to perform: (?:secretsmanager|ssm|kms):\w+",
        cause="The execution role may not read a secret or parameter of the task definition.",
        fix="Allow {execution_role} secretsmanager:GetSecretValue or ssm:GetParameters on what "
        "`secrets` names, and kms:Decrypt where it has a key of its own.",
    ),
    Says(
        name="secrets-unreachable",
        row=48,
        where=START,
        pattern=rf"{_SECRETS}(?:{NO_ROUTE})",
        cause="The task cannot reach ECR, Secrets Manager or Systems Manager over its network.",
        fix=_ENDPOINTS.format("ecr.api, ecr.dkr, S3, secretsmanager, ssm and kms"),
    ),
    Says(
        name="efs",
        row=52,
        where=START,
        pattern=r"\befs\b.{0,400}|elasticfilesystem|mount\.nfs4?|EFS utils|access point"
        r"|mount target",
        cause="A file system (EFS) of the task cannot be mounted.",
        fix="Let the security group of the mount targets accept port 2049 from the task's, have a "
        "mount target in each of the task's zones, DNS on in the VPC, the file system and "
        "access point exist, and allow {task_role} elasticfilesystem:ClientMount and ClientWrite "
        "where IAM authorisation is on.",
    ),
    Says(
        name="env-files",
        row=53,
        where=START,
        pattern=r"(?:failed to download|download\w*|unable to (?:fetch"
        r"|retrieve)) env(?:ironment)? ?files?"
        r"|\benv ?files?\b|environment files?",
        cause="An environment file in S3 could not be read.",
        fix="Check the object in `environmentFiles` (ARN, region, name ending in .env), allow "
        "{execution_role} s3:GetObject and s3:GetBucketLocation, and give a private subnet "
        "the S3 endpoint.",
    ),
    Says(
        name="host-port-taken",
        row=61,
        where=START,
        pattern=r"port is already allocated|address already in use|ContainerNetworkingError"
        r"|bind for \S+ failed|ports? (?:is|are) not available",
        cause="The port of the host is taken by another task on the same instance.",
        fix="Use a dynamic host port (`hostPort: 0`) or `awsvpc`, or a minimum healthy percent "
        "below 100, so that the old task leaves first.",
    ),
    Says(
        name="command-not-found",
        row=57,
        where=START,
        pattern=r"executable file not found|exec:? \"?(?P<command>[^\s\":]+)\"?: "
        r"(?:stat )?.{0,120}no such file or direc|(?:runc|OCI runtime|shim task"
        r"|CannotStartContainer).*?no such file or direc",
        cause="The command of the container is not in the image.",
        fix="Correct `command` or `entryPoint` (a list, one word each), or the image: try it with "
        "`docker run`. A script also fails like this when the shell in its first line is missing "
        "or the line ends in a carriage return.",
    ),
    Says(
        name="image-architecture",
        row=21,
        where=START,
        pattern=r"exec format error",
        cause="The program is built for another processor than the task's, or is a script without "
        "`#!` in its first line.",
        fix="Set `platform` to what `runtimePlatform` says, or give the script its first line.",
    ),
    Says(
        name="command-not-executable",
        row=57,
        where=START,
        pattern=r"(?:runc|OCI runtime|CannotStartContainer|exec).*?permission denied",
        cause="The command of the container may not be executed.",
        fix="Make it executable in the image (`RUN chmod +x …`, or `COPY --chmod=755`), for the "
        "user that `USER` names.",
    ),
    Says(
        name="host-memory",
        row=58,
        where=START,
        pattern=r"cannot allocate memory|minimum memory limit|memory limit.{0,80}too low",
        cause="There is not enough memory to start the container.",
        fix="Raise `memory` of the container, or the free memory of the instance.",
    ),
    Says(
        name="container-options",
        row=58,
        where=START,
        pattern=r"CannotCreateContainerError|InvalidVolumeError|HostConfigError"
        r"|CannotCreateVolumeError|CannotStartContainerError.*?(?:mount|device|capabilit|cgroup"
        r"|sysctl)|not a directory|error mounting|device .{0,80}not found|ebs volume"
        r"|volume attachment",
        cause="The container could not be made with the options of the task definition.",
        fix="Correct what the proof names: a volume, mount, device, user, link or Linux option.",
    ),
    Says(
        name="container-start",
        row=57,
        where=START,
        pattern=r"CannotStartContainerError|OCI runtime create failed|failed to create shim task",
        cause="The container runtime could not start the container.",
        fix="Run the image with the same command in the workflow; the proof has the runtime's "
        "own answer.",
    ),
    Says(
        name="container-runtime",
        row=59,
        where=START,
        pattern=r"CannotInspectContainerError|Docker(?:Timeout|State)Error|DockerTimeout"
        r"|Container(?:Runtime|RuntimeTimeout|Timeout)\w*Error|CannotStopContainerError"
        r"|CannotDescribeContainerError|could not transition to (?:created|started|stopped)",
        cause="The container runtime of the instance does not answer in time.",
        fix="Drain the instance and replace it: it is overloaded or its Docker hangs. On Fargate "
        "run the workflow again.",
    ),
    Says(
        name="dependency",
        row=60,
        where=START,
        pattern=r"TaskDependencyError|dependency|dependencies|depends ?on|dependent container",
        cause="A container waits for another one (`dependsOn`) that did not get there.",
        fix="Look at the container that is waited for: its exit code, its health check and its "
        "log; or give `startTimeout` more time.",
    ),
    Says(
        name="start-unreachable",
        row=48,
        where=Where.STOP,
        pattern=rf"ResourceInitializationError.*?(?:{NO_ROUTE})",
        cause="The task cannot reach an AWS service that it needs in order to start.",
        fix=_ENDPOINTS.format("ecr.api, ecr.dkr, S3, logs, secretsmanager and ssm"),
    ),
)
