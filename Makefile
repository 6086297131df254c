# The commands that people type. Everything is done by `cargo xtask …`; `cargo xtask --help` lists the rest.

.PHONY: demo test stop check

# The example on a new server, which stays: `make demo` or `make demo DATA=path/to/bank_additional_full.csv`.
demo:
	@cargo xtask demo $(if $(DATA),--data "$(DATA)")

# Every test.
test:
	@cargo xtask test

# Stops the demo's server.
stop:
	@cargo xtask stop

# Format, lints, law tests.
check:
	@cargo xtask check
