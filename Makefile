# One word per task; every target makes its own .venv from the locked versions (tools/bootstrap.sh).
#   make          lint, types and the tests of what changed: the loop while writing
#   make test     every test           make demo    server + three agents on growing logs (ONCE=1: check and exit)
#   make lint     style and arrows     make bench   figures beside their peers (ONLY=agent)
#   make serve    a server on ./logferry-data       make look    a screenshot of every page into look/
#   make first    a newcomer's way through the README, timed: from a wheel to a line found in a real browser
#   make fuzz     M=1: a million command lines, 10^5 sessions   make attack   every safety test at its full count
#   make torture  the agent's torture matrix on every kind of server, 24 rotations/s for a minute, 100,000 files
#   make roundtrip  SIZE=2GB (CORPUS=folder) into a server, sealed, and back four ways, byte by byte
#   make crash    every kill, cut and full disk of delivery and archive (root): all cases, 10^5 steps; CRASH="…" some
#   make docs     generated pages of docs     make lock    new versions into requirements/
SHELL := /bin/bash
.DEFAULT_GOAL := quick
BIN := .venv/bin
export PYTHONDONTWRITEBYTECODE :=
ARGS ?=
ONLY ?=
ONCE ?=
LOGS ?=
M ?= 1

.PHONY: quick lint types format test fuzz attack crash torture roundtrip demo bench serve first look docs lock venv programs clean

venv:
	@tools/bootstrap.sh

quick: lint types
	$(BIN)/python -m pytest -q -m "not slow and not browser" $(ARGS) $$($(BIN)/python tools/changed.py)

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache >/tmp/logferry-arrows.$$$$ || { cat /tmp/logferry-arrows.$$$$; exit 1; }

types: venv
	$(BIN)/mypy

format: venv
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

programs:
	@tools/programs.sh

# Each file of tests in one of so many processes; ARGS="-n0 -s" for one alone, with what it prints.
JOBS ?= $(shell n=$$(nproc 2>/dev/null || echo 2); echo $$((n < 4 ? n : 4)))
test: venv programs
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(ARGS)

fuzz: venv
	HEAVY_FUZZ_LINES=$(M)000000 HEAVY_FUZZ_SESSIONS=$(M)00000 HEAVY_FUZZ_REPLIES=$(M)00000 HEAVY_FUZZ_LISTINGS=$(M)00000 \
	HEAVY_FUZZ_SOCKETS=$(M)000 $(BIN)/python -m pytest -q -s -o timeout=0 tests/fuzz $(ARGS)

attack: venv programs
	HEAVY=1 $(BIN)/python -m pytest -q -s -o timeout=0 tests/fuzz tests/security tests/faults tests/hostile \
	tests/search/test_evil_searches.py tests/web/test_document.py $(ARGS)

CRASH ?= tests/agent/crash tests/voyage/test_kills.py tests/archive/segment $(addprefix tests/archive/test_,\
	kills_in_service.py power_cuts.py crash_states.py seal_machine.py seal.py crashes.py indexes.py repair.py backup.py)
crash: venv
	@tools/programs.sh vsftpd mkfs.ext4
	HEAVY=1 LOGFERRY_TEST_SOAK_STEPS=100000 LOGFERRY_REPAIR_SEGMENTS=1000 $(BIN)/python -m pytest -q -s -o timeout=0 $(CRASH) $(ARGS)

torture: venv programs
	HEAVY=1 $(BIN)/python -m pytest -q -s -rs -o timeout=0 tests/agent/torture $(ARGS)

SIZE ?= 2GB
CORPUS ?=
roundtrip: venv
	@tools/programs.sh zstd
	$(BIN)/python -m tests.voyage.roundtrip --size $(SIZE) $(if $(CORPUS),--corpus "$(CORPUS)") $(ARGS)

demo: venv
	@tools/programs.sh lftp
	$(BIN)/python -m logferry.testing.demo $(if $(ONCE),--once) $(if $(LOGS),--logs "$(LOGS)") $(ARGS)

bench: venv
	@tools/bootstrap.sh bench
	@tools/programs.sh lftp rclone rsync lsyncd rsyslogd vsftpd pure-ftpd proftpd zstd
	$(BIN)/python -m bench $(if $(ONLY),--only "$(ONLY)") $(ARGS)

serve: venv
	$(BIN)/logferry serve $(ARGS)

first: venv
	@tools/programs.sh chromium
	$(BIN)/python tools/first_success.py $(ARGS)

look: venv programs
	$(BIN)/python -m tests.browser.look $(ARGS)

docs: venv
	$(BIN)/python tools/cli_reference.py >docs/reference/cli.md
	$(BIN)/python tools/ftp_reference.py >docs/reference/ftp.md
	$(BIN)/python tools/agent_reference.py >docs/reference/agent-metrics.md
	$(BIN)/python tools/delivery_page.py >docs/design/delivery.md
	$(BIN)/python tools/figures_page.py >docs/reference/figures.md

lock: venv
	$(BIN)/python tools/lock.py $(ARGS)

clean:
	rm -rf .demo look dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
