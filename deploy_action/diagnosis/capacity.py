"""No task could be placed, or something around the task took it away.

Texts: "Service event messages" and "Stopped tasks error messages" of the ECS developer
guide, and the failure reasons of its API ("API failure reasons").
"""

from __future__ import annotations

import re
from dataclasses import replace

from deploy_action.diagnosis.rule import NOT_OURS, Finding, Rank, Rule, Says, Where, proof
from deploy_action.evidence import Evidence
from deploy_action.rollout import describe_stop

ANY = Where.EVENT | Where.STOP | Where.DEPLOYMENT | Where.REFUSAL
_STARTED = re.compile(r"has started \d+ tasks")
_TAKEN = {
    "SpotInterruption": "Fargate or EC2 Spot took the task's capacity back.",
    "TerminationNotice": "The machine under the task was shut down.",
    "InfrastructureHealth": "AWS found the machine under the task not well.",
}


def _lacks(
    name: str, row: int, pattern: str, cause: str, fix: str, rank: Rank = Rank.CAPACITY
) -> Rule:
    """Something is lacking, unless tasks were started after the last event that said so."""
    rule = Says(name=name, row=row, where=ANY, pattern=pattern, cause=cause, fix=fix, rank=rank)
    said = re.compile(pattern, re.IGNORECASE | re.DOTALL)

    def look(evidence: Evidence) -> Finding | None:
        found = rule(evidence)
        if found is None or not found.proof.startswith("event: "):
            return found
        last = max((i for i, e in enumerate(evidence.events) if said.search(e)), default=-1)
        placed = any(_STARTED.search(event) for event in evidence.events[last + 1 :])
        return replace(found, rank=Rank.PASSED) if placed else found

    return look


def taken_away(evidence: Evidence) -> Finding | None:
    """The platform ended the task: nothing speaks against the image."""
    for task in reversed(evidence.stops):
        why = _TAKEN.get(task.stop_code)
        if re.search(r"Spot Task was interrupted|Host EC2|underlying (?:infrastructure|host"
        r"|hardware)"
                     r"|maintenance on|Container instance (?:was )?(?:deregist|terminat)",
                     task.stopped_reason, re.IGNORECASE):  # fmt: skip
            why = why or "The machine under the task was taken away."
        if why:
            return Finding(
                name="task-taken-away",
                cause=f"{why} Nothing speaks against the revision.",
                proof=proof(f"task {task.id}: {task.stop_code}: {describe_stop(task)}", ""),
                fix="Run the workflow again. If it happens often, use on-demand capacity for a "
                "part of the tasks, in several zones.",
                row=76,
                rank=Rank.AROUND,
            )
    return None


def stopped_by_hand(evidence: Evidence) -> Finding | None:
    for task in reversed(evidence.stops):
        if task.stop_code == "UserInitiated":
            return Finding(
                name="stopped-by-hand",
                cause="Somebody stopped a task of this release (StopTask, or the console).",
                proof=proof(f"task {task.id}: UserInitiated: {describe_stop(task)}", ""),
                fix="Ask who it was: CloudTrail has the call under StopTask.",
                row=101,
                rank=Rank.AROUND,
            )
    return None


def scaled_in(evidence: Evidence) -> Finding | None:
    for task in reversed(evidence.stops):
        if NOT_OURS in task.stopped_reason.lower():
            return Finding(
                name="scaled-in",
                cause="ECS stopped a task because it was not wanted any more: scale-in, or "
                "another deployment.",
                proof=proof(f"task {task.id}: {task.stopped_reason}", ""),
                fix="Nothing is to be done about that stop by itself.",
                row=102,
                rank=Rank.PASSED,
            )
    return None


