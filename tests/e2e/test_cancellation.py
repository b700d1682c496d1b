"""Runs that are cut off, on the built image, as the runner does it: what is really there then.

All stories are played side by side, each on a service of its own; the tests look at them.
"""

import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Final

import pytest

from dev import ministack, sample_application
from dev.commands import run
from dev.places import ROOT
from tests.e2e import cut_off
from tests.e2e.cut_off import IMAGE, Play, Story

pytestmark = pytest.mark.e2e

# Stories mostly wait, so a few more than there are cores.
AT_ONCE: Final = 4
NEVER: Final = {"fail-after-stopped-tasks": "999"}
SECONDS_FROM_SIGNAL_TO_END: Final = 7
SECONDS_FOR_NOTHING: Final = 2
TRIES_TO_BE_QUICK: Final = 15

# The slow ones first.
STORIES: Final[Mapping[str, Story]] = {
    "frozen": Story("not good yet", cut_off.frozen_and_cancelled, sample_application.ailing("1")),
    "on its own": Story(
        "[2/3] COPY",
        cut_off.client_killed,
        cut_off.slow_to_build(4),
        then=lambda scene: scene.wait_for_call("UpdateService"),
    ),
    "in silence": Story(
        "not good yet",
        cut_off.cancelled,
        sample_application.ailing("1"),
        before=lambda scene: scene.silence("UpdateService"),
        then=lambda scene: scene.silence(""),
    ),
    "in Follow": Story(
        "stopped:", cut_off.cancelled, sample_application.crashing("1"), NEVER, looks_inside=True
    ),
    "killed": Story("stopped:", cut_off.container_killed, sample_application.crashing("1"), NEVER),
    "terminated": Story("stopped:", cut_off.terminated, sample_application.crashing("1"), NEVER),
    "in Roll back": Story("asked for", cut_off.cancelled, sample_application.crashing("1")),
    "in Verify": Story("not good yet", cut_off.cancelled, sample_application.ailing("1")),
    "orphan": Story("not good yet", cut_off.client_killed, sample_application.ailing("1")),
    "just started": Story("deployment ecs-svc/", cut_off.cancelled),
    "left": Story("deployment ecs-svc/", cut_off.cancelled, inputs={"on-cancel": "leave"}),
    "normal": Story("1 Check", cut_off.left_in_peace),
    "in the build": Story("[2/3] COPY", cut_off.cancelled, cut_off.slow_to_build(300)),
    "orphan in the build": Story("[2/3] COPY", cut_off.client_killed, cut_off.slow_to_build(300)),
    "at once": Story("", cut_off.cancelled),
}


def tells(*names: str) -> pytest.MarkDecorator:
    """Let the test look at these stories, one after the other."""
    return pytest.mark.parametrize("play", names, indirect=True)


@pytest.fixture(scope="module")
def plays(
    request: pytest.FixtureRequest,
    emulator: ministack.MiniStack,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Mapping[str, Future[Play]]]:
    """The stories that this session's tests look at, under way."""
    run("docker", "build", "--quiet", "--tag", IMAGE, ROOT)
    folder = tmp_path_factory.mktemp("cut-off")
    calls = [getattr(item, "callspec", None) for item in request.session.items]
    wanted = {call.params.get("play") for call in calls if call}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {
            name: pool.submit(story.play, emulator, f"cut-{number}", folder / str(number))
            for number, (name, story) in enumerate(STORIES.items())
            if name in wanted
        }
    # Thousands of files of root are nobody's pleasure.
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def play(request: pytest.FixtureRequest, plays: Mapping[str, Future[Play]]) -> Play:
    """A story, when it has come to its end."""
    return plays[request.param].result()


@tells("just started", "in Follow", "in Verify")
def test_a_cancelled_release_is_undone(play: Play) -> None:
    assert play.main.code == 130, play.main.text
    assert play.main.seconds < SECONDS_FROM_SIGNAL_TO_END
    # One call to release, one to undo.
    assert play.main.writes == {"UpdateService": 2}
    assert "verdict" not in play.main.outputs
    assert "The run was cancelled" in play.main.summary
    assert ":1 again" in play.main.summary
    assert_put_back(play)
    assert play.post.writes == {}


@tells("in Roll back")
def test_a_cancelled_rollback_is_brought_to_its_end(play: Play) -> None:
    assert play.main.code == 130, play.main.text
    assert play.main.seconds < SECONDS_FROM_SIGNAL_TO_END
    assert play.main.writes == {"UpdateService": 2}
    assert "is being updated back already" in play.main.summary
    assert_put_back(play)
    assert play.post.writes == {}


@tells("in silence")
def test_a_release_that_aws_does_not_let_undo_in_time_is_left_to_the_post_step(play: Play) -> None:
    assert play.main.code == 130, play.main.text
    assert play.main.seconds < SECONDS_FROM_SIGNAL_TO_END
    assert "could not be undone: the request got no answer" in play.main.summary
    assert_put_back(play)
    assert play.post.writes == {"UpdateService": 1}


@tells("terminated")
def test_sigterm_alone_does_the_same(play: Play) -> None:
    assert play.main.code == 143, play.main.text
    assert play.main.seconds < SECONDS_FROM_SIGNAL_TO_END
    assert play.main.writes == {"UpdateService": 2}
    assert_put_back(play)


@tells("in the build", "at once")
def test_a_run_that_is_cancelled_early_has_touched_nothing(play: Play) -> None:
    assert play.main.code == 130, play.main.text
    assert play.main.seconds < SECONDS_FROM_SIGNAL_TO_END
    assert "Traceback" not in play.main.text
    assert "The run was cancelled." in play.main.text
    assert play.main.writes == {}
    assert play.is_as_before
    assert (play.post.code, play.post.summary) == (0, "")
    assert play.post.text == "nothing to finish: no release was under way"


@tells("killed")
def test_a_killed_release_is_undone_by_the_post_step(play: Play) -> None:
    assert play.main.code == 137
    assert play.main.writes == {"UpdateService": 1}
    assert "verdict" not in play.main.outputs
    assert_put_back(play)
    assert play.post.writes == {"UpdateService": 1}


@tells("orphan", "frozen")
def test_an_orphan_is_stopped_before_its_release_is_undone(play: Play) -> None:
    assert play.main.code == -9
    assert play.main.writes == {"UpdateService": 1}
    assert play.post.text.startswith("stopped the main step, which still ran")
    assert_put_back(play)
    assert play.post.writes == {"UpdateService": 1}


@tells("orphan in the build")
def test_an_orphan_is_stopped_before_it_begins(play: Play) -> None:
    assert play.post.code == 0
    stopped, nothing = play.post.text.splitlines()
    assert stopped.startswith("stopped the main step, which still ran")
    assert nothing == "nothing to finish: no release was under way"
    assert play.is_as_before


@tells("on its own")
def test_what_an_orphan_began_after_the_runner_had_given_it_up_is_undone(play: Play) -> None:
    assert "deployment-id" not in play.main.outputs
    assert play.post.text.startswith("stopped the main step, which still ran")
    assert_is_back(play)


@tells("left")
def test_a_release_that_is_to_be_left_goes_on_and_both_steps_say_so(play: Play) -> None:
    assert play.main.code == 130, play.main.text
    assert play.main.writes == {"UpdateService": 1}
    assert "it goes on, as `on-cancel: leave` says" in play.main.summary
    assert play.post.code == 9, play.post.text
    assert play.post.writes == {}
    assert "unverified" in play.post.summary
    assert "aws ecs update-service" in play.post.summary
    assert play.now != play.old


@tells("normal")
def test_after_a_verdict_the_post_step_does_nothing(play: Play) -> None:
    assert play.main.code == 0, play.main.text
    assert play.main.outputs["verdict"] == "deployed"
    assert play.now == play.main.outputs["task-definition-arn"]
    assert (play.post.code, play.post.text) == (0, "nothing to finish: deployed")
    assert (play.post.writes, play.post.outputs, play.post.summary) == ({}, {}, "")


@tells("normal")
def test_nothing_is_soon_done(play: Play, plays: Mapping[str, Future[Play]]) -> None:
    # Alone, as on a runner; whatever else the machine does must let it be quick once.
    wait(plays.values())
    tries = (play.post_again() for _ in range(TRIES_TO_BE_QUICK))

    assert any(post.code == 0 and post.seconds < SECONDS_FOR_NOTHING for post in tries)


@tells("in Follow")
def test_python_is_process_one(play: Play) -> None:
    assert play.main.process_one == ("python", "/app/entrypoint.py")
    assert play.post.process_one[0].startswith("python")
    assert play.post.process_one[1:] == ("/app/post_entrypoint.py",)


def assert_put_back(play: Play) -> None:
    """The main step told what it had begun; what it began is undone."""
    assert play.main.outputs["rolled-back"] == "false"
    assert play.main.outputs["previous-task-definition-arn"] == play.old
    assert play.main.outputs["task-definition-arn"] != play.old
    assert play.main.outputs["deployment-id"]
    assert_is_back(play)


def assert_is_back(play: Play) -> None:
    """The old revision serves, `latest` stayed, and the post step says so."""
    assert play.post.code == 0, play.post.text
    assert play.is_as_before
    assert play.post.outputs["rolled-back"] == "true"
    assert f"is back on {play.old.rpartition('/')[2]}" in play.post.summary
