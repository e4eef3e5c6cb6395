# ./run and ./test need only a shell; this is for the rest.
.PHONY: help wheel bench clean

help:
	@echo "make wheel          build dist/*.whl"
	@echo "make bench [NAME=x] run the benchmarks in tests/bench (or one)"
	@echo "make clean          remove what was made"

wheel:
	.venv/bin/python -m build --wheel

bench:
	@for bench in $(if $(NAME),tests/bench/$(NAME).py,tests/bench/*.py); do \
		.venv/bin/python $$bench || exit 1; \
	done

clean:
	rm -rf .venv dist build .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis
