"""The step summary: one page of Markdown that can be read alone. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from urllib.parse import quote

from deploy_action.errors import SUCCESSES
from deploy_action.model import revision_of
from deploy_action.ports import BuildStep
from deploy_action.report import links
from deploy_action.report.console import visible
from deploy_action.report.journal import Checked, Phase, Story, shown_percent, span

MARKS = {
    "deployed-unverified": "⚠️",
    "superseded": "⚠️",
    "unknown": "❔",
    "cancelled": "⚠️",
    "nothing changed": "⚠️",
    "put back": "⚠️",
}
STEPS_SHOWN = 40
BLOCK = re.compile(r"[#>=~]|-(?! )")
"""What begins a heading, a quote, a fence or a rule. Our own lists begin with `- `."""


def render(story: Story) -> str:
    """The summary of one step."""
    parts = _head(story, "##")
    parts += _table(story)
    if story.services:
        parts += _services(story.services)
    else:
        parts += _details(story)
    return "\n".join(parts).rstrip() + "\n"


def _head(story: Story, level: str) -> list[str]:
    facts = story.facts
    verdict = story.ending or facts.verdict
    parts = [f"{level} {_mark(story)} {_code(story.service)}: {verdict}", "", _text(story.what), ""]
    if verdict not in SUCCESSES and story.why:
        parts += [*_quoted("Why", story.why), *_fix(story.fix)]
    if story.rollback:
        label = "**Rolled back.** " if facts.rolled_back == "true" else ""
        parts += [label + _text(story.rollback), ""]
    return parts


def _mark(story: Story) -> str:
    verdict = story.ending or story.facts.verdict
    return MARKS.get(verdict) or ("✅" if verdict in SUCCESSES else "❌")


def _services(stories: list[Story]) -> list[str]:
    """One row for each service, and the whole story of those that want attention."""
    parts = ["| Service | Verdict | Revision | Endpoint |", "| --- | --- | --- | --- |"]
    for story in stories:
        verdict = story.ending or story.facts.verdict or "cut off"
        cells = (
            _link(story.service, links.service(story.region, story.cluster, story.service)),
            f"{_mark(story)} {verdict}",
            _revisions(story),
            _address(story.facts.url),
        )
        parts.append(f"| {' | '.join(cells)} |")
    parts.append("")
    for story in stories:
        if _is_calm(story):
            parts += [f"- {_code(story.service)}: {_text(s)}" for s in story.verification]
    parts.append("")
    for story in stories:
        if not _is_calm(story):
            parts += [*_head(story, "###"), *_details(story)]
    return parts + _build_steps(
        [s for story in stories if _is_calm(story) for s in story.build_steps]
    )


def _is_calm(story: Story) -> bool:
    """Whether a row says enough."""
    verdict = story.facts.verdict
    return verdict in SUCCESSES and verdict != "planned" and not story.notes


def _details(story: Story) -> list[str]:
    parts = [f"- {_text(sentence)}" for sentence in story.verification] + [""]
    parts += [f"> ⚠️ {_text(note)}\n" for note in story.notes]
    also = [f"{found.cause}\n    {found.proof}" for found in story.findings[1:]]
    parts += _folded("Also seen", [line for text in also for line in text.split("\n")])
    parts += _folded("Proof", story.evidence, is_open=True)
    parts += _folded("Last lines of the container", story.log_tail, is_open=True)
    parts += _checks(story.checks)
    parts += _folded(
        "What changes in the task definition",
        story.changes,
        is_open=story.facts.verdict == "planned",
    )
    return parts + _build_steps(story.build_steps) + _phases(story.phases)


def _build_steps(steps: list[BuildStep]) -> list[str]:
    shown = [_step(s.name, s.seconds, s.cached, s.failed) for s in steps[-STEPS_SHOWN:]]
    return _folded("Build steps", shown)


def _table(story: Story) -> list[str]:
    facts = story.facts
    rows = [
        ("Service", f"{_place(story)} in {_code(story.region)}"),
        ("Revision", "" if story.services else _revisions(story)),
        ("Image", _code(facts.image_uri or facts.image)),
        ("Digest", _code(facts.image_digest)),
        ("Deployment", "" if story.services else _deployment(story)),
        ("Endpoint", "" if story.services else _address(facts.url)),
        ("Availability", _availability(story)),
        ("Logs", _linked(story, links.log_group, story.log_groups)),
        ("Alarms", _linked(story, links.alarm, story.alarms)),
        ("Commit", _code(story.run.sha[:12])),
        ("Time", span(float(facts.duration_seconds)) if facts.duration_seconds else ""),
    ]
    shown = [f"| {name} | {value} |" for name, value in rows if value]
    return ["| | |", "| --- | --- |", *shown, ""]


def _revisions(story: Story) -> str:
    """Which revision came from which; the one that serves now stands in bold."""
    facts = story.facts
    old = revision_of(facts.previous_task_definition_arn)
    new = revision_of(facts.task_definition_arn)
    if not new or old == new:
        return _code(old)
    if facts.verdict in SUCCESSES:
        return f"{_code(old)} → **{_code(new)}**"
    return (
        f"**{_code(old)}** (not {_code(new)})"
        if facts.rolled_back == "true"
        else f"{_code(old)} → {_code(new)}"
    )


def _place(story: Story) -> str:
    name = f"{story.cluster}/{story.service}"
    if story.services:
        return _code(name)
    return _link(name, links.service(story.region, story.cluster, story.service))


def _deployment(story: Story) -> str:
    url = links.deployments(story.region, story.cluster, story.service)
    return _link(story.facts.deployment_id, url)


def _linked(story: Story, page: Callable[[str, str], str], names: Sequence[str]) -> str:
    return ", ".join(_link(name, page(story.region, name)) for name in names)


def _link(text: str, url: str) -> str:
    code = _code(text)
    return f"[{code}]({url})" if code and url else code


def _availability(story: Story) -> str:
    seen = story.availability
    if seen is None or not seen.requests:
        return ""
    return (
        f"{shown_percent(seen.percent)} of {seen.requests} requests, {seen.failures} failed, "
        f"longest gap {seen.longest_gap_seconds:g} s"
    )


def _quoted(label: str, text: str) -> list[str]:
    first, *rest = text.split("\n")
    return [f"**{label}:** {_text(first)}", *(_text(line) for line in rest), ""]


def _fix(text: str) -> list[str]:
    """The fix; commands that a human must type go into a block to copy."""
    first, *rest = text.split("\n")
    lines = [f"**Fix:** {_text(first)}", ""]
    return [*lines, *_block(rest), ""] if rest else lines


def _folded(title: str, lines: list[str], *, is_open: bool = False) -> list[str]:
    if not lines:
        return []
    state = " open" if is_open else ""
    return [f"<details{state}><summary>{title}</summary>", "", *_block(lines), "", "</details>", ""]


def _checks(checks: list[Checked]) -> list[str]:
    """Open where one of them wants attention."""
    width = max((len(c.name) for c in checks), default=0)
    lines = []
    for checked in checks:
        lines.append(f"{checked.mark} {checked.name:{width}}  {checked.text}")
        if checked.fix and not checked.is_refusal:
            lines.append(f"  {'':{width}}  Fix: {checked.fix}")
    return _folded("Checks", lines, is_open=any(c.mark in "✗!" for c in checks))


def _phases(phases: list[Phase]) -> list[str]:
    if not phases:
        return []
    lines = [
        f"{'✗' if p.failed else '✓'} {p.number} {p.title} ({span(p.seconds)})"
        + (f": {p.result}" if p.result else "")
        for p in phases
    ]
    return _folded("Phases", lines)


def _step(name: str, seconds: float, cached: bool, failed: bool) -> str:  # noqa: FBT001
    return f"{'✗' if failed else '✓'} {name}  {'cached' if cached else span(seconds)}"


def _block(lines: list[str]) -> list[str]:
    """A code block that its content cannot close."""
    text = [visible(line) for line in lines]
    fence = "```"
    while any(fence in line for line in text):
        fence += "`"
    return [f"{fence}text", *text, fence]


def _text(text: str) -> str:
    """Text from anywhere, with nothing that Markdown or HTML would act on."""
    shown = visible(" ".join(text.split()))
    # Not with backslashes: one that is there already would undo them.
    for char, entity in (("&", "&amp;"), ("<", "&lt;"), ("|", "&#124;"), ("[", "&#91;")):
        shown = shown.replace(char, entity)
    if "``" in shown or shown.count("`") % 2:
        shown = shown.replace("`", "&#96;")
    if BLOCK.match(shown):
        shown = f"&#{ord(shown[0])};{shown[1:]}"
    return shown


def _code(text: str) -> str:
    # A cell ends at a bar even inside code, and a backslash before one may be escaped itself.
    shown = visible(" ".join(text.split())).replace("`", "").replace("|", "¦")
    return f"`{shown}`" if shown else ""


def _address(url: str) -> str:
    """A URL as GitHub makes it a link, with nothing that could end it early."""
    return re.sub(r"[^\w!#$%&'*+,\-./:;=?@\[\]~]", lambda c: quote(c[0]), url, flags=re.ASCII)
