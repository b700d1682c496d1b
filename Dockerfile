# The action's image. Built by the classic builder too (act, older runners):
# no RUN --mount, no COPY --chmod, no heredocs, no syntax line.
# The tags are exact versions; the release workflow refers to the result by digest.

FROM python:3.13.15-slim-trixie AS packages
COPY requirements.txt /tmp/requirements.txt
# Beside the entry point, because the script's own folder is always searched first:
# a PYTHONPATH set by the user's workflow cannot hide or replace these.
# Apprise speaks English here, and shows nobody its pictures.
RUN pip install --no-cache-dir --no-compile --require-hashes --target /app \
        --requirement /tmp/requirements.txt \
    && rm -r /app/bin /app/apprise/i18n /app/apprise/assets
# botocore describes some 400 services; the action calls these.
ARG SERVICES="application-autoscaling cloudwatch ec2 ecr ecs elbv2 events iam inspector2 logs s3 \
    secretsmanager sns ssm sts"
RUN cd /app/botocore/data \
    && for service in */; do \
        case " $SERVICES " in *" ${service%/} "*) ;; *) rm -r "$service" ;; esac; \
    done
COPY entrypoint.py post_entrypoint.py /app/
COPY deploy_action /app/deploy_action
# Unchecked: the sources in an image do not change, so start-up need not compare them.
RUN python -m compileall -q -j 0 --invalidation-mode unchecked-hash /app

FROM python:3.13.15-slim-trixie
RUN python -m pip uninstall --yes --quiet pip
COPY --from=docker/buildx-bin:0.29.1 /buildx /usr/local/bin/buildx
COPY --from=packages /app /app
ENV PYTHONUNBUFFERED=1
ENTRYPOINT ["python", "/app/entrypoint.py"]
