# ./run and ./test need only a shell; this is for the rest.
.PHONY: help wheel bench fuzz listen listen-long soak stress clean
N = 10000000
MINUTES = 60

help:
	@echo "make wheel          build dist/*.whl"
	@echo "make bench [NAME=x] run the benchmarks in tests/bench (or one)"
	@echo "make fuzz [N=$(N)] feed each protocol machine so many hostile datagrams"
	@echo "make listen         measure every theme; write a page with all their sounds"
	@echo "make listen-long    measure hours: what comes again, false alerts of a day"
	@echo "make soak [MINUTES=$(MINUTES)] play into a sound card's driver for so long"
	@echo "make stress [MINUTES=10] render so much stress, and look for steps in it"
	@echo "make clean          remove what was made"

wheel:
	.venv/bin/python -m build --wheel

bench:
	@for bench in $(if $(NAME),tests/bench/$(NAME).py,tests/bench/*.py); do \
		.venv/bin/python $$bench || exit 1; \
	done

fuzz:
	.venv/bin/python tests/fuzz.py $(N)

listen:
	.venv/bin/python tests/listen.py $(if $(THEME),--theme $(THEME))

listen-long:
	.venv/bin/python tests/listen.py --long $(if $(THEME),--theme $(THEME))

soak:
	.venv/bin/python tests/soak.py $(MINUTES)

stress: MINUTES = 10
stress:
	.venv/bin/python tests/stress.py --minutes $(MINUTES)

clean:
	rm -rf .venv dist build .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis
