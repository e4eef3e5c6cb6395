# ./run and ./test need only a shell; this is for the rest.
.PHONY: help wheel bench fuzz clean
N = 10000000

help:
	@echo "make wheel          build dist/*.whl"
	@echo "make bench [NAME=x] run the benchmarks in tests/bench (or one)"
	@echo "make fuzz [N=$(N)] feed each protocol machine so many hostile datagrams"
	@echo "make clean          remove what was made"

wheel:
	.venv/bin/python -m build --wheel

bench:
	@for bench in $(if $(NAME),tests/bench/$(NAME).py,tests/bench/*.py); do \
		.venv/bin/python $$bench || exit 1; \
	done

fuzz:
	.venv/bin/python tests/fuzz.py $(N)

clean:
	rm -rf .venv dist build .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis
