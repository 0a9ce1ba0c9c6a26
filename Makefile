# Everything runs from two virtual environments that are made here; nothing else needs to be installed but Python 3.11+ and make.
PYTHON ?= python3
VENV := .venv
EMULATOR_VENV := .venv-emulator
BENCH_VENV := .venv-bench
AUDIT_VENV := .venv-audit
PY := $(VENV)/bin/python
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export SAM_CLI_TELEMETRY := 0
PIP_INSTALL := -m pip install --quiet

.PHONY: setup demo demo-stop test test-alone test-workflow test-faults test-docs-and-chaos chaos mutants load lint lint-code lint-templates permissions diagram sbom audit format lock containers bench clean

setup: $(VENV)/.ready $(EMULATOR_VENV)/.ready

$(VENV)/.ready: requirements-dev.txt pyproject.toml
	@echo "Installing what is needed, once: one to two minutes."
	$(PYTHON) -m venv $(VENV)
	$(PY) $(PIP_INSTALL) --no-deps --require-hashes -r requirements-dev.txt
	$(PY) $(PIP_INSTALL) --no-deps --no-build-isolation -e .
	touch $@

$(EMULATOR_VENV)/.ready: requirements-emulator.txt
	$(PYTHON) -m venv $(EMULATOR_VENV)
	$(EMULATOR_VENV)/bin/python $(PIP_INSTALL) --no-deps --require-hashes -r requirements-emulator.txt
	touch $@

$(BENCH_VENV)/.ready: requirements-bench.txt
	$(PYTHON) -m venv $(BENCH_VENV)
	$(BENCH_VENV)/bin/python $(PIP_INSTALL) --no-deps --require-hashes -r requirements-bench.txt
	touch $@

$(AUDIT_VENV)/.ready: requirements-audit.txt
	$(PYTHON) -m venv $(AUDIT_VENV)
	$(AUDIT_VENV)/bin/python $(PIP_INSTALL) --no-compile --no-deps --require-hashes -r requirements-audit.txt
	touch $@

demo: setup  ## the whole product on this machine: emulated AWS, emulated GoPro Cloud; KEEP=1 leaves it running
	$(PY) -m scripts.demo run $(if $(KEEP),--keep) $(if $(LIBRARY),--library $(LIBRARY)) $(if $(CONCURRENCY),--concurrency $(CONCURRENCY))

demo-stop: setup  ## ends what `make demo KEEP=1` left running
	$(PY) -m scripts.demo stop

containers: setup  ## the functions in Lambda-like containers; needs Docker and the image that SAM uses for python3.13
	$(PY) -m scripts.containers

bench: setup $(BENCH_VENV)/.ready  ## the engine beside its peers; BENCH="--quick --case small"
	$(PY) -m benchmarks $(BENCH)

mutants: setup  ## deliberate bugs, each of which a test must notice; MUTANTS=WORD for some of them
	$(PY) -m scripts.mutants $(MUTANTS)

load: setup  ## what the workflow costs as the library grows; SIZES=100,500 LIBRARIES=1000,100000
	$(PY) -m benchmarks.load $(if $(SIZES),--sizes $(SIZES)) $(if $(LIBRARIES),--libraries $(LIBRARIES))

test: setup  ## the whole suite, its four parts side by side
	sam build > /dev/null
	SAM_BUILD_IS_DONE=1 $(MAKE) --jobs=4 --output-sync=target --no-print-directory test-workflow test-faults test-alone test-docs-and-chaos

test-alone: setup
	$(PY) -m pytest tests/unit tests/properties tests/conformance

test-workflow: setup
	$(PY) -m pytest tests/workflow --ignore tests/workflow/test_faults.py --ignore tests/workflow/test_docs.py

test-faults: setup
	$(PY) -m pytest tests/workflow/test_faults.py tests/permissions

test-docs-and-chaos: setup
	$(PY) -m pytest tests/workflow/test_docs.py tests/chaos

chaos: setup  ## the fault campaign: schedules over SQLite and a folder, a fifth as many over DynamoDB and S3 (or AWS=…)
	$(PY) -m tests.chaos --schedules $(or $(N),1000) $(if $(AWS),--aws $(AWS)) $(if $(SEED),--seed $(SEED))

lint: lint-code lint-templates

lint-code: setup
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

lint-templates: setup $(AUDIT_VENV)/.ready
	$(VENV)/bin/cfn-lint template.yaml template-insights.yaml
	$(AUDIT_VENV)/bin/checkov --file template.yaml template-insights.yaml --config-file .checkov.yaml

permissions: setup  ## docs/permissions.md, from the template
	$(PY) -m tests.permissions

diagram: setup  ## the state machine in README.md, from its definition
	$(PY) -m scripts.diagram

sbom: setup  ## docs/sbom.json, from requirements-lambda.txt
	$(PY) -m scripts.sbom

audit: setup $(AUDIT_VENV)/.ready  ## known vulnerabilities of what is deployed; needs the internet
	$(AUDIT_VENV)/bin/pip-audit --strict --no-deps --disable-pip -r requirements-lambda.txt

format: setup
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

# What `sam build` calls for each function.
build-%:
	scripts/build_artifact.sh "$(ARTIFACTS_DIR)"

# Pins and hashes, no addresses. What the Lambda runtime brings itself (boto3 and below) stays out of the artifact.
LOCK := -m piptools compile --quiet --no-strip-extras --generate-hashes --no-header --no-annotate \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host
lock: setup
	$(PYTHON) -m venv .venv-lock && .venv-lock/bin/python $(PIP_INSTALL) pip-tools
	.venv-lock/bin/python $(LOCK) --allow-unsafe -o requirements-dev.txt requirements-dev.in
	sed -n 's/^\([a-z0-9][^ ]*==[^ ]*\).*/\1/p' requirements-dev.txt > .venv-lock/constraints.txt
	.venv-lock/bin/python $(LOCK) --allow-unsafe -c .venv-lock/constraints.txt -o requirements.txt requirements.in
	.venv-lock/bin/python $(LOCK) --unsafe-package botocore --unsafe-package python-dateutil --unsafe-package six \
		-c .venv-lock/constraints.txt -o requirements-lambda.txt requirements-lambda.in
	sed -i '/^# /d' requirements-lambda.txt
	.venv-lock/bin/python $(LOCK) --allow-unsafe -o requirements-emulator.txt requirements-emulator.in
	.venv-lock/bin/python $(LOCK) --allow-unsafe -o requirements-bench.txt requirements-bench.in
	.venv-lock/bin/python $(LOCK) --allow-unsafe -o requirements-audit.txt requirements-audit.in

clean:
	rm -rf $(VENV) $(EMULATOR_VENV) $(BENCH_VENV) $(AUDIT_VENV) .venv-lock .aws-sam .demo .hypothesis .mypy_cache .ruff_cache *.egg-info