RULES: tuple[Rule, ...] = (
    _lacks(
        "deployment-percents", 72,
        r"because of the service deployment configuration"
        r"|minimumHealthyPercent.{0,80}maximumPercent",
        "The percentages of the service leave no room to start a new task or to stop an old one.",
        "Raise `maximum-percent` (200) or lower `minimum-healthy-percent`; with one task 100 and "
        "100 can never move.",
    ),
    _lacks(
        "addresses", 55,
        r"enough free addresses|InsufficientFreeAddresses|insufficient (?:free |ip )?addresses",
        "A subnet of the service has no free addresses.",
        "Add subnets to the service, or lower `maximum-percent`, so that fewer tasks run at once.",
    ),
    _lacks(
        "vcpu-quota", 70,
        r"limit on the number of (?:vCPUs|tasks)|vCPU\w* (?:limit|quota)|quota for .{0,60}vCPU",
        "The account may not run more on Fargate at once: the quota is reached.",
        "Ask for a higher quota (Service Quotas, AWS Fargate), or lower `maximum-percent`: a "
        "rollout may need twice the tasks.",
    ),
    _lacks(
        "fargate-capacity", 69,
        r"Capacity is unavailable at this time|InsufficientInstanceCapacity"
        r"|no available .{0,20}capacity"
        r"|insufficient capacity",
        "AWS has no free capacity for the task in these zones at the moment.",
        "Give the service subnets in more zones, let FARGATE stand in for FARGATE_SPOT, or run "
        "the workflow again later.",
    ),
    _lacks(
        "instance-ports", 63,
        r"already using a port required|RESOURCE:PORTS|static host port",
        "Every instance already uses the host port that the task asks for.",
        "Use a dynamic host port (`hostPort: 0`) or `awsvpc`, or a minimum healthy percent below "
        "100.",
    ),
    _lacks(
        "instance-interfaces", 64,
        r"RESOURCE:ENI|insufficient.{0,30}(?:ENI|network interface)"
        r"|network interfaces? (?:limit|available)",
        "The instances have no free network interface for another task.",
        "Switch ENI trunking on, use larger instances, or add some.",
    ),
    _lacks(
        "instance-gpu", 65, r"RESOURCE:GPU|insufficient GPU|GPU resource",
        "No instance has a free GPU.",
        "Add instances with a GPU, or lower `maximum-percent`.",
    ),
    _lacks(
        "instance-agent", 66,
        r"agent is disconnected|(?:have|has) the agent connected|agent connected"
        r"|was disconnected|Timed out waiting for (?:the )?(?:ECS )?Agent"
        r"|encountered error .{0,10}AGENT|reason:? AGENT",
        "The ECS agent of an instance is not connected.",
        "Replace the instance, or look at its agent: role, network to ECS, disk.",
    ),
    _lacks(
        "no-instances", 68,
        r"No Container Instances were found|no (?:active )?(?:container )?instances"
        r"|EMPTY CAPACITY PROVIDER|capacity provider.{0,80}(?:not found|not associated"
        r"|no instances)",
        "The cluster has no instance to run the task on.",
        "Start instances, or use a capacity provider that does (a managed scaling group, FARGATE).",
    ),
    _lacks(
        "placement-constraint", 67,
        r"RESOURCE:ATTRIBUTE|\bATTRIBUTE\b|memberOf|LOCATION|missing an attribute required"
        r"|placement constraint|distinctInstance|does not support the attribute",
        "No instance fulfils a placement constraint, or has an attribute that the task needs.",
        "Correct `placementConstraints`, or add instances that fulfil them: zone, processor "
        "architecture, agent version, log driver.",
    ),
    _lacks(
        "instance-resources", 62,
        r"insufficient (?:CPU|memory)|RESOURCE:(?:CPU|MEMORY)|met all of its requirements",
        "No instance of the cluster has enough free CPU or memory for the task.",
        "Add instances, or lower `cpu` and `memory` of the task or `maximum-percent`: a rollout "
        "needs room for old and new tasks.",
    ),
    _lacks(
        "provisioning-limit", 71,
        r"provisioning.{0,40}limit|limit.{0,80}PROVISIONING",
        "The cluster already has as many tasks waiting for capacity as it may.",
        "Wait until they are placed, or add capacity.",
    ),
    _lacks(
        "task-protection", 73,
        r"task protection|protected tasks?|scale-in protection|protectionEnabled",
        "Old tasks are protected against being stopped, so the deployment cannot go on.",
        "Wait for the protection to end, or end it (`aws ecs update-task-protection`).",
    ),
    _lacks(
        "network-interface", 54,
        r"network interface provisioning|Unexpected EC2 error.{0,200}|error.{0,40}network interface"
        r"|Network Interface .{0,80}(?:fail|error)",
        "AWS could not give the task its network interface.",
        "Run the workflow again. If it stays: check subnets, security groups, the limit of "
        "network interfaces and the service-linked role.",
    ),
    _lacks(
        "network-gone", 56,
        r"security groups?.{0,80}(?:does not exist|do not exist|not found|retriev)"
        r"|subnet.{0,80}(?:does not exist|not found)|InvalidGroup\.|InvalidSubnet"
        r"|error retrieving (?:security group|subnet)",
        "A subnet or security group of the service does not exist any more.",
        "Correct the network configuration of the service.",
        Rank.START,
    ),
    _lacks(
        "dependency-throttled", 74,
        r"operations are being throttled|being throttled on|throttl\w+.{0,60}(?:elb|ec2"
        r"|elasticloadbalancing)",
        "AWS slows ECS down in this account: too many calls to another service.",
        "Wait, start fewer deployments at once, or ask for a higher rate.",
    ),
    _lacks(
        "discovery", 104,
        r"unable to register instance|service discovery|Cloud ?Map|servicediscovery"
        r"|Service ?Connect"
        r"|NamespaceNotFound|register.{0,40}service registr",
        "The task could not be entered into service discovery (Cloud Map, Service Connect).",
        "Check the namespace and its service, their quota of instances, and the port name.",
    ),
    taken_away,
    stopped_by_hand,
    scaled_in,
)  # fmt: skip
