"""What applications write before they give up, in many languages.

The log is untrusted: a line of it may explain a crash, and never anything else. Texts
are those of the runtimes and of common libraries and servers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from deploy_action.diagnosis.crash import ended
from deploy_action.diagnosis.rule import (
    PART_SHOWN,
    Finding,
    Rank,
    Rule,
    Text,
    Where,
    proof,
    shortened,
    texts,
    words,
)
from deploy_action.evidence import Evidence

_UNABLE = r"(?:connect|connection|dial|reach|query|pool|database|broker|redis|postgres|mysql|mongo)"


@dataclass(frozen=True, kw_only=True)
class Writes:
    """A rule: a line of the log matches `pattern`. Named groups stand in `cause`."""

    name: str
    pattern: str
    cause: str
    fix: str
    row: int = 77
    unless: str = r"(?!)"

    @cached_property
    def _patterns(self) -> tuple[re.Pattern[str], re.Pattern[str]]:
        return re.compile(self.pattern, re.IGNORECASE), re.compile(self.unless, re.IGNORECASE)

    def __call__(self, evidence: Evidence) -> Finding | None:
        pattern, unless = self._patterns
        for text in texts(evidence, Where.LOG):
            found = pattern.search(text.raw)
            if found and not unless.search(text.raw):
                return self._finding(evidence, text, found)
        return None

    def _finding(self, evidence: Evidence, text: Text, found: re.Match[str]) -> Finding:
        groups = [value for value in found.groups() if value]
        part = shortened(groups[0].strip("'\"`,;:()"), PART_SHOWN) if groups else ""
        cause = self.cause.format(part=part, **words(evidence))
        # Where nothing is named, what introduces a name goes too.
        cause = " ".join(cause.split()).replace(" .", ".").replace(":.", ".").replace(" :", ":")
        how, rank = "", Rank.RUNNING
        for _, container in ended(evidence):
            how, rank = f"Container {container.name!r} exited", Rank.NAMED
            if container.exit_code is not None:
                how += f" with code {container.exit_code}"
            break
        return Finding(
            name=self.name,
            cause=f"{how}: {cause}" if how else cause[0].upper() + cause[1:],
            proof=proof(text.shown, found[0]),
            fix=self.fix,
            row=self.row,
            rank=rank,
            distance=text.distance,
        )


_VARIABLE = r"[`'\"\[]{0,2}(?-i:(?<![A-Za-z0-9_])([A-Z][A-Z0-9_]{2,60}))[`'\"\]]{0,2}"
"""The name of an environment variable. It begins at one place only: a log may be hostile."""
_LOST = (
    r"is (?:not (?:set|defined|provided|configured|present|found)|missing|required"
    r"|undefined|empty|unset|not an? )"
)

RULES: tuple[Rule, ...] = (
    Writes(
        name="image-architecture",
        row=21,
        pattern=r"exec format error|wrong ELF class|cannot execute binary file",
        cause="its program is built for another processor than the task's, or is a script "
        "without `#!` in its first line.",
        fix="Set `platform` to what `runtimePlatform` of the task definition says, or give the "
        "script its first line (`#!/bin/sh`).",
    ),
    Writes(
        name="application-memory",
        row=79,
        pattern=r"java\.lang\.OutOfMemoryError|heap out of memory|runtime: out of memory"
        r"|^MemoryError|Allowed memory size of \d+|OutOfMemoryException|NoMemoryError"
        r"|cannot allocate memory|memory allocation of \d+ bytes failed|std::bad_alloc",
        cause="it ran out of memory.",
        fix="Raise `memory` of the task, and let the heap of the runtime fit into it.",
    ),
    Writes(
        name="environment-missing",
        pattern=rf"KeyError: {_VARIABLE}|key not found: {_VARIABLE}"
        rf"|environment variables?:? (?:not found: )?{_VARIABLE}"
        rf"|{_VARIABLE}:? (?:environment variable )?{_LOST}"
        rf"|{_VARIABLE} (?:must|needs to|has to) (?:be|have|not be)"
        rf"|missing (?:required )?(?:env\w*|config\w*"
        rf"|settings?)(?: var\w*)?(?:\(s\))?:? *{_VARIABLE}"
        rf"|required (?:key|env\w*(?: var\w*)?):? {_VARIABLE}|set the {_VARIABLE}"
        rf"|{_VARIABLE} environment variable|environment variable {_VARIABLE}"
        rf"|{_VARIABLE}: (?:unbound variable|parameter (?:null or )?not set|Required)"
        rf"|undefined (?:environment )?variable:? {_VARIABLE}|environment variable not found"
        r"|(?:missing|invalid) (?:required )?environment variables?|\bNotPresent\b"
        r"|Could not resolve placeholder '([^']+)'|Missing `?secret_key_base|Field required"
        r"|password (?:option )?is not specified|ImproperlyConfigured: .*(?:must not be empty"
        r"|Set )",
        unless=r"deprecat|warn(?:ing)?:",
        cause="the setting {part} is missing from its environment, or not valid.",
        fix="Add it to `environment-variables` or `secrets`, or to the container in the task "
        "definition; names are case-sensitive.",
    ),
    Writes(
        name="module-missing",
        pattern=r"(?:ModuleNotFoundError|ImportError): (?:No module named )?'?([\w.\-]+)?"
        r"|Cannot find (?:module|package) '([^']+)'|ERR_MODULE_NOT_FOUND"
        r"|cannot load such file -- (\S+)|(?:Bundler::)?GemNotFound|Could not find (\S+) in "
        r"(?:any of the sources|locally)|(?:ClassNotFoundException|NoClassDefFoundError):? ?(\S+)?"
        r"|Could not find or load main class (\S+)|Unable to access jarfile (\S+)"
        r"|no main manifest attribute|Could not load file or assembly '([^,']+)"
        r"|Failed opening required '([^']+)|loading shared librar\w+:? ([\w.+-]+)"
        r"|version [`']?(GLIBC\w*_[\d.]+)' not found|Can't locate (\S+) in @INC"
        r"|UnsupportedClassVersionError|application to execute does not exist"
        r"|You must install or update \.NET|UndefinedFunctionError.*module (\S+) is not available"
        r"|Failed to load module|Error relocating .*symbol not found",
        cause="the image lacks something that the application loads: {part}.",
        fix="Install it in the image: check the dependency files, the folders that COPY takes, "
        ".dockerignore, the working directory and the version of the base image.",
    ),
    Writes(
        name="command-not-found",
        row=83,
        pattern=r"(?:sh|bash|ash|env|entrypoint\S*): (?:line )?(?:\d+: )?['\"]?([\w./\\-]+)['\"]?: "
        r"(?:command )?not found|(?:sh|bash|env): .{0,60}No such file or directory"
        r"|exec:? [\"']?([^\s\"':]+)[\"']?:? .{0,80}(?:not found|no such file or directory)"
        r"|exec user process caused|Missing script:? [\"']?([\w:-]+)|missing script: (\S+)"
        r"|executable file not found",
        cause="the command {part} is not in the image.",
        fix="Correct `command` or `entryPoint`, or install it in the image; a script may have "
        "Windows line ends or a shell that the image lacks.",
    ),
    Writes(
        name="privileged-port",
        pattern=r"(?:listen|bind|socket|port).{0,80}(?:EACCES|permission denied)"
        r"|EACCES.{0,60}:(\d{2,3})\b|Permission denied.{0,60}(?:make_sock|could not bind)",
        cause="it may not listen on that port; ports below 1024 are for root.",
        fix="Listen on a port above 1023 and change `containerPort`, the service's load balancer "
        "port and the health check with it.",
    ),
    Writes(
        name="address-in-use",
        pattern=r"EADDRINUSE|address (?:is )?already in use|port \d+ (?:is|was) already in use"
        r"|Only one usage of each socket address|Failed to bind to (?:address )?(\S+)",
        cause="the port it wants to listen on is already taken inside its task.",
        fix="Containers of one task share their ports with `awsvpc`: give each its own, and start "
        "the server once.",
    ),
    Writes(
        name="disk-full",
        pattern=r"no space left on device|\bENOSPC\b|disk (?:is )?full|disk quota exceeded",
        cause="its disk is full.",
        fix="Raise `ephemeralStorage` of the task definition, or write less.",
    ),
    Writes(
        name="database-login",
        pattern=r"password authentication failed for user \"?([\w.-]+)"
        r"|Access denied for user '?([\w.-]+)"
        r"|Login failed for user '?([\w.-]+)|authentication failed|\b(?:NOAUTH|WRONGPASS)\b"
        r"|invalid username-password pair|SASL\w* .*fail|ORA-01017|AuthenticationFailed"
        r"|ACCESS_REFUSED|role \"([\w.-]+)\" does not exist",
        cause="a service it needs does not accept its user or password.",
        fix="Check user and password in the secret that the task gets; after a rotation the "
        "tasks must be started anew.",
    ),
    Writes(
        name="database-missing",
        pattern=r"database \"([\w.-]+)\" does not exist|Unknown database '?([\w.-]+)"
        r"|relation \"([\w.]+)\" does not exist|no such table:? ?([\w.]+)?"
        r"|Table '([\w.]+)' doesn't exist|Can't locate revision identified by '?([\w]+)"
        r"|(?:pending|unapplied) migrations?|Migrations? are pending|Invalid object name '([\w.]+)"
        r"|(?:flyway|liquibase|alembic|prisma|migrat\w+).{0,120}(?:fail|error|P3009|P3018)"
        r"|column \S+ does not exist|Unknown column '([\w.]+)",
        cause="the database does not have what this version expects {part}.",
        fix="Run the migration before the release (`pre-deploy-command`), or correct the name of "
        "the database.",
    ),
    Writes(
        name="database-full",
        pattern=r"too many (?:clients|connections)|remaining connection slots|max_connections"
        r"|max number of clients reached",
        cause="a service it needs has no free connection.",
        fix="During a rollout old and new tasks run together: lower the size of the pool, raise "
        "the limit of the database, or lower the maximum percent.",
    ),
    Writes(
        name="certificate",
        pattern=r"certificate verify failed|self[- ]signed certificate|PKIX path building failed"
        r"|x509: |unable to get local issuer certificate|no pg_hba\.conf entry.*no encryption"
        r"|SSL (?:connection )?is required|SSLHandshakeException|CERTIFICATE_VERIFY_FAILED"
        r"|unable to verify the first certificate|invalid peer certificate|tls: (?:failed|bad)",
        cause="the encrypted connection to a service it needs cannot be made.",
        fix="Put the CA of that service into the image (for RDS its certificate bundle), and "
        "switch TLS on where the service demands it.",
    ),
    Writes(
        name="backend-unknown",
        pattern=r"(?:getaddrinfo )?\b(?:ENOTFOUND|EAI_AGAIN) ?([\w.-]+)?"
        r"|could not translate host name"
        r" \"?([\w.-]+)|Name or service not known|Temporary failure in name resolution"
        r"|nodename nor servname|UnknownHostException:? ?([\w.-]+)?|no such host"
        r"|host not found in upstream \"?([\w.:-]+)|Name does not resolve|\bNXDOMAIN\b|:nxdomain"
        r"|failed to lookup address|No address associated with hostname|Unknown host ([\w.-]+)"
        r"|php_network_getaddresses",
        cause="the name of a service it needs cannot be resolved: {part}.",
        fix="Correct the host name in its environment; check the private zone, Cloud Map "
        "namespace and DNS settings of the VPC.",
    ),
    Writes(
        name="backend-unreachable",
        pattern=r"ECONNREFUSED ?([\w.:\[\]-]+)?|ETIMEDOUT ?([\w.:\[\]-]+)?|ECONNRESET|EHOSTUNREACH"
        r"|ENETUNREACH|connection (?:to \S+ )?(?:was )?refused|refused the connection"
        r"|actively refused"
        rf"|{_UNABLE}.{{0,160}}(?:refused|timed? ?out|unreachable)"
        rf"|(?:could not|can't|cannot|unable to|failed to) (?:connect|open a connection|reach)\b"
        r"|dial tcp ([\w.:\[\]-]+).*(?:timeout|refused)|Communications link failure"
        r"|ServerSelectionTimeout\w*|No route to host|Network is unreachable|econnrefused"
        r"|HikariPool\S* - Connection is not available|NoBrokersAvailable|ConnectTimeoutError"
        r"|\bP1001\b|Connection reset by peer|server closed the connection unexpectedly",
        cause="it cannot reach a service that it needs: {part}.",
        fix="Check host and port in its environment, and that the security group of that service "
        "(database, cache, queue) lets the tasks' security group in.",
    ),
    Writes(
        name="credentials-missing",
        pattern=r"NoCredentialProviders|Unable to locate credentials|NoCredentialsError"
        r"|Could not load credentials from any providers|CredentialsProviderError"
        r"|Unable to load (?:AWS )?credentials|MissingCredentials|NoRegionError"
        r"|(?:region|Region) (?:is missing|must be specified)|You must specify a region"
        r"|Missing region in config",
        cause="its AWS client finds no credentials or no region.",
        fix="Give the task definition a `taskRoleArn`, and set `AWS_REGION` where the library "
        "wants it.",
    ),
    Writes(
        name="file-not-writable",
        pattern=r"read-only file system|\bEROFS\b|\b(?:EACCES|EPERM)\b|PermissionError"
        r"|permission denied"
        r"|UnauthorizedAccessException|Operation not permitted|AccessDeniedException: /",
        cause="it may not read, write or run a file or folder.",
        fix="Give the user of the image the right (`COPY --chown`, `chmod`), or write to a volume "
        "or /tmp; with `readonlyRootFilesystem` only volumes can be written.",
    ),
    Writes(
        name="file-missing",
        pattern=r"FileNotFoundError.*?'([^']+)'|ENOENT[^']*'([^']+)'"
        r"|open(?:\(\))? \"?([\w./-]+)\"?:? "
        r".{0,20}no such file|NoSuchFileException:? ?(\S+)?|FileNotFoundException:? ?(\S+)?"
        r"|(?<![\w./-])([\w./-]{1,200}): No such file or directory|no such file or directory"
        r"|can't open file '?([^':]+)"
        r"|No such file or directory @ rb_sysopen - (\S+)",
        cause="a file that it needs is not in the image: {part}.",
        fix="Check COPY lines, .dockerignore, the working directory and the paths in its "
        "configuration.",
    ),
    Writes(
        name="configuration",
        pattern=r"\[emerg\] (.{1,120})|(?:invalid|bad|malformed|unknown|unrecognized) (?:config\w*"
        r"|option|argument|flag|setting|value)|(?:config\w*|option|flag)\b.{0,60}(?:invalid|malformed)"
        r"|error parsing (?:config|yaml|json|toml)|unknown directive|yaml: "
        r"|APPLICATION FAILED TO START"
        r"|unknown (?:shorthand )?(?:flag|option|command)|error: unrecognized arguments",
        cause="its configuration or command line is not accepted {part}.",
        fix="Correct what the line names, in the configuration, `command` or environment.",
    ),
    Writes(
        name="syntax",
        pattern=r"^\s*(?:SyntaxError|IndentationError|TabError|ParseError|PHP Parse error)\b.*",
        cause="its code cannot be read by the runtime in the image.",
        fix="Check the syntax, and that the base image has the version that the code is for.",
    ),
)
