"""Deploy a commit to Amazon ECS, verified, or put the service back.

app          environment in, exit code out; the three endings
inputs       the only reader of the environment
deploy       the story of a release, phase by phase
prepare      everything known and decided before the first write
preflight/   refuse what cannot work; `duration` says what a rollout cannot beat
images       reuse, build and push, resolve; move tags
one_off      a command as a task of the new revision; `one_off_task` and `one_off_log` look at it
release      the one call that changes the service
follow       look at our rollout; `rollout` judges what was seen, `watch` waits
verify       tasks, digest, endpoint; `health` judges an answer
restore      put the service back and prove it; `evidence` is collected before
diagnosis/   why a release failed: evidence in, causes out; `access` and `oidc` read refusals
task_definition  render, compare
gateways/    the outside world, in our words
report/      log, outputs, summary, JSON report
"""

__version__ = "0.1.0"
