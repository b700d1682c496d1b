"""Deploy a commit to Amazon ECS, verified, or put the service back.

app          environment in, exit code out; the three endings
inputs       the only reader of the environment; `input_text` reads their values
group        the services of one step, side by side; `several` makes one end of theirs
deploy       the story of a release, phase by phase; `plan` shows it
rollback     the other operations, with `restart` and `verify`
prepare      everything known and decided before the first write; `survey` looks at the service
together     what several services settle among each other before the first write
preflight/   refuse what cannot work; `duration` says what a rollout cannot beat
images       reuse, build and push, resolve; move tags
one_off      a command as a task of the new revision; `one_off_task` and `one_off_log` look at it
move         to a revision and proved, or back; `undo` is what follows a failure
release      the one call that changes the service; `launch` knows what became of it
follow       look at our rollout; `rollout` judges what was seen, `watch` waits
proof        tasks, digest, endpoint; `health` judges an answer
bake         watch on after the proof, with `alarms`; `availability` asks all the time
restore      put the service back and prove it; `evidence` is collected before
finish       the post step; `cancel` is what a signal leaves time for, `intent` what is kept
notify       tell people how it ended
diagnosis/   why a release failed: evidence in, causes out; `access` and `oidc` read refusals
task_definition  render, compare
gateways/    the outside world, in our words
report/      log, outputs, summary, JSON report
"""

__version__ = "0.1.0"
